"""What an optimiser foresees of its trials, in the terms of a rule that ends them (see `utilities.model_stopping`)."""

from __future__ import annotations

from collections.abc import Sequence

from utilities.optimizer import Optimizer


class OptimizerForesight:
    """Probabilities under the surrogate of an optimiser, noise of the objective included.

    Parameters
    ----------
    optimizer
        Told of all that was reported.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer

    def chances(self, numbers: Sequence[int]) -> list[float] | None:
        """Probability of each trial that its objective at full length beats the incumbent's.

        None where the model knows too little to end a trial by it: see `Optimizer.foresees`.
        """
        bound = self._optimizer.bound
        if bound is None or not self._optimizer.foresees:
            return None
        forecast = self._optimizer.forecast(numbers)
        return None if forecast is None else [float(chance) for chance in forecast.below(bound)]

    def chance_among(self, number: int, others: Sequence[int], best: int) -> float | None:
        """Probability of a trial that its objective is among the `best` of those foreseen of `others`, it one of them.

        None as of `chances`.
        """
        medians = self._optimizer.foresee_finals(others)
        forecast = None if medians is None else self._optimizer.forecast([number])
        if medians is None or forecast is None:
            return None
        return float(forecast.below(sorted(medians)[best - 1])[0])

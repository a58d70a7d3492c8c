"""The surrogates of all targets of a study: one model each, fitted and conditioned apart from the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from utilities.fitting import family, label_of, labelled
from utilities.goals import Goals
from utilities.history import History
from utilities.learning_curves import rows_of
from utilities.model import Model
from utilities.space import Space
from utilities.surrogate import Array, Dataset, FitState, Parameters, Posterior

FEWEST = 2
"""Observations without which a target has no surrogate."""


class TargetModels:
    """A model of each target. The only target of a study has a model without a name.

    Parameters
    ----------
    space, method, seed
        As of `Model`.
    goals
        Whose targets they are.
    """

    def __init__(self, space: Space, method: str, seed: int, goals: Goals) -> None:
        names = ("",) if goals.plain else goals.targets
        self.models = tuple(Model(space, method, seed, name) for name in names)
        self._several = goals.several
        self._labels = tuple(label_of(labelled("", name)) for name in names)

    @property
    def first(self) -> Model:
        """Model of the objective, or the first of several."""
        return self.models[0]

    def data(self, history: History, target: int) -> Dataset:
        """Observations of a target: the completed trials that have it."""
        if target == 0 and not self._several:
            return history.data
        y = history.targets[:, target]
        known = np.isfinite(y)
        return Dataset(history.data.x[known], y[known])

    def data_of(self, kind: str, history: History) -> Dataset:
        """Observations for a surrogate of that kind; none where its target is not one of this study."""
        label = label_of(kind)
        if label not in self._labels:
            return Dataset(history.data.x[:0], history.data.y[:0])
        return self.data(history, self._labels.index(label))

    def _enough(self, history: History) -> Iterator[tuple[int, Model, Dataset]]:
        """Targets of which enough is known, with their models and observations."""
        for target, model in enumerate(self.models):
            data = self.data(history, target)
            if len(data) >= FEWEST:
                yield target, model, data

    def hurry(self, hasty: bool) -> None:
        """Say whether time is short."""
        for model in self.models:
            model.hasty = hasty

    def observe(self, history: History) -> None:
        """Judge what was foreseen of the newest outcomes, before anything is refitted to them."""
        self.first.heed(history.revisions, self.data(history, 0))
        for target, model in enumerate(self.models):
            model.observe(self.data(history, target))

    def refit(self, history: History) -> None:
        """Refit all that is due, here and now."""
        for _, model, data in self._enough(history):
            model.refit(data)

    def due(self, history: History) -> str | None:
        """Kind of the surrogate whose refit is due, of several the one that knows the fewest observations."""
        found: list[tuple[int, int, str]] = []
        for target, model, data in self._enough(history):
            model.follow(data)
            kind = model.due(len(data), len(rows_of(data)))
            if kind is not None:
                found.append((model.expert(kind).fitted, target, kind))
        if not found:
            return None
        _, target, kind = min(found)
        return self._kind(target, kind)

    def _kind(self, target: int, kind: str) -> str:
        return f"{kind}@{self._labels[target]}" if self._labels[target] else kind

    def overdue(self, history: History) -> bool:
        """Whether to propose any further would waste evaluations: of some target far too little is known."""
        return any(model.overdue(len(data), len(rows_of(data))) for _, model, data in self._enough(history))

    def fitted(self, history: History) -> bool:
        """Whether something was learned of each target of which enough is known, and of the objectives anyway."""
        return self.first.fitted and all(model.fitted for _, model, _ in self._enough(history))

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take a fit made elsewhere to the first `fitted` observations of its target; of no target, it is left."""
        if label_of(kind) in self._labels:
            self.models[self._labels.index(label_of(kind))].adopt(family(kind), parameters, fitted)

    @property
    def fits(self) -> dict[str, FitState]:
        """Latest fit of each surrogate, by its kind."""
        return {
            self._kind(target, kind): FitState(self._kind(target, kind), fit.parameters, fit.rows)
            for target, model in enumerate(self.models)
            for kind, fit in model.fits.items()
        }

    def calibration(self) -> dict[str, Array]:
        """How well each surrogate foresaw, see `Model.calibration`."""
        return {
            self._kind(target, kind): table
            for target, model in enumerate(self.models)
            for kind, table in model.calibration().items()
        }

    def restore_calibration(self, tables: Mapping[str, Array]) -> None:
        """Take back the calibration of an earlier life of the study."""
        for target, model in enumerate(self.models):
            own = {family(kind): table for kind, table in tables.items() if label_of(kind) == self._labels[target]}
            model.restore_calibration(own)

    def posterior(self, history: History, target: int) -> Posterior:
        """Posterior of a target given all its observations, of the surrogate that foresees best."""
        data = self.data(history, target)
        return self.models[target].trusted(len(data)).view(data).posterior

    def to_standard(self, history: History, target: int, value: float) -> float:
        """A value of a target in the units of that posterior."""
        return self.models[target].trusted(len(self.data(history, target))).to_standard(value)

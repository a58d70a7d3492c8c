"""An optimiser's model, for whoever fits it elsewhere, keeps its fits, or asks what it foresees of running trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from utilities.forecast import Forecast
from utilities.history import History
from utilities.learning_curves import rows_of
from utilities.proposals import Proposer
from utilities.surrogate import Array, Dataset, FitState, Parameters
from utilities.trial import Trial


class ModelAccess:
    """What an optimiser gives of its model; it has a proposer, a history, and the trials that it asked by number."""

    _proposer: Proposer
    _history: History
    _asked: dict[int, Trial]

    @property
    def fit_data(self) -> Dataset:
        """What a surrogate of the objective is fitted to: `data`, or the rows of learning curves once trials report."""
        return rows_of(self._history.data)

    def data_of(self, kind: str) -> Dataset:
        """What a surrogate of that kind is fitted to; nothing where this study has no such surrogate."""
        return rows_of(self._proposer.data_of(kind, self._history))

    @property
    def revision(self) -> int:
        """Changes when `fit_data` is another than before, and not only longer."""
        return self._history.curves.revision

    def forecast(self, numbers: Sequence[int]) -> Forecast | None:
        """What the model foresees of the objectives (to be minimised) of trials; None where too little is known."""
        trials = [self._asked[number] for number in numbers]
        return self._proposer.forecast(self._history, trials) if trials else None

    def foresee_finals(self, numbers: Sequence[int]) -> list[float] | None:
        """Median of each trial's `forecast`, to be minimised; None where no trial may be judged by it."""
        forecast = self.forecast(numbers) if self.foresees else None
        return None if forecast is None else [float(median) for median in forecast.summary()[0]]

    @property
    def foresees(self) -> bool:
        """Whether a trial may be ended by its `forecast`: from three completed trials that reported on, once fitted."""
        return self._proposer.foresees(self._history)

    def fit_due(self) -> str | None:
        """Kind of surrogate that is due for a refit to its `data_of`; None where none is."""
        return self._proposer.fit_due(self._history)

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take surrogate parameters fitted elsewhere to the first `fitted` rows of their `data_of`."""
        self._proposer.adopt(kind, parameters, fitted)

    def refit_inline(self) -> None:
        """From now on, ask() refits the surrogate when that is due, as with ``refit="inline"``."""
        self._proposer.refit_inline()

    @property
    def fits(self) -> dict[str, FitState]:
        """Latest fit of each surrogate in use, by its kind."""
        return self._proposer.fits

    @property
    def fit_state(self) -> FitState | None:
        """The fit to most rows; None before the first."""
        return max(self.fits.values(), key=lambda fit: fit.rows, default=None)

    @property
    def calibration(self) -> dict[str, Array]:
        """How well each surrogate foresaw the outcomes, by its kind.

        Each is an array (r, 5), a row a refit; its columns are the fields of `utilities.calibration.CalibrationRow`.
        """
        return self._proposer.calibration

    def restore_calibration(self, tables: Mapping[str, Array]) -> None:
        """Take back the `calibration` of an earlier life of the study."""
        self._proposer.restore_calibration(tables)

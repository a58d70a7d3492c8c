"""The surrogates of a proposer as a study goes on: when there is enough to fit them to, refits, what they foresee."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from utilities.forecast import Forecast
from utilities.goals import Goals
from utilities.history import History
from utilities.learning_curves import CurveData
from utilities.space import Space
from utilities.surrogate import Array, Dataset, FitState, Parameters
from utilities.target_models import FEWEST, TargetModels
from utilities.trial import Trial

EARLY = 128
"""Trials before which a refit is worth waiting for."""

ENOUGH = 3
"""Outcomes of the design that the surrogate needs, the rest of it pending: fantasised, they keep its proposals apart.
With 16 pending, to wait for all of them instead left regret a fifth higher after 50 evaluations."""


class ModelUpkeep:
    """Fits surrogates once a design is handed out and `ENOUGH` of it are told, and again when that is due.

    Parameters
    ----------
    space, method, seed, goals
        As of `TargetModels`.
    initial
        Trials of the design.
    inline
        Whether a refit that is due is made here.
    """

    def __init__(self, space: Space, method: str, seed: int, initial: int, goals: Goals, *, inline: bool) -> None:
        self._space, self._inline = space, inline
        self._initial = self._first = max(2, initial)
        self._models = TargetModels(space, method, seed, goals)
        self._model = self._models.first

    def _update(self, history: History) -> None:
        """Take what is new, and refit if that is due and to be done here."""
        self._models.observe(history)
        needed = self._foreseeable(history) or not self._in_design(history)
        if self._inline and needed and self.fit_due(history):
            self._models.refit(history)

    def _noise(self, history: History) -> float:
        """Estimated variance of the objective's noise, as a share of that of all observations; 0 without a model."""
        return self._model.noise(history.data) if self._model.fitted else 0.0

    def _in_design(self, history: History) -> bool:
        """Whether the design goes on: until it is handed out, and enough of its outcomes are there to fit to."""
        return _few(history, self._initial)

    def _unfit(self, history: History) -> bool:
        """Whether there is too little to fit the surrogate to."""
        return self._in_design(history) or len(history.data) < FEWEST

    def foresee(self, history: History, points: Array) -> Array | None:
        """Posterior mean (m,) at points (m, d), standardised; None where there is no model yet."""
        if not self._model.fitted:
            return None
        posterior = self._model.trusted(len(history.data)).view(history.data).posterior
        return np.asarray(posterior.predict(self._space.features(points))[0].mean(axis=(0, 1)))

    def fit_due(self, history: History) -> str | None:
        """Kind of surrogate due for a refit, None where none is; one may be while a later stage has its design."""
        few = _few(history, self._first) or len(history.data) < FEWEST
        if few and not self._foreseeable(history):
            return None
        return self._models.due(history)

    def data_of(self, kind: str, history: History) -> Dataset:
        """Observations that a surrogate of that kind is fitted to."""
        return self._models.data_of(kind, history)

    def must_wait(self, history: History) -> bool:
        """Whether the design is through and what is known of the surrogate comes from far too few data.

        From `EARLY` trials on nobody is to wait for a refit: there are few of them, and they change little.
        """
        early = not self._models.fitted(history) or history.told < EARLY
        return early and not self._inline and not self._unfit(history) and self._models.overdue(history)

    def forecast(self, history: History, trials: Sequence[Trial]) -> Forecast | None:
        """What is foreseen of trials that may have reported, None where too little is known."""
        data = history.data
        if not isinstance(data, CurveData) or not self._model.fitted:
            return None
        x = self._space.features(self._space.to_unit([trial.config for trial in trials]))
        running = np.array([history.is_pending(trial.number) for trial in trials])
        return self._model.forecast(data, x, running)

    def foresees(self, history: History) -> bool:
        """Whether a trial may be ended by its forecast: enough completed that reported, and were learned from."""
        return self._foreseeable(history) and self._model.fitted

    def _foreseeable(self, history: History) -> bool:
        """Whether curves tell enough to fit the surrogate to, whether or not the design is through."""
        enough = history.curves.active and history.curves.completed >= ENOUGH
        return enough and len(history.data) >= FEWEST

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take a fit made elsewhere."""
        self._models.adopt(kind, parameters, fitted)

    def refit_inline(self) -> None:
        """From now on, refit when asked for a proposal, where a refit is due."""
        self._inline = True

    @property
    def fits(self) -> dict[str, FitState]:
        """Latest fit of each surrogate, by its kind."""
        return self._models.fits

    @property
    def calibration(self) -> dict[str, Array]:
        """How well each surrogate foresaw, see `Model.calibration`."""
        return self._models.calibration()

    def restore_calibration(self, tables: Mapping[str, Array]) -> None:
        """Take back the calibration of an earlier life of the study."""
        self._models.restore_calibration(tables)


def _few(history: History, design: int) -> bool:
    """Whether a design of so many trials is not handed out yet, or too few outcomes are there to fit to."""
    return history.told + history.waiting < design or history.told < min(ENOUGH, design)

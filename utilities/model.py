"""The surrogates of a study: which are in use, how much each is trusted, whose turn it is.

``auto`` has a Gaussian process while it is the cheaper, a DNGO from `DNGO_FROM` observations on, and in between both,
whose shares of the proposals follow how well each foresaw the latest outcomes (see `utilities.calibration`). Where time
is short, or outcomes come faster than a Gaussian process can be refitted, it has a DNGO alone. The other methods have
one surrogate.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from utilities.calibration import weights
from utilities.curve_expert import CurveExpert
from utilities.expert import Expert, View
from utilities.fitting import FIDELITY, fit_surrogate, kind_of, labelled
from utilities.forecast import Forecast
from utilities.learning_curves import CurveData, rows_of
from utilities.space import Space
from utilities.surrogate import Array, Dataset, FitState, Parameters

DNGO_FROM, GP_UNTIL = 100, 800
"""Observations from which ``auto`` has a DNGO, and below which it has a Gaussian process."""

REVISED = 0.02
"""Share of the observations that have changed, from which on they are conditioned on anew: all of that stays linear."""

POLISHED = 5
"""Turns of which one is the surrogate's, one goes to the bottom of a basin, and the companion has the others outside of
it, where the surrogate does not see the bottom. With 4, one run of ten on Hartmann6 stayed in its second basin."""

_STRIDE = np.sqrt(2.0) - 1.0
"""Another than that of `utilities.portfolio`: which surrogate and which acquisition are independent choices."""


class Model:
    """Keeps the latest fits, says when another is due, and conditions on outcomes as they come.

    Parameters
    ----------
    space
        Gives the layout of the features.
    method
        One of MODEL_METHODS.
    seed
        Of the fits.
    name
        Of the target that it is the model of, one among several; empty where there is one.

    Attributes
    ----------
    hasty
        Whether time is short.
    """

    def __init__(self, space: Space, method: str, seed: int, name: str = "") -> None:
        self._space, self._method, self._seed, self._name = space, method, seed, name
        self.hasty = False
        self._experts: dict[str, Expert] = {}
        self._revisions = 0
        self._curves = False

    def kinds(self, count: int) -> tuple[str, ...]:
        """Kinds of surrogate in use with `count` observations."""
        if self._method != "auto":
            return (self._method,)
        if self.hasty or (count >= DNGO_FROM and self.expert("gp").late):
            return ("dngo",)
        return ("gp",) * (count < GP_UNTIL) + ("dngo",) * (count >= DNGO_FROM)

    def expert(self, kind: str) -> Expert:
        """The surrogate of that kind, whether it is in use or not."""
        if kind not in self._experts:
            self._experts[kind] = (CurveExpert if self._curves else Expert)(self._space, kind)
        return self._experts[kind]

    def follow(self, data: Dataset) -> None:
        """Begin anew where trials have begun to report, or what they report is no longer learned from."""
        if isinstance(data, CurveData) != self._curves:
            self._curves, self._experts = not self._curves, {}

    def due(self, count: int, rows: int | None = None) -> str | None:
        """Kind of surrogate whose refit is worth its time with `count` observations; None where none is.

        `rows` is how many there are to fit to, where these are rows of curves. Of several kinds the one that knows the
        fewest of them: a GP, due all the time, would keep a DNGO from its turn.
        """
        rows = count if rows is None else rows
        due = [kind for kind in self.kinds(count) if self.expert(kind).due(rows)]
        return min(due, key=lambda kind: self.expert(kind).fitted, default=None)

    def overdue(self, count: int, rows: int | None = None) -> bool:
        """Whether to propose any further would waste evaluations: every surrogate in use knows far too little."""
        rows = count if rows is None else rows
        return all(self.expert(kind).overdue(rows) for kind in self.kinds(count))

    @property
    def fitted(self) -> bool:
        """Whether anything was learned yet."""
        return any(expert.parameters is not None for expert in self._experts.values())

    def observe(self, data: Dataset) -> None:
        """Judge what was foreseen of the newest rows of `data`, before anything is refitted to them."""
        self.follow(data)
        for expert in self._ready(len(data)):
            expert.observe(data)

    def heed(self, revisions: int, data: Dataset) -> None:
        """Have what changed in the observations conditioned on anew, with `revisions` changes so far.

        Rows of curves never change.
        """
        if not isinstance(data, CurveData) and revisions - self._revisions >= max(1.0, REVISED * len(data)):
            self._revisions = revisions
            for expert in self._experts.values():
                expert.revise()

    def refit(self, data: Dataset) -> None:
        """Refit all that is due, here and now."""
        rows = rows_of(data)
        for kind in self.kinds(len(data)):
            expert = self.expert(kind)
            if expert.due(len(rows)):
                fit = fit_surrogate(labelled(kind, self._name), self._space, rows, self._seed, expert.parameters)
                expert.adopt(fit, len(rows))

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take the result of a fit to the first `fitted` observations, made here or elsewhere.

        One to other columns, begun before trials began to report, is passed over.
        """
        if not self._experts:
            self._curves = FIDELITY in parameters
        if self._curves == (FIDELITY in parameters):
            self.expert(kind).adopt(parameters, fitted)

    def forecast(self, data: Dataset, x: Array, running: NDArray[np.bool_]) -> Forecast | None:
        """Forecast of the objectives of trials by their curves, see `CurveExpert.forecast`; None where nothing knows.

        By a Gaussian process where one is in use, which knows a trial's own curve best.
        """
        self.follow(data)
        experts = {expert.kind: expert for expert in self._ready(len(data)) if isinstance(expert, CurveExpert)}
        expert = experts.get("gp") or next(iter(experts.values()), None)
        return None if expert is None else expert.forecast(data, x, running)

    def shares(self, count: int) -> dict[str, float]:
        """Share of the proposals of each surrogate that can make any."""
        ready = self._ready(count)
        return dict(zip((expert.kind for expert in ready), _weigh(ready), strict=True))

    def choose(self, data: Dataset, turn: int) -> View:
        """Posterior whose turn it is.

        The surrogates take turns by their shares. A companion, where there is one, takes every second of its
        surrogate's turns, two in three once a basin is closed, or see `POLISHED`.
        """
        ready = self._ready(len(data))
        place = (turn * _STRIDE) % 1.0
        expert = ready[min(int(np.searchsorted(np.cumsum(_weigh(ready)), place)), len(ready) - 1)]
        companion = None if self._name else expert.companion(data)
        if companion is None:
            return expert.view(data)
        polished = companion.closed is not None and kind_of(expert.kind).companion == "around"
        beat = turn % (POLISHED if polished else 2 if companion.closed is None else 3)
        if beat == 0:
            return expert.view(data)
        return expert.polisher(data) if polished and beat == 1 else companion

    def trusted(self, count: int) -> Expert:
        """The surrogate that foresees best."""
        ready = self._ready(count)
        return ready[int(np.argmax(_weigh(ready)))]

    def noise(self, data: Dataset) -> float:
        """Estimated variance of the noise, as a share of the variance of the transformed objectives."""
        return float(self.trusted(len(data)).view(data).posterior.noise().mean())

    @property
    def fits(self) -> dict[str, FitState]:
        """Latest fit of each surrogate, by its kind."""
        return {
            kind: FitState(kind, expert.parameters, expert.fitted)
            for kind, expert in self._experts.items()
            if expert.parameters is not None
        }

    def calibration(self) -> dict[str, Array]:
        """How well each surrogate foresaw, by kind: (r, 5), a row a refit, columns as in `CalibrationRow`."""
        return {kind: expert.scores.table() for kind, expert in self._experts.items() if expert.scores.rows}

    def restore_calibration(self, tables: Mapping[str, Array]) -> None:
        """Take back what `calibration` gave in an earlier life of the study."""
        for kind, table in tables.items():
            self.expert(kind).scores.restore(table)

    def _ready(self, count: int) -> list[Expert]:
        """The fitted surrogates among those in use; all fitted ones where none of these is."""
        in_use = [self.expert(kind) for kind in self.kinds(count)]
        ready = [expert for expert in in_use if expert.parameters is not None]
        return ready or [expert for expert in self._experts.values() if expert.parameters is not None]


def _weigh(experts: list[Expert]) -> Array:
    return weights([expert.scores for expert in experts]) if experts else np.empty(0)

"""A surrogate of a study whose trials report: it is told of their curves, and asked about full length.

A Gaussian process is conditioned on a choice of the rows (see `utilities.thinning`), anew at each fit; a DNGO on all of
them, and its companion on the chosen ones around the incumbent. No basin is closed: what is polished to the bottom
without noise reports no curves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utilities.calibration import foresee
from utilities.expert import Expert, View, with_noise
from utilities.fitting import COMPANION_ROWS, MOST_ROWS, condition, kind_of, of_companion, transform_of
from utilities.forecast import Forecast
from utilities.foreseen import Foreseen
from utilities.full_fidelity import FullFidelity
from utilities.learning_curves import CurveData
from utilities.space import Space
from utilities.surrogate import Array, Dataset, Posterior
from utilities.thinning import Thinning, nearby, thin

GROWTH = 0.1
"""Growth of the rows after which a Gaussian process is refitted: there are some ten for each trial."""

OVERDUE = 1.5
"""Rows of the latest fit, times so much, from which it knows far too few."""

FEWEST_NEW = 20
"""Rows, those of a trial or two, below which no refit is due."""


class CurveExpert(Expert):
    """Expert on curves. What it is given must be `CurveData`; `fitted` counts rows."""

    def __init__(self, space: Space, kind: str) -> None:
        super().__init__(space, kind)
        self._few_rows = kind_of(kind).few_rows
        self._revision = -1
        self._thinning = Thinning()
        self._local: tuple[int, View] | None = None
        self._foreseen = Foreseen()

    def due(self, count: int) -> bool:
        """Whether a refit is worth its time with `count` rows."""
        if self.parameters is None:
            return True
        growth = GROWTH if self._few_rows else kind_of(self.kind).growth
        return abs(count - self.fitted) >= max(FEWEST_NEW, round(growth * self.fitted))

    def overdue(self, count: int) -> bool:
        """Whether to propose by it would waste evaluations: rows of a few running trials are soon a quarter of all."""
        return self.parameters is None or _far_beyond(self.fitted, count)

    def observe(self, data: Dataset) -> Posterior:
        """Posterior at full fidelity given `data`; what was foreseen of new objectives is judged."""
        rows = _curves(data).rows
        self._follow(_curves(data))
        posterior = self._posterior
        if posterior is None:
            raise RuntimeError("the model must be fitted before it is asked for a posterior")
        known = self._conditioned
        if len(rows) > known:
            new = rows.some(slice(known, None))
            x, y = new.x, new.y
            self._judge(posterior, new)
            for i in np.flatnonzero(x[:, -1] >= 1.0):
                self._foreseen.end(x[i, :-1].tobytes(), float(y[i]))
            chosen = np.array(self._thinning.take(x), dtype=np.intp)
            some = chosen if self._few_rows else np.arange(known, len(rows))
            if len(some):
                posterior = self._extended(posterior, rows.some(some))
            self._conditioned, self._posterior = len(rows), posterior
        return FullFidelity(self._with_loose(posterior, rows))

    def companion(self, data: Dataset) -> View | None:
        """Posterior of a DNGO's companion, given the chosen rows around the incumbent."""
        self.observe(data)
        own = of_companion(self._known())
        if not own:
            return None
        rows = _curves(data).rows
        if self._local is None or self._local[0] != len(rows):
            best = data.x[np.argmin(data.y)]
            nearby = np.argsort(np.sum((data.x - best) ** 2, axis=1), kind="stable")[:COMPANION_ROWS]
            self._local = len(rows), View(FullFidelity(self._around(rows, best)), np.sort(nearby))
        return with_noise(self._local[1], own, data)

    def forecast(self, data: Dataset, x: Array, running: NDArray[np.bool_]) -> Forecast:
        """Forecast of the objectives of trials with features `x` (m, p); `running` (m,) says which of them go on.

        A DNGO knows its trials by their features alone: of those that go on, a Gaussian process tells, given the chosen
        rows around each and its own. Variances are inflated by how far objectives came out from what was foreseen.
        """
        posterior = self.observe(data)
        raw = self._forecast(posterior, _curves(data).rows, x, running)
        for i in np.flatnonzero(running):
            self._foreseen.note(x[i].tobytes(), raw.one(int(i)))
        return raw.inflated(self._foreseen.inflation)

    def _forecast(self, posterior: Posterior, rows: Dataset, x: Array, running: NDArray[np.bool_]) -> Forecast:
        own = of_companion(self._known())
        if self._few_rows or not own or not running.all():
            return Forecast.of(posterior, x, transform_of(self._known()))
        parts = [Forecast.of(FullFidelity(self._around(rows, place)), place[None], transform_of(own)) for place in x]
        return Forecast.join(parts)

    def _around(self, rows: Dataset, place: Array) -> Posterior:
        """Gaussian process with the companion's hyperparameters, given the chosen rows nearest to features (p,)."""
        some = nearby(rows, self._thinning.rows, place, COMPANION_ROWS)
        return condition("gp", self._space, of_companion(self._known()), rows.some(some))

    def _follow(self, data: CurveData) -> None:
        """Go over to the latest fit, or to other rows than before."""
        fit, rows = self._next, data.rows
        if fit is None and self._revision == data.revision:
            return
        if fit is not None:
            self.late = self._parameters is not None and _far_beyond(fit.fitted, len(rows))
            self._parameters, self._fitted, self._next = fit.parameters, min(fit.fitted, len(rows)), None
        elif self._parameters is None:
            return
        if self._revision != data.revision:
            self._thinning, self._conditioned = Thinning(), len(rows) if self._revision >= 0 else self._fitted
            self._thinning.take(rows.x[: self._conditioned])
            self._revision = data.revision
        if self._conditioned < self._fitted:
            self._thinning.take(rows.x[self._conditioned : self._fitted])
            self._conditioned = self._fitted
        known = rows.some(slice(self._conditioned))
        some = thin(known, MOST_ROWS) if self._few_rows else np.arange(len(known))
        if self._few_rows:  # the latest row of a curve may give way to a later one: it is put in anew at each call
            some = some[~np.isin(some, self._thinning.loose)]
        self._posterior = condition(self.kind, self._space, self._known(), known.some(some))
        self._local = None

    def _with_loose(self, posterior: Posterior, rows: Dataset) -> Posterior:
        loose = self._thinning.loose
        if not self._few_rows or not len(loose):
            return posterior
        some = loose[-MOST_ROWS:]
        return self._extended(posterior, rows.some(some))

    def _extended(self, posterior: Posterior, rows: Dataset) -> Posterior:
        seen = transform_of(self._known()).apply_to(rows, bounded=True)
        return posterior.extend(seen.x, seen.y, seen.variance)

    def _judge(self, posterior: Posterior, new: Dataset) -> None:
        """Keep how well new objectives were foreseen, before anything new of their curves was told."""
        ends = new.x[:, -1] >= 1.0
        if not ends.any():
            return
        full = new.some(np.flatnonzero(ends))
        transform = transform_of(self._known())
        seen = transform.apply_to(full, bounded=True)
        standardised = (seen.y - posterior.offset) / posterior.scale
        log_densities, places = foresee(posterior, seen.x, standardised, seen.variance)
        self.scores.add(log_densities + transform.log_slope(full.y) - np.log(posterior.scale), places)


def _far_beyond(fitted: int, count: int) -> bool:
    return count > OVERDUE * fitted + FEWEST_NEW


def _curves(data: Dataset) -> CurveData:
    if not isinstance(data, CurveData):
        raise TypeError("an expert on curves must be given CurveData")
    return data

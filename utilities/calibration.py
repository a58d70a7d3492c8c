"""How well a surrogate foresees: each outcome against the prediction made before it was known.

Symbols
-------
S   mixture components      k   new outcomes      mu, var (S, k)   predictive mean and variance, noise included

    density = mean over S of N(y; mu, var)         place = mean over S of Phi((y - mu) / sqrt(var))

If the predictions are honest the places are uniform on [0, 1] (Dawid 1984, "The prequential approach"), and a share c
of them lies within c/2 of 1/2: the coverage of the central interval of probability c. The density rewards sharpness,
too: surrogates are weighed by it. It is taken in the user's units, with the slope of the output transform, so that
surrogates with different transforms can be compared.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp, ndtr

from utilities.surrogate import Array, Posterior

WINDOW = 50
"""Outcomes over which a surrogate is judged."""

TRUSTED_FROM = 10
"""Outcomes foreseen before a surrogate is judged at all."""

TEMPERATURE = 0.1
"""Nats an outcome by which a surrogate must be better for its weight to be e times as large."""

WORST = -10.0
"""Least log density counted of one outcome, below that of the best surrogate: one surprise is no verdict."""


FALLEN_OVER, FALLEN_BY = 5, 1.0
"""So many outcomes whose mean log density is so many nats below that of those before call for a refit."""


class CalibrationRow(NamedTuple):
    """What was known of a surrogate when it was refitted.

    Attributes
    ----------
    fitted
        Observations of the new fit.
    judged
        Outcomes that the other numbers are of: the last `WINDOW` at most.
    log_density
        Mean log predictive density of an outcome, in the user's units.
    coverage_50, coverage_90
        Share of the outcomes inside the central intervals of these probabilities.
    """

    fitted: float
    judged: float
    log_density: float
    coverage_50: float
    coverage_90: float


def foresee(posterior: Posterior, x: Array, y: Array, variance: Array | None = None) -> tuple[Array, Array]:
    """Log density (k,) and place (k,) of standardised outcomes `y` (k,) at `x` (k, p), before they are conditioned on.

    The density is that of the standardised outcome. The known `variance` (k,) of the outcomes' noise is as `extend`
    takes it.
    """
    mean, spread = posterior.predict(x)
    spread = np.sqrt(spread + posterior.noise_of(variance))
    z = (y - mean.mean(axis=1)) / spread
    log_densities = -0.5 * z * z - np.log(spread) - 0.5 * math.log(2.0 * math.pi)
    return np.asarray(logsumexp(log_densities, axis=0) - math.log(len(z))), np.asarray(ndtr(z).mean(axis=0))


class Scores:
    """One-step-ahead record of a surrogate, the latest `WINDOW` outcomes of it."""

    def __init__(self) -> None:
        self._log_densities: deque[float] = deque(maxlen=WINDOW)
        self._places: deque[float] = deque(maxlen=WINDOW)
        self.rows: list[CalibrationRow] = []

    def add(self, log_densities: Array, places: Array) -> None:
        """Take the log densities (k,) and places (k,) of new outcomes."""
        self._log_densities.extend(log_densities.tolist())
        self._places.extend(places.tolist())

    @property
    def recent(self) -> Array:
        """Log densities of the latest outcomes, the last one last."""
        return np.array(self._log_densities)

    @property
    def fallen(self) -> bool:
        """Whether the latest outcomes were foreseen much worse than those before."""
        recent = self.recent
        if len(recent) < 2 * FALLEN_OVER:
            return False
        return bool(recent[-FALLEN_OVER:].mean() < np.median(recent[:-FALLEN_OVER]) - FALLEN_BY)

    def coverage(self, probability: float) -> float:
        """Share of the latest outcomes inside the central interval of that probability; NaN before the first."""
        places = np.array(self._places)
        return float(np.mean(np.abs(places - 0.5) <= 0.5 * probability)) if len(places) else math.nan

    def note(self, fitted: int) -> None:
        """Keep how things stand, as a refit to `fitted` observations begins."""
        if self._places:
            mean = float(self.recent.mean())
            self.rows.append(CalibrationRow(fitted, len(self._places), mean, self.coverage(0.5), self.coverage(0.9)))

    def table(self) -> Array:
        """What was kept: (r, 5), columns as in CalibrationRow."""
        return np.array(self.rows, dtype=np.float64).reshape(-1, len(CalibrationRow._fields))

    def restore(self, table: Array) -> None:
        """Take back what `table` gave in an earlier life of the study."""
        self.rows = [CalibrationRow(*map(float, row)) for row in table]


def weights(scores: Sequence[Scores]) -> Array:
    """Share (k,) of the proposals for each surrogate, by its mean log density over the outcomes that all foresaw.

    Equal while one has foreseen fewer than `TRUSTED_FROM`.
    """
    count = min(len(score.recent) for score in scores)
    if count < TRUSTED_FROM:
        return np.full(len(scores), 1.0 / len(scores))
    recent = np.array([score.recent[-count:] for score in scores])
    means = np.maximum(recent, recent.max(axis=0) + WORST).mean(axis=1)
    odds = np.exp((means - means.max()) / TEMPERATURE)
    return np.asarray(odds / odds.sum())

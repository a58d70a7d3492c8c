"""The probability that constraints on metrics are kept, and what it does to an acquisition.

Symbols
-------
m   points      p   feature columns      S   mixture components      F   fantasies of pending outcomes
mu (S, F, m), var (S, m)   prediction of a metric      b   its bound, in the units of the prediction

    log P(x) = sum over constraints of log mean over S and F of Phi((b - mu) / sigma)

for upper bounds, minus that argument for lower ones. An acquisition on a log scale is weighed by P, the surrogates
being independent (Gardner et al. 2014; Gelbart et al. 2014, arXiv 1403.5607, eq. 6). Two bounds of one metric count as
independent too, which takes the probability between them for larger than it is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from utilities.acquisition import MIN_VARIANCE, ROUGH, Acquisition, log_mean_exp
from utilities.feasible import Weighed
from utilities.surrogate import Array, Posterior

_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)
_LOG_HALF = math.log(0.5)


class Limit(NamedTuple):
    """A bound of a metric: its posterior, the bound in units of that, and 1 for an upper bound, -1 for a lower one."""

    posterior: Posterior
    value: float
    side: float


class Feasibility:
    """Probability that every constraint is kept.

    Parameters
    ----------
    limits
        The constraints; posteriors given all outcomes and, by fantasies, the pending trials.
    """

    def __init__(self, limits: list[Limit]) -> None:
        self._limits = limits

    def log_probability(self, x: Array) -> Array:
        """Log P (m,) at `x` (m, p)."""
        total = np.zeros(len(x))
        for limit in self._limits:
            total += log_mean_exp(log_ndtr(_place(limit, *limit.posterior.predict(x))[0]))[0]
        return total

    def log_probability_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Log P (m,), and its gradient (m, p)."""
        total, gradient = np.zeros(len(x)), np.zeros_like(x)
        for limit in self._limits:
            mean, variance, pullback = limit.posterior.differentiate(x)
            z, sigma = _place(limit, mean, variance)
            log_cdf = log_ndtr(z)
            value, share = log_mean_exp(log_cdf)
            slope = share * np.exp(-0.5 * z * z - _LOG_ROOT_2PI - log_cdf)
            total += value
            by_variance = np.where(variance > MIN_VARIANCE, -0.5 * (slope * z).sum(axis=1) / sigma[:, 0] ** 2, 0.0)
            gradient += pullback(-limit.side * slope / sigma, by_variance)
        return total, gradient

    def likely(self, x: Array) -> NDArray[np.bool_]:
        """Whether P >= 1/2 at each of `x` (m, p): (m,)."""
        return np.asarray(self.log_probability(x) >= _LOG_HALF)

    def rough(self) -> Feasibility:
        """Return the same over a few components and the average fantasy."""
        return Feasibility([Limit(one.posterior.thin(ROUGH), one.value, one.side) for one in self._limits])


def _place(limit: Limit, mean: Array, variance: Array) -> tuple[Array, Array]:
    """Standard deviations (S, F, m) that a metric is within its bound, and the length of one (S, 1, m)."""
    sigma = np.sqrt(np.maximum(variance, MIN_VARIANCE))[:, None, :]
    return limit.side * (limit.value - mean) / sigma, sigma


class Meeting(Weighed):
    """An acquisition on a log scale plus log P.

    Parameters
    ----------
    acquisition
        Such as log expected improvement; of nothing known to be feasible, `acquisition.NoPreference`.
    feasibility
        Gives P.
    """

    def __init__(self, acquisition: Acquisition, feasibility: Feasibility) -> None:
        super().__init__(acquisition, feasibility)
        self._feasibility = feasibility

    def rough(self) -> Acquisition:
        """Return the same with rougher parts."""
        return Meeting(self._acquisition.rough(), self._feasibility.rough())

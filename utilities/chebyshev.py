"""Log expected improvement of a random scalarisation of several objectives: a search in one direction at a time.

Symbols
-------
k   objectives      T   scenarios (see `utilities.scenarios`)      m   points      q   nodes      w (k,)   weights
a_j, s_j (T, m)     mean and standard deviation of w_j times objective j, measured from the ideal point in the range of
                    the front

The Chebyshev function, as in ParEGO (Knowles 2006, IEEE Transactions on Evolutionary Computation 10(1), eq. 2):

    g(y) = max over j of w_j y_j

Each minimiser of g is on the front, and other weights give others. The objectives being independent Gaussians,

    P(g <= t) = prod over j of Phi((t - a_j) / s_j)        EI = integral of P(g <= t) up to the best g known

which Gauss-Legendre quadrature takes without sampling. The augmentation of ParEGO, for which there is no such product,
is left out: a point that is better in one objective alone has the larger EI anyway.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import log_ndtr

from utilities.acquisition import MIN_VARIANCE, Acquisition
from utilities.pareto import non_dominated
from utilities.scenarios import Scenarios
from utilities.surrogate import Array

NODES = 32
FAR, NEGLIGIBLE = 6.0, 12.0
"""The integral begins where P(g <= t) is that of so many standard deviations, or so many nats below its end."""

_WORK = 2**20
_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)
_PLACES, _WEIGHTS = np.polynomial.legendre.leggauss(NODES)
_LEAST = 1e-9


def draw_weights(objectives: int, rng: np.random.Generator) -> Array:
    """Weights (k,) drawn uniformly from those that sum to 1."""
    return rng.dirichlet(np.ones(objectives))


def scalarised(values: Array, weights: Array, ideal: Array, span: Array) -> Array:
    """Chebyshev function (m,) of values (k, m), measured from `ideal` (k,) in units of `span` (k,)."""
    return np.asarray((_scale(weights, span)[:, None] * (values - ideal[:, None])).max(axis=0))


def _scale(weights: Array, span: Array) -> Array:
    """Weights in units of an objective (k, ...); of an objective without a range, its own unit is one."""
    shape = (-1,) + (1,) * (span.ndim - 1)
    return np.asarray(np.maximum(weights, _LEAST).reshape(shape) / np.where(span > MIN_VARIANCE, span, 1.0))


class LogScalarisedImprovement:
    """Log of the expected improvement of one scalarisation, averaged over scenarios.

    Parameters
    ----------
    scenarios
        Of all objectives, with the known points among which the incumbent is.
    weights : array (k,)
        Of the objectives.
    """

    def __init__(self, scenarios: Scenarios, weights: Array) -> None:
        self._scenarios, self._weights = scenarios, weights
        fronts = [points[non_dominated(points)] for points in np.moveaxis(scenarios.known, 0, 2)]
        self._ideal = np.array([front.min(axis=0) for front in fronts]).T[:, :, None]
        span = np.array([front.max(axis=0) - front.min(axis=0) for front in fronts]).T[:, :, None]
        self._scale = _scale(weights, span)
        self._best = (self._scale * (scenarios.known - self._ideal)).max(axis=0).min(axis=1)[:, None]

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        mean, variance = self._scenarios.predict(x)
        score = np.empty(len(x))
        for part in self._parts(mean):
            score[part] = self._improvement(mean[:, :, part], variance[:, :, part])[0]
        return score

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        mean, variance, pullback = self._scenarios.differentiate(x)
        score, by_mean, by_variance = np.empty(len(x)), np.empty_like(mean), np.empty_like(variance)
        for part in self._parts(mean):
            found = self._improvement(mean[:, :, part], variance[:, :, part])
            score[part], by_mean[:, :, part], by_variance[:, :, part] = found
        return score, pullback(by_mean, by_variance)

    def rough(self) -> Acquisition:
        """Return the same over a few scenarios."""
        return LogScalarisedImprovement(self._scenarios.thin(), self._weights)

    @staticmethod
    def _parts(mean: Array) -> Iterator[slice]:
        """Points to work on at a time."""
        objectives, scenarios, count = mean.shape
        length = max(1, _WORK // (NODES * objectives * scenarios))
        return (slice(begin, begin + length) for begin in range(0, count, length))

    def _improvement(self, mean: Array, variance: Array) -> tuple[Array, Array, Array]:
        """Score (m,), and its derivatives (k, T, m) by mean and by variance."""
        sigma = np.sqrt(np.maximum(variance, MIN_VARIANCE))
        middle, spread = self._scale * (mean - self._ideal), self._scale * sigma
        length = self._length(middle, spread)
        t = self._best + 0.5 * length * (_PLACES[:, None, None] - 1.0)
        z = (t[:, None] - middle) / spread
        logs = log_ndtr(z)
        nodes = np.log(0.5 * length) + np.log(_WEIGHTS)[:, None, None] + logs.sum(axis=1)
        peak = nodes.max(axis=(0, 1))
        share = np.exp(nodes - peak)
        total = share.sum(axis=(0, 1))
        slope = (share / total)[:, None] * _hazard(z, logs) / spread
        by_sigma = -self._scale * (slope * z).sum(axis=0)
        value = peak + np.log(total / nodes.shape[1])
        return value, -self._scale * slope.sum(axis=0), 0.5 * by_sigma / sigma

    def _length(self, middle: Array, spread: Array) -> Array:
        """Length (T, m) of the integral: P(g <= t) is log-concave, and falls at least as fast as at its end."""
        z = (self._best - middle) / spread
        rate = (_hazard(z, log_ndtr(z)) / spread).sum(axis=0)
        to_nothing = self._best - (middle - FAR * spread).max(axis=0)
        decayed = NEGLIGIBLE / np.maximum(rate, MIN_VARIANCE)
        return np.asarray(np.where(to_nothing > 0.0, np.minimum(to_nothing, decayed), decayed))


def _hazard(z: Array, log_cdf: Array) -> Array:
    """Derivative of log Phi."""
    return np.asarray(np.exp(-0.5 * z * z - _LOG_ROOT_2PI - log_cdf))

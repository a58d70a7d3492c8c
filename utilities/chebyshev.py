"""Log expected improvement of a random scalarisation of several objectives: a search in one direction at a time.

Symbols
-------
k   objectives      T   scenarios (see `utilities.scenarios`)      m   points      R   base samples
w   weights (k,)

The augmented Chebyshev function of ParEGO (Knowles 2006, IEEE Transactions on Evolutionary Computation 10(1), eq. 2),
with each objective measured from the ideal point in the range of the front:

    g(y) = max over j of w_j y_j + rho sum over j of w_j y_j        rho = 0.05

Each minimiser of g is on the front, and other weights give others. The improvement is averaged over outcomes drawn by
a fixed set of standard normals, and smoothed, so that its logarithm has a gradient everywhere (Ament et al. 2023).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit

from utilities.acquisition import MIN_VARIANCE, Acquisition, log_mean_exp
from utilities.pareto import non_dominated
from utilities.scenarios import Scenarios
from utilities.surrogate import Array

RHO = 0.05
SAMPLES = 32
SMOOTH = 0.01
"""Width of the kink of the improvement, in ranges of the front."""

_WORK = 2**20
_LEFT = -30.0


def draw_weights(objectives: int, rng: np.random.Generator) -> Array:
    """Weights (k,) drawn uniformly from those that sum to 1."""
    return rng.dirichlet(np.ones(objectives))


class LogScalarisedImprovement:
    """Log of the expected improvement of one scalarisation, averaged over scenarios and base samples.

    Parameters
    ----------
    scenarios
        Of all objectives, with the known points among which the incumbent is.
    weights : array (k,)
        Of the objectives.
    rng
        Draws the base samples.
    """

    def __init__(self, scenarios: Scenarios, weights: Array, rng: np.random.Generator) -> None:
        self._scenarios, self._weights = scenarios, weights
        known = np.moveaxis(scenarios.known, 0, 2)
        fronts = [points[non_dominated(points)] for points in known]
        self._ideal = np.array([front.min(axis=0) for front in fronts]).T[:, :, None]
        spread = np.array([front.max(axis=0) - front.min(axis=0) for front in fronts]).T[:, :, None]
        self._scale = weights[:, None, None] / np.where(spread > MIN_VARIANCE, spread, 1.0)
        self._normals = rng.standard_normal((SAMPLES, len(weights)))
        self._best = _scalar(self._scale * (scenarios.known - self._ideal)).min(axis=1)[:, None]

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        mean, variance = self._scenarios.predict(x)
        length = max(1, _WORK // (mean.shape[1] * self._normals.size))
        parts = [slice(begin, begin + length) for begin in range(0, len(x), length)]
        return np.concatenate([self._improvement(mean[:, :, part], variance[:, :, part])[0] for part in parts])

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        mean, variance, pullback = self._scenarios.differentiate(x)
        score, by_mean, by_variance = self._improvement(mean, variance)
        return score, pullback(by_mean, by_variance)

    def rough(self) -> Acquisition:
        """Return the same over a few scenarios."""
        return LogScalarisedImprovement(self._scenarios.thin(), self._weights, np.random.default_rng(0))

    def _improvement(self, mean: Array, variance: Array) -> tuple[Array, Array, Array]:
        """Score (m,), and its derivatives (k, T, m) by mean and by variance."""
        sigma = np.sqrt(np.maximum(variance, MIN_VARIANCE))
        normals = self._normals.T[:, :, None, None]
        scaled = self._scale[:, None] * (mean[:, None] + sigma[:, None] * normals - self._ideal[:, None])
        log_gain, slope = _log_softplus((self._best - _scalar(scaled)) / SMOOTH)
        value, share = log_mean_exp(log_gain)
        by_y = -share * slope / SMOOTH * self._scale[:, None] * ((scaled == scaled.max(axis=0)) + RHO)
        return value + math.log(SMOOTH), by_y.sum(axis=1), 0.5 * (by_y * normals).sum(axis=1) / sigma


def _log_softplus(z: Array) -> tuple[Array, Array]:
    """Log of log(1 + e^z), and its derivative: z and 1 far to the left."""
    inner = np.where(z < _LEFT, 1.0, np.logaddexp(0.0, z))
    slope = np.where(z < _LEFT, 1.0, expit(z) / inner)
    return np.where(z < _LEFT, z, np.log(inner)), slope


def scalarised(values: Array, weights: Array, ideal: Array, span: Array) -> Array:
    """Augmented Chebyshev function (m,) of values (k, m), measured from `ideal` (k,) in units of `span` (k,)."""
    scale = weights / np.where(span > MIN_VARIANCE, span, 1.0)
    return _scalar(scale[:, None] * (values - ideal[:, None]))


def _scalar(scaled: Array) -> Array:
    """Augmented Chebyshev function of weighed objectives (k, ...)."""
    return np.asarray(scaled.max(axis=0) + RHO * scaled.sum(axis=0))

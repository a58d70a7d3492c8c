"""Log expected improvement of a random scalarisation of several objectives: a search in one direction at a time.

Symbols
-------
k   objectives      T   scenarios (see `utilities.scenarios`)      m   points      R   base samples      w (k,)   weights

The augmented Chebyshev function of ParEGO (Knowles 2006, IEEE Transactions on Evolutionary Computation 10(1), eq. 2),
with each objective measured from the ideal point in the range of the front:

    g(y) = max over j of w_j y_j + rho sum over j of w_j y_j        rho = 0.05

Each minimiser of g is on the front, and other weights give others. The improvement is averaged over outcomes drawn by
a fixed set of standard normals, and smoothed, so that its logarithm has a gradient everywhere (Ament et al. 2023).
"""

from __future__ import annotations

import numpy as np

from utilities.acquisition import MIN_VARIANCE, Acquisition
from utilities.pareto import non_dominated
from utilities.scenarios import Scenarios
from utilities.surrogate import Array

RHO = 0.05
SAMPLES = 32
SMOOTH = 0.01
"""Width of the kink of the improvement, in ranges of the front."""

_WORK = 2**20


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
        self._scenarios, self._weights, self._rng = scenarios, weights, rng
        known = np.moveaxis(scenarios.known, 0, 2)
        fronts = [points[non_dominated(points)] for points in known]
        self._ideal = np.array([front.min(axis=0) for front in fronts]).T[:, :, None]
        spread = np.array([front.max(axis=0) - front.min(axis=0) for front in fronts]).T[:, :, None]
        self._scale = weights[:, None, None] / np.where(spread > MIN_VARIANCE, spread, 1.0)
        self._normals = rng.standard_normal((SAMPLES, len(weights)))
        self._best = _scalar(self._scale * (scenarios.known - self._ideal)).min(axis=1)

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
        short = (self._best[None, :, None] - _scalar(scaled)) / SMOOTH
        log_gain = np.log(SMOOTH) + np.log(np.logaddexp(0.0, np.minimum(short, 1e2)))
        log_gain = np.where(short > 1e2, np.log(SMOOTH * np.maximum(short, 1.0)), log_gain)
        low = short < -30.0  # there log(log(1 + e^s)) is s, and the inner logarithm would be 0
        log_gain = np.where(low, np.log(SMOOTH) + short, log_gain)
        peak = log_gain.max(axis=(0, 1))
        weights = np.exp(log_gain - peak)
        total = weights.sum(axis=(0, 1))
        with np.errstate(over="ignore"):
            slope = 1.0 / (1.0 + np.exp(-short)) / np.logaddexp(0.0, short).clip(1e-300)
        slope = np.where(low, 1.0, slope) * weights / total / -SMOOTH
        largest = scaled == scaled.max(axis=0)
        by_y = slope * self._scale[:, None] * (largest + RHO)
        by_mean = by_y.sum(axis=1)
        by_sigma = (by_y * normals).sum(axis=1)
        count = log_gain.shape[0] * log_gain.shape[1]
        return peak + np.log(total / count), by_mean, 0.5 * by_sigma / sigma


def _scalar(scaled: Array) -> Array:
    """Augmented Chebyshev function of weighed objectives (k, ...)."""
    return np.asarray(scaled.max(axis=0) + RHO * scaled.sum(axis=0))

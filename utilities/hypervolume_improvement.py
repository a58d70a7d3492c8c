"""Log expected hypervolume improvement of independent objectives, exact, with its gradient.

Symbols
-------
k   objectives      T   scenarios (see `utilities.scenarios`)      m   points      b   boxes of a scenario
mu, sigma (k, T, m)   prediction      l, u (T, b, k)   corners of the open boxes      h   as in `utilities.acquisition`

A new outcome y dominates of a box prod_j [(u_j - y_j)^+ - (l_j - y_j)^+], so that with independent objectives

    EHVI = sum over boxes of prod over j of [EI_j(u_j) - EI_j(l_j)]        EI_j(a) = sigma_j h((a - mu_j) / sigma_j)

(Yang et al. 2019, "Efficient computation of expected hypervolume improvement using box decomposition algorithms",
section 4). The logarithm is taken throughout, as Ament et al. 2023 (arXiv 2310.20708) do for EI, and averaged over the
scenarios of pending outcomes (Daulton et al. 2021, arXiv 2105.08195). The front of a scenario is that of its means at
the known points.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from utilities.acquisition import MIN_VARIANCE, Acquisition, log_h
from utilities.pareto import non_dominated, open_boxes
from utilities.scenarios import Scenarios
from utilities.surrogate import Array

MARGIN = 0.1
"""How far the reference point lies behind the worst of the front, in the front's range, as BoTorch has it."""

LEAST_RANGE = 1.0
"""Least distance of the reference point from the ideal one, in standard deviations of the objective."""

MOST_ON_FRONT = 60
"""Points of a front from which boxes are made: of more, those of the widest spread."""

_WORK = 2**21
_NARROW = 1e-12


class LogHypervolumeImprovement:
    """Log of the expected hypervolume improvement, averaged over scenarios.

    Parameters
    ----------
    scenarios
        Of all objectives, with the known points that may be on the front.
    """

    def __init__(self, scenarios: Scenarios) -> None:
        self._scenarios = scenarios
        found = [_boxes(points) for points in np.moveaxis(scenarios.known, 0, 2)]
        most = max(len(lower) for lower, _ in found)
        objectives = len(scenarios.known)
        self._lower = np.full((len(found), most, objectives), np.inf)
        self._upper = np.full((len(found), most, objectives), np.inf)  # an empty box: from infinity to infinity
        for row, (lower, upper) in enumerate(found):
            self._lower[row, : len(lower)], self._upper[row, : len(upper)] = lower, upper

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        mean, variance = self._scenarios.predict(x)
        score = np.empty(len(x))
        for part in self._parts(len(x)):
            score[part] = self._improvement(mean[:, :, part], variance[:, :, part])[0]
        return score

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        mean, variance, pullback = self._scenarios.differentiate(x)
        score, by_mean, by_variance = np.empty(len(x)), np.empty_like(mean), np.empty_like(variance)
        for part in self._parts(len(x)):
            found = self._improvement(mean[:, :, part], variance[:, :, part])
            score[part], by_mean[:, :, part], by_variance[:, :, part] = found
        return score, pullback(by_mean, by_variance)

    def rough(self) -> Acquisition:
        """Return the same over a few scenarios."""
        return LogHypervolumeImprovement(self._scenarios.thin())

    def _parts(self, count: int) -> Iterator[slice]:
        """Points to work on at a time."""
        length = max(1, _WORK // self._lower.size)
        return (slice(begin, begin + length) for begin in range(0, count, length))

    def _improvement(self, mean: Array, variance: Array) -> tuple[Array, Array, Array]:
        """Score (m,), and its derivatives (k, T, m) by mean and by variance."""
        spread = np.maximum(variance, MIN_VARIANCE)
        corners = zip(np.moveaxis(self._lower, 2, 0)[..., None], np.moveaxis(self._upper, 2, 0)[..., None], strict=True)
        sides = [
            _log_side(lower, upper, mean[j][:, None], np.sqrt(spread[j])[:, None])
            for j, (lower, upper) in enumerate(corners)
        ]
        log_boxes = np.sum([side[0] for side in sides], axis=0)
        peak = log_boxes.max(axis=(0, 1))
        weights = np.exp(log_boxes - peak)
        total = weights.sum(axis=(0, 1))
        share = weights / total
        by_mean = np.array([(share * side[1]).sum(axis=1) for side in sides])
        by_sigma = np.array([(share * side[2]).sum(axis=1) for side in sides])
        return peak + np.log(total / len(log_boxes)), by_mean, 0.5 * by_sigma / np.sqrt(spread)


def _log_side(lower: Array, upper: Array, mean: Array, sigma: Array) -> tuple[Array, Array, Array]:
    """Log of EI(u) - EI(l), (T, b, m), and its derivatives by mean and by sigma; -inf and 0 of an empty side."""
    empty = np.isinf(upper)
    log_upper, cdf_upper, pdf_upper = log_h(np.where(empty, 0.0, upper - mean) / sigma)
    unbounded = np.isinf(lower)
    log_lower, cdf_lower, pdf_lower = log_h(np.where(unbounded, 0.0, lower - mean) / sigma)
    ratio = np.where(unbounded, 0.0, np.exp(np.minimum(log_lower - log_upper, 0.0)))
    gap = 1.0 - ratio
    narrow = empty | (gap < _NARROW)
    gap = np.where(narrow, 1.0, gap)
    value = np.where(narrow, -np.inf, log_upper + np.log(sigma) + np.log(gap))
    by_mean = np.where(narrow, 0.0, -(cdf_upper - ratio * cdf_lower) / (gap * sigma))
    by_sigma = np.where(narrow, 0.0, (pdf_upper - ratio * pdf_lower) / (gap * sigma))
    return value, by_mean, by_sigma


def reference_point(front: Array) -> Array:
    """Point (k,) behind a front (n, k) up to which volume counts."""
    ideal, nadir = front.min(axis=0), front.max(axis=0)
    return np.asarray(np.maximum(nadir + MARGIN * (nadir - ideal), ideal + LEAST_RANGE))


def _boxes(points: Array) -> tuple[Array, Array]:
    """Corners of what is open before the front of `points` (q, k)."""
    front = points[non_dominated(points)]
    reference = reference_point(front)
    while len(front) > MOST_ON_FRONT:
        front = np.delete(front, _most_crowded(front), axis=0)
    return open_boxes(front, reference)


def _most_crowded(front: Array) -> int:
    """Index of the point of a front (n, k) that is nearest to another, in the front's ranges."""
    scaled = front / np.maximum(front.max(axis=0) - front.min(axis=0), MIN_VARIANCE)
    distance = np.abs(scaled[:, None] - scaled).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    return int(np.argmin(distance.min(axis=1)))

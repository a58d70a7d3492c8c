"""Output transform: what a surrogate sees of objectives, so that bad values do not drown differences among good ones.

Half-rank and log, the warp of Vizier's GP bandit (Song et al. 2024, arXiv 2408.11527, section 4.1), for minimisation:

1. Values above the median m keep their order only: the one of rank r (a fraction of all) goes to m + s Phi^-1(r), where
   s is the root mean square of m - y over the values below. A catastrophic trial is then one of the worse half, no
   outlier.
2. With t = (y - min) / (max - min) in [0, 1], y becomes log(1 + t (c - 1)) / log c, c = 1.5: the good end is stretched.

That is for an objective whose lowest values alone matter. Where trade-offs or a bound may lie anywhere in the range,
values keep their distances, and only catastrophes are taken in: those beyond m + `BEYOND` s.

The transform is kept as knots (objective, transformed): later outcomes, and predictions, are read off between them.

Symbols
-------
n   observations      k   knots, at most n
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from utilities.surrogate import Array, Dataset

BEYOND = 10.0
"""With 4, of Branin's slope that reaches over 7 s, an end of a front was missed in two runs of three."""

_LOG_BASE = 1.5
_NEAREST = 1e-290  # of two knots: their images are less than 1e6 apart
_DROWNED = 1e3
"""Deviation of noise, in spreads of the transformed objectives, above which an observation says nothing at all."""


@dataclass(frozen=True)
class OutputTransform:
    """A strictly increasing, piecewise linear map of objectives.

    Attributes
    ----------
    knots : array (k,)
        Objectives, increasing.
    images : array (k,)
        Their transformed values, increasing.
    """

    knots: Array
    images: Array

    @classmethod
    def fit(cls, y: Array) -> OutputTransform:
        """Half-rank and log transform of the objectives `y` (n,)."""
        values, first = np.unique(y, return_index=True)
        if len(values) < 3:
            return cls(values, values - values[0])
        images = _log_warp(_half_rank(y / np.abs(y).max()))[first]  # divided, as squares must not overflow
        return cls(*_apart(values, images))

    @classmethod
    def without_outliers(cls, y: Array) -> OutputTransform:
        """Transform that changes values of the objectives `y` (n,) far above the others, and keeps their order."""
        size = float(np.abs(y).max()) or 1.0  # divided, as squares must not overflow
        values, first = np.unique(y, return_index=True)
        middle, spread = _middle(y / size)
        if len(values) < 3 or spread == 0.0:
            return identity_transform()
        z = (y / size - middle) / spread
        if z.max() <= BEYOND:
            return identity_transform()
        place = ndtri(np.minimum(_places(z), 1.0 - 0.5 / len(y)))
        images = np.where(z <= BEYOND, z, BEYOND + place - place[z <= BEYOND].max())[first]
        return cls(*_apart(values, images))

    def apply(self, y: Array) -> Array:
        """Transformed values of objectives, extended beyond the knots with the slope at each end."""
        return _interpolate(y, self.knots, self.images)

    def apply_bounded(self, y: Array) -> Array:
        """Transformed values that no further beyond the knots than these reach count as their bound.

        For values other than those it was fitted to, which may be of any size: what a trial reports as it diverges.
        """
        reach = float(self.knots[-1] - self.knots[0]) or 1.0 + float(np.abs(self.knots[0]))
        return self.apply(np.clip(y, self.knots[0] - reach, self.knots[-1] + reach))

    def invert(self, z: Array) -> Array:
        """Objectives of transformed values."""
        return _interpolate(z, self.images, self.knots)

    def apply_variance(self, y: Array, variance: Array | None) -> Array | None:
        """Variances (n,) of transformed values, given those of the noise of objectives `y` (n,); None gives None.

        By the delta method, with the slope of the secant over one standard deviation to each side for the derivative,
        as far as the knots reach: that between two knots depends on where two other objectives happen to lie, and
        beyond the last of them nothing is known of it.
        """
        if variance is None:
            return None
        deviation = np.sqrt(variance)
        low, high = (np.clip(y + step, self.knots[0], self.knots[-1]) for step in (-deviation, deviation))
        rise, run = self.apply(high) - self.apply(low), high - low
        with np.errstate(over="ignore"):
            sent = np.where(run > 0.0, rise * (deviation / np.where(run > 0.0, run, 1.0)), deviation)
        return np.asarray(np.minimum(sent, _DROWNED * max(float(np.ptp(self.images)), 1.0)) ** 2)

    def apply_to(self, data: Dataset, *, bounded: bool = False) -> Dataset:
        """Observations with transformed objectives, by `apply_bounded` where they are `bounded`."""
        images = self.apply_bounded(data.y) if bounded else self.apply(data.y)
        return Dataset(data.x, images, self.apply_variance(data.y, data.variance))

    def log_slope(self, y: Array) -> Array:
        """Log of the map's slope at objectives: what a density of transformed values gains in the user's units."""
        if len(self.knots) < 2:
            return np.zeros(len(y))
        segment = np.clip(np.searchsorted(self.knots, y) - 1, 0, len(self.knots) - 2)
        return np.asarray(np.log(np.diff(self.images) / np.diff(self.knots))[segment])


def identity_transform(low: float = 0.0, high: float = 1.0) -> OutputTransform:
    """Transform that changes nothing, with knots at `low` and `high`."""
    return OutputTransform(np.array([low, high]), np.array([low, high]))


def _middle(y: Array) -> tuple[float, float]:
    """Median, and the root mean square of how far the values below lie from it."""
    middle = float(np.median(y))
    return middle, math.sqrt(float(np.mean((middle - y[y <= middle]) ** 2))) or float(np.std(y))


def _places(y: Array) -> Array:
    """Rank of each value, as a fraction of all."""
    _, rank, count = np.unique(y, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - 0.5 * count)[rank] / len(y))


def _half_rank(y: Array) -> Array:
    middle, spread = _middle(y)
    place = _places(y)
    ranked = middle + spread * np.maximum(ndtri(np.minimum(place, 1.0 - 0.5 / len(y))), 0.0)
    return np.asarray(np.where(y <= middle, y, ranked))


def _log_warp(y: Array) -> Array:
    share = (y - y.min()) / (y.max() - y.min())
    return np.asarray(np.log1p(share * (_LOG_BASE - 1.0)) / math.log(_LOG_BASE))


def _apart(values: Array, images: Array) -> tuple[Array, Array]:
    """Knots and images without those next to an equal image, or so near to a knot that the slope would overflow."""
    keep = np.concatenate([[True], (np.diff(images) > 1e-12) & (np.diff(values) > _NEAREST)])
    return values[keep], images[keep]


def _interpolate(at: Array, knots: Array, images: Array) -> Array:
    if len(knots) < 2:
        return np.asarray(images[0] + (at - knots[0]))
    inside = np.interp(at, knots, images)
    low = (images[1] - images[0]) / (knots[1] - knots[0])
    high = (images[-1] - images[-2]) / (knots[-1] - knots[-2])
    below, above = np.minimum(at - knots[0], 0.0), np.maximum(at - knots[-1], 0.0)
    return np.asarray(inside + low * below + high * above)

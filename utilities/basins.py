"""Basins that are known to their bottom, so that a search can spend elsewhere.

Expected improvement under a fitted kernel goes on polishing a local minimum whose last gains are tiny, because far away
it expects even less: hyperparameters learned in one basin say nothing of another. A basin here is all that lies within
a ball, in lengthscales, around its best observation; it is exhausted when its last visits gained nothing worth the
name. Proposals are then made outside of it too, with the best observation out there for an incumbent.

Symbols
-------
n   observations in the order of time      p   feature columns      k   exhausted basins
"""

from __future__ import annotations

import numpy as np

from utilities.acquisition import Acquisition
from utilities.surrogate import Array

RADIUS = 1.0
"""Of a basin, in lengthscales."""

VISITS = 6
"""Latest visits to a basin that must have gained nothing."""

WORTH = 0.005
"""Smallest gain that counts, as a share of the distance from the median to the best objective."""

_SLOPE = 100.0


def exhausted_basins(x: Array, y: Array, lengthscale: Array) -> Array:
    """Centres (k, p) of the exhausted basins, from the lowest up to the first that is not exhausted.

    Parameters
    ----------
    x : array (n, p)
    y : array (n,)
        To be minimised, in the order of time.
    lengthscale : array (p,)

    Notes
    -----
    A function of the data alone: the same after a restart.
    """
    worth = WORTH * (np.median(y) - y.min())
    outside = np.ones(len(y), dtype=bool)
    centres: list[Array] = []
    while outside.any():
        best = np.flatnonzero(outside)[np.argmin(y[outside])]
        basin = outside & (squared_distance(x, x[best], lengthscale) < RADIUS**2)
        visits = y[basin]
        if len(visits) <= VISITS or visits[:-VISITS].min() - visits.min() >= worth:
            break
        centres.append(x[best])
        outside &= ~basin
    return np.array(centres).reshape(-1, x.shape[1])


def squared_distance(x: Array, centre: Array, lengthscale: Array) -> Array:
    """Squared distance (m,) of `x` (m, p) to a centre (p,), in lengthscales (p,)."""
    distance: Array = np.sum(((x - centre) / lengthscale) ** 2, axis=1)
    return distance


def is_outside(x: Array, centres: Array, lengthscale: Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of `x` (m, p) lie in none of the basins."""
    mask = np.ones(len(x), dtype=bool)
    for centre in centres:
        mask &= squared_distance(x, centre, lengthscale) >= RADIUS**2
    return mask


class Outside:
    """An acquisition with a slope that leads out of basins: a point inside scores lower the deeper it lies.

    Parameters
    ----------
    acquisition
        On a log scale.
    centres : array (k, p)
    lengthscale : array (p,)
    """

    def __init__(self, acquisition: Acquisition, centres: Array, lengthscale: Array) -> None:
        self._acquisition, self._centres, self._lengthscale = acquisition, centres, lengthscale

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        return self._acquisition.value(x) - sum(self._depth(x, centre)[0] for centre in self._centres)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        value, gradient = self._acquisition.value_and_gradient(x)
        for centre in self._centres:
            depth, slope = self._depth(x, centre)
            value, gradient = value - depth, gradient - slope
        return value, gradient

    def _depth(self, x: Array, centre: Array) -> tuple[Array, Array]:
        share = squared_distance(x, centre, self._lengthscale) / RADIUS**2
        inside = share < 1.0
        slope = -2.0 * _SLOPE / RADIUS**2 * (x - centre) / self._lengthscale**2 * inside[:, None]
        return _SLOPE * np.maximum(1.0 - share, 0.0), slope

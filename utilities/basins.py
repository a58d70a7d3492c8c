"""Basins that are known to their bottom, so that a search can spend elsewhere.

Expected improvement under a fitted kernel goes on polishing a local minimum whose last gains are tiny, because far away
it expects even less: hyperparameters learned in one basin say nothing of another. Here a head is an observation with no
better one near it, and its basin is all that is nearer to it than to any other head, distances in lengthscales. A basin
is exhausted when its last visits gained nothing worth the name. Proposals are then made in the others too, with their
best observation for an incumbent.

Symbols
-------
n   observations in the order of time      p   feature columns      h   heads
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utilities.acquisition import Acquisition
from utilities.surrogate import Array

SPACING = 1.5
"""Least distance between heads, in lengthscales."""

VISITS = 6
"""Latest visits to a basin that must have gained nothing."""

WORTH = 0.005
"""Smallest gain that counts, as a share of the distance from the median to the best objective."""

_SLOPE = 100.0


@dataclass(frozen=True)
class Basins:
    """Heads, and which of their basins are exhausted.

    Attributes
    ----------
    heads : array (h, p)
        Divided by the lengthscales, the best first.
    exhausted : array (h,)
    lengthscale : array (p,)
    """

    heads: Array
    exhausted: NDArray[np.bool_]
    lengthscale: Array

    @classmethod
    def find(cls, x: Array, y: Array, lengthscale: Array) -> Basins:
        """Divide observations `x` (n, p), `y` (n,), to be minimised, into basins.

        A function of the data alone, so that it is the same after a restart.
        """
        z = x / lengthscale
        chosen: list[int] = []
        for i in np.argsort(y, kind="stable"):
            if not chosen or _squared_distances(z[i][None], z[chosen]).min() >= SPACING**2:
                chosen.append(int(i))
        owner = _squared_distances(z, z[chosen]).argmin(axis=1)
        worth = WORTH * (np.median(y) - y.min())
        exhausted = np.array([_gained(y[owner == head]) < worth for head in range(len(chosen))])
        return cls(z[chosen], exhausted, lengthscale)

    def depth(self, x: Array) -> tuple[Array, Array]:
        """How far inside exhausted basins `x` (m, p) lies, not positive outside of them, and its gradient.

        Returns
        -------
        depth : array (m,)
            Difference of the squared distances to the nearest head of another basin and to the nearest exhausted one.
        gradient : array (m, p)
        """
        z = x / self.lengthscale
        away, open_head = self._nearest(z, ~self.exhausted)
        near, closed_head = self._nearest(z, self.exhausted)
        return away - near, 2.0 * (closed_head - open_head) / self.lengthscale

    def _nearest(self, z: Array, which: NDArray[np.bool_]) -> tuple[Array, Array]:
        distances = _squared_distances(z, self.heads[which])
        nearest = distances.argmin(axis=1)
        return distances.min(axis=1), self.heads[which][nearest]


def _gained(visits: Array) -> float:
    """Gain of the last visits over those before; infinite where they are too few to tell."""
    if len(visits) <= VISITS:
        return np.inf
    return float(visits[:-VISITS].min() - visits.min())


def _squared_distances(a: Array, b: Array) -> Array:
    """Squared distances (i, j) between rows of `a` (i, p) and of `b` (j, p)."""
    distances: Array = np.sum((a[:, None, :] - b[None, :, :]) ** 2, axis=2)
    return distances


class Outside:
    """An acquisition that scores points inside exhausted basins lower the deeper they lie.

    Parameters
    ----------
    acquisition
        On a log scale.
    basins
        At least one exhausted, at least one not.
    """

    def __init__(self, acquisition: Acquisition, basins: Basins) -> None:
        self._acquisition, self._basins = acquisition, basins

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        return self._acquisition.value(x) - _SLOPE * np.maximum(self._basins.depth(x)[0], 0.0)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        value, gradient = self._acquisition.value_and_gradient(x)
        depth, slope = self._basins.depth(x)
        inside = depth > 0.0
        return value - _SLOPE * depth * inside, gradient - _SLOPE * slope * inside[:, None]

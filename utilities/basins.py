"""Basins that are known to their bottom, so that a search can spend elsewhere.

Expected improvement under a fitted kernel goes on polishing a local minimum whose last gains are tiny, because far away
it expects even less: hyperparameters learned in one basin say nothing of another. Here two observations lie in one
basin when the posterior mean does not rise on the straight way from the worse to the better. A basin is exhausted when
several observations there are as good as its best. Then proposals are also made elsewhere: any point belongs to the
basin of its nearest observation, distances in lengthscales.

Symbols
-------
n   observations      p   feature columns      m   points
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utilities.acquisition import Acquisition
from utilities.surrogate import Array

VISITS = 4
"""Observations as good as the best of a basin that make it exhausted."""

WORTH = 0.02
"""How close is as good: a share of the distance from the median to the best objective."""

RISE = 0.02
"""Rise of the mean that divides basins, as a share of the distance from the median to the lowest mean."""

_STEPS = np.array([0.2, 0.4, 0.6, 0.8])
_SLOPE = 100.0
_WAYS = 1024


def exhausted(x: Array, y: Array, mean: Callable[[Array], Array]) -> NDArray[np.bool_]:
    """Which observations (n,) lie in exhausted basins.

    Parameters
    ----------
    x : array (n, p)
    y : array (n,)
        To be minimised.
    mean
        Posterior mean (m, p) -> (m,).
    """
    owner = divide(x, mean)
    worth = WORTH * (np.median(y) - y.min())
    full = [np.sum(y[owner == basin] <= y[owner == basin].min() + worth) >= VISITS for basin in range(owner.max() + 1)]
    return np.array(full)[owner]


def divide(x: Array, mean: Callable[[Array], Array]) -> NDArray[np.intp]:
    """Basin (n,) of each observation `x` (n, p), numbered from the lowest bottom up."""
    level = mean(x)
    rise = RISE * (np.median(level) - level.min())
    bottoms: list[int] = []
    owner = np.zeros(len(x), dtype=np.intp)
    order, first = np.argsort(level, kind="stable"), 0
    while first < len(x):
        some = order[first : first + max(1, _WAYS // max(1, len(bottoms)))]
        first += len(some)
        peaks = _peaks(x, some, bottoms, mean)
        for place, i in enumerate(some):
            if bottoms and peaks[place].min() <= level[i] + rise:
                owner[i] = peaks[place].argmin()
                continue
            owner[i] = len(bottoms)
            bottoms.append(int(i))
            peaks = np.hstack([peaks, _peaks(x, some, bottoms[-1:], mean)])
    return owner


def _peaks(x: Array, some: NDArray[np.intp], bottoms: list[int], mean: Callable[[Array], Array]) -> Array:
    """Highest mean (s, b) on the straight way from each of `some` observations (s,) to each of b bottoms."""
    steps = (x[bottoms] - x[some, None])[None] * _STEPS[:, None, None, None]
    ways = x[some, None] + steps
    return np.asarray(mean(ways.reshape(-1, x.shape[1])).reshape(ways.shape[:3]).max(axis=0))


@dataclass(frozen=True)
class Closed:
    """The region of exhausted basins.

    Attributes
    ----------
    places : array (n, p)
        Observations.
    inside : array (n,)
        Whether each one's basin is exhausted: at least one is, at least one is not.
    lengthscale : array (p,)
    """

    places: Array
    inside: NDArray[np.bool_]
    lengthscale: Array

    def depth(self, x: Array) -> tuple[Array, Array]:
        """How far inside `x` (m, p) lies, not positive outside, and the gradient of that.

        Returns
        -------
        depth : array (m,)
            Difference of the squared distances to the nearest observation outside and to the nearest one inside.
        gradient : array (m, p)
        """
        away, outer = self._nearest(x, ~self.inside)
        near, inner = self._nearest(x, self.inside)
        return away - near, 2.0 * (inner - outer) / self.lengthscale**2

    def _nearest(self, x: Array, which: NDArray[np.bool_]) -> tuple[Array, Array]:
        z, places = x / self.lengthscale, self.places[which] / self.lengthscale
        squares = np.sum(z**2, axis=1)[:, None] + np.sum(places**2, axis=1) - 2.0 * z @ places.T
        return squares.min(axis=1), self.places[which][squares.argmin(axis=1)]


class Outside:
    """An acquisition that scores points inside a closed region lower the deeper they lie.

    Parameters
    ----------
    acquisition
        On a log scale, or in standardised units.
    closed
        The region.
    """

    def __init__(self, acquisition: Acquisition, closed: Closed) -> None:
        self._acquisition, self._closed = acquisition, closed

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        return self._acquisition.value(x) - _SLOPE * np.maximum(self._closed.depth(x)[0], 0.0)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        value, gradient = self._acquisition.value_and_gradient(x)
        depth, slope = self._closed.depth(x)
        inside = depth > 0.0
        return value - _SLOPE * depth * inside, gradient - _SLOPE * slope * inside[:, None]

    def rough(self) -> Acquisition:
        """Return the same with the acquisition's rough one."""
        return Outside(self._acquisition.rough(), self._closed)

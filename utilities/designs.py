"""Sequences of points that need no model: scrambled Sobol points, independent random ones, those that are allowed."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from utilities.space import Space
from utilities.surrogate import Array

_AT_ONCE = 64
"""Random points of one generator: to make one takes as long as many points do."""

MOST_INITIAL = 20
"""Most trials of the initial design by default. With 10, over ten problems of 4 to 10 dimensions and nine seeds, regret
was a quarter less after 20 evaluations and 1.4 times as much after 50: a model of few data trusts one basin."""

_STRETCH, _LONGEST_STRETCH = 1024, 2**16
"""Points that are compared with the constraints at once, and most of them that may all be refused."""


def design_size(dimension: int) -> int:
    """Trials of an initial design of so many parameters, by default."""
    return min(2 * (dimension + 1), MOST_INITIAL)


def sobol_points(dimension: int, count: int, rng: np.random.Generator) -> Array:
    """Scrambled Sobol points (count, d) of the unit cube; `count` is best a power of two."""
    from scipy.stats import qmc

    engine = qmc.Sobol(dimension, scramble=True, rng=rng)
    return np.asarray(engine.random_base2(math.ceil(math.log2(count)))[:count])


class Sequence(Protocol):
    """Points of the unit cube by index, the same whenever they are asked for; IndexError beyond the last."""

    def __getitem__(self, index: int) -> Array:
        """Return the point (d,) number `index`."""

    def block(self, first: int, count: int) -> Array:
        """Return `count` points (count, d) from number `first` on."""


class SobolSequence:
    """The points of one scrambled Sobol sequence.

    Parameters
    ----------
    dimension
        Of the unit cube.
    seed
        Of the scrambling.
    """

    def __init__(self, dimension: int, seed: int) -> None:
        self._dimension, self._seed = dimension, seed
        self._points: Array = np.empty((0, dimension))

    def __getitem__(self, index: int) -> Array:
        """Return the point (d,) number `index`."""
        return np.asarray(self.block(index, 1)[0])

    def block(self, first: int, count: int) -> Array:
        """Return `count` points (count, d) from number `first` on."""
        if first + count > len(self._points):
            total = 64 << max(0, math.ceil(math.log2((first + count) / 64)))
            self._points = sobol_points(self._dimension, total, np.random.default_rng([self._seed, 3]))
        return self._points[first : first + count]


class RandomSequence:
    """Independent random points.

    Parameters
    ----------
    dimension
        Of the unit cube.
    seed
        Of the points.
    """

    def __init__(self, dimension: int, seed: int) -> None:
        self._dimension, self._seed = dimension, seed
        self._number, self._points = -1, np.empty((_AT_ONCE, dimension))

    def __getitem__(self, index: int) -> Array:
        """Return the point (d,) number `index`."""
        number, place = divmod(index, _AT_ONCE)
        if number != self._number:
            rng = np.random.default_rng([self._seed, 4, number])
            self._number, self._points = number, rng.random((_AT_ONCE, self._dimension))
        return np.asarray(self._points[place])

    def block(self, first: int, count: int) -> Array:
        """Return `count` points (count, d) from number `first` on."""
        return np.array([self[index] for index in range(first, first + count)])


class Spread:
    """The points of a sequence, spread over a part of a space instead of the whole.

    Parameters
    ----------
    sequence
        Evenly over the unit cube.
    space
        The part.
    """

    def __init__(self, sequence: Sequence, space: Space) -> None:
        self._sequence, self._space = sequence, space

    def __getitem__(self, index: int) -> Array:
        """Return the point (d,) number `index`."""
        return np.asarray(self.block(index, 1)[0])

    def block(self, first: int, count: int) -> Array:
        """Return `count` points (count, d) from number `first` on."""
        return self._space.spread(self._sequence.block(first, count))


class Filtered:
    """Those points of a sequence that a space's constraints allow, numbered anew.

    Parameters
    ----------
    sequence
        Of points that need not be canonical.
    space
        Whose constraints are to be kept.
    """

    def __init__(self, sequence: Sequence, space: Space) -> None:
        self._sequence, self._space = sequence, space
        self._found: list[Array] = []
        self._looked_at = 0

    def __getitem__(self, index: int) -> Array:
        """Return the allowed point (d,) number `index`; IndexError where a long stretch holds no other."""
        last = self._looked_at + _LONGEST_STRETCH
        while len(self._found) <= index:
            if self._looked_at >= last:
                raise IndexError(f"no other allowed point among {_LONGEST_STRETCH:,}")
            points = self._space.snap(self._sequence.block(self._looked_at, _STRETCH))
            self._looked_at += _STRETCH
            allowed = self._space.allowed(points)
            self._found += list(allowed)
            last = self._looked_at + _LONGEST_STRETCH if len(allowed) else last
        return self._found[index]

    def block(self, first: int, count: int) -> Array:
        """Return `count` points (count, d) from number `first` on."""
        return np.array([self[index] for index in range(first, first + count)])

"""Designs that need no model: scrambled Sobol points, independent random points, a grid in an order that spreads."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from utilities.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter
from utilities.space import Space
from utilities.surrogate import Array

GRID_POINTS = 5
"""Points of a grid along a number without a ``grid`` key of its own."""


def sobol_points(dimension: int, count: int, rng: np.random.Generator) -> Array:
    """Scrambled Sobol points (count, d) of the unit cube; `count` is best a power of two."""
    from scipy.stats import qmc

    engine = qmc.Sobol(dimension, scramble=True, rng=rng)
    return np.asarray(engine.random_base2(math.ceil(math.log2(count)))[:count])


class SobolSequence:
    """The points of one scrambled Sobol sequence, by index: the same whenever they are asked for.

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
        if index >= len(self._points):
            count = 64 << max(0, math.ceil(math.log2((index + 1) / 64)))
            self._points = sobol_points(self._dimension, count, np.random.default_rng([self._seed, 3]))
        point: Array = self._points[index]
        return point


class Grid:
    """All points of a grid, each distinct configuration once, in an order that spreads over the space.

    Each number has ``grid`` points along its scale, its ends included (5 where the key is absent; an integer never more
    than it has values); each category all its choices. The flat index advances by about the golden section of the size
    each step, which is coprime to it, so that any number of first points is spread over the grid.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._axes = [_axis(parameter) for parameter in space.parameters.values()]
        self._shape = tuple(len(axis) for axis in self._axes)
        self.size = math.prod(self._shape)

    def __iter__(self) -> Iterator[Array]:
        """Iterate over points (d,), canonical; combinations that differ in inactive parameters only appear once."""
        step = max(1, (math.isqrt(5 * self.size**2) - self.size + 1) // 2)  # a size may be beyond all floats
        while math.gcd(step, self.size) != 1:
            step += 1
        seen: set[bytes] = set()
        for i in range(self.size):
            point = self._space.snap(self._point(i * step % self.size)[None])[0]
            if point.tobytes() not in seen:
                seen.add(point.tobytes())
                yield point

    def _point(self, flat: int) -> Array:
        place = np.empty(len(self._axes))
        for column in range(len(self._axes) - 1, -1, -1):
            flat, digit = divmod(flat, self._shape[column])
            place[column] = self._axes[column][digit]
        return place


def _axis(parameter: Parameter) -> Array:
    if isinstance(parameter, CategoricalParameter):
        return (np.arange(parameter.levels) + 0.5) / parameter.levels
    count = parameter.grid or GRID_POINTS
    if isinstance(parameter, FloatParameter):
        return np.linspace(0.0, 1.0, count)
    return _integer_axis(parameter, count)


def _integer_axis(parameter: IntParameter, count: int) -> Array:
    first, last = parameter.unit(parameter.low), parameter.unit(parameter.high)
    return np.unique(parameter.snap(np.linspace(first, last, min(count, int(parameter.levels)))))

"""All points of a grid, in an order that spreads over the space from the first few on.

Symbols
-------
d   coordinates       digits (m, d)   which of its grid's points each coordinate has
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from utilities.designs import sobol_points
from utilities.space import Space
from utilities.surrogate import Array

QUASI_RANDOM = 2**16
"""Most Sobol points that a grid follows."""

_BLOCK = 1024
_MOST_COMBINATIONS = 100_000
"""Most combinations of parents' values that are looked at to count a grid."""

Digits = NDArray[np.int64]


class Grid:
    """All points of a grid, each distinct configuration once.

    A float has ``grid`` points along its scale, its ends included, 5 where the key is absent; everything else has all
    its values, or ``grid`` of a number's. A parameter that is inactive takes no part, and what breaks a constraint is
    left out.

    The order is that of a Sobol sequence, each point going to the nearest one of the grid that was not there yet; once
    that gives hardly any new ones, the rest follows by strides of about the golden section. It is the same always.

    Attributes
    ----------
    size
        Number of points: an upper bound where there are constraints, or conditions on very many combinations of values.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._parameters = space.axes
        self._shape = [parameter.grid_levels for parameter in self._parameters]
        self._combinations = math.prod(self._shape)
        self.size = self._count()

    def __iter__(self) -> Iterator[Array]:
        """Iterate over points (d,), canonical."""
        seen: set[int] = set()
        for digits in itertools.chain(self._quasi_random(), self._by_strides()):
            points = self._points(digits)
            digits = np.where(self._space.active(points), digits, 0)
            points = self._space.snap(points)
            allowed = self._space.constraints.allowed(points)
            for flat, point in zip(self._flat(digits[allowed]), points[allowed], strict=True):
                if flat not in seen:
                    seen.add(flat)
                    yield point

    def _quasi_random(self) -> Iterator[Digits]:
        count = min(QUASI_RANDOM, 1 << (4 * self._combinations).bit_length())
        points = sobol_points(len(self._shape), count, np.random.default_rng(0))
        digits = np.minimum((points * self._shape).astype(np.int64), np.array(self._shape) - 1)
        for first in range(0, count, _BLOCK):
            yield digits[first : first + _BLOCK]

    def _by_strides(self) -> Iterator[Digits]:
        """All combinations: the index advances by about the golden section of their number, coprime to it."""
        size = self._combinations
        step = max(1, (math.isqrt(5 * size**2) - size + 1) // 2)  # a size may be beyond all floats
        while math.gcd(step, size) != 1:
            step += 1
        for first in range(0, size, _BLOCK):
            flat = [i * step % size for i in range(first, min(first + _BLOCK, size))]
            yield self._unravel(flat)

    def _unravel(self, flat: list[int]) -> Digits:
        rest = np.array(flat, dtype=np.int64 if self._combinations < 2**63 else object)
        digits = np.empty((len(flat), len(self._shape)), dtype=np.int64)
        for column in range(len(self._shape) - 1, -1, -1):
            digits[:, column] = rest % self._shape[column]
            rest = rest // self._shape[column]
        return digits

    def _flat(self, digits: Digits) -> list[int]:
        """Index of each row of digits among all combinations."""
        flat = np.zeros(len(digits), dtype=np.int64 if self._combinations < 2**63 else object)
        for column, levels in enumerate(self._shape):
            flat = flat * levels + digits[:, column]
        return [int(index) for index in flat]

    def _points(self, digits: Digits) -> Array:
        points = np.empty(digits.shape)
        for column, parameter in enumerate(self._parameters):
            points[:, column] = parameter.grid_places(digits[:, column])
        return points

    def _count(self) -> int:
        """Number of distinct points: for each combination of the parents' values, the product of the active others."""
        parents = [self._space.names.index(name) for name in self._space.names if name in self._space.parents]
        shape = [self._shape[column] for column in parents]
        if not parents or math.prod(shape) > _MOST_COMBINATIONS:
            return self._combinations
        digits = np.zeros((math.prod(shape), len(self._shape)), dtype=np.int64)
        digits[:, parents] = np.array(np.unravel_index(np.arange(len(digits)), shape)).T
        active = self._space.active(self._points(digits))
        canonical = active[np.all(active | (digits == 0), axis=1)]
        patterns, counts = np.unique(canonical, axis=0, return_counts=True)
        others = [column for column in range(len(self._shape)) if column not in parents]
        return sum(
            int(count) * math.prod(self._shape[column] for column in others if pattern[column])
            for pattern, count in zip(patterns, counts, strict=True)
        )

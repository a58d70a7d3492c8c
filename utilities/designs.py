"""Scrambled Sobol points: the designs that fill a cube evenly."""

from __future__ import annotations

import math

import numpy as np

from utilities.surrogate import Array


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

"""The observations: a smooth function of six columns in the unit cube, a little noise. numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

COLUMNS = 6
NOISE = 0.02
_CENTRES = np.array([0.2, 0.7, 0.4, 0.6, 0.3, 0.8])
_WEIGHTS = np.array([3.0, 2.0, 1.5, 1.0, 0.5, 0.25])


def smooth(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (n,) at `x` (n, 6): a bowl with ripples along two products, between 0 and 9 about."""
    bowl = ((x - _CENTRES) ** 2) @ _WEIGHTS
    return np.asarray(bowl + 0.5 * np.sin(5.0 * x[:, 0] * x[:, 1]) + 0.3 * np.cos(6.0 * x[:, 2] * x[:, 3]))


class Observations:
    """Uniform points with noisy values, and values for points that are asked."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def draw(self, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The next points (count, 6), and their values (count,)."""
        x = self._rng.random((count, COLUMNS))
        return x, smooth(x) + NOISE * self._rng.standard_normal(count)

    def observe(self, point: Sequence[float]) -> float:
        """Value at a point."""
        return float(smooth(np.array([point]))[0] + NOISE * self._rng.standard_normal())

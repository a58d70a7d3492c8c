"""Random search and a scrambled Sobol sequence, each parameter uniform on its own scale."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import scipy
from scipy.stats import qmc

from benchmarks.regret.peers.flat import drop_inactive, value_at
from benchmarks.regret.peers.loop import Config, Start, serve


class Design:
    """Points of a cube, one after another; outcomes change nothing."""

    def __init__(self, start: Start, next_point: Callable[[], np.ndarray]) -> None:
        self._space, self._next_point = start.space, next_point
        self._asked = 0

    def ask(self) -> tuple[int, Config]:
        """Propose."""
        self._asked += 1
        point = self._next_point()
        flat = {name: value_at(row, float(u)) for (name, row), u in zip(self._space.items(), point, strict=True)}
        return self._asked, drop_inactive(self._space, flat)

    def tell(self, number: int, value: float | None) -> None:
        """Ignore."""


def random(start: Start) -> Design:
    rng = np.random.default_rng(start.seed)
    return Design(start, lambda: rng.random(len(start.space)))


def sobol(start: Start) -> Design:
    size = 1 << (start.budget - 1).bit_length()
    points = iter(qmc.Sobol(len(start.space), rng=np.random.default_rng(start.seed)).random(size))
    return Design(start, lambda: next(points))


if __name__ == "__main__":
    serve(f"scipy {scipy.__version__}", {"random": random, "sobol": sobol}[sys.argv[1]])

"""Branin's function: two dimensions, three global minima of equal depth, smooth.

    f(x) = (x2 - 5.1/(4 pi^2) x1^2 + 5/pi x1 - 6)^2 + 10 (1 - 1/(8 pi)) cos x1 + 10

The minima lie at x1 = -pi, pi and 3 pi, where the square vanishes and cos x1 = -1.
"""

from __future__ import annotations

import math

from learning_objective.benchmark import Benchmark, at, box
from utilities.trial import Config

_QUADRATIC = 5.1 / (4 * math.pi**2)
_LINEAR = 5 / math.pi


def branin(config: Config) -> float:
    """Value at x1 in [-5, 10], x2 in [0, 15]."""
    x1, x2 = float(config["x1"]), float(config["x2"])
    return (x2 - _valley(x1)) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x1) + 10


def _valley(x1: float) -> float:
    return _QUADRATIC * x1**2 - _LINEAR * x1 + 6


BRANIN = Benchmark(
    name="branin",
    function=branin,
    space=box((-5.0, 10.0), (0.0, 15.0)),
    minimum=10 / (8 * math.pi),
    minimisers=tuple(at(x1, _valley(x1)) for x1 in (-math.pi, math.pi, 3 * math.pi)),
    budget=60,
    source="Dixon and Szego (1978), The global optimization problem: an introduction",
)

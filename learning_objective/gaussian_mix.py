"""A mixture of Gaussian wells in three dimensions: a narrow deepest one, beside a broad one that misleads.

    f(x) = -sum_k w_k exp(-|x - c_k|^2 / (2 s_k^2))

Symbols: w_k depth, s_k width, c_k centre in the unit cube. The broad well covers most of the cube; whoever descends
into it too early misses the narrow one: the ball of one width around its centre is 0.7 % of the cube.
"""

from __future__ import annotations

import math

from learning_objective.benchmark import Benchmark, at, point, unit_cube
from utilities.trial import Config

_WELLS = (
    (1.00, 0.12, (0.78, 0.22, 0.68)),
    (0.80, 0.30, (0.25, 0.70, 0.35)),
    (0.60, 0.15, (0.20, 0.15, 0.85)),
    (0.50, 0.20, (0.85, 0.80, 0.80)),
    (0.45, 0.10, (0.55, 0.45, 0.10)),
)
"""(depth w, width s, centre c) of each well."""


def gaussian_mix(config: Config) -> float:
    """Value at x1, x2, x3 in [0, 1]."""
    x = point(config)
    return -sum(w * math.exp(-(math.dist(x, centre) ** 2) / (2 * s * s)) for w, s, centre in _WELLS)


GAUSSIAN_MIX = Benchmark(
    name="gaussian_mix",
    function=gaussian_mix,
    space=unit_cube(3),
    minimum=-1.032087122459887,
    minimisers=(at(0.777866717, 0.223273966, 0.678894804),),
    budget=60,
    source="made for this project; minimum by descent from 60 starts, then a simplex search to 1e-12",
)

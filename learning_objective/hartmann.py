"""Hartmann's functions: a sum of four Gaussian wells in the unit cube, of 3, 4 and 6 dimensions.

    f(x) = -sum_i alpha_i exp(-sum_j A_ij (x_j - P_ij)^2)

Symbols and shapes: alpha (4,) depths, A (4, d) inverse squared widths, P (4, d) centres; A and P differ between d = 3
and d = 6. The 4-dimensional function takes the first four columns of the six-dimensional A and P and is rescaled as
Picheny et al. do, f4(x) = (1.1 + f(x)) / 0.839, which gives it about mean 0 and variance 1 over the cube. Its minimum
is therefore -3.1345 here, not -3.7298 as for the plain sum, which some libraries also call Hartmann 4.

The six-dimensional function has a second deep well, -3.2032 at (0.405, 0.882, 0.846, 0.574, 0.139, 0.038): an optimiser
that stays there has found the wrong basin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from learning_objective.benchmark import Benchmark, at, point, unit_cube
from utilities.trial import Config

_ALPHA = (1.0, 1.2, 3.0, 3.2)

_A3 = ((3.0, 10.0, 30.0), (0.1, 10.0, 35.0), (3.0, 10.0, 30.0), (0.1, 10.0, 35.0))
_P3 = (
    (0.3689, 0.1170, 0.2673),
    (0.4699, 0.4387, 0.7470),
    (0.1091, 0.8732, 0.5547),
    (0.0381, 0.5743, 0.8828),
)
_A6 = (
    (10.0, 3.0, 17.0, 3.5, 1.7, 8.0),
    (0.05, 10.0, 17.0, 0.1, 8.0, 14.0),
    (3.0, 3.5, 1.7, 10.0, 17.0, 8.0),
    (17.0, 8.0, 0.05, 10.0, 0.1, 14.0),
)
_P6 = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)


def _wells(x: Sequence[float], widths: Sequence[Sequence[float]], centres: Sequence[Sequence[float]]) -> float:
    return -sum(
        depth * math.exp(-sum(a * (value - p) ** 2 for value, a, p in zip(x, row, centre, strict=False)))
        for depth, row, centre in zip(_ALPHA, widths, centres, strict=True)
    )


def hartmann3(config: Config) -> float:
    """Value at x1, x2, x3 in [0, 1]."""
    return _wells(point(config), _A3, _P3)


def hartmann4(config: Config) -> float:
    """Value at x1 ... x4 in [0, 1], rescaled to mean 0 and variance 1 over the cube (Picheny et al. 2013)."""
    return (1.1 + _wells(point(config), _A6, _P6)) / 0.839


def hartmann6(config: Config) -> float:
    """Value at x1 ... x6 in [0, 1]."""
    return _wells(point(config), _A6, _P6)


HARTMANN3 = Benchmark(
    name="hartmann3",
    function=hartmann3,
    space=unit_cube(3),
    minimum=-3.862779787332662,
    minimisers=(at(0.114588877, 0.555648892, 0.852546986),),
    budget=60,
    source="Dixon and Szego (1978), The global optimization problem: an introduction",
)
HARTMANN4 = Benchmark(
    name="hartmann4",
    function=hartmann4,
    space=unit_cube(4),
    minimum=-3.134494141222399,
    minimisers=(at(0.187395271, 0.194151528, 0.55791778, 0.264779624),),
    budget=80,
    source="Picheny, Wagner, Ginsbourger (2013), A benchmark of kriging-based infill criteria for noisy optimization",
)
HARTMANN6 = Benchmark(
    name="hartmann6",
    function=hartmann6,
    space=unit_cube(6),
    minimum=-3.322368011415515,
    minimisers=(at(0.20168951, 0.150010693, 0.476873974, 0.27533243, 0.311651617, 0.657300534),),
    budget=100,
    source="Dixon and Szego (1978), The global optimization problem: an introduction",
)

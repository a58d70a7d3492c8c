"""One draw from a Gaussian process prior: a function of exactly the kind that the surrogates assume.

    f(x) = sqrt(2/M) sum_m w_m cos(omega_m . x + b_m)        Rahimi and Recht (2007), random Fourier features

Symbols and shapes: M features, d = 3 dimensions; w (M,) ~ N(0, 1), b (M,) ~ U(0, 2 pi), omega (M, d) from the spectral
density of the Matern-5/2 kernel with lengthscale l, a Student t of 5 degrees of freedom (Rasmussen and Williams 2006,
eq. 4.15): omega = z / l sqrt(5 / u), z ~ N(0, I), u ~ chi^2(5).

All are made from ``random.Random(seed).random()`` by Box and Muller's transform: that stream is the only one of which
Python promises that it will never change.
"""

from __future__ import annotations

import functools
import math
import operator
import random

from learning_objective.benchmark import Benchmark, at, point, unit_cube
from utilities.trial import Config

_SEED = 9
_FEATURES = 512
_DIMENSION = 3
_LENGTHSCALE = 0.3
_FREEDOM = 5


def _normal(rng: random.Random) -> float:
    return math.sqrt(-2 * math.log(1 - rng.random())) * math.cos(2 * math.pi * rng.random())


def _frequency(rng: random.Random) -> tuple[float, ...]:
    chi_square = sum(_normal(rng) ** 2 for _ in range(_FREEDOM))
    scale = math.sqrt(_FREEDOM / chi_square) / _LENGTHSCALE
    return tuple(scale * _normal(rng) for _ in range(_DIMENSION))


@functools.cache
def _features() -> tuple[tuple[float, float, tuple[float, ...]], ...]:
    """Weight, phase and frequency of every feature."""
    rng = random.Random(_SEED)
    return tuple((_normal(rng), 2 * math.pi * rng.random(), _frequency(rng)) for _ in range(_FEATURES))


def gaussian_process(config: Config) -> float:
    """Value at x1, x2, x3 in [0, 1]."""
    x = point(config)
    total = sum(weight * math.cos(phase + sum(map(operator.mul, omega, x))) for weight, phase, omega in _features())
    return math.sqrt(2 / _FEATURES) * total


GAUSSIAN_PROCESS = Benchmark(
    name="gaussian_process",
    function=gaussian_process,
    space=unit_cube(_DIMENSION),
    minimum=-2.927170760172125,
    minimisers=(at(0.099454458, 0.308460864, 0.01431049),),
    budget=80,
    source="made for this project; minimum by descent from 1,700 starts, then a simplex search to 1e-12",
)

"""Problems for runs to a target: Hartmann's function of six parameters, and Ackley's of twenty."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from learning_objective.benchmark import Benchmark, at, point, unit_cube
from learning_objective.hartmann import HARTMANN6
from utilities.trial import Config

_DIMENSION, _HALF_WIDTH = 20, 10.0
_CENTRE = np.random.default_rng(7).uniform(0.2, 0.8, _DIMENSION)


def ackley20(config: Config) -> float:
    """Value at x1 ... x20 in [0, 1], a cube of side 20 around a shifted minimum."""
    z = 2.0 * _HALF_WIDTH * (np.array(point(config)) - _CENTRE)
    bowl = -20.0 * math.exp(-0.2 * math.sqrt(float(np.mean(z**2))))
    return bowl - math.exp(float(np.mean(np.cos(2.0 * np.pi * z)))) + 20.0 + math.e


ACKLEY20 = Benchmark(
    name="ackley20",
    function=ackley20,
    space=unit_cube(_DIMENSION),
    minimum=0.0,
    minimisers=(at(*map(float, _CENTRE)),),
    budget=400,
    source="Ackley (1987), A connectionist machine for genetic hillclimbing",
)


class Race(NamedTuple):
    """A problem, what counts as solved, and the most evaluations with one worker."""

    benchmark: Benchmark
    target: float
    most: int


RACES = {"hartmann6": Race(HARTMANN6, -3.30, 1000), "ackley20": Race(ACKLEY20, 1.6, 1200)}

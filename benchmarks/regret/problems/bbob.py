"""BBOB (Hansen et al. 2009): two functions from each of its five groups, and six with noise.

The noisy ones are functions 101 to 130 of the same authors ("Noisy functions definitions"): a function of the first set
and a model of noise on what exceeds its minimum f. The suite of these (bbob-noisy) gives no value without noise and no
seed to its noise, so the models are written out here; tests compare them with the suite.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.regret.problem import Config, Problem
from learning_objective.benchmark import box, point

INSTANCE = 1
FUNCTIONS = (1, 3, 6, 8, 10, 13, 15, 17, 20, 21)
DIMENSIONS = (5, 10, 20)
NOISY_DIMENSIONS = (5, 10)
SOURCE = (
    "Hansen, Finck, Ros, Auger (2009), Real-parameter black-box optimization benchmarking: {} functions definitions"
)

_TINY = 1e-8

Noise = Callable[[float, np.random.Generator], float]


def gaussian(beta: float) -> Noise:
    """Gaussian: f exp(beta N(0, 1))."""
    return lambda excess, rng: excess * float(np.exp(beta * rng.standard_normal()))


def uniform(alpha: float, beta: float) -> Noise:
    """Uniform: f U^beta max(1, (1e9 / f)^(alpha U')), U and U' uniform."""
    return lambda excess, rng: (
        excess * float(rng.random() ** beta * max(1.0, (1e9 / (excess + 1e-99)) ** (alpha * rng.random())))
    )


def cauchy(alpha: float, share: float) -> Noise:
    """Cauchy: f + alpha max(0, 1000 + [U < share] N / |N'|)."""

    def noise(excess: float, rng: np.random.Generator) -> float:
        spike = rng.standard_normal() / (abs(rng.standard_normal()) + 1e-199) if rng.random() < share else 0.0
        return excess + alpha * max(0.0, 1000.0 + float(spike))

    return noise


def noisy_functions(dimension: int) -> dict[int, tuple[int, Noise]]:
    """Number of a noisy function: the number of the function beneath, and its noise."""
    return {
        101: (1, gaussian(0.01)),
        107: (1, gaussian(1.0)),
        109: (1, cauchy(1.0, 0.2)),
        110: (8, gaussian(1.0)),
        111: (8, uniform(0.49 + 1.0 / dimension, 1.0)),
        128: (21, gaussian(1.0)),
    }


def problems() -> list[Problem]:
    plain = [_problem(function, dimension) for dimension in DIMENSIONS for function in FUNCTIONS]
    noisy = [
        _problem(beneath, dimension, number, noise)
        for dimension in NOISY_DIMENSIONS
        for number, (beneath, noise) in noisy_functions(dimension).items()
    ]
    return plain + noisy


def _problem(function: int, dimension: int, number: int | None = None, noise: Noise | None = None) -> Problem:
    minimum = float(_function(function, dimension).optimum.y)

    def observed(value: float, rng: np.random.Generator) -> float:
        excess = value - minimum
        if noise is None or excess < _TINY:
            return value
        return noise(excess, rng) + 1.01 * _TINY + minimum

    return Problem(
        name=f"bbob-noisy-f{number}-d{dimension:02}" if noise else f"bbob-f{function:02}-d{dimension:02}",
        family="bbob-noisy" if noise else "bbob",
        space=box(*[(-5.0, 5.0)] * dimension),
        true=functools.partial(_value, function, dimension),
        best=minimum,
        source=SOURCE.format("noisy" if noise else "noiseless"),
        noise=observed if noise else None,
    )


@functools.cache
def _function(function: int, dimension: int) -> Any:
    import ioh

    return ioh.get_problem(function, instance=INSTANCE, dimension=dimension, problem_class=ioh.ProblemClass.BBOB)


def _value(function: int, dimension: int, config: Config) -> float:
    return float(_function(function, dimension)(point(dict(config))))

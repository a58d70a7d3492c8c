"""Branin and Hartmann: plain, with noise, and with a region in which every evaluation fails.

The crashing regions are nothing an optimiser can know beforehand: a disk, and what lies beyond a curved border. Each is
about 30 % of the box and holds no global minimum; the disk of Branin touches the surroundings of all three.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from benchmarks.regret.problem import Config, Crash, Problem
from learning_objective.benchmark import Benchmark
from learning_objective.branin import BRANIN
from learning_objective.hartmann import HARTMANN3, HARTMANN4, HARTMANN6

NOISE_SD = 0.1


def problems() -> list[Problem]:
    plain = [_plain(benchmark) for benchmark in (BRANIN, HARTMANN3, HARTMANN4, HARTMANN6)]
    return [
        *plain,
        _plain(HARTMANN6, "hartmann6-noisy", noise=gaussian_noise),
        _crashing(BRANIN, "branin-crash", branin_crashes),
        _crashing(HARTMANN6, "hartmann6-crash", hartmann6_crashes),
    ]


def gaussian_noise(value: float, rng: np.random.Generator) -> float:
    """`value` with noise of a standard deviation of NOISE_SD."""
    return value + NOISE_SD * float(rng.standard_normal())


def branin_crashes(config: Config) -> bool:
    """Whether a point lies in the disk around (2.5, 7.5), radius 4.65: 30 % of the box."""
    return math.hypot(config["x1"] - 2.5, config["x2"] - 7.5) < 4.65


def hartmann6_crashes(config: Config) -> bool:
    """Whether x1^2 + x2 x4 + sin(3 x5) / 2 > 1.118: 30 % of the cube, without its minimum."""
    x1, x2, x4, x5 = (config[name] for name in ("x1", "x2", "x4", "x5"))
    return x1**2 + x2 * x4 + 0.5 * math.sin(3 * x5) > 1.118


def _plain(
    benchmark: Benchmark, name: str | None = None, noise: Callable[[float, np.random.Generator], float] | None = None
) -> Problem:
    return Problem(
        name=name or benchmark.name,
        family="synthetic",
        space=benchmark.space,
        true=benchmark.function,  # type: ignore[arg-type]
        best=benchmark.minimum,
        source=benchmark.source,
        noise=noise,
    )


def _crashing(benchmark: Benchmark, name: str, crashes: Callable[[Config], bool]) -> Problem:
    def true(config: Config) -> float:
        if crashes(config):
            raise Crash
        return float(benchmark.function(config))  # type: ignore[arg-type]

    return Problem(
        name=name,
        family="crash",
        space=benchmark.space,
        true=true,
        best=benchmark.minimum,
        source=benchmark.source,
    )

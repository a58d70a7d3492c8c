"""Problems of several objectives with a known largest hypervolume, and some with constraints.

All objectives are minimised, and all constraints keep a metric at most 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Point = Mapping[str, float]


@dataclass(frozen=True)
class Problem:
    """A problem.

    Attributes
    ----------
    name
        Of it.
    dimension
        Number of parameters x0, x1, ..., each in [0, 1].
    evaluate
        Objectives and constrained metrics, lists of numbers, at a list of values.
    reference
        Reference point of the hypervolume; empty for a single objective.
    best
        Largest hypervolume, or the lowest feasible objective of a single one.
    constraints
        Number of constrained metrics.
    """

    name: str
    dimension: int
    evaluate: Callable[[list[float]], tuple[list[float], list[float]]]
    reference: tuple[float, ...]
    best: float
    constraints: int = 0

    @property
    def space(self) -> dict[str, dict[str, object]]:
        """The parameters, as a study file has them."""
        return {f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(self.dimension)}

    def __call__(self, config: Point) -> tuple[list[float], list[float]]:
        """Objectives and constrained metrics of a configuration."""
        return self.evaluate([float(config[f"x{i}"]) for i in range(self.dimension)])


def _branin_currin(x: list[float]) -> tuple[list[float], list[float]]:
    a, b = 15.0 * x[0] - 5.0, 15.0 * x[1]
    branin = (b - 5.1 / (4.0 * math.pi**2) * a**2 + 5.0 / math.pi * a - 6.0) ** 2
    branin += 10.0 * (1.0 - 1.0 / (8.0 * math.pi)) * math.cos(a) + 10.0
    factor = 1.0 - math.exp(-1.0 / (2.0 * x[1])) if x[1] > 0.0 else 1.0
    upper = 2300.0 * x[0] ** 3 + 1900.0 * x[0] ** 2 + 2092.0 * x[0] + 60.0
    return [branin, factor * upper / (100.0 * x[0] ** 3 + 500.0 * x[0] ** 2 + 4.0 * x[0] + 20.0)], []


def _zdt1(x: list[float]) -> tuple[list[float], list[float]]:
    g = 1.0 + 9.0 * sum(x[1:]) / (len(x) - 1)
    return [x[0], g * (1.0 - math.sqrt(x[0] / g))], []


def _dtlz2(x: list[float]) -> tuple[list[float], list[float]]:
    g = 1.0 + sum((value - 0.5) ** 2 for value in x[2:])
    first, second = 0.5 * math.pi * x[0], 0.5 * math.pi * x[1]
    return [
        g * math.cos(first) * math.cos(second),
        g * math.cos(first) * math.sin(second),
        g * math.sin(first),
    ], []


def _vehicle(x: list[float]) -> tuple[list[float], list[float]]:
    a, b, c, d, e = (1.0 + 2.0 * value for value in x)
    mass = 1640.2823 + 2.3573285 * a + 2.3220035 * b + 4.5688768 * c + 7.7213633 * d + 4.4559504 * e
    speed = 6.5856 + 1.15 * a - 1.0427 * b + 0.9738 * c + 0.8364 * d - 0.3695 * a * d + 0.0861 * a * e
    speed += 0.3628 * b * d - 0.1106 * a * a - 0.3437 * c * c + 0.1764 * d * d
    toe = -0.0551 + 0.0181 * a + 0.1024 * b + 0.0421 * c - 0.0073 * a * b + 0.024 * b * c - 0.0118 * b * d
    toe += -0.0204 * c * d - 0.008 * c * e - 0.0241 * b * b + 0.0109 * d * d
    return [mass, speed, toe], []


def _srn(x: list[float]) -> tuple[list[float], list[float]]:
    a, b = 40.0 * x[0] - 20.0, 40.0 * x[1] - 20.0
    first, second = 2.0 + (a - 2.0) ** 2 + (b - 1.0) ** 2, 9.0 * a - (b - 1.0) ** 2
    return [first, second], [a**2 + b**2 - 225.0, a - 3.0 * b + 10.0]


def _gardner(x: list[float]) -> tuple[list[float], list[float]]:
    a, b = 6.0 * x[0], 6.0 * x[1]
    return [math.sin(a) + b], [math.sin(a) * math.sin(b) + 0.95]


PROBLEMS = (
    Problem("branin-currin", 2, _branin_currin, (18.0, 6.0), 59.36011874867746),  # BoTorch
    Problem("zdt1", 5, _zdt1, (1.1, 5.0), 1.1 * 5.0 - 1.0 / 3.0),
    Problem("dtlz2", 6, _dtlz2, (1.1, 1.1, 1.1), 1.1**3 - math.pi / 6.0),
    Problem("vehicle-safety", 5, _vehicle, (1864.72022, 11.81993945, 0.2903999384), 246.81607081187002),  # BoTorch
    Problem("srn", 2, _srn, (250.0, 50.0), math.nan, constraints=2),
    Problem("gardner2", 2, _gardner, (), math.nan, constraints=1),
)
"""Branin-Currin and vehicle safety as of BoTorch; ZDT1 (Zitzler et al. 2000) and DTLZ2 (Deb et al. 2002); SRN (Srinivas
& Deb 1994); Gardner et al. 2014, the second of their simulations."""


def largest(problem: Problem) -> float:
    """Largest hypervolume, or the lowest feasible objective; of a problem of two parameters found on a fine grid."""
    if not math.isnan(problem.best):
        return problem.best
    from utilities.pareto import hypervolume, non_dominated

    line = np.linspace(0.0, 1.0, 1001).tolist()
    found = [problem.evaluate([a, b]) for a in line for b in line]
    values = np.array([objectives for objectives, metrics in found if max(metrics) <= 0.0])
    if not problem.reference:
        return float(values.min())
    return hypervolume(values[non_dominated(values)], np.array(problem.reference))

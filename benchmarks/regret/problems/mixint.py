"""bbob-mixint (Tusar, Brockhoff, Hansen 2019): BBOB with four of five variables integer, of 2, 4, 8 and 16 values."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from benchmarks.regret.problem import Config, Problem

DIMENSIONS = (5, 10, 20)
MINIMA = {1: 79.48, 3: -46.209, 8: 1.4915, 10: -0.05494, 15: 100.0, 21: 40.78}
"""Minimum of each function's first instance, the same at every dimension; the suite writes where it is attained."""


def problems() -> list[Problem]:
    return [_problem(function, dimension) for dimension in DIMENSIONS for function in MINIMA]


def _problem(function: int, dimension: int) -> Problem:
    suite_function = _function(function, dimension)
    integers = suite_function.number_of_integer_variables
    bounds = zip(suite_function.lower_bounds, suite_function.upper_bounds, strict=True)
    space = {
        f"x{i}": {"type": "int", "low": int(low), "high": int(high)}
        if i <= integers
        else {"type": "float", "low": float(low), "high": float(high)}
        for i, (low, high) in enumerate(bounds, start=1)
    }
    return Problem(
        name=f"mixint-f{function:02}-d{dimension:02}",
        family="mixint",
        space=space,
        true=functools.partial(_value, function, dimension),
        best=MINIMA[function],
        source="Tusar, Brockhoff, Hansen (2019), Mixed-integer benchmark problems",
    )


@functools.cache
def _suite() -> Any:
    import cocoex

    dimensions = ",".join(str(dimension) for dimension in DIMENSIONS)
    return cocoex.Suite("bbob-mixint", "instances:1", f"dimensions:{dimensions}")


@functools.cache
def _function(function: int, dimension: int) -> Any:
    return _suite().get_problem_by_function_dimension_instance(function, dimension, 1)


def _value(function: int, dimension: int, config: Config) -> float:
    return float(_function(function, dimension)(np.array([config[f"x{i + 1}"] for i in range(dimension)], dtype=float)))

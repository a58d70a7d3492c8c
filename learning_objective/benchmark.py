"""A benchmark as frozen data: the function, where to look, what is known of its minimum, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from utilities.trial import Config

Isolation: TypeAlias = Literal["none", "process"]
"""Where an objective is evaluated: in the worker itself, or in a child process that may crash and be killed."""

SpaceTable: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The ``[space]`` table of a study file: for each parameter its type, low, high, log, choices and when."""


@dataclass(frozen=True)
class Benchmark:
    """An objective with a known space, to be minimised.

    Attributes
    ----------
    name
        What ``objective = "..."`` says in a study file.
    function
        ``function(config)`` or ``function(config, trial)``; returns the objective, or a dict of it and metrics.
    space
        The search space, in the form of a study file's ``[space]`` table.
    minimum
        Global minimum; None where nobody knows it.
    minimisers
        Every configuration at which the minimum is attained.
    budget
        Trials of a run that says nothing else.
    source
        Where the function is defined in the literature.
    isolation
        "none" for a function of microseconds that cannot fail, "process" for one that needs its own process.
    """

    name: str
    function: Callable[..., float | Mapping[str, float]]
    space: SpaceTable
    minimum: float | None
    minimisers: tuple[Config, ...]
    budget: int
    source: str
    isolation: Isolation = "none"

    @property
    def dimension(self) -> int:
        """Number of parameters, conditional ones included."""
        return len(self.space)


def box(*bounds: tuple[float, float]) -> dict[str, dict[str, Any]]:
    """Space table of float parameters x1, x2, ... between the given (low, high)."""
    return {f"x{i}": {"type": "float", "low": low, "high": high} for i, (low, high) in enumerate(bounds, start=1)}


def unit_cube(dimension: int) -> dict[str, dict[str, Any]]:
    """Space table of float parameters x1 ... xd in [0, 1]."""
    return box(*[(0.0, 1.0)] * dimension)


def point(config: Config) -> list[float]:
    """Coordinates x1 ... xd of a configuration."""
    return [float(config[f"x{i}"]) for i in range(1, len(config) + 1)]


def at(*coordinates: float) -> Config:
    """Configuration with the coordinates x1 ... xd."""
    return {f"x{i}": value for i, value in enumerate(coordinates, start=1)}

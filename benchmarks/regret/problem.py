"""A problem as frozen data: what is minimised, where, and what its regret is measured against.

    regret(y) = (y - best) / (median - best)

0 is the best value known, 1 that of a median random point. `y` is always free of noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Config: TypeAlias = Mapping[str, Any]
SpaceTable: TypeAlias = Mapping[str, Mapping[str, Any]]


class Crash(Exception):  # noqa: N818 - an outcome, like StopIteration
    """A configuration has no value: its evaluation fails."""


@dataclass(frozen=True)
class Problem:
    """A function over a space, to be minimised.

    Attributes
    ----------
    name, family
        Its own name, and that of its kind.
    space
        The ``[space]`` table of a study file.
    true
        ``true(config)``: the value without noise. Raises Crash where the evaluation fails.
    best
        Global minimum of `true`; None where nobody knows it (references.csv then has the best ever seen).
    source
        Where the function or the data come from.
    noise
        ``noise(value, rng)``: what is observed in place of `value`; None for a problem without noise.
    training
        Whether an evaluation trains a model, which takes a good part of a second.
    """

    name: str
    family: str
    space: SpaceTable
    true: Callable[[Config], float]
    best: float | None
    source: str
    noise: Callable[[float, np.random.Generator], float] | None = None
    training: bool = False

    def function(self, config: Config, rng: np.random.Generator | None = None) -> float:
        """What an optimiser is told: the value with its noise.

        Raises
        ------
        Crash
            The evaluation fails here.
        """
        value = self.true(config)
        if self.noise is None:
            return value
        return self.noise(value, rng if rng is not None else np.random.default_rng())


@dataclass(frozen=True)
class Reference:
    """The two values between which regret is measured: the best known, and that of a median random point."""

    best: float
    median: float

    def regret(self, value: float) -> float:
        """Normalised regret of a noise-free value, not below 0."""
        return max(value - self.best, 0.0) / (self.median - self.best)

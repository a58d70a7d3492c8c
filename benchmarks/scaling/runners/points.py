"""Uniform points, for those that only hand out what is ready."""

from __future__ import annotations

import random

from learning_objective.hartmann import HARTMANN6

NAMES = tuple(HARTMANN6.space)


def points(count: int, seed: int) -> list[dict[str, float]]:
    """So many configurations, each parameter in [0, 1]."""
    rng = random.Random(seed)
    return [{name: rng.random() for name in NAMES} for _ in range(count)]

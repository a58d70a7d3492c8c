"""Studies whose trials report, for tests: an objective with a curve of its own at every configuration."""

from __future__ import annotations

from typing import Any

import numpy as np

from utilities.learning_curves import fidelity
from utilities.optimizer import Optimizer
from utilities.surrogate import Dataset

SPACE: dict[str, Any] = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "y": {"type": "float", "low": 0.0, "high": 1.0},
}
LENGTH = 20


def value(config: dict[str, Any], step: int) -> float:
    return float((config["x"] - 0.3) ** 2 + config["y"] + (0.5 + config["y"]) / step)


def taught(method: str = "gp", trials: int = 14, stop: int = 4, **keywords: Any) -> Optimizer:
    """Every second trial of it stopped early, from the fourth on."""
    optimizer = Optimizer(SPACE, method, 1, initial=6, max_steps=LENGTH, **keywords)
    for _ in range(trials):
        trial = optimizer.ask()
        early = trial.number > 3 and trial.number % 2 == 0
        steps = stop if early else LENGTH
        for step in range(1, steps + 1):
            optimizer.report(trial, step, value(trial.config, step))
        optimizer.tell(trial, value(trial.config, steps), pruned=early)
    return optimizer


def curve_rows(curves: list[int]) -> Dataset:
    """Curves of so many steps out of 50."""
    steps = [(i, step) for i, count in enumerate(curves) for step in range(1, count + 1)]
    x = np.array([(i, float(fidelity(np.array([step]), 50)[0])) for i, step in steps], dtype=float).reshape(-1, 2)
    return Dataset(x, np.array([float(i) - step / 50 for i, step in steps]))

"""Batches of proposals: new, apart, within the space and its constraints, good, and by whichever acquisition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from utilities.model_proposer import LEISURE
from utilities.optimizer import Optimizer

BOWL = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in "ab"}
MIXED: dict[str, Any] = {
    "a": {"type": "float", "low": 0.0, "high": 1.0},
    "n": {"type": "int", "low": 1, "high": 30},
    "kind": {"type": "categorical", "choices": ["one", "two", "three"]},
    "b": {"type": "float", "low": 1e-4, "high": 1.0, "log": True, "when": {"kind": "two"}},
}
FAST = 0.5 * LEISURE


def bowl(config: dict[str, Any]) -> float:
    return float((config["a"] - 0.3) ** 2 + (config["b"] - 0.6) ** 2)


def mixed(config: dict[str, Any]) -> float:
    return float((config["a"] - 0.3) ** 2 + abs(config["n"] - 12) / 30 + (config["kind"] != "one"))


def learned(space: dict[str, Any], objective: Any, method: str = "dngo", told: int = 30, **settings: Any) -> Optimizer:
    """An optimiser with a fit, a few trials beyond it, and three pending."""
    optimizer = Optimizer(space, method, seed=3, **settings)
    for _ in range(told):
        trial = optimizer.ask()
        value = objective(trial.config)
        optimizer.tell(trial, value if math.isfinite(value) else None, failed=None if math.isfinite(value) else "no")
    optimizer.ask_batch(3)
    return optimizer


@pytest.mark.parametrize("seconds", [math.inf, FAST])
@pytest.mark.parametrize("method", ["gp", "dngo", "auto"])
@pytest.mark.parametrize(("space", "objective"), [(BOWL, bowl), (MIXED, mixed)])
def test_a_batch_is_new_and_valid(space: dict[str, Any], objective: Any, method: str, seconds: float) -> None:
    optimizer = learned(space, objective, method, told=16)
    for _ in range(3):
        assert optimizer.prepare(12, 12, seconds) == ["model"] * 12
        trials = [optimizer.ask() for _ in range(12)]
        for trial in trials:
            optimizer.space.validate(trial.config)
            optimizer.tell(trial, objective(trial.config))
    keys = {optimizer.space.key(trial.config) for trial in optimizer._asked.values()}
    assert len(keys) == optimizer.asked


@pytest.mark.parametrize("method", ["gp", "dngo"])
def test_a_batch_keeps_its_distances(method: str) -> None:
    optimizer = learned(BOWL, lambda config: bowl(config) + 0.2 * math.sin(9.0 * config["a"]), method, told=14)
    for _ in range(2):  # of the surrogate and of its companion
        optimizer.prepare(8, 8)
        points = optimizer.space.to_unit([optimizer.ask().config for _ in range(8)])
        apart = np.abs(points[:, None] - points[None]).max(axis=2)[np.triu_indices(8, 1)]
        assert apart.min() > 1e-5
        assert apart.max() > 0.01


@pytest.mark.parametrize("seconds", [math.inf, FAST])
def test_batches_find_the_optimum(seconds: float) -> None:
    optimizer = learned(BOWL, bowl, "dngo", told=12)
    for _ in range(5):
        optimizer.prepare(8, 8, seconds)
        for _ in range(8):
            trial = optimizer.ask()
            optimizer.tell(trial, bowl(trial.config))
    assert optimizer.best is not None
    assert optimizer.best.objective < 1e-3


@pytest.mark.parametrize("settings", [{"acquisition": "ucb"}, {"acquisition": "thompson"}])
def test_every_acquisition_makes_batches(settings: dict[str, Any]) -> None:
    optimizer = learned(BOWL, bowl, told=12, **settings)
    assert len(optimizer.prepare(9, 9)) == 9


def test_a_batch_avoids_what_fails() -> None:
    optimizer = learned(BOWL, lambda config: math.nan if config["a"] > 0.5 else bowl(config), "gp", told=40)
    optimizer.prepare(16, 16)
    places = [optimizer.ask().config["a"] for _ in range(16)]
    assert sum(place > 0.55 for place in places) <= 3


@pytest.mark.parametrize("seconds", [math.inf, FAST])
def test_a_small_finite_space_is_proposed_to_its_end(seconds: float) -> None:
    space = {"n": {"type": "int", "low": 0, "high": 29}}
    optimizer = Optimizer(space, "gp", seed=0, initial=4)
    for _ in range(8):
        trial = optimizer.ask()
        optimizer.tell(trial, float((trial.config["n"] - 11) ** 2))
    made: list[str] = []
    while origins := optimizer.prepare(100, 8, seconds):
        made += origins
    assert len(made) == 22
    assert sorted(optimizer.ask().config["n"] for _ in range(22)) == sorted(
        set(range(30)) - {trial.config["n"] for trial in list(optimizer._asked.values())[:8]}
    )


def test_many_pending_trials_bring_the_whole_portfolio() -> None:
    optimizer = Optimizer(BOWL, "dngo", seed=0, initial=4)
    for _ in range(6):
        trial = optimizer.ask()
        optimizer.tell(trial, bowl(trial.config))
    for _ in range(8):
        optimizer.prepare(32, 32)
        for _ in range(optimizer.ready):
            optimizer.ask()
    origins = list(optimizer.origins.values())[6:]
    assert 20 < origins.count("initial") < 200  # the design's part, once there are many more pending than told
    assert len({optimizer.space.key(trial.config) for trial in optimizer._asked.values()}) == optimizer.asked


def test_nothing_is_made_that_is_not_wanted() -> None:
    optimizer = learned(BOWL, bowl, told=12)
    assert optimizer.prepare(0, 8) == []
    assert len(optimizer.prepare(5, 8)) == 5
    assert optimizer.prepare(5, 8) == []
    assert optimizer.ready == 5


def test_time_that_is_short_makes_auto_go_over_to_its_network() -> None:
    optimizer = Optimizer(BOWL, "auto", seed=0, refit="external")
    for _ in range(12):
        trial = optimizer.ask()
        optimizer.tell(trial, bowl(trial.config))
    assert optimizer.fit_due() == "gp"
    gp = learned(BOWL, bowl, "gp", told=12).fit_state
    assert gp is not None
    optimizer.adopt("gp", gp.parameters, 6)
    optimizer.prepare(4, 4, FAST)
    assert optimizer.fit_due() == "dngo"

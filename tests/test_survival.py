"""Where trials are ended early: what of it is learned, how it weighs an acquisition, and what that spares a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from curve_studies import LENGTH, SPACE, taught
from scipy.optimize import approx_fprime

from utilities.early_stopping import EarlyStopping
from utilities.feasible import Weighed
from utilities.history import History
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.stopping_rule import Settings
from utilities.storage.study import Study
from utilities.study_optimizer import make_optimizer
from utilities.surrogate import Array
from utilities.survival import Survival

STEPS = 9
WIDE: dict[str, Any] = {f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(4)}


class Slope:
    """A score that falls along the first axis."""

    def value(self, x: Array) -> Array:
        return np.asarray(-x[:, 0])

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        return self.value(x), np.tile([-1.0, 0.0], (len(x), 1))

    def rough(self) -> Slope:
        return self


def history_of(rows: list[tuple[float, bool, float]], *, reports: bool = True, by_model: bool = False) -> History:
    """Trials at x = `rows`' first entries: whether each was ended at its first step, and with which value."""
    space = Space.from_dict(SPACE)
    history = History(space, LENGTH, ended_by_model=by_model)
    for number, (x, pruned, value) in enumerate(rows):
        history.ask(number, {"x": x, "y": 0.5})
        if reports:
            for step in range(1, 2 if pruned else LENGTH + 1):
                history.report(number, step, value)
        history.complete(number, value, pruned=pruned)
    return history


def halves(value: float) -> list[tuple[float, bool, float]]:
    """Complete trials on the left of value 1, ended ones of another on the right."""
    return [(x, x > 0.5, value if x > 0.5 else 1.0) for x in np.linspace(0.02, 0.98, 16).tolist()]


def log_chances(history: History) -> Array:
    chance = Survival(np.arange(2)).chance(history)
    assert chance is not None
    return chance.log_probability(np.array([[0.1, 0.5], [0.9, 0.5]]))


def test_where_trials_are_ended_others_will_hardly_run_to_their_end() -> None:
    left, right = np.exp(log_chances(history_of(halves(2.0))))
    assert left > 0.9
    assert right < 0.1


def test_trials_that_were_ended_with_better_values_than_complete_ones_are_not_in_vain() -> None:
    survival = Survival(np.arange(2))
    assert survival.chance(history_of(halves(0.5))) is None
    mixed = [*halves(0.5), (0.25, True, 2.0), (0.2, True, 2.0)]
    left, right = log_chances(history_of(mixed))
    assert left < right


def test_nothing_is_learned_without_ended_trials_complete_ones_or_curves_or_where_the_model_ends_trials() -> None:
    survival = Survival(np.arange(2))
    assert survival.chance(history_of([(0.1, False, 1.0), (0.9, False, 2.0)])) is None
    assert survival.chance(history_of([(0.1, True, 1.0), (0.9, True, 2.0)])) is None
    assert survival.chance(history_of(halves(2.0), reports=False)) is None
    assert survival.chance(history_of(halves(2.0), by_model=True)) is None


@pytest.mark.parametrize(("rule", "by_model"), [("model", True), ("asha", False), (None, False)])
def test_a_study_says_whether_its_rule_asks_the_model_alone(rule: str | None, by_model: bool) -> None:
    stopping = None if rule is None else Settings(rule=rule)
    study = Study(
        name="s", objective="", space=Space.from_dict(SPACE), early_stopping=stopping, folder=Path(), source=""
    )
    assert make_optimizer(study, None)._history.ended_by_model is by_model


def test_pending_trials_make_it_less_certain_and_change_nothing_without_any() -> None:
    history, survival, rng = history_of(halves(2.0)), Survival(np.arange(2)), np.random.default_rng(0)
    nothing = survival.pending(history, np.empty((0, 2)), rng)
    assert nothing is survival.chance(history)
    fantasised = survival.pending(history, np.array([[0.5, 0.5]]), rng)
    assert fantasised is not None
    assert len(fantasised.latent(np.array([[0.5, 0.5]]))[0]) > 1


def test_values_and_gradients_agree_and_the_rough_one_has_the_same_weight() -> None:
    chance = Survival(np.arange(2)).chance(history_of(halves(2.0)))
    assert chance is not None
    acquisition, x = Weighed(Slope(), chance), np.random.default_rng(1).random((8, 2))
    value, gradient = acquisition.value_and_gradient(x)
    np.testing.assert_allclose(value, acquisition.value(x))
    np.testing.assert_allclose(value, acquisition.rough().value(x))
    np.testing.assert_allclose(value, -x[:, 0] + chance.log_probability(x))
    numeric = [approx_fprime(row, lambda a: acquisition.value(a[None])[0], 1e-7) for row in x]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-3)


def after_dead_ends(seed: int) -> Optimizer:
    """24 trials of four parameters, rule ``asha``; where the first two sum to more than 0.9 all values are 0.9."""
    optimizer, rule = Optimizer(WIDE, "gp", seed), EarlyStopping(Settings(rule="asha"), "minimize", seed)
    for _ in range(24):
        trial = optimizer.ask()
        c = np.array([float(value) for value in trial.config.values()])  # type: ignore[arg-type]
        end = 0.1 + 0.5 * float(np.sum((c - [0.2, 0.5, 0.3, 0.7]) ** 2))
        for step in range(1, STEPS + 1):
            value = 0.9 if c[0] + c[1] > 0.9 else end + 0.6 * (1.0 - step / STEPS) ** 1.5
            optimizer.report(trial, step, value)
            if stop := rule.report(trial.number, step, value) and step < STEPS:
                break
        rule.end(trial.number, complete=not stop)
        optimizer.tell(trial, value, pruned=stop)
    return optimizer


def gained(seed: int) -> float:
    """By how much log P is larger where the next trial is proposed than where it would be without the weight."""
    with mock.patch.object(Survival, "chance", return_value=None):
        alone = after_dead_ends(seed)
        weighed = after_dead_ends(seed)
        there = alone.ask().config
    chance = Survival(weighed.space.groups).chance(weighed._history)
    assert chance is not None
    points = weighed.space.to_unit([weighed.ask().config, there])
    here, elsewhere = chance.log_probability(weighed.space.features(points))
    return float(here - elsewhere)


def test_a_proposal_is_likelier_to_run_to_its_end_than_without_the_weight() -> None:
    """Who maximises a + b has at least as much of b as who maximises a alone."""
    gains = [gained(seed) for seed in range(4)]
    assert min(gains) > -0.05
    assert sum(gains) > 1.0


@pytest.mark.parametrize("method", ["gp", "dngo"])
def test_a_batch_is_weighed_too(method: str) -> None:
    optimizer = taught(method, trials=20)
    with mock.patch("utilities.batches.Weighed", side_effect=Weighed) as weighed:
        optimizer.prepare(4, batch=4)
    assert weighed.called

"""Unknown constraints in a search: scores and gradients, learning a region that crashes, finding one that does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from utilities.feasible import Constraint, Feasible, Probably, conditioned, promise, scheduled
from utilities.optimizer import Optimizer
from utilities.surrogate import Array
from utilities.validity import Validity, condition, fit

UNIT = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in "ab"}
GROUPS = np.arange(2)


class Slope:
    """A score that falls along the first axis."""

    def value(self, x: Array) -> Array:
        return np.asarray(-x[:, 0])

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        return self.value(x), np.tile([-1.0, 0.0], (len(x), 1))


def half() -> Validity:
    rng = np.random.default_rng(0)
    x = rng.random((40, 2))
    validity = Constraint(GROUPS).validity(x, x[:, 0] > 0.4)
    assert validity is not None
    return validity


@pytest.mark.parametrize("make", [lambda v: Feasible(Slope(), v), lambda v: Probably(Slope(), v)])
def test_gradients_and_values_agree(make: Any) -> None:
    acquisition, x = make(half()), np.random.default_rng(1).random((8, 2))
    value, gradient = acquisition.value_and_gradient(x)
    np.testing.assert_allclose(value, acquisition.value(x))
    numeric = [approx_fprime(row, lambda a: acquisition.value(a[None])[0], 1e-7) for row in x]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-3)


def test_what_fails_scores_low_and_a_likely_point_keeps_its_mean() -> None:
    points = np.array([[0.05, 0.5], [0.95, 0.5]])
    assert np.argmax(Feasible(Slope(), half()).value(points)) == 1
    probably = Probably(Slope(), half()).value(points)
    assert probably[0] < -1.0
    assert probably[1] == -0.95


def test_the_search_for_validity_keeps_away_from_failures() -> None:
    near, far = promise(half(), np.array([[0.1, 0.5], [0.9, 0.5]]))
    assert near < far


def test_without_a_failure_there_is_no_model() -> None:
    assert Constraint(GROUPS).validity(np.zeros((3, 2)), np.ones(3, dtype=bool)) is None


def test_refits_lag_at_most_a_tenth_behind() -> None:
    assert [scheduled(n) for n in (1, 9, 57, 99, 100, 109, 110, 1099, 12_345)] == [
        *(1, 9, 57, 99, 100, 100, 110, 1000, 12_000)
    ]


def test_outcomes_told_one_by_one_are_known_as_well_as_all_at_once() -> None:
    rng = np.random.default_rng(5)
    x, unseen = rng.random((560, 2)), rng.random((200, 2))
    valid = np.hypot(x[:, 0] - 0.5, x[:, 1] - 0.5) > 0.3
    assert [conditioned(n) for n in (499, 500, 549, 550, 12_345)] == [499, 500, 500, 550, 12_200]
    constraint = Constraint(GROUPS)
    for count in (500, 517, 549):
        found = constraint.validity(x[:count], valid[:count])
    theta = fit(x[:500], valid[:500], GROUPS)
    whole = condition(theta, x[:549], valid[:549], GROUPS)
    assert found is not None
    truth = np.hypot(unseen[:, 0] - 0.5, unseen[:, 1] - 0.5) > 0.3
    agreement = np.mean(found.likely(unseen) == whole.likely(unseen))
    assert agreement > 0.97
    assert np.mean(found.likely(unseen) == truth) > 0.95


def test_an_outcome_that_was_told_counts_at_once() -> None:
    constraint, rng = Constraint(GROUPS), np.random.default_rng(6)
    x = rng.random((520, 2)) * [1.0, 0.5]
    valid = x[:, 0] > 0.1
    place = np.array([[0.6, 0.9]])
    before = constraint.validity(x, valid)
    x, valid = np.vstack([x, place + 0.01 * rng.standard_normal((4, 2))]), np.append(valid, [False] * 4)
    after = constraint.validity(x, valid)
    assert before is not None
    assert after is not None
    assert after.log_probability(place)[0] < before.log_probability(place)[0] - 0.3


def run(optimizer: Optimizer, valid: Any, count: int) -> list[bool]:
    outcomes = []
    for _ in range(count):
        trial = optimizer.ask()
        good = bool(valid(trial.config))
        outcomes.append(good)
        if good:
            optimizer.tell(trial, trial.config["a"] + (trial.config["b"] - 0.5) ** 2)
        else:
            optimizer.tell(trial, failed="crash")
    return outcomes


def test_a_half_space_that_crashes_is_learned() -> None:
    optimizer = Optimizer(UNIT, "gp", seed=1)
    # The objective falls towards the border, which is the hardest case: a bisection would need 7 trials to find it
    # to 0.01, half of them crashes. Proposals drawn at random crash 4 times in 10.
    outcomes = run(optimizer, lambda config: config["a"] > 0.4, 22)
    assert optimizer.best is not None
    assert optimizer.best.objective < 0.45
    assert outcomes[10:].count(False) <= 6
    predicted = optimizer.predicted_best()
    assert predicted is not None
    assert predicted.config["a"] > 0.38


def test_without_a_success_the_design_goes_on() -> None:
    optimizer = Optimizer(UNIT, "gp", seed=3)
    run(optimizer, lambda _: False, 9)
    assert set(optimizer.origins.values()) == {"initial"}


def test_after_one_success_validity_is_searched() -> None:
    optimizer = Optimizer(UNIT, "gp", seed=3, initial=4)
    seen: list[bool] = []

    def first_alone(_: Any) -> bool:
        seen.append(len(seen) == 2)
        return seen[-1]

    run(optimizer, first_alone, 5)
    assert optimizer.origins[4] == "model"


def test_a_category_that_crashes_is_left() -> None:
    space = {**UNIT, "kind": {"type": "categorical", "choices": ["x", "y", "z"]}}
    outcomes = run(Optimizer(space, "gp", seed=4), lambda config: config["kind"] != "y", 24)
    assert outcomes[12:].count(False) <= 2

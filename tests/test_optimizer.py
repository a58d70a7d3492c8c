"""Ask and tell: reproducible, never a duplicate, failures and pending trials, resuming, and that it optimises."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from utilities.errors import SpaceExhaustedError, StudyError
from utilities.methods import METHODS, MODEL_METHODS
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.trial import Outcome, TrialRecord, TrialState

BOWL = {"x": {"type": "float", "low": -5.0, "high": 5.0}, "y": {"type": "float", "low": -5.0, "high": 5.0}}
MIXED = {
    "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
    "width": {"type": "int", "low": 4, "high": 64, "log": True},
    "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
    "extra": {"type": "float", "low": 0.0, "high": 1.0, "when": {"kind": "b"}},
}
FINITE = {"n": {"type": "int", "low": 1, "high": 4}, "c": {"type": "categorical", "choices": ["a", "b", "c"]}}


def bowl(config: dict[str, Any]) -> float:
    return float((config["x"] - 1.0) ** 2 + 2.0 * (config["y"] + 0.5) ** 2)


def mixed(config: dict[str, Any]) -> float:
    penalty = {"a": 0.5, "b": 0.0, "c": 1.0}[config["kind"]]
    return float(
        (np.log10(config["lr"]) + 2.0) ** 2 + abs(np.log(config["width"] / 17)) + penalty + config.get("extra", 0.0)
    )


def run(optimizer: Optimizer, function: Any, count: int) -> list[dict[str, Any]]:
    configs = []
    for _ in range(count):
        trial = optimizer.ask()
        optimizer.tell(trial, function(trial.config))
        configs.append(trial.config)
    return configs


@pytest.mark.parametrize("method", METHODS)
def test_proposals_are_valid_new_and_reproducible(method: str) -> None:
    runs = [run(Optimizer(MIXED, method, seed=3, initial=6), mixed, 12) for _ in range(2)]
    assert runs[0] == runs[1]
    space = Space.from_dict(MIXED)
    assert all(space.validate(config) == config for config in runs[0])
    assert len({space.key(config) for config in runs[0]}) >= 11  # what takes ruggedness for noise asks the best again


@pytest.mark.parametrize("method", ["gp", "dngo", "random"])
def test_seeds_differ(method: str) -> None:
    assert run(Optimizer(BOWL, method, seed=1), bowl, 3) != run(Optimizer(BOWL, method, seed=2), bowl, 3)


@pytest.mark.parametrize("method", MODEL_METHODS)
def test_a_model_beats_its_initial_design(method: str) -> None:
    optimizer = Optimizer(BOWL, method, seed=0)
    run(optimizer, bowl, 6)
    initial = optimizer.best
    run(optimizer, bowl, 14)
    assert initial is not None
    assert optimizer.best is not None
    assert optimizer.best.objective < 0.2 * initial.objective
    predicted = optimizer.predicted_best()
    assert predicted is not None
    assert bowl(predicted.config) < 1.0
    assert abs(predicted.objective - bowl(predicted.config)) < 1.0


@pytest.mark.parametrize("method", ["gp", "dngo"])
@pytest.mark.parametrize("acquisition", ["ucb", "thompson"])
def test_other_acquisitions_find_the_minimum_too(method: str, acquisition: str) -> None:
    optimizer = Optimizer(BOWL, method, seed=0, acquisition=acquisition)
    run(optimizer, bowl, 20)
    assert optimizer.best is not None
    assert optimizer.best.objective < 0.1


@pytest.mark.parametrize("acquisition", ["ucb", "thompson"])
def test_other_acquisitions_keep_pending_trials_apart(acquisition: str) -> None:
    optimizer = Optimizer(BOWL, "gp", seed=1, acquisition=acquisition)
    run(optimizer, bowl, 8)
    points = optimizer.space.to_unit([trial.config for trial in optimizer.ask_batch(6)])
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)[np.triu_indices(6, 1)]
    assert gaps.min() > 1e-3


def test_a_larger_kappa_explores_more() -> None:
    best = []
    for kappa in (0.1, 10.0):
        optimizer = Optimizer(BOWL, "gp", seed=2, acquisition="ucb", kappa=kappa)
        run(optimizer, bowl, 10)
        objectives = [bowl(trial.config) for trial in optimizer.ask_batch(4)]
        best.append(np.mean(objectives))
    assert best[0] < best[1]


def test_maximising_is_minimising_the_negative() -> None:
    down = run(Optimizer(BOWL, "gp", seed=4), bowl, 10)
    optimizer = Optimizer(BOWL, "gp", seed=4, direction="maximize")
    assert run(optimizer, lambda config: -bowl(config), 10) == down
    assert optimizer.best is not None
    assert optimizer.best.objective == -min(bowl(config) for config in down)


@pytest.mark.parametrize("method", METHODS)
def test_a_finite_space_is_proposed_once_and_then_exhausted(method: str) -> None:
    optimizer = Optimizer(FINITE, method, seed=0)
    configs = run(optimizer, lambda config: config["n"] + 0.0, 12)
    assert len({optimizer.space.key(config) for config in configs}) == 12
    with pytest.raises(SpaceExhaustedError):
        optimizer.ask()
    assert optimizer.ask_batch(3) == []


@pytest.mark.parametrize("method", ["gp", "dngo"])
def test_pending_trials_keep_proposals_apart(method: str) -> None:
    optimizer = Optimizer(BOWL, method, seed=1)
    run(optimizer, bowl, 8)
    points = optimizer.space.to_unit([trial.config for trial in optimizer.ask_batch(6)])
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)[np.triu_indices(6, 1)]
    assert gaps.min() > 1e-3
    assert np.median(gaps) > 0.02


def test_enqueued_configurations_come_first() -> None:
    optimizer = Optimizer(BOWL, "gp")
    optimizer.enqueue({"x": 1, "y": 2})
    trial = optimizer.ask()
    assert trial.config == {"x": 1.0, "y": 2.0}
    assert optimizer.origins[trial.number] == "enqueued"
    with pytest.raises(StudyError, match="is not a parameter"):
        optimizer.enqueue({"z": 1})


def test_failures_never_reach_the_surrogate_and_are_not_repeated() -> None:
    optimizer = Optimizer(BOWL, "gp", seed=2)
    for i in range(16):
        trial = optimizer.ask()
        if trial.config["x"] < 0:
            optimizer.tell(trial, failed="out of memory")
        else:
            optimizer.tell(trial, float("nan") if i == 9 else bowl(trial.config))
    assert np.all(np.isfinite(optimizer.data.y))
    assert len(optimizer.data) < 16
    assert len(optimizer.origins) == 16


@pytest.mark.parametrize("method", ["gp", "dngo", "dngo-paper"])
def test_objectives_of_any_size_are_survived(method: str) -> None:
    optimizer = Optimizer(BOWL, method, seed=3)
    for i in range(12):
        trial = optimizer.ask()
        optimizer.tell(trial, [bowl(trial.config), 1e200, -1e-300, 1e9][i % 4])
    assert optimizer.predicted_best() is not None


def test_everything_failing_still_gives_proposals() -> None:
    optimizer = Optimizer(BOWL, "auto")
    for _ in range(20):
        optimizer.tell(optimizer.ask(), failed="no")
    assert optimizer.best is None
    assert optimizer.predicted_best() is None


def test_prepared_proposals_are_made_one_by_one_and_renewed_after_an_outcome() -> None:
    optimizer = Optimizer(BOWL, "gp", seed=5)
    run(optimizer, bowl, 7)
    running = optimizer.ask()
    assert [optimizer.prepare(2) for _ in range(3)] == [["model"], ["model"], []]
    assert optimizer.ready == 2
    optimizer.tell(running, bowl(running.config))
    assert [optimizer.prepare(2) for _ in range(3)] == [["model"], ["model"], []]
    first, second = optimizer.ask(), optimizer.ask()
    assert optimizer.ready == 0
    assert first.config != second.config


def test_restoring_gives_the_same_next_proposal() -> None:
    one = Optimizer(MIXED, "gp", seed=6, initial=4)
    records = []
    for i in range(9):
        trial = one.ask()
        outcome = Outcome(TrialState.FAIL, message="x") if i == 2 else Outcome(TrialState.COMPLETE, mixed(trial.config))
        one.tell_outcome(trial, outcome)
        records.append(TrialRecord(trial, one.origins[trial.number], outcome, completed=float(i)))
    other = Optimizer(MIXED, "gp", seed=6, initial=4, refit="external")
    other.restore(records)
    state = one.fit_state
    assert state is not None
    one_next = one.ask()
    assert one.fit_state is not None
    other.adopt(*one.fit_state)
    assert other.ask() == one_next
    assert other.best == one.best


def test_restored_knows_to_the_bit_what_the_run_before_knew() -> None:
    one, records = Optimizer(MIXED, "random", seed=4), []
    for i, trial in enumerate(one.ask_batch(40)):
        state = TrialState.COMPLETE if i % 5 else TrialState.FAIL
        outcome = Outcome(state, mixed(trial.config) if i % 5 else None) if i < 30 else None
        records.append(TrialRecord(trial, one.origins[i], outcome, completed=float(-i)))
    for record in reversed(records):
        one.tell_outcome(record.trial, record.outcome)
    other = Optimizer(MIXED, "random", seed=4)
    other.restore(records)
    for known in ("points", "pending", "outcomes", "numbers", "told", "repeated"):
        np.testing.assert_equal(getattr(other._history, known), getattr(one._history, known))
    np.testing.assert_array_equal(other.data.x, one.data.x)
    np.testing.assert_array_equal(other.data.y, one.data.y)
    assert other.ask_batch(5) == one.ask_batch(5)


def test_a_pruned_trial_teaches_what_it_showed_and_is_never_the_best() -> None:
    optimizer = Optimizer({"x": {"type": "float", "low": 0.0, "high": 1.0}}, "gp", 0)
    first, second, third = optimizer.ask_batch(3)
    optimizer.tell(first, 2.0)
    optimizer.tell(second, 1.0, pruned=True)
    optimizer.tell(third, pruned=True)
    assert optimizer.best is not None
    assert optimizer.best.number == first.number
    np.testing.assert_array_equal(optimizer.data.y, [2.0, 1.0])
    with pytest.raises(ValueError, match="was told already"):
        optimizer.tell(third, 1.0)
    with pytest.raises(ValueError, match="needs an objective or failed"):
        optimizer.tell(optimizer.ask(), 1.0, failed="why", pruned=True)


def test_a_pruned_trial_without_a_value_counts_as_no_failure_of_its_configuration() -> None:
    optimizer = Optimizer({"x": {"type": "float", "low": 0.0, "high": 1.0}}, "gp", 0)
    told, pruned = optimizer.ask_batch(2)
    optimizer.tell_outcome(told, Outcome(TrialState.COMPLETE, 1.0))
    optimizer.tell_outcome(pruned, Outcome(TrialState.PRUNED))
    outcomes = optimizer._history.outcomes
    assert outcomes[1].tolist() == [True]
    assert optimizer._history.waiting == 0
    assert optimizer._history.knows(pruned.config)


def test_restoring_leaves_lost_numbers_unused() -> None:
    first, lost, third = Optimizer(BOWL).ask_batch(3)
    optimizer = Optimizer(BOWL)
    with pytest.raises(ValueError, match="trial 1 or later must be restored next; got 0"):
        optimizer.restore([TrialRecord(first, "initial")] * 2)
    optimizer = Optimizer(BOWL)
    optimizer.restore([TrialRecord(third, "initial"), TrialRecord(first, "initial")])
    assert [trial.number for trial in optimizer.ask_batch(2)] == [3, 4]
    with pytest.raises(ValueError, match="trial 1 was never asked"):
        optimizer.tell(lost, 0.0)


def test_a_fit_made_elsewhere() -> None:
    optimizer = Optimizer(BOWL, "gp", seed=1, refit="external")
    assert optimizer.fit_due() is None
    run(optimizer, bowl, 6)
    assert optimizer.fit_due() == "gp"
    assert optimizer.must_wait
    inline = Optimizer(BOWL, "gp", seed=1)
    run(inline, bowl, 6)
    inline.prepare(1)
    assert inline.fit_state is not None
    optimizer.adopt(*inline.fit_state)
    assert not optimizer.must_wait
    assert optimizer.ask() == inline.ask()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda o: o.tell(7, 1.0), "trial 7 was never asked"),
        (lambda o: (o.tell(0, 1.0), o.tell(0, 1.0)), "trial 0 was told already"),
        (lambda o: o.tell(0), "needs an objective or failed"),
        (lambda o: o.tell(0, 1.0, failed="no"), "needs an objective or failed"),
    ],
)
def test_wrong_calls_are_named(call: Any, message: str) -> None:
    optimizer = Optimizer(BOWL)
    optimizer.ask()
    with pytest.raises(ValueError, match=message):
        call(optimizer)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"acquisition": "thomson"}, """got 'thomson'. Did you mean "thompson"?"""),
        ({"acquisition": "ei", "method": "random"}, "acquisition needs a method that learns (auto, gp"),
        ({"acquisition": "ei", "kappa": 2.0}, "kappa needs acquisition ucb; got kappa 2, acquisition ei"),
        ({"acquisition": "ucb", "kappa": float("nan")}, "kappa must be a finite number above 0; got nan"),
    ],
)
def test_wrong_acquisitions_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=re.escape(message)):
        Optimizer(BOWL, **settings)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(StudyError, match=re.escape("""got 'dngoo'. Did you mean "dngo"?""")):
        Optimizer(BOWL, "dngoo")
    with pytest.raises(StudyError, match="seed must not be negative; got -1"):
        Optimizer(BOWL, seed=-1)
    with pytest.raises(StudyError, match="direction must be"):
        Optimizer(BOWL, direction="up")  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["gp", "dngo"])
def test_the_promising_observations_suffice(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 256 of 16 nothing changes; with 4 the bowl is still descended, by points near its bottom."""
    whole = run(Optimizer(BOWL, method, seed=1), bowl, 16)
    monkeypatch.setattr("utilities.aims.PROMISING", 16)
    assert run(Optimizer(BOWL, method, seed=1), bowl, 16) == whole
    monkeypatch.setattr("utilities.aims.PROMISING", 4)
    assert min(bowl(config) for config in run(Optimizer(BOWL, method, seed=1), bowl, 16)) < 0.1


COARSE = {name: {"type": "int", "low": 0, "high": 5} for name in "ab"}


@pytest.mark.parametrize(("noise", "most", "least"), [(0.0, 1, 0), (5.0, 30, 3)])
def test_configurations_are_repeated_where_the_noise_is_high(noise: float, most: int, least: int) -> None:
    rng = np.random.default_rng(0)
    optimizer = Optimizer(COARSE, "gp", seed=2)
    seen: list[tuple[int, int]] = []
    for _ in range(30):
        trial = optimizer.ask()
        place = (trial.config["a"], trial.config["b"])
        seen.append(place)
        value = float((place[0] - 2) ** 2 + (place[1] - 3) ** 2)
        optimizer.tell(trial, value + noise * rng.standard_normal())
    assert least <= len(seen) - len(set(seen)) <= most


def test_noise_that_repeating_disproves_is_not_believed_again() -> None:
    """A rugged table looks noisy; the first configuration that gives the same again ends the repetitions."""
    table = np.random.default_rng(5).random((6, 6))
    optimizer = Optimizer(COARSE, "gp", seed=3)
    seen = []
    for _ in range(34):
        trial = optimizer.ask()
        seen.append((trial.config["a"], trial.config["b"]))
        optimizer.tell(trial, float(table[seen[-1]]))
    assert len(seen) - len(set(seen)) <= 1


@pytest.mark.parametrize(("pending", "told", "origin"), [(16, 2, "initial"), (16, 3, "model"), (2, 7, "initial")])
def test_the_model_takes_over_once_the_design_is_out_and_a_few_of_it_are_told(pending, told, origin):
    optimizer = Optimizer(BOWL, "gp", initial=10)
    trials = optimizer.ask_batch(pending)
    for count in range(told):
        if count + 1 >= pending:
            trials.append(optimizer.ask())
        optimizer.tell(trials[count], bowl(trials[count].config))
    assert optimizer.origins[optimizer.ask().number] == origin

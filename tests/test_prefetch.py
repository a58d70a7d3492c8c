"""Trials that workers hold while they evaluate: handed out early, given back when need be, none lost, none twice."""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_losses import Fragile
from virtual_cluster import OPEN, Cluster, numbers, reopened

from learning_objective.objective_spec import ObjectiveSpec
from mpi.mpi_ahead import HELD_SHARE, MOST_HELD
from mpi.mpi_definitions import Done, Evaluate, Recall, Returned, Stop, WorkerDuty
from mpi.mpi_hands import Hands
from mpi.mpi_worker import Worker
from utilities.trial import Trial

SHORT = 1e-4


def trial(number: int) -> Trial:
    return Trial(number=number, config={"x1": 1.0, "x2": 2.0}, seed=0)


def records(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = (folder / "s" / "journal.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["type"] == kind]


def pause(cluster: Cluster, until: float) -> None:
    """Drive a cluster up to a moment; its folder stays open."""
    close = cluster.run.close
    cluster.run.close = lambda: None  # type: ignore[method-assign]
    cluster.drive(until)
    cluster.run.close = close  # type: ignore[method-assign]


def most_held(cluster: Cluster) -> int:
    """Drive a cluster to its end; returns the most trials that a worker had at a time."""
    most, deliver = 0, cluster.deliver

    def watch(letters: Any) -> None:
        nonlocal most
        deliver(letters)
        hands = cluster.master._dispatch.hands
        most = max([most, *(hands.count(worker) for worker in hands._trials)])

    cluster.deliver = watch  # type: ignore[method-assign]
    assert cluster.drive() == 0
    return most


@pytest.mark.parametrize(("seconds", "held"), [(4.0 * SHORT, 8), (1e-6, MOST_HELD)])
def test_short_evaluations_have_trials_held(tmp_path: Path, seconds: float, held: int) -> None:
    """As many as a worker evaluates while it would wait for the next."""
    cluster = Cluster(tmp_path, workers=3, seconds=seconds, budget=200)
    assert most_held(cluster) == 1 + held
    assert sorted(numbers(tmp_path)) == list(range(200))
    assert set(cluster.evaluated.values()) == {1}
    started = [record["number"] for record in records(tmp_path, "started")]
    assert sorted(started) == list(range(200))


def test_long_evaluations_have_none(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=3, seconds=1.0, budget=60)
    assert most_held(cluster) == 1


def test_a_model_has_only_a_small_part_of_all_trials_held(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=2, trainer=1, method="gp", seconds=SHORT, budget=70)
    held: dict[int, int] = {}
    give = cluster.master._dispatch.give

    def watch(worker: int, given: Trial, now: float) -> Any:
        letter = give(worker, given, now)
        ended, count = cluster.master.ledger.ended, sum(1 for _ in cluster.master._dispatch.hands.held())
        held[ended] = max(count, held.get(ended, 0))
        return letter

    cluster.master._dispatch.give = watch  # type: ignore[method-assign]
    assert cluster.drive() == 0
    assert max(held.values()) >= 1
    assert all(count <= ended // HELD_SHARE for ended, count in held.items())


def test_a_trial_starts_in_the_records_when_the_one_before_it_ends(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=1, seconds=SHORT, budget=60)
    cluster.drive()
    ends = {record["number"]: record["completed"] for record in records(tmp_path, "finished")}
    starts = {record["number"]: record["time"] for record in records(tmp_path, "started")}
    for number in range(1, 60):
        assert starts[number] >= ends[number - 1]
        assert ends[number] - starts[number] <= 2.0 * SHORT


@pytest.mark.parametrize("death", [0.0003, 0.001, 0.00205])
def test_what_a_lost_worker_held_costs_no_retry(tmp_path: Path, death: float) -> None:
    cluster = Fragile(tmp_path, {2: death}, workers=3, seconds=SHORT, budget=150, retries=1)
    assert cluster.drive() == 0
    assert sorted(numbers(tmp_path)) == list(range(150))
    assert len(records(tmp_path, "lost")) <= 1
    assert "has failed" not in cluster.told


def test_a_stop_calls_held_trials_back_and_the_next_run_begins_with_them(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=3, seconds=SHORT, budget=400)
    pause(cluster, 0.002)
    held = {trial.number for _, trial in cluster.master._dispatch.hands.held()}
    assert len(held) > 6
    again = reopened(cluster)
    pending = {number for number, record in again.items() if record.outcome is None}
    assert held <= pending
    cluster = Cluster(tmp_path, workers=3, seconds=SHORT, budget=400)
    pause(cluster, 0.001)
    cluster.master.stop("a test", cluster.now)
    cluster.deliver(cluster.master.answer(cluster.now))
    assert cluster.drive() == 75
    left = [record for record in reopened(cluster).values() if record.outcome is None]
    assert all(record.started is None for record in left)
    last = Cluster(tmp_path, workers=3, seconds=SHORT, budget=400)
    assert last.drive() == 0
    assert sorted(numbers(tmp_path)) == list(range(400))


class Straggler(Cluster):
    """A worker's trials take a thousand times as long as the others'."""

    def deliver(self, letters: Any) -> None:
        for letter in letters:
            self.seconds = 1000 * SHORT if letter[0] == 2 and len(self.evaluated) > 40 else SHORT
            super().deliver([letter])


def test_idle_workers_get_what_a_straggler_holds(tmp_path: Path) -> None:
    cluster = Straggler(tmp_path, workers=3, seconds=SHORT, budget=120)
    assert cluster.drive() == 0
    assert sorted(numbers(tmp_path)) == list(range(120))
    assert set(cluster.evaluated.values()) == {1}
    slow = [record for record in records(tmp_path, "finished") if record["worker"].startswith("2@")]
    assert all(record["number"] < 110 for record in slow)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 60), st.integers(0, 10**6))
def test_whatever_happens_every_trial_ends_once(
    tmp_path_factory: pytest.TempPathFactory, workers: int, budget: int, seed: int
) -> None:
    folder, random = tmp_path_factory.mktemp("study"), Random(seed)
    for _ in range(3):
        deaths = {rank: random.uniform(0.0, 0.004) for rank in range(2, workers + 1) if random.random() < 0.3}
        cluster = Fragile(folder, deaths, workers=workers, seconds=SHORT, budget=budget, retries=1)
        deliver = cluster.deliver

        def uneven(letters: Any, cluster: Fragile = cluster, deliver: Any = deliver) -> None:
            for letter in letters:
                cluster.seconds = SHORT * random.choice([0.1, 1.0, 1.0, 30.0])
                deliver([letter])

        cluster.deliver = uneven  # type: ignore[method-assign]
        pause(cluster, random.uniform(0.0, 0.01))
        if random.random() < 0.5:
            cluster.master.stop("a test", cluster.now, grace=random.choice([0.0, 1.0]))
            cluster.deliver(cluster.master.answer(cluster.now))
            cluster.drive()
        cluster.run.close()
    assert Cluster(folder, workers=2, seconds=SHORT, budget=budget).drive() == 0
    ended = [record["number"] for record in records(folder, "finished")]
    assert sorted(ended) == list(range(budget))
    OPEN.clear()


def test_hands_know_who_has_what() -> None:
    hands = Hands()
    hands.enter(1)
    hands.enter(2)
    assert list(hands.idle) == [1, 2]
    worker = hands.idle.popleft()
    assert hands.give(worker, trial(0))
    assert not hands.give(worker, trial(1))
    assert [(who, held.number) for who, held in hands.held()] == [(1, 1)]
    assert hands.take(2, 0) is None
    assert hands.take(1, 0) == trial(0)
    assert hands.next_of(1) == trial(1)
    assert list(hands.roomy) == [1]
    assert hands.leave(1) == [trial(1)]
    assert len(hands) == 0
    assert list(hands.roomy) == []
    assert hands.leave(2) == []
    assert list(hands.idle) == []


def test_a_worker_begins_what_it_holds_in_order_and_gives_back_what_has_not_begun(tmp_path: Path) -> None:
    spec = ObjectiveSpec(objective="branin", command=None, folder=str(tmp_path))
    with Worker(WorkerDuty(spec, str(tmp_path), isolation="none"), threads=1) as worker:
        for number in range(4):
            assert worker.handle(Evaluate(trial(number))) is None
        worker.begin()
        assert worker.handle(Recall(0)) is None
        assert worker.handle(Recall(2)) == Returned(2)
        assert worker.handle(Recall(2)) is None
        worker.handle(Stop(3))
        done = []
        while not worker.idle:
            worker.begin()
            event = worker.poll(0.0)
            assert isinstance(event, Done)
            done.append(event.number)
        assert done == [0, 1, 3]


def test_a_worker_loads_the_objective_before_its_first_trial_comes(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("open('loaded', 'w').close()\n\ndef objective(config): return 0.0\n")
    spec = ObjectiveSpec(objective="train.py:objective", command=None, folder=str(tmp_path))
    with Worker(WorkerDuty(spec, str(tmp_path / "trials")), threads=1) as worker:
        until = time.monotonic() + 30.0
        while not list(tmp_path.glob("loaded")) and time.monotonic() < until:
            time.sleep(0.01)
        assert worker.idle
        assert (tmp_path / "loaded").exists()


def test_an_objective_that_fails_before_its_first_trial_comes_fails_with_that(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import os\nos._exit(3)\n")
    spec = ObjectiveSpec(objective="train.py:objective", command=None, folder=str(tmp_path))
    with Worker(WorkerDuty(spec, str(tmp_path / "trials")), threads=1) as worker:
        time.sleep(0.5)
        worker.handle(Evaluate(trial(0)))
        event = None
        while event is None:
            worker.begin()
            event = worker.poll(1.0)
        assert isinstance(event, Done)
        assert event.unloadable
        assert "exit status 3" in event.outcome.message

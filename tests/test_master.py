"""The master in virtual time, without MPI: budget, resuming, failures, stopping, the trainer, proposals ahead."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from virtual_cluster import Cluster, numbers, reopened

from mpi.mpi_definitions import (
    Done,
    Evaluate,
    Exit,
    Ready,
    Report,
    Start,
)
from utilities.trial import Outcome, TrialState


@pytest.mark.parametrize("workers", [1, 2, 5, 30])
@pytest.mark.parametrize("method", ["random", "gp"])
def test_the_budget_is_evaluated_exactly_once_each(tmp_path: Path, workers: int, method: str) -> None:
    cluster = Cluster(tmp_path, workers=workers, method=method)
    assert cluster.drive() == 0
    assert cluster.evaluated == Counter(range(12))
    assert sorted(numbers(tmp_path)) == list(range(12))
    assert cluster.exits == dict.fromkeys(range(1, workers + 1), 0)


def test_no_worker_is_idle_while_there_is_work(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=4, budget=40)
    cluster.drive()
    assert cluster.now == pytest.approx(10.0)
    assert cluster.master.ledger.busy_fraction(10.0) == pytest.approx(1.0)


def test_ranks_are_told_to_start_before_the_first_proposal_is_made(tmp_path: Path) -> None:
    """What they load and what the master loads for it are loaded side by side; the trial starts after both."""
    cluster = Cluster(tmp_path, workers=2, trainer=3, method="dngo")
    master = cluster.master
    for rank in (1, 2, 3):
        master.take(Ready("here", rank, rank), rank, 0.0)
    starts = master.greet()
    assert [(rank, type(message)) for rank, message in starts] == [(1, Start), (2, Start), (3, Start)]
    assert (cluster.optimizer.asked, cluster.optimizer.ready) == (0, 0)
    assert not master.greet()
    master.warm_up()
    assert cluster.optimizer.ready == 1
    assert [(rank, type(message)) for rank, message in master.answer(5.0)] == [(1, Evaluate), (2, Evaluate)]
    assert {record.started for record in cluster.run.records.values()} == {5.0}


def test_a_run_that_goes_on_with_trials_left_over_warms_nothing_up(tmp_path: Path) -> None:
    cut = Cluster(tmp_path, seconds=4.0)
    cut.drive(until=1.0)
    reopened(cut)
    again = Cluster(tmp_path)
    again.master.take(Ready("here", 1, 1), 1, 0.0)
    again.master.greet()
    again.master.warm_up()
    assert again.optimizer.ready == 0


def test_the_same_command_evaluates_nothing_again_and_a_larger_budget_extends(tmp_path: Path) -> None:
    Cluster(tmp_path).drive()
    again = Cluster(tmp_path)
    assert again.drive() == 0
    assert not again.evaluated
    more = Cluster(tmp_path, budget=20)
    more.drive()
    assert more.evaluated == Counter(range(12, 20))
    assert sorted(numbers(tmp_path)) == list(range(20))


def test_trials_cut_off_come_first_with_the_same_number_seed_and_configuration(tmp_path: Path) -> None:
    cut = Cluster(tmp_path, seconds=4.0)
    cut.drive(until=5.0)
    pending = {number: record.trial for number, record in reopened(cut).items() if record.outcome is None}
    assert len(pending) == 3
    again = Cluster(tmp_path)
    handed: list[Any] = []
    again.deliver = lambda letters: handed.extend(m.trial for _, m in letters if isinstance(m, Evaluate))  # type: ignore[method-assign]
    again.drive()
    assert {trial.number: trial for trial in handed[:3]} == pending


def test_failed_trials_count_and_are_named(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.outcome = lambda config, number: (  # type: ignore[method-assign]
        Outcome(TrialState.FAIL, message="ValueError: no\ntraceback")
        if number % 2
        else Outcome(TrialState.COMPLETE, 1.0)
    )
    assert cluster.drive() == 0
    assert cluster.master.ledger.states == {TrialState.COMPLETE: 6, TrialState.FAIL: 6}
    assert cluster.master.ledger.reasons == {"ValueError: no": 6}
    assert (tmp_path / "s" / "trials.csv").read_text().count("ValueError: no") == 6


def test_no_success_is_status_3(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.outcome = lambda config, number: Outcome(TrialState.FAIL, message="no")  # type: ignore[method-assign]
    assert cluster.drive() == 3


def test_an_objective_that_cannot_be_loaded_ends_the_run_and_costs_no_trial(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=1)
    letters = cluster.master.handle(Ready("node1"), 1, 0.0)
    number = next(m.trial.number for _, m in letters if isinstance(m, Evaluate))
    failure = Outcome(TrialState.FAIL, message="train.py: No module named 'xyz'")
    last = cluster.master.handle(Done(number, failure, unloadable=True), 1, 1.0)
    assert last == [(1, Exit(2))]
    assert "xyz" in cluster.master.ending.error
    assert reopened(cluster)[number].outcome is None


def test_a_time_limit_waits_for_running_trials_within_the_grace(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, time_limit=2.5, grace=10.0)
    assert cluster.drive() == 75
    assert cluster.now == pytest.approx(3.0)
    assert len(numbers(tmp_path)) == 9
    assert cluster.master.ending.stopped == "time limit"


def test_a_time_limit_that_cuts_nothing_off_is_no_early_end(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, time_limit=3.5, grace=10.0)
    assert cluster.drive() == 0
    assert cluster.master.ending.stopped == "time limit"
    assert cluster.master.ending.spent


def test_a_time_limit_cuts_off_what_outlasts_the_grace(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, time_limit=2.5, grace=0.2, seconds=2.0)
    for _ in range(6):
        cluster.now, _, rank, message = heapq.heappop(cluster.events)
        cluster.deliver(cluster.master.handle(message, rank, cluster.now))
    cluster.deliver(cluster.master.idle(2.5))
    assert not cluster.exits
    cluster.deliver(cluster.master.idle(2.8))
    assert set(cluster.exits.values()) == {75}


def test_a_time_limit_alone_is_a_planned_end(tmp_path: Path) -> None:
    assert Cluster(tmp_path, budget=None, time_limit=5.5).drive() == 0


def test_a_second_stop_ends_at_once(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=1, seconds=100.0)
    cluster.deliver(cluster.master.handle(Ready("node1"), 1, 0.0))
    cluster.master.stop("signal SIGINT", 1.0)
    assert cluster.master.idle(1.1) == []
    cluster.master.stop("signal SIGINT", 1.2)
    assert cluster.master.idle(1.2) == [(1, Exit(75))]


@pytest.mark.parametrize("ending", [False, True])
def test_a_trial_that_is_killed_with_its_run_is_cut_off_and_not_to_blame(tmp_path: Path, ending: bool) -> None:
    cluster = Cluster(tmp_path, workers=1, retries=0)
    letters = cluster.master.handle(Ready("node1"), 1, 0.0)
    number = next(m.trial.number for _, m in letters if isinstance(m, Evaluate))
    if ending:
        cluster.master.stop("signal SIGTERM", 1.0)
    killed = Outcome(TrialState.FAIL, message="the objective's process was killed by signal SIGTERM")
    after = cluster.master.handle(Done(number, killed, killed=True), 1, 1.1)
    assert ((1, Exit(75)) in after) == ending
    record = reopened(cluster)[number]
    assert (record.outcome is None) == ending
    assert not record.losses


def test_outcomes_that_cross_the_exit_are_recorded(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=1)
    letters = cluster.master.handle(Ready("node1"), 1, 0.0)
    number = next(m.trial.number for _, m in letters if isinstance(m, Evaluate))
    cluster.master.stop("signal SIGTERM", 1.0, grace=0.0)
    assert cluster.master.idle(1.0) == [(1, Exit(75))]
    assert cluster.master.handle(Done(number, Outcome(TrialState.COMPLETE, 4.0)), 1, 1.1) == []
    outcome = reopened(cluster)[number].outcome
    assert outcome is not None
    assert outcome.objective == 4.0


def test_a_finite_space_ends_the_run_early(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, method="grid", budget=500)
    assert cluster.drive() == 0
    assert cluster.master.exhausted
    assert len(numbers(tmp_path)) == 25


@pytest.mark.parametrize("method", ["gp", "dngo"])
def test_the_trainer_gets_each_row_once_and_the_master_goes_on_meanwhile(tmp_path: Path, method: str) -> None:
    cluster = Cluster(tmp_path, workers=3, trainer=1, method=method, budget=30)
    assert cluster.drive() == 0
    assert cluster.evaluated == Counter(range(30))
    assert [fit.known for fit in cluster.fits] == [0, *np.cumsum([len(fit.y.unpack()) for fit in cluster.fits])[:-1]]
    assert len(cluster.fits) >= 4
    assert cluster.optimizer.fit_state is not None
    assert cluster.optimizer.best is not None
    assert cluster.optimizer.best.objective < 0.5
    during = [event for event in cluster.run.records.values() if event.origin == "model"]
    assert len(during) >= 10


def test_a_fit_that_ends_after_the_run_is_not_followed_by_another(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, trainer=1, method="gp", seconds=0.1, budget=9)
    cluster.drive()
    late = cluster.trainer.fit(cluster.fits[-1])
    assert cluster.master.handle(late, 1, cluster.now) == []
    assert cluster.optimizer.fit_due() == "gp"


def test_a_run_with_a_trainer_never_fits_on_the_master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(tmp_path, workers=2, trainer=1, method="gp", budget=12)
    monkeypatch.setattr("utilities.model.Model.refit", lambda *_: pytest.fail("the master fitted"))
    assert cluster.drive() == 0


def test_a_rank_that_reports_after_the_end_is_sent_home(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.drive()
    assert cluster.master.handle(Ready("node9"), 9, cluster.now) == [(9, Exit(0))]
    assert not cluster.master.dismissed
    cluster.master.handle(Exit(0), 9, cluster.now)
    assert cluster.master.dismissed


def test_reports_are_kept(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=1)
    cluster.deliver(cluster.master.handle(Ready("node1"), 1, 0.0))
    cluster.master.handle(Report(0, 3, 0.25), 1, 0.5)
    cluster.run.close()
    lines = (tmp_path / "s" / "journal.jsonl").read_text().splitlines()
    assert any(json.loads(line).get("step") == 3 for line in lines)


def test_messages_for_others_are_refused(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    with pytest.raises(TypeError, match="does not expect Evaluate"):
        cluster.master.take(Evaluate(cluster.optimizer.ask()), 1, 0.0)

"""The master without some of its ranks, in virtual time: retries, a trainer that is replaced, failures in a row."""

from __future__ import annotations

import heapq
from collections import Counter
from pathlib import Path

import pytest
from virtual_cluster import Cluster, numbers, reopened

from mpi.mpi_definitions import Done, Evaluate, Exit, Letter, Message, Start
from utilities.trial import Outcome, TrialState


class Fragile(Cluster):
    """Ranks that die when they are told to; what they were about to say is never said.

    Parameters
    ----------
    deaths
        Times by rank.
    """

    def __init__(self, folder: Path, deaths: dict[int, float], *, workers: int = 3, **settings: object) -> None:
        super().__init__(folder, workers=workers, **settings)  # type: ignore[arg-type]
        self.deaths, self.dead = dict(deaths), set[int]()
        self.size = workers + (self.trainer_rank is not None)
        self.duties: dict[int, list[str]] = {}

    def deliver(self, letters: list[Letter]) -> None:
        for rank, message in letters:
            if isinstance(message, Start):
                self.duties.setdefault(rank, []).append(type(message.duty).__name__)
        super().deliver([letter for letter in letters if letter[0] not in self.dead])

    def drive(self, until: float = 1e6) -> int:
        while not (self.master.over and self.master.dismissed) and self.events and self.now < until:
            due = min(self.deaths.items(), key=lambda death: death[1], default=(0, float("inf")))
            if due[1] <= self.events[0][0]:
                rank, self.now = due
                del self.deaths[rank]
                self.dead.add(rank)
                self.master.lose(rank, others=self.size - len(self.dead), now=self.now)
            else:
                self.now, _, rank, message = heapq.heappop(self.events)
                if rank in self.dead:
                    continue
                self.master.take(message, rank, self.now)
            self.deliver(self.master.answer(self.now))
            self.deliver(self.master.idle(self.now))
        self.run.close()
        return self.master.status

    @property
    def told(self) -> str:
        return self.display._stream.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("deaths", [{2: 1.5}, {1: 0.5, 3: 2.5}, {1: 1.0, 2: 1.0}])
def test_the_trial_of_a_lost_worker_is_evaluated_by_another(tmp_path: Path, deaths: dict[int, float]) -> None:
    cluster = Fragile(tmp_path, deaths)
    assert cluster.drive() == 0
    assert sorted(numbers(tmp_path)) == list(range(12))
    assert sum(cluster.evaluated.values()) == 12 + len(deaths)
    assert cluster.master.ledger.states == {TrialState.COMPLETE: 12}
    assert cluster.master.ledger.retries == len(deaths)
    assert cluster.master.ledger.lost_ranks == [f"rank {rank} on node{rank}" for rank in deaths]
    for rank in deaths:
        assert f"rank {rank} on node{rank} was lost; trial " in cluster.told
    twice = [number for number, count in cluster.evaluated.items() if count == 2]
    for number in twice:
        (loss,) = reopened(cluster)[number].losses
        assert loss.reason == f"rank {loss.worker.replace('@', ' on ')} was lost"
    assert set(cluster.exits) == {1, 2, 3} - deaths.keys()


def test_a_trial_that_loses_its_workers_again_and_again_fails_in_the_end(tmp_path: Path) -> None:
    cluster = Fragile(tmp_path, {}, workers=5, retries=2)
    fatal: list[int] = []

    def die_of_trial_3(letters: list[Letter]) -> None:
        for rank, message in letters:
            if isinstance(message, Evaluate) and message.trial.number == 3:
                cluster.deaths[rank] = cluster.now + 0.5
                fatal.append(rank)
        Fragile.deliver(cluster, letters)

    cluster.deliver = die_of_trial_3  # type: ignore[method-assign]
    assert cluster.drive() == 0
    assert len(fatal) == 3
    assert sorted(numbers(tmp_path)) == list(range(12))
    record = reopened(cluster)[3]
    assert record.outcome is not None
    assert record.outcome.state is TrialState.FAIL
    assert record.outcome.reason.endswith("was lost")
    assert len(record.losses) == 2
    assert "trial 3 has failed: it was tried 3 times" in cluster.told


def test_retries_are_counted_over_runs(tmp_path: Path) -> None:
    first = Fragile(tmp_path, {1: 0.5}, workers=1, retries=1)
    assert first.drive() == 75
    assert first.master.ending.stopped == "every other rank was lost"
    second = Fragile(tmp_path, {1: 0.5}, workers=2, retries=1)
    assert second.drive() == 0
    assert reopened(second)[0].outcome is not None
    assert reopened(second)[0].outcome.state is TrialState.FAIL  # type: ignore[union-attr]
    assert sorted(numbers(tmp_path)) == list(range(12))


def test_no_retry_where_none_is_allowed(tmp_path: Path) -> None:
    cluster = Fragile(tmp_path, {2: 1.5}, retries=0)
    assert cluster.drive() == 0
    assert cluster.master.ledger.states == {TrialState.COMPLETE: 11, TrialState.FAIL: 1}
    assert sum(cluster.evaluated.values()) == 12


def test_a_worker_takes_over_from_a_lost_trainer(tmp_path: Path) -> None:
    cluster = Fragile(tmp_path, {1: 8.5}, workers=3, trainer=1, method="gp", budget=60)
    assert cluster.drive() == 0
    assert cluster.evaluated == Counter(range(60))
    (heir,) = (rank for rank, duties in cluster.duties.items() if duties == ["WorkerDuty", "TrainerDuty"])
    assert f"rank 1 on node1 was lost, which was the trainer\nrank {heir} on node{heir} refits" in cluster.told
    resent = [fit for fit in cluster.fits if fit.known == 0]
    assert len(resent) == 2
    assert resent[1].previous is not None
    assert len(cluster.fits) > cluster.fits.index(resent[1]) + 1


def test_the_master_refits_where_one_worker_is_left(tmp_path: Path) -> None:
    cluster = Fragile(tmp_path, {1: 8.5}, workers=1, trainer=1, method="gp", budget=20)
    assert cluster.drive() == 0
    assert cluster.evaluated == Counter(range(20))
    assert "the master refits the surrogate from now on" in cluster.told
    assert cluster.optimizer.fit_state is not None
    assert cluster.optimizer.fit_state.rows > 15


def test_the_trainer_evaluates_where_no_worker_is_left(tmp_path: Path) -> None:
    cluster = Fragile(tmp_path, {2: 8.5, 3: 9.5}, workers=2, trainer=1, method="gp", budget=24)
    assert cluster.drive() == 0
    assert sorted(numbers(tmp_path)) == list(range(24))
    assert cluster.duties[1] == ["TrainerDuty", "WorkerDuty"]
    assert "rank 1 on node1 evaluates from now on, and the master refits the surrogate" in cluster.told


def test_a_rank_lost_before_it_reported_is_named_and_missed_by_nobody(tmp_path: Path) -> None:
    cluster = Fragile(tmp_path, {})
    cluster.master.lose(9, others=3, now=0.0)
    assert "rank 9 was lost\n" in cluster.told
    assert cluster.drive() == 0
    assert 9 not in cluster.exits


def test_a_rank_lost_at_the_very_end_is_not_waited_for(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=2, budget=2)
    cluster.deliver = lambda letters: Cluster.deliver(  # type: ignore[method-assign]
        cluster, [letter for letter in letters if not isinstance(letter[1], Exit) or letter[0] == 1]
    )
    cluster.drive()
    assert not cluster.master.dismissed
    cluster.master.lose(2, others=1, now=cluster.now)
    assert cluster.master.dismissed
    assert cluster.master.status == 0


def test_what_a_lost_rank_sent_too_late_changes_nothing(tmp_path: Path) -> None:
    cluster = Fragile(tmp_path, {})
    late: list[Message] = []

    def watch(letters: list[Letter]) -> None:
        late.extend(
            Done(m.trial.number, Outcome(TrialState.COMPLETE, -99.0))
            for r, m in letters
            if r == 2 and isinstance(m, Evaluate)
        )
        if 2 in cluster.dead and late:
            cluster.master.take(late.pop(), 2, cluster.now)
        Fragile.deliver(cluster, letters)

    cluster.deliver = watch  # type: ignore[method-assign]
    cluster.deaths[2] = 0.5
    assert cluster.drive() == 0
    assert sorted(numbers(tmp_path)) == list(range(12))
    assert not late
    assert all(record.outcome and record.outcome.objective != -99.0 for record in reopened(cluster).values())


# --- trials that were killed ------------------------------------------------------------------------------------------


def test_a_killed_trial_is_evaluated_again_and_fails_where_it_is_killed_every_time(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, retries=2)
    killed = "the objective's process was killed by signal SIGKILL (out of memory?)"

    def deliver(letters: list[Letter]) -> None:
        for rank, message in letters:
            number = message.trial.number if isinstance(message, Evaluate) else None
            if number == 5 or (number == 4 and cluster.evaluated[4] == 0):
                cluster.evaluated[number] += 1
                failed = Outcome(TrialState.FAIL, seconds=1.0, message=f"{killed}\ntail of its output")
                cluster._post(1.0, rank, Done(number, failed, killed=True))
            else:
                Cluster.deliver(cluster, [(rank, message)])

    cluster.deliver = deliver  # type: ignore[method-assign]
    assert cluster.drive() == 0
    assert (cluster.evaluated[4], cluster.evaluated[5], cluster.evaluated[6]) == (2, 3, 1)
    records = reopened(cluster)
    assert [loss.reason for loss in records[4].losses] == [killed]
    assert records[4].outcome is not None
    assert records[4].outcome.state is TrialState.COMPLETE
    assert len(records[5].losses) == 2
    assert records[5].outcome is not None
    assert records[5].outcome.message == f"{killed}\ntail of its output"
    assert sorted(numbers(tmp_path)) == list(range(12))


# --- failures in a row ------------------------------------------------------------------------------------------------


def failing(cluster: Cluster, numbers_: range) -> None:
    cluster.outcome = lambda config, number: (  # type: ignore[method-assign]
        Outcome(TrialState.FAIL, seconds=1.0, message="OSError: no such file")
        if number in numbers_
        else Outcome(TrialState.COMPLETE, 1.0, seconds=1.0)
    )


def test_failures_in_a_row_end_the_run(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=1, budget=100, max_consecutive_failures=10)
    failing(cluster, range(3, 100))
    assert cluster.drive() == 3
    assert cluster.master.ending.stopped == "10 trials failed in a row"
    assert len(numbers(tmp_path)) == 13
    again = Cluster(tmp_path, workers=1, budget=20, max_consecutive_failures=10)
    assert again.drive() == 0
    assert sorted(numbers(tmp_path)) == list(range(20))


def test_a_success_between_failures_starts_the_count_anew(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=1, budget=30, max_consecutive_failures=10)
    cluster.outcome = lambda config, number: (  # type: ignore[method-assign]
        Outcome(TrialState.COMPLETE, 1.0) if number % 10 == 9 else Outcome(TrialState.FAIL, message="no")
    )
    assert cluster.drive() == 0
    assert len(numbers(tmp_path)) == 30


def test_running_trials_are_waited_for_when_failures_end_the_run(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=4, budget=100, max_consecutive_failures=6)
    failing(cluster, range(100))
    assert cluster.drive() == 3
    assert len(numbers(tmp_path)) == 6 + 3
    assert not [r for r in reopened(cluster).values() if r.outcome is None]

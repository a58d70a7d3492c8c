"""Trials that are evaluated on instances, part by part: the master, the journal, crashes."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_cluster import SPACE, Cluster, bowl, reopened

from mpi.mpi_definitions import Done, Evaluate, Letter
from mpi.mpi_hands import Hands
from mpi.mpi_race import Parts
from utilities.budgets import Fidelity
from utilities.errors import StudyError
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.storage.records import Asked, Finished, Header, Measured, decode_record, encode_record, intact
from utilities.storage.repair import repair
from utilities.storage.replay import Replay
from utilities.storage.study import Study
from utilities.trial import Outcome, Trial, TrialRecord, TrialState

INSTANCES = ["spring", "summer", "autumn", "winter", "leap"]


class Race(Cluster):
    """A cluster whose evaluations depend on the instance, and fail where `failing` says so."""

    def __init__(self, folder: Path, failing: set[tuple[int, int]] = frozenset(), **settings: Any) -> None:  # type: ignore[assignment]
        self.failing, self.given = failing, []
        super().__init__(folder, **{"instances": INSTANCES, **settings})

    def deliver(self, letters: list[Letter]) -> None:
        for rank, message in letters:
            if not isinstance(message, Evaluate):
                super().deliver([(rank, message)])
                continue
            trial = message.trial
            self.given.append(trial)
            running = [e for e in self.events if e[2] == rank and isinstance(e[3], Done)]
            assert trial.number not in [e[3].number for e in running], "a worker has two parts of one trial"
            self._free[rank] = max(self.now, self._free.get(rank, 0.0)) + self.seconds
            self._post(self._free[rank] - self.now, rank, Done(trial.number, self.of(trial)))

    def of(self, trial: Trial) -> Outcome:
        assert trial.part is not None
        if (trial.number, trial.part) in self.failing:
            return Outcome(TrialState.FAIL, seconds=self.seconds, message="ValueError: no")
        noise = 0.1 * float(np.random.default_rng([trial.number, trial.part]).standard_normal())
        value = bowl(trial.config) + 10.0 * trial.part + noise
        return Outcome(TrialState.COMPLETE, value, {"part": float(trial.part)}, self.seconds)


@pytest.mark.parametrize("workers", [1, 2, 7, 40])
def test_a_study_is_raced_and_keeps_its_workers_busy(tmp_path: Path, workers: int) -> None:
    cluster = Race(tmp_path, workers=workers, budget=30)
    assert cluster.drive() == 0
    parts = Counter((trial.number, trial.part) for trial in cluster.given)
    assert set(parts.values()) == {1}
    assert len(parts) < 0.85 * 30 * len(INSTANCES)
    assert cluster.now <= 1.3 * len(parts) / workers + 3 * len(INSTANCES)
    for trial in cluster.given:
        assert trial.instance == INSTANCES[trial.part or 0]
    seeds = {(trial.part, trial.seed) for trial in cluster.given}
    assert len(seeds) == len({seed for _, seed in seeds}) == len(INSTANCES)
    states = Counter()
    for number, record in cluster.run.records.items():
        outcome = record.outcome or pytest.fail(f"trial {number} has not ended")
        states[outcome.state] += 1
        values = [part.objective or 0.0 for part in record.parts.values()]
        assert outcome.metrics["instances"] == len(values) == sum(n == number for n, _ in parts)
        assert outcome.standard_error == outcome.metrics["standard_error"] >= 0.0
        if outcome.state is TrialState.COMPLETE:
            assert len(values) == len(INSTANCES)
            assert outcome.objective == pytest.approx(np.mean(values))
            assert outcome.metrics["part"] == 2.0
        else:
            assert outcome.objective == pytest.approx(bowl(record.trial.config) + 20.0, abs=1.0)
    assert states[TrialState.PRUNED] > 5
    best = cluster.optimizer.best or pytest.fail("nothing was found")
    complete = [r for r in cluster.run.records.values() if r.outcome and r.outcome.state is TrialState.COMPLETE]
    assert best.objective == min(r.outcome.objective for r in complete if r.outcome)


def test_a_failure_on_one_instance_fails_the_trial_once_its_parts_are_in(tmp_path: Path) -> None:
    cluster = Race(tmp_path, {(1, part) for part in range(5)} | {(4, 2)}, workers=4, budget=8, race_alpha=0.0)
    assert cluster.drive() == 0
    records = reopened(cluster)
    assert [n for n, r in records.items() if r.state is TrialState.FAIL] == [1, 4]
    assert {r.state for n, r in records.items() if n not in (1, 4)} == {TrialState.COMPLETE}
    four = records[4].outcome or pytest.fail("trial 4 has not ended")
    assert four.reason == "on instance autumn: ValueError: no"
    assert len([t for t in cluster.given if t.number == 1]) < 5


def test_maximise_is_minimise_the_other_way_round(tmp_path: Path) -> None:
    class Other(Race):
        def of(self, trial: Trial) -> Outcome:
            outcome = super().of(trial)
            return Outcome(outcome.state, -(outcome.objective or 0.0), outcome.metrics, outcome.seconds)

    found = []
    for kind, direction in ((Race, "minimize"), (Other, "maximize")):
        (tmp_path / direction).mkdir()
        cluster = kind(tmp_path / direction, workers=3, budget=20, direction=direction)
        cluster.optimizer._sign = 1.0 if direction == "minimize" else -1.0
        cluster.drive()
        found.append([(r.state, abs(r.outcome.objective or 0.0)) for r in cluster.run.records.values() if r.outcome])
    assert found[0] == found[1]


@pytest.mark.parametrize("until", [0.5, 3.2, 7.7, 12.1, 20.4])
@pytest.mark.parametrize("workers", [1, 4])
def test_what_was_evaluated_before_a_crash_is_evaluated_no_more(tmp_path: Path, until: float, workers: int) -> None:
    first = Race(tmp_path, {(2, 1)}, workers=workers, budget=15)
    first.drive(until)
    known = {(n, part) for n, record in first.run.records.items() for part in record.parts}
    second = Race(tmp_path, {(2, 1)}, workers=workers, budget=15)
    assert second.drive() == 0
    given = [(trial.number, trial.part) for trial in second.given]
    assert not known & set(given)
    assert len(given) == len(set(given))
    assert all(record.outcome is not None for record in second.run.records.values())
    assert len(second.run.records) == 15
    for number, record in second.run.records.items():
        assert set(record.parts) == {part for n, part in known | set(given) if n == number}


def test_a_trial_whose_last_part_was_recorded_and_not_its_end_ends_in_the_next_run(tmp_path: Path) -> None:
    first = Race(tmp_path, workers=2, budget=6)
    first.drive()
    journal = tmp_path / "s" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if b'"type":"finished"' in line)
    journal.write_bytes(b"".join(lines[:last]))
    second = Race(tmp_path, workers=2, budget=6)
    assert second.drive() == 0
    assert second.given == []
    same = [first.run.records[n].outcome == record.outcome for n, record in second.run.records.items()]
    assert all(same)


def test_other_instances_are_another_study(tmp_path: Path) -> None:
    Race(tmp_path, workers=1, budget=2).drive()
    with pytest.raises(StudyError, match=r"\[study\] instances: was \[.*\], now \[0, 1\]"):
        Race(tmp_path, workers=1, budget=2, instances=[0, 1])


@given(count=st.integers(2, 7), budget=st.integers(1, 8), seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_every_trial_ends_whatever_the_order_of_outcomes_failures_and_crashes(
    count: int, budget: int, seed: int
) -> None:
    space = Space.from_dict(SPACE)
    names = list(range(count))
    study = Study(name="s", objective="x", space=space, folder=Path(), source="", instances=names)
    optimizer, hands = Optimizer(space, "random", 0), Hands()
    parts = Parts(names, study, 0, hands)
    records: dict[int, TrialRecord] = {}
    out: list[Trial] = []
    done: Counter[tuple[int, int | None]] = Counter()
    rng = np.random.default_rng(seed)
    while True:
        for trial, outcome in parts.settle():
            assert records[trial.number].outcome is None
            records[trial.number].outcome = outcome
        if rng.random() < 0.03:  # a crash: what is out is lost, what is in is known
            parts, out = Parts(names, study, 0, hands), []
            parts.restore(records.values())
            continue
        part = parts.next(0) if len(out) < 3 else None
        if part is None and len(records) < budget and len(out) < 3:
            trial = optimizer.ask()
            records[trial.number] = TrialRecord(trial, "random")
            parts.enter(trial)
        elif part is not None:
            out.append(part)
        elif not out:
            break
        else:
            part = out.pop(int(rng.integers(len(out))))
            failed = rng.random() < 0.1
            outcome = Outcome(TrialState.FAIL) if failed else Outcome(TrialState.COMPLETE, float(rng.standard_normal()))
            assert part.part is not None
            records[part.number].parts[part.part] = outcome
            done[part.number, part.part] += 1
            parts.take(part, outcome)
    assert len(parts) == 0
    assert len(records) == budget
    assert all(record.outcome is not None for record in records.values())
    assert set(done.values()) <= {1}


# --- records ----------------------------------------------------------------------------------------------------------


def test_a_part_is_kept_as_it_was() -> None:
    outcome = Outcome(TrialState.COMPLETE, float("inf"), {"a": float("nan")}, 1.5, "")
    line = encode_record(Measured(3, 2, outcome, "1@n", 1.0, 2.5))
    back = decode_record(intact(line) or b"")
    assert isinstance(back, Measured)
    assert (back.number, back.part, back.outcome.objective) == (3, 2, float("inf"))
    certain = encode_record(Finished(3, Outcome(TrialState.COMPLETE, 1.0), "1@n", 1.0, 2.0))
    assert b"standard_error" not in certain
    known = Finished(3, Outcome(TrialState.COMPLETE, 1.0, standard_error=0.5), "1@n", 1.0, 2.0)
    assert decode_record(intact(encode_record(known)) or b"") == known


def test_the_first_outcome_of_a_part_stands() -> None:
    header = Header(
        name="s",
        direction="minimize",
        objective="x",
        command=None,
        space=SPACE,
        seed=0,
        method="gp",
        created=0.0,
        versions={},
    )
    replay, trial = Replay(header), Trial(0, {"x": 0.0, "y": 0.0})
    replay.apply(Asked(trial, "initial"))
    one, other = (Outcome(TrialState.COMPLETE, value) for value in (1.0, 2.0))
    assert replay.apply(Measured(0, 1, one, "1@n", 1.0, 2.0))
    assert not replay.apply(Measured(0, 1, other, "1@n", 1.0, 2.0))
    assert replay.trials[0].parts == {1: one}
    assert (replay.trials[0].started, replay.trials[0].worker) == (1.0, "1@n")


def test_a_damaged_part_is_taken_out_and_evaluated_again(tmp_path: Path) -> None:
    Race(tmp_path, workers=2, budget=4, race_alpha=0.0).drive()
    journal = tmp_path / "s" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    hit = next(i for i, line in enumerate(lines) if b'"type":"measured","number":3' in line)
    lines = [line for i, line in enumerate(lines) if b'"type":"finished","number":3' not in line]
    lines[hit] = lines[hit].replace(b'"COMPLETE"', b'"COMPLETF"')
    journal.write_bytes(b"".join(lines))
    assert [str(line) for line in repair(tmp_path / "s").damaged] == [f'line {hit + 1} ("measured" of trial 3)']
    again = Race(tmp_path, workers=2, budget=4, race_alpha=0.0)
    again.drive()
    assert [trial.number for trial in again.given] == [3]


def test_with_budgets_each_part_has_the_full_one() -> None:
    study = Study(
        name="again",
        objective="branin",
        instances=[None, None],
        race_alpha=0.0,
        fidelity=Fidelity(low=1, high=9),
        space=Space.from_dict({"x": {"type": "float", "low": 0.0, "high": 1.0}}),
        folder=Path(),
        source="again",
    )
    hands = Hands()
    for worker in (1, 2):
        hands.enter(worker)
    parts = Parts([None, None], study, 0, hands)
    parts.enter(Trial(0, {"x": 0.5}))
    given = [parts.next(worker) for worker in (1, 2)]
    assert [(trial.part, trial.budget, trial.previous_budget) for trial in given if trial] == [(0, 9, 0), (1, 9, 0)]

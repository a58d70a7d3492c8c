"""Budgets as the master sees them: runs in virtual time, their journals, what they leave, how they are continued."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_cluster import Cluster, bowl

from benchmarks.faults.budgets import Trials
from mpi.mpi_definitions import Done, Evaluate, Ready, Report, Stop
from reverie.report.content import compose
from reverie.report.curves import rungs_of
from reverie.report.evidence import read_evidence
from reverie.report.workers import workers
from utilities.budgets import Fidelity
from utilities.early_stopping import EarlyStopping
from utilities.errors import StudyError
from utilities.stopping_rule import Settings
from utilities.storage.repair import repair
from utilities.storage.run_folder import RunFolder
from utilities.trial import Outcome, Trial, TrialState

FIDELITY = Fidelity(name="epochs", low=1, high=9, eta=2)  # rungs 1, 2, 4 and 9
BUDGETS = FIDELITY.budgets


class Studio(Cluster):
    """A cluster whose trials come to less with a larger budget; some fail."""

    failing: frozenset[tuple[int, float]] = frozenset()

    def outcome(self, config: dict[str, Any], number: int) -> Outcome:
        budget = self.run.records[number].budget
        assert budget is not None
        if (number, budget) in self.failing:
            return Outcome(TrialState.FAIL, seconds=self.seconds, message="diverged")
        return Outcome(TrialState.COMPLETE, bowl(config) + 1.0 / budget, {"loss": 0.5}, self.seconds)


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "s" / "journal.jsonl").read_text().splitlines()]


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "s" / "trials.csv").read_text().splitlines()))


def check(folder: Path, budget: int) -> Trials:
    """See that the journal promotes at each moment whom a search through everything would."""
    trials = Trials()
    for record in journal(folder):
        if record["type"] == "promoted":
            assert trials.to_promote(budget) == record["number"]
        trials.take(record)
    return trials


@pytest.mark.parametrize("workers", [1, 3, 8])
@pytest.mark.parametrize("method", ["random", "gp"])
def test_a_run_promotes_the_best_of_each_rung_to_the_end(tmp_path: Path, workers: int, method: str) -> None:
    cluster = Studio(tmp_path, workers=workers, method=method, budget=24, fidelity=FIDELITY)
    assert cluster.drive() == 0
    trials = check(tmp_path, 24)
    assert len(trials.first) == 24
    assert trials.to_promote(24) is None
    assert not trials.running
    assert trials.completed == len([1 for record in journal(tmp_path) if record["type"] == "finished"]) > 0
    for record in cluster.run.records.values():
        reached = [rung.budget for rung in record.rungs]
        assert reached == list(BUDGETS[: len(reached)])
        assert [rung.outcome.objective for rung in record.rungs] == [bowl(record.trial.config) + 1 / b for b in reached]
    assert max(cluster.evaluated.values()) == len(BUDGETS)
    assert cluster.optimizer.best is not None


@pytest.mark.parametrize("budget", [1, 2, 3])
def test_however_few_trials_one_gets_the_full_budget(tmp_path: Path, budget: int) -> None:
    cluster = Studio(tmp_path, budget=budget, fidelity=FIDELITY)
    assert cluster.drive() == 0
    assert check(tmp_path, budget).completed == 1
    states = sorted(record.state for record in cluster.run.records.values())
    assert states == ["COMPLETE", *["PAUSED"] * (budget - 1)]


def test_where_the_best_fails_with_more_the_next_best_goes_on(tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    cluster = Studio(first, workers=1, budget=2, fidelity=FIDELITY)
    cluster.drive()
    assert cluster.optimizer.best is not None
    best = cluster.optimizer.best.number
    cluster = Studio(again, workers=1, budget=2, fidelity=FIDELITY)
    cluster.failing = frozenset({(best, 4)})
    assert cluster.drive() == 0
    assert cluster.optimizer.best is not None
    assert cluster.optimizer.best.number == 1 - best
    record = cluster.run.records[best]
    assert record.state is TrialState.FAIL
    assert [rung.budget for rung in record.rungs] == [1, 2]


def cut(folder: Path, lines: int) -> None:
    """Leave what a run that was killed after so many records would."""
    path = folder / "s" / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:lines]))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_killed_after_any_record_it_comes_to_the_same_end(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """One worker, so that the order is the same: every trial ends as it would have, and nothing is evaluated twice."""
    whole, broken = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("broken")
    own: dict[str, Any] = {"workers": 1, "budget": 9, "fidelity": FIDELITY}
    Studio(whole, **own).drive()
    expected = [r for r in journal(whole) if r["type"] in ("paused", "finished", "promoted")]
    Studio(broken, **own).drive()
    cut(broken, data.draw(st.integers(2, len(journal(whole)))))
    there = [r for r in journal(broken) if r["type"] in ("paused", "finished")]
    again = Studio(broken, **own)
    assert again.drive() == 0
    found = [r for r in journal(broken) if r["type"] in ("paused", "finished", "promoted")]

    def essence(record: dict[str, Any]) -> tuple[Any, ...]:
        return record["type"], record["number"], record.get("budget"), record.get("outcome", {}).get("objective")

    assert list(map(essence, found)) == list(map(essence, expected))
    evaluated = sum(again.evaluated.values())
    assert evaluated == len([r for r in found if r["type"] != "promoted"]) - len(there)
    check(broken, 9)


def test_a_larger_budget_promotes_trials_that_were_paused_before(tmp_path: Path) -> None:
    Studio(tmp_path, workers=2, budget=10, fidelity=FIDELITY).drive()
    before = {record["number"] for record in journal(tmp_path) if record["type"] == "promoted"}
    Studio(tmp_path, workers=2, budget=40, fidelity=FIDELITY).drive()
    check(tmp_path, 40)
    after = {record["number"] for record in journal(tmp_path) if record["type"] == "promoted"}
    assert {number for number in after - before if number < 10}


# --- what a run leaves ------------------------------------------------------------------------------------------------


def test_the_table_has_the_paused_trials_once_the_study_is_through(tmp_path: Path) -> None:
    cluster = Studio(tmp_path, budget=20, fidelity=FIDELITY)
    cluster.failing = frozenset({(0, 1), (1, 2)})
    cluster.drive()
    with closing(RunFolder.open(tmp_path, cluster.study)) as run:
        run.conclude()
        assert run.messages == []
    found = {int(row["number"]): row for row in rows(tmp_path)}
    assert sorted(found) == list(range(20))
    assert list(found[0])[6:] == [
        "params_x",
        "params_y",
        "user_attrs_failure",
        "user_attrs_worker",
        "user_attrs_origin",
        "user_attrs_budget",
        "user_attrs_loss",
    ]
    for number, record in cluster.run.records.items():
        row = found[number]
        assert float(row["user_attrs_budget"]) == record.budget
        if record.paused:
            value, loss = str(record.rungs[-1].outcome.objective), "0.5"
            assert (row["state"], row["value"], row["user_attrs_loss"]) == ("PRUNED", value, loss)
            assert row["user_attrs_worker"] == record.rungs[-1].worker != ""
        else:
            assert row["state"] == record.state
        assert row["datetime_start"] < row["datetime_complete"]
    with closing(RunFolder.open(tmp_path, cluster.study)) as run:
        assert run.messages == []
    assert {row["state"] for row in rows(tmp_path)} == {"COMPLETE", "FAIL"}, "another run takes them out again"


def test_a_table_that_was_tampered_with_is_told_all_the_same(tmp_path: Path) -> None:
    cluster = Studio(tmp_path, budget=12, fidelity=FIDELITY)
    cluster.drive()
    with closing(RunFolder.open(tmp_path, cluster.study)) as run:
        run.conclude()
    path = tmp_path / "s" / "trials.csv"
    path.write_text(path.read_text().replace("PRUNED", "PRUMED", 1))
    with closing(RunFolder.open(tmp_path, cluster.study)) as run:
        run.sync()
    assert any("did not match" in message for message in run.messages)


def test_the_archive_has_every_evaluation(tmp_path: Path) -> None:
    cluster = Studio(tmp_path, budget=20, fidelity=FIDELITY)
    cluster.failing = frozenset({(3, 1)})
    cluster.drive()
    cluster.run.checkpoint({}, cluster.optimizer.space)
    with h5py.File(tmp_path / "s" / "study.h5") as file:
        columns = {name: values[()].tolist() for name, values in file["evaluations"].items()}
        states = file["trials/state"].asstr()[()].tolist()
    found = set(zip(columns["number"], columns["budget"], strict=True))
    told = {(r["number"], r["budget"]) for r in journal(tmp_path) if r["type"] == "paused"}
    ends = {
        (r["number"], cluster.run.records[r["number"]].budget) for r in journal(tmp_path) if r["type"] == "finished"
    }
    assert found == told | ends
    assert len(columns["number"]) == len(found)
    assert states.count("PAUSED") == sum(record.paused for record in cluster.run.records.values())


@pytest.mark.parametrize("through", [True, False])
def test_folders_of_paused_trials_are_kept_while_they_may_go_on(tmp_path: Path, through: bool) -> None:
    cluster = Studio(tmp_path, workers=2, budget=12, fidelity=FIDELITY, keep_best=2)
    trials = tmp_path / "s" / "trials"
    for number in range(12):
        (trials / str(number)).mkdir(parents=True)
    if through:
        cluster.drive()
    else:
        cluster.drive(until=6.0)
    left = {int(path.name) for path in trials.iterdir() if path.name.isdigit()}
    records = cluster.run.records
    if through:
        complete = [r for r in records.values() if r.state is TrialState.COMPLETE]
        best = sorted(complete, key=lambda r: r.outcome.objective)[:2]  # type: ignore[union-attr]
        assert left == {record.trial.number for record in best}
        assert {record.state for record in records.values()} == {TrialState.COMPLETE, TrialState.PRUNED}
        assert cluster.master.ledger.states[TrialState.PAUSED] == 0
    else:
        paused = {number for number, record in records.items() if record.paused}
        assert paused
        assert paused <= left


def test_closed_trials_are_promoted_no_more(tmp_path: Path) -> None:
    own: dict[str, Any] = {"workers": 1, "fidelity": FIDELITY, "keep_best": 1}
    Studio(tmp_path, budget=10, **own).drive()
    ended = {r["number"] for r in journal(tmp_path) if r["type"] == "finished"}
    assert ended == set(range(10))
    Studio(tmp_path, budget=30, **own).drive()
    later = [r for r in journal(tmp_path) if r["type"] == "promoted"]
    again = [r["number"] for r in later[len([r for r in later if r["number"] < 10]) :]]
    assert again
    assert min(again) >= 10
    assert len({r["number"] for r in journal(tmp_path) if r["type"] == "finished"}) == 30


def test_a_report_tells_of_paused_trials_and_of_each_evaluation(tmp_path: Path) -> None:
    cluster = Studio(tmp_path, workers=2, budget=20, fidelity=FIDELITY)
    cluster.drive()
    cluster.run.checkpoint({}, cluster.optimizer.space)
    evidence = read_evidence(tmp_path / "s")
    records = cluster.run.records.values()
    (figure,) = workers(evidence)
    evaluations = sum(len(record.rungs) + (record.outcome is not None) for record in records)
    assert sum(row["evaluations"] for row in figure.rows) == evaluations
    (fact,) = [fact for fact in compose(evidence, running=False).facts if fact.name == "trials ended"]
    assert f"{sum(record.paused for record in records)} paused" in fact.note
    assert rungs_of(evidence.tables, 9) == list(BUDGETS)


# --- evaluations that are lost, and rules within them -----------------------------------------------------------------


def test_an_evaluation_that_is_lost_is_repeated_with_the_same_budgets(tmp_path: Path) -> None:
    cluster = Studio(tmp_path, workers=1, budget=4, fidelity=FIDELITY, retries=1)
    master = cluster.master
    cluster.events.clear()

    def evaluation(letters: list[Any]) -> Trial:
        (trial,) = [letter[1].trial for letter in letters if isinstance(letter[1], Evaluate)]
        return trial

    trial = evaluation(master.handle(Ready("here"), 1, 0.0))
    now = 1.0
    while not trial.resumed:
        now += 1.0
        trial = evaluation(master.handle(Done(trial.number, Outcome(TrialState.COMPLETE, 1.0 + now)), 1, now))
    for _ in BUDGETS[1:]:  # once at each budget is as often as retries allow, for a trial that is lost at each
        lost = Done(trial.number, Outcome(TrialState.FAIL, message="killed"), killed=True)
        again = evaluation(master.handle(lost, 1, now + 0.5))
        assert again == trial
        now += 1.0
        letters = master.handle(Done(trial.number, Outcome(TrialState.COMPLETE, 0.5)), 1, now)
        if trial.budget == BUDGETS[-1]:
            break
        trial = evaluation(letters)
        if trial.number != again.number:
            break
    assert cluster.run.records[again.number].losses
    assert cluster.run.records[again.number].state is not TrialState.FAIL


def test_a_rule_may_end_a_trial_at_its_rung(tmp_path: Path) -> None:
    """Its value there counts for a report: such a trial is pruned, and never promoted."""
    cluster = Studio(tmp_path, workers=1, budget=4, fidelity=FIDELITY)
    cluster.master._stops._rule = EarlyStopping(Settings(rule="threshold", upper=1.0), "minimize", 0)
    cluster.events.clear()
    cluster.master.handle(Ready("here"), 1, 0.0)
    cluster.master.handle(Done(0, Outcome(TrialState.COMPLETE, 1.5)), 1, 1.0)
    cluster.master.handle(Done(1, Outcome(TrialState.COMPLETE, 0.5)), 1, 2.0)
    assert [cluster.run.records[number].state for number in (0, 1)] == ["PRUNED", "PAUSED"]
    assert [(r["number"], r["step"], r["value"]) for r in journal(tmp_path) if r["type"] == "reported"] == [
        (0, 1, 1.5),
        (1, 1, 0.5),
    ]


def test_what_a_trial_reported_counts_once_at_its_rung(tmp_path: Path) -> None:
    cluster = Studio(tmp_path, workers=1, budget=4, fidelity=FIDELITY)
    rule = EarlyStopping(Settings(rule="patience", patience=1), "minimize", 0)
    cluster.master._stops._rule = rule
    cluster.events.clear()
    cluster.master.handle(Ready("here"), 1, 0.0)
    assert cluster.master.handle(Report(0, 1, 0.5), 1, 0.5) == []
    cluster.master.handle(Done(0, Outcome(TrialState.COMPLETE, 0.5)), 1, 1.0)
    assert cluster.run.records[0].paused
    letters = cluster.master.handle(Report(1, 1, 0.5), 1, 1.5)
    assert not [message for _, message in letters if isinstance(message, Stop)]


# --- continued, mended, changed ---------------------------------------------------------------------------------------


def test_a_damaged_journal_is_mended(tmp_path: Path) -> None:
    cluster = Studio(tmp_path, budget=20, fidelity=FIDELITY)
    cluster.drive()
    path = tmp_path / "s" / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for kind in (b'"paused"', b'"promoted"', b'"header"'):
        index = next(i for i, line in enumerate(lines) if kind in line)
        lines[index] = lines[index].replace(b"0", b"9", 1).replace(b'"crc":"', b'"crc":"x')
    cluster.run.checkpoint({}, cluster.optimizer.space)
    path.write_bytes(b"".join(lines))
    done = repair(tmp_path / "s")
    assert len(done.damaged) == 3
    again = Studio(tmp_path, budget=20, fidelity=FIDELITY)
    assert again.drive() == 0
    assert {record.state for record in again.run.records.values()} == {TrialState.COMPLETE, TrialState.PAUSED}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fidelity": None}, "[fidelity] high: was 9, now null"),
        ({"fidelity": Fidelity(low=1, high=27, eta=2)}, "[fidelity] high: was 9, now 27"),
        ({"fidelity": Fidelity(low=1, high=9, eta=3)}, "[fidelity] eta: was 2, now 3"),
    ],
)
def test_other_rungs_are_another_study(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    Studio(tmp_path, budget=2, fidelity=FIDELITY).drive()
    with pytest.raises(StudyError, match="holds another study of this name") as caught:
        Studio(tmp_path, budget=2, **changed)
    assert message in str(caught.value)


def test_the_name_and_the_brackets_may_change(tmp_path: Path) -> None:
    Studio(tmp_path, budget=2, fidelity=FIDELITY).drive()
    Studio(tmp_path, budget=6, fidelity=Fidelity(name="steps", low=1, high=9, eta=2, brackets=2)).drive()
    assert {r["trial"]["budget"] for r in journal(tmp_path) if r["type"] == "asked"} <= {1, 2}

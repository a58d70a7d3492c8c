"""Trials that a rule ends early: in the master in virtual time, and in real runs, killed ones too."""

from __future__ import annotations

import itertools
import json
import signal
import statistics
import time
from pathlib import Path

import pytest
from mpi_runs import Launcher, Studio, launchers
from virtual_cluster import Cluster

from mpi.mpi_definitions import Done, Evaluate, Ready, Report, Stop
from mpi.mpi_stops import recall
from utilities.early_stopping import EarlyStopping
from utilities.stopping_rule import Settings
from utilities.storage.records import Finished, Reported
from utilities.trial import Outcome, TrialState

EPOCHS = 20
CURVE = f"""
import time

def objective(config, trial):
    with open("epochs", "a") as file:
        for epoch in range(1, {EPOCHS} + 1):
            time.sleep(0.02)
            file.write(f"{{trial.number}} {{epoch}}\\n")
            file.flush()
            value = config["x"] + 1.0 / epoch
            trial.report(epoch, value)
            if trial.should_stop():
                break
    return value
"""
SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


def begin(tmp_path: Path, rule: EarlyStopping) -> Cluster:
    cluster = Cluster(tmp_path, workers=1)
    cluster.master._stops._rule = rule
    cluster.events.clear()
    (_, _), (_, message) = cluster.master.handle(Ready("here", 1, 1), 1, 0.0)
    assert isinstance(message, Evaluate)
    assert message.trial.number == 0
    return cluster


def rule_of(name: str = "threshold", **settings: float) -> EarlyStopping:
    return EarlyStopping(Settings(rule=name, **settings), "minimize", 0)  # type: ignore[arg-type]


def test_a_report_brings_a_stop_once_it_is_on_disk(tmp_path: Path) -> None:
    cluster = begin(tmp_path, rule_of(upper=1.0))
    assert cluster.master.handle(Report(0, 1, 0.5), 1, 1.0) == []
    assert cluster.master.handle(Report(0, 2, 1.5), 1, 2.0) == [(1, Stop(0))]
    assert [json.loads(line)["type"] for line in journal(tmp_path)[-2:]] == ["reported", "reported"]
    assert cluster.master.handle(Report(0, 3, 1.5), 1, 3.0) == []


def journal(folder: Path) -> list[str]:
    return (folder / "s" / "journal.jsonl").read_text().splitlines()


def test_what_a_rank_reports_of_a_trial_that_it_does_not_evaluate_stops_nothing(tmp_path: Path) -> None:
    cluster = begin(tmp_path, rule_of(upper=1.0))
    assert cluster.master.handle(Report(0, 1, 1.5), 2, 1.0) == []
    assert cluster.master.handle(Report(0, 1, 1.5), 1, 1.0) == [(1, Stop(0))]


@pytest.mark.parametrize(("objective", "recorded"), [(None, 0.75), (0.5, 0.5)])
def test_a_trial_stopped_without_a_value_has_the_latest_it_reported(
    tmp_path: Path, objective: float | None, recorded: float
) -> None:
    cluster = begin(tmp_path, rule_of("patience", patience=1))
    for step, value in ((1, 0.75), (2, float("nan"))):
        cluster.master.handle(Report(0, step, value), 1, 1.0)
    cluster.master.handle(Done(0, Outcome(TrialState.PRUNED, objective)), 1, 2.0)
    outcome = cluster.run.records[0].outcome
    assert outcome is not None
    assert (outcome.state, outcome.objective) == (TrialState.PRUNED, recorded)
    assert cluster.optimizer.best is None
    assert cluster.optimizer.data.y.tolist() == [recorded]


def test_a_rule_recalls_what_earlier_runs_reported() -> None:
    """Rungs are as full as they were, and a trial cut off after its last report is not counted twice."""
    live, again = rule_of("asha", eta=2), rule_of("asha", eta=2)
    records = [Reported(number, 1, value, 0.0) for number, value in enumerate((0.1, 0.2, 0.3, 0.4))]
    records += [Reported(0, 2, 0.1, 0.0), Finished(1, Outcome(TrialState.PRUNED, 0.2), "", 0.0, 1.0)]  # type: ignore[list-item]
    for record in records:
        recall(live, [], record)
        recall(again, [], record)
        recall(None, [], record)
    again.report(0, 1, 0.1)
    again.report(0, 2, 0.1)
    for number, value in enumerate((0.35, 0.15, 0.05), start=4):
        assert live.report(number, 1, value) == again.report(number, 1, value)


# --- real runs --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=launchers() or [None], ids=str)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    launcher: Launcher | None = request.param
    assert launcher is not None, "there is no mpiexec: pip install reverie[mpich]"
    return Studio(launcher, tmp_path / "project")


def write(studio: Studio, **settings: object) -> None:
    studio.study(CURVE, SPACE, **settings)
    table = json.loads((studio.folder / "study.json").read_text())
    table["early_stopping"] = {"rule": "asha", "eta": 2}
    studio.write("study.json", json.dumps(table))


def epochs(studio: Studio) -> dict[int, int]:
    """Epochs that were run of each trial, those run again included."""
    lines = [line.split() for line in (studio.folder / "epochs").read_text().splitlines()]
    return {int(number): len(list(own)) for number, own in itertools.groupby(sorted(lines), lambda line: line[0])}


def reached(studio: Studio) -> list[tuple[int, int, float]]:
    """First report of each trial at each step, in the journal's order."""
    found: dict[tuple[int, int], float] = {}
    for record in studio.records("reported"):
        found.setdefault((record["number"], record["step"]), record["value"])
    return [(number, step, value) for (number, step), value in found.items()]


@pytest.mark.mpi
def test_a_run_ends_the_worse_trials_early_and_saves_their_epochs(studio: Studio) -> None:
    write(studio, budget=24)
    run = studio.run(4)
    assert (run.status, run.err) == (0, "")
    rows = studio.rows()
    assert {row["state"] for row in rows} == {"COMPLETE", "PRUNED"}
    done = epochs(studio)
    assert all(done[int(row["number"])] == EPOCHS for row in rows if row["state"] == "COMPLETE")
    assert sum(done.values()) < 0.6 * 24 * EPOCHS
    rule = EarlyStopping(Settings(rule="asha", eta=2), "minimize", 0)
    stopped_at = {number: step for number, step, value in reached(studio) if rule.report(number, step, value)}
    assert set(stopped_at) >= {int(row["number"]) for row in rows if row["state"] == "PRUNED"}
    late = [done[number] - step for number, step in stopped_at.items()]
    assert statistics.median(late) <= 2  # of 20 ms each; on a busy machine one message or other takes longer
    best = json.loads((studio.left / "summary.json").read_text())["best"]
    assert rows[[int(row["number"]) for row in rows].index(best["number"])]["state"] == "COMPLETE"


@pytest.mark.mpi
def test_a_run_that_is_killed_goes_on_with_the_rungs_it_had(studio: Studio) -> None:
    write(studio, budget=24)
    with studio.start(4) as run:
        until = time.monotonic() + 60.0
        while len(studio.rows()) < 5 and time.monotonic() < until:
            time.sleep(0.02)
        run.send(signal.SIGKILL)
        run.wait()
    before = {row["number"]: row for row in studio.rows()}
    assert 0 < len(before) < 24
    assert studio.run(4).status == 0
    rows = studio.rows()
    assert sorted(int(row["number"]) for row in rows) == list(range(24))
    assert {row["number"]: row for row in rows if row["number"] in before} == before
    rule = EarlyStopping(Settings(rule="asha", eta=2), "minimize", 0)
    told = {number for number, step, value in reached(studio) if rule.report(number, step, value)}
    pruned = {int(row["number"]) for row in rows if row["state"] == "PRUNED"}
    assert pruned <= told

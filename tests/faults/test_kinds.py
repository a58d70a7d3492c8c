"""Studies with early stopping and with budgets in the fault campaign, and their checks on journals with breaches."""

import copy
import csv
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults import budgets, stopping
from benchmarks.faults.checks import Record, journal
from benchmarks.faults.kinds import KINDS
from benchmarks.faults.scenario import Scenario, play, settings
from benchmarks.faults.study import BUDGET
from benchmarks.launching import launchers
from utilities.optimizer import Optimizer
from utilities.trial import Trial

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}, "y": {"type": "float", "low": 0.0, "high": 1.0}}


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("kind", "faults"),
    [
        ("budgets", ("kill the master", "SIGTERM", "kill a child")),
        ("budgets", ("torn journal", "kill mpiexec", "hang")),
        ("stopping", ("kill the master", "kill a worker")),
    ],
    ids=lambda part: part if isinstance(part, str) else "-".join(part),
)
def test_nothing_is_lost(kind: str, faults: tuple[str, ...], tmp_path: Path) -> None:
    (setting, *_) = settings(launchers())
    assert play(Scenario(11, setting, faults, kind), tmp_path).breaches == []


Told = list[Record]


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, Told]:
    """Folder and records of a study with budgets in which all is well, one trial after the other."""
    optimizer = Optimizer(SPACE, "random", 2, fidelity=budgets.FIDELITY)
    records: Told = []
    log: list[str] = []
    states: dict[int, str] = {}

    def evaluate(trial: Trial) -> None:
        number, budget = trial.number, int(trial.budget or 0)
        value = budgets.value(trial.config, budget)
        log.append(f"began {number} {budget} {int(trial.previous_budget)} {int(trial.previous_budget)}")
        log.append(f"ended {number} {budget} {value!r}")
        outcome = {"state": "COMPLETE", "objective": value, "message": ""}
        records.append({"type": "started", "number": number})
        if budget == budgets.RUNGS[-1]:
            records.append({"type": "finished", "number": number, "outcome": outcome})
        else:
            records.append({"type": "paused", "number": number, "budget": budget, "outcome": outcome})
        states[number] = "COMPLETE" if budget == budgets.RUNGS[-1] else "PRUNED"
        optimizer.tell(trial, value)

    while (trial := optimizer.promote(last=optimizer.asked == BUDGET)) is not None or optimizer.asked < BUDGET:
        if trial is not None:
            before = {"previous": int(trial.previous_budget), "budget": int(trial.budget or 0)}
            records.append({"type": "promoted", "number": trial.number, **before})
        else:
            trial = optimizer.ask()
            asked = {"number": trial.number, "config": trial.config, "budget": trial.budget}
            records.append({"type": "asked", "trial": asked})
        evaluate(trial)
    folder = tmp_path / "runs" / "study"
    folder.mkdir(parents=True)
    (tmp_path / "evaluations.log").write_text("\n".join(log))
    with (folder / "trials.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["number"], *([number] for number in states)])
    assert optimizer.best is not None
    (folder / "summary.json").write_text(json.dumps({"best": {"objective": optimizer.best.objective}}))
    return tmp_path, records


def breaches(folder: Path, records: Told, faults: dict[int, str] | None = None) -> set[str]:
    return {breach.kind for breach in budgets.finished(folder, records, faults or {}, mended=False)}


def indices(records: Told, kind: str, **values: Any) -> list[int]:
    return [i for i, r in enumerate(records) if r["type"] == kind and all(r.get(key) == v for key, v in values.items())]


def test_a_whole_study_has_no_breach(study: tuple[Path, Told]) -> None:
    folder, records = study
    assert breaches(folder, records) == set()
    assert KINDS["budgets"].through(records)
    assert list(budgets.delivered(records, folder)) == []
    assert not KINDS["budgets"].through(records[:-1])
    assert journal(folder) == []


def test_a_lost_value_at_a_rung_is_found(study: tuple[Path, Told]) -> None:
    folder, records = study
    del records[indices(records, "paused")[-1]]
    assert [breach.kind for breach in budgets.delivered(records, folder)] == ["lost"]
    assert "rungs" in breaches(folder, records)


def test_a_promotion_out_of_turn_is_found(study: tuple[Path, Told]) -> None:
    folder, records = study
    first = indices(records, "promoted", previous=1)[0]
    number = records[first]["number"]
    earlier = [records[i]["number"] for i in indices(records[:first], "paused", budget=1)]
    (other, *_) = [n for n in earlier if n != number]
    records[first] = {**records[first], "number": other}
    assert "rungs" in breaches(folder, records)


def test_a_promotion_that_is_missing_is_found(study: tuple[Path, Told]) -> None:
    folder, records = study
    last = indices(records, "promoted")[-1]
    assert "rungs" in breaches(folder, records[:last])


def test_a_rung_that_is_left_out_is_found(study: tuple[Path, Told]) -> None:
    folder, records = study
    first = indices(records, "promoted", previous=1)[0]
    records[first] = {**records[first], "budget": 4}
    assert "rungs" in breaches(folder, records)


def test_a_second_evaluation_at_a_rung_is_found(study: tuple[Path, Told]) -> None:
    folder, records = study
    first = indices(records, "paused")[0]
    again = [*records[: first + 1], records[first - 1], *records[first + 1 :]]
    assert breaches(folder, again) == {"duplicated"}
    twice = [*records[: first + 1], copy.deepcopy(records[first]), *records[first + 1 :]]
    assert "duplicated" in breaches(folder, twice)


@pytest.mark.parametrize(("old", "new"), [(" 2 1 1\n", " 2 1 0\n"), (" 1 0 0\n", " 1 0 1\n"), (" 2 1 1\n", " 2 1 2\n")])
def test_a_checkpoint_of_another_budget_is_found(study: tuple[Path, Told], old: str, new: str) -> None:
    folder, records = study
    path = folder / "evaluations.log"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert breaches(folder, records) == {"checkpoints"}


def test_a_repeated_evaluation_may_find_what_the_lost_one_added(study: tuple[Path, Told]) -> None:
    folder, records = study
    path = folder / "evaluations.log"
    (line, *_) = [line for line in path.read_text().splitlines() if line.endswith(" 4 2 2")]
    path.write_text(path.read_text().replace(line, f"{line}\n{line.removesuffix('2')}3", 1))
    assert breaches(folder, records) == set()


def test_an_invented_value_is_found(study: tuple[Path, Told]) -> None:
    folder, records = study
    first = indices(records, "paused")[0]
    records[first] = copy.deepcopy(records[first])
    records[first]["outcome"]["objective"] = -1.0
    assert "invented" in breaches(folder, records)


def test_a_trial_that_was_stopped_without_a_reason_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "study"
    folder.mkdir(parents=True)
    (folder / "trials.csv").write_text("number\n" + "".join(f"{n}\n" for n in range(BUDGET)))
    (folder / "summary.json").write_text(json.dumps({"best": {"objective": 0.0}}))
    (tmp_path / "evaluations.log").write_text("".join(f"ended {n} {float(n)!r}\n" for n in range(BUDGET)))
    records: Told = []
    for number in range(BUDGET):
        records.append({"type": "asked", "trial": {"number": number}})
        records.append({"type": "reported", "number": number, "step": 1, "value": float(number)})
        state = "COMPLETE" if number == 0 else "PRUNED"
        outcome = {"state": state, "objective": float(number), "message": ""}
        records.append({"type": "finished", "number": number, "outcome": outcome})
    found = {breach.kind for breach in stopping.finished(tmp_path, records, {}, mended=False)}
    assert found == set()
    records[4] = {**records[4], "value": -1.0}
    assert {breach.kind for breach in stopping.finished(tmp_path, records, {}, mended=False)} == {"rungs"}

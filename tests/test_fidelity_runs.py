"""Studies with budgets: what the study file may say, what an objective gets, real runs that go on from checkpoints."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from children import evaluate
from mpi_runs import Launcher, Studio, launchers

from learning_objective.command_line import Options
from learning_objective.hidden_function import check_takes_trial
from learning_objective.objective_spec import ObjectiveSpec
from learning_objective.trial_handle import TrialHandle
from mpi.mpi_session import prepare_study
from reverie import minimize
from utilities.budgets import Fidelity
from utilities.errors import StudyError
from utilities.storage.study_file import read_study
from utilities.trial import Trial, TrialState

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
FIDELITY = {"name": "epochs", "low": 1, "high": 9}

TRAINING = """
import json, os, time

def objective(config, trial):
    path = trial.folder / "checkpoint.json"
    found = json.loads(path.read_text()) if path.exists() else []
    assert trial.resumed == (trial.previous_budget > 0)
    assert found == list(range(1, len(found) + 1)) and trial.previous_budget <= len(found) <= trial.budget
    print("from", len(found), "to", trial.budget, flush=True)
    for epoch in range(len(found) + 1, trial.budget + 1):
        time.sleep(0.01)
        found.append(epoch)
        (trial.folder / "new.json").write_text(json.dumps(found))
        os.replace(trial.folder / "new.json", path)
    return {"objective": config["x"] + 1.0 / trial.budget, "epochs": len(found)}
"""


# --- the study file ---------------------------------------------------------------------------------------------------


def read(folder: Path, command: list[str] | None = None, **tables: Any) -> Any:
    study = {"objective": "branin"} if command is None else {"command": command}
    path = folder / "study.json"
    path.write_text(json.dumps({"study": study, "space": SPACE, **tables}))
    return read_study(path)


def test_the_table_is_read_and_comes_back(tmp_path: Path) -> None:
    study = read(tmp_path, fidelity={**FIDELITY, "eta": 2, "brackets": 2})
    assert study.fidelity == Fidelity(**FIDELITY, eta=2, brackets=2)  # type: ignore[arg-type]
    assert read(tmp_path, fidelity=study.to_dict()["fidelity"]).fidelity == study.fidelity
    assert read(tmp_path).fidelity is None
    assert "fidelity" not in read(tmp_path).to_dict()


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"fidelity": 3}, "study.json: [fidelity] must be a table; got 3"),
        ({"fidelity": {"low": 1}}, "study.json: [fidelity] high is missing"),
        ({"fidelity": {"low": 1, "high": 9, "rule": "asha"}}, "[fidelity] rule is not a known key"),
        ({"fidelity": FIDELITY, "early_stopping": {"rule": "asha"}}, "[early_stopping] rule asha halves the trials as"),
        (
            {"fidelity": FIDELITY, "early_stopping": {"rule": "hyperband", "max_steps": 9}},
            "[early_stopping] rule hyperband halves the trials as [fidelity] does: leave one of the two out",
        ),
        ({"fidelty": FIDELITY}, "[fidelty] is not a table of a study file"),
    ],
)
def test_mistakes_in_it(tmp_path: Path, tables: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError) as caught:
        read(tmp_path, **tables)
    assert message in str(caught.value)


def test_rules_that_judge_a_trial_by_itself_go_with_it(tmp_path: Path) -> None:
    for rule in ({"rule": "patience"}, {"rule": "threshold", "upper": 3.0}, {"rule": "median"}):
        assert read(tmp_path, fidelity=FIDELITY, early_stopping=rule).early_stopping is not None


def test_placeholders_of_a_command(tmp_path: Path) -> None:
    command = ["train", "--to={budget}", "--from={previous_budget}"]
    assert read(tmp_path, command, fidelity=FIDELITY).command == command
    with pytest.raises(StudyError, match=r"\{budget\} must name a parameter; known: x. It needs a table \[fidelity\]."):
        read(tmp_path, command)


@pytest.mark.parametrize(
    ("signature", "takes"),
    [
        ("config", False),
        ("config, verbose=False", False),
        ("config, *, seed=0", False),
        ("config, trial", True),
        ("config, other", True),
        ("config, trial=None", True),
        ("config, *, trial", True),
        ("config, /, trial", True),
        ("*arguments", True),
    ],
)
def test_an_objective_must_take_the_trial(tmp_path: Path, signature: str, takes: bool) -> None:
    """As far as its source tells: a function of `*arguments` may be given it by what decorates it."""
    (tmp_path / "train.py").write_text(f"def objective({signature}): return 0.0")
    spec = ObjectiveSpec(objective="train.py:objective", command=None, folder=str(tmp_path))
    if takes:
        check_takes_trial(spec)
        return
    with pytest.raises(StudyError, match=r"line 1, must take the trial, whose budget .*: objective\(config, trial\)"):
        check_takes_trial(spec)


def test_a_study_of_such_an_objective_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("def objective(config): return 0.0")
    tables = {"study": {"objective": "train.py:objective"}, "space": SPACE, "fidelity": FIDELITY}
    Path("study.json").write_text(json.dumps(tables))
    with pytest.raises(StudyError, match=r"study.json: \[study\] objective = .* must take the trial"):
        prepare_study(Options(study="study.json"))
    del tables["fidelity"]
    Path("study.json").write_text(json.dumps(tables))
    prepare_study(Options(study="study.json"))


# --- one evaluation ---------------------------------------------------------------------------------------------------


def test_what_a_command_gets(command: Any) -> None:
    names = '("BUDGET", "PREVIOUS_BUDGET")'
    same = f"sys.argv[1:] == [os.environ['REVERIE_' + name] for name in {names}] == ['9', '3']"
    source = f"import os, sys; print(1.5 if {same} else 2.5)"
    shown = source.replace("{", "{{").replace("}", "}}") + ""
    spec = command(sys.executable, "-c", shown, "{budget}", "{previous_budget}")
    outcome = evaluate(spec, {"x": 0.5}, budget=9, previous_budget=3)
    assert outcome.objective == 1.5
    fraction = evaluate(command("printf", "%s", "{budget}"), {"x": 0.5}, budget=0.25)
    assert fraction.objective == 0.25


def test_a_parameter_of_that_name_comes_first(command: Any) -> None:
    outcome = evaluate(command("printf", "%s", "{budget}"), {"budget": 2}, budget=9)
    assert outcome.objective == 2.0


def test_a_handle_without_budgets(tmp_path: Path) -> None:
    trial = TrialHandle(0, 1, None, tmp_path)
    assert (trial.budget, trial.previous_budget, trial.resumed) == (None, 0, False)


# --- in this process --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [1, 4, 30])
def test_minimize_goes_on_from_what_a_trial_had(budget: int) -> None:
    trained: dict[int, int] = {}
    ended = []

    def objective(config: dict[str, Any], trial: Trial) -> float:
        assert trained.get(trial.number, 0) == trial.previous_budget
        assert isinstance(trial.budget, int)
        trained[trial.number] = trial.budget
        return float(config["x"]) + 1.0 / trial.budget

    result = minimize(objective, SPACE, budget, "random", 1, fidelity=FIDELITY, callback=ended.append)
    assert len(result.records) == len(ended) == budget
    complete = [record for record in result.records if record.state is TrialState.COMPLETE]
    assert {record.budget for record in complete} == {9}
    assert {record.state for record in result.records} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert {record.trial.number: record.budget for record in result.records} == trained
    assert result.best is not None
    assert result.best.objective == min(record.outcome.objective for record in complete)  # type: ignore[union-attr, type-var]


# --- real runs --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=launchers() or [None], ids=str)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    launcher: Launcher | None = request.param
    assert launcher is not None, "there is no mpiexec: pip install reverie[mpich]"
    return Studio(launcher, tmp_path / "project")


def write(studio: Studio, source: str = TRAINING, **settings: object) -> None:
    studio.study(source, SPACE, **settings)
    table = json.loads((studio.folder / "study.json").read_text())
    table["fidelity"] = FIDELITY
    studio.write("study.json", json.dumps(table))


def came_to(studio: Studio) -> list[tuple[int, float, float]]:
    """Trial, budget and value of each evaluation, by trial and budget."""
    found = [(r["number"], r.get("budget", 9), r["outcome"]["objective"]) for r in studio.records("paused")]
    return sorted([*found, *((r["number"], 9, r["outcome"]["objective"]) for r in studio.records("finished"))])


@pytest.mark.mpi
@pytest.mark.parametrize(("ranks", "method"), [(1, "random"), (2, "gp"), (4, "gp")])
def test_a_run_on_so_many_ranks(studio: Studio, ranks: int, method: str) -> None:
    write(studio, budget=15, method=method)
    run = studio.run(ranks)
    assert (run.status, run.err) == (0, "")
    assert {r["outcome"]["state"] for r in studio.records("finished")} == {"COMPLETE"}
    rows = studio.rows()
    assert sorted(int(row["number"]) for row in rows) == list(range(15))
    assert {row["state"] for row in rows} == {"COMPLETE", "PRUNED"}
    assert all(row["user_attrs_epochs"] == f"{float(row['user_attrs_budget'])}" for row in rows)
    summary = studio.summary()
    assert summary["states"] == {state: sum(row["state"] == state for row in rows) for state in ("COMPLETE", "PRUNED")}
    assert summary["fidelity"]["name"] == "epochs"
    assert [rung["budget"] for rung in summary["fidelity"]["rungs"]] == [1, 3, 9]
    assert summary["fidelity"]["spent"] == sum(float(row["user_attrs_budget"]) for row in rows)
    assert "epochs in all: 15 to 1" in run.out
    best = summary["best"]
    assert best["objective"] == min(float(row["value"]) for row in rows if row["state"] == "COMPLETE")
    log = (studio.left / "trials" / str(best["number"]) / "output.log").read_text()
    assert log == "from 0 to 1\nfrom 1 to 3\nfrom 3 to 9\n"


@pytest.mark.mpi
def test_a_run_that_is_killed_keeps_rungs_promotions_and_checkpoints(studio: Studio) -> None:
    write(studio, TRAINING.replace("0.01", "0.05"), budget=15)
    with studio.start(4) as run:
        until = time.monotonic() + 60.0
        while len(studio.records("promoted")) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        run.send(signal.SIGKILL)
        run.wait()
    before = came_to(studio)
    assert before
    run = studio.run(4)
    assert run.status == 0, run.err
    after = came_to(studio)
    assert set(before) <= set(after)
    places = [(number, budget) for number, budget, _ in after]
    assert len(set(places)) == len(places)
    assert {number for number, _ in places} == set(range(15))
    assert not [record for record in studio.records("finished") if record["outcome"]["state"] != "COMPLETE"]


@pytest.mark.mpi
def test_several_ranks_of_a_worker_see_the_same_budgets(studio: Studio) -> None:
    source = """
    def objective(config, trial):
        seen = trial.comm.allgather((trial.budget, trial.previous_budget, trial.resumed, str(trial.folder)))
        assert len(set(seen)) == 1, seen
        return config["x"] + 1.0 / trial.budget
    """
    write(studio, source, budget=6, ranks_per_worker=2)
    run = studio.run(3)
    assert (run.status, run.err) == (0, "")
    assert {r["outcome"]["state"] for r in studio.records("finished")} == {"COMPLETE"}
    assert studio.records("promoted")

"""The verbs on a study of several objectives under a constraint on metrics: what is told and what is exported."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from run_folders import opened, study

from reverie.cli import main
from utilities.trial import Outcome, Trial, TrialState

SPACE: dict[str, Any] = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
GOALS: dict[str, Any] = {
    "objectives": ["error", "seconds"],
    "directions": ["maximize", "minimize"],
    "metric_constraints": ["size < 4"],
}
OUTCOMES = [
    Outcome(TrialState.COMPLETE, None, {"error": 1.0, "size": 1.0}, 5.0),
    Outcome(TrialState.COMPLETE, None, {"error": 3.0, "size": 2.0}, 9.0),
    Outcome(TrialState.COMPLETE, None, {"error": 9.0, "size": 4.0}, 1.0),
    Outcome(TrialState.FAIL, message="ValueError: no"),
    Outcome(TrialState.COMPLETE, None, {"error": 1.0, "size": 3.0}, 6.0),
    Outcome(TrialState.COMPLETE, None, {"error": 2.0, "size": 3.0}, 6.0),
]
"""The third breaks the constraint; the fifth is dominated, by the first and the last."""

FRONT = [(1, [3.0, 9.0]), (5, [2.0, 6.0]), (0, [1.0, 5.0])]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    with opened(tmp_path / "runs", study(SPACE, name="front", **GOALS)) as run:
        run.session(2, 1000.0)
        for number, outcome in enumerate(OUTCOMES):
            run.asked(Trial(number, {"x": number / 8}, seed=number), "initial")
            run.started(number, "1@node7", 1001.0 + number)
            run.finished(number, outcome, 1001.5 + number)
        run.sync()
    return "runs/front"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(words) == 0
    return capsys.readouterr().out


def test_best_prints_the_front(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(told(capsys, "best", folder, "--top", "9", "-f", "json"))
    assert [(one["number"], one["values"]) for one in found] == FRONT
    assert json.loads(told(capsys, "best", folder, "-f", "json")) == found[0]
    assert "values = [3.0, 9.0]" in told(capsys, "best", folder)


def test_best_says_where_no_trial_keeps_the_constraints(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(Path("runs"), study(SPACE, name="none", metric_constraints=["size < 0"])) as run:
        run.session(2, 1000.0)
        run.asked(Trial(0, {"x": 0.5}), "initial")
        run.started(0, "1@node7", 1001.0)
        run.finished(0, Outcome(TrialState.COMPLETE, 1.0, {"size": 1.0}, 1.0), 1002.0)
    assert main(["best", "runs/none"]) == 3
    assert "no trial has succeeded and kept the constraints on metrics yet" in capsys.readouterr().err


def test_status_tells_of_the_front(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = json.loads(told(capsys, "status", folder, "--json"))
    assert table["best"] is None
    assert table["objectives"] == ["error", "seconds"]
    assert table["pareto"] == {"trials": 3, "ideal": [3.0, 5.0]}
    assert [one["number"] for one in table["latest"] if not one.get("feasible", True)] == [2]
    assert table["latest"][0]["values"] == [2.0, 6.0]
    text = told(capsys, "status", folder)
    assert "3 trials, best error 3, best seconds 5" in text
    assert "2  error 9, seconds 1  infeasible" in text


def test_the_table_is_exported_as_the_run_writes_it(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "export", folder, "--to", "csv", "-o", "out.csv")
    assert Path("out.csv").read_text() == Path(folder, "trials.csv").read_text()
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["values_0"], row["values_1"]) for row in rows][:2] == [("1.0", "5.0"), ("3.0", "9.0")]
    assert [row["user_attrs_feasible"] for row in rows] == ["True", "True", "False", "", "True", "True"]


def test_parquet_has_a_column_of_each_objective(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    told(capsys, "export", folder, "--to", "parquet", "-o", "out.parquet")
    table = parquet.read_table("out.parquet").to_pydict()
    assert table["values_0"] == [1.0, 3.0, 9.0, None, 1.0, 2.0]
    assert table["values_1"] == [5.0, 9.0, 1.0, None, 6.0, 6.0]
    assert table["user_attrs_feasible"] == [True, True, False, None, True, True]
    assert table["user_attrs_size"] == [1.0, 2.0, 4.0, None, 3.0, 3.0]
    assert "value" not in table


def test_optuna_reads_a_study_of_several_objectives(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    optuna = pytest.importorskip("optuna")
    told(capsys, "export", folder, "--to", "optuna", "-o", "out.log")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("out.log"))
    found = optuna.load_study(study_name="front", storage=storage)
    assert [way.name for way in found.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.values for trial in found.trials] == [[1, 5], [3, 9], [9, 1], None, [1, 6], [2, 6]]
    assert [trial.user_attrs.get("feasible") for trial in found.trials] == [True, True, False, None, True, True]
    assert found.metric_names == ["error", "seconds"]
    front = {trial["number"] for trial in json.loads(told(capsys, "best", folder, "--top", "9", "-f", "json"))}
    assert {trial.user_attrs["number"] for trial in found.best_trials} == front  # Optuna's own, among the feasible


def test_mlflow_has_the_values_among_the_metrics(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "export", folder, "--to", "mlflow-files", "-o", "mlruns")
    metrics = {path.parent.parent.name: path.read_text().split()[1] for path in Path("mlruns").rglob("metrics/seconds")}
    assert sorted(metrics.values()) == ["1.0", "5.0", "6.0", "6.0", "9.0"]


def test_tensorboard_is_told_of_each_objective(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    told(capsys, "export", folder, "--to", "tensorboard", "-o", "events")
    (file,) = Path("events", "trial-1").iterdir()
    tags = {value.tag for event in loader.EventFileLoader(str(file)).Load() for value in event.summary.value}
    assert {"metrics/error", "metrics/seconds", "metrics/size"} <= tags


OBJECTIVE = "def objective(config): return {'error': config['x'], 'size': 1.0}"


def test_check_evaluates_a_trial(folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.py").write_text(OBJECTIVE)
    table = {"study": {"objective": "train.py:objective", **GOALS}, "space": SPACE}
    (tmp_path / "study.json").write_text(json.dumps(table))
    text = told(capsys, "check", "study.json")
    assert "maximize error, minimize seconds of train.py:objective" in text
    assert "feasible: size < 4" in text
    assert "metric   error" in text

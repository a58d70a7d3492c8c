"""Exports, read back by the tools that they are for, and compared trial by trial."""

import csv
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from run_folders import opened, study

from reverie.cli import main
from utilities.storage.chronicle import Chronicle
from utilities.trial import Outcome, Trial, TrialRecord, TrialState

SPACE: dict[str, dict[str, Any]] = {
    "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.05},
    "width": {"type": "int", "low": 8, "high": 512, "log": True},
    "depth": {"type": "int", "low": 1, "high": 9, "step": 2},
    "rate": {"type": "int", "low": 32, "high": 128, "step": 32, "log": True},
    "size": {"type": "ordinal", "choices": ["s", "m", "l"]},
    "batch": {"type": "ordinal", "choices": [16, 32, 64]},
    "mixed": {"type": "categorical", "choices": [1, 1.0, True, "1"]},
    "opt": {"type": "categorical", "choices": ["sgd", "adam"]},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"opt": "sgd"}},
    "on": {"type": "bool"},
    "fixed": {"type": "constant", "value": "cosine"},
}
BASE: dict[str, Any] = {
    "lr": 1e-3, "dropout": 0.15, "width": 64, "depth": 5, "rate": 96, "size": "m", "batch": 32, "mixed": True,
    "opt": "adam", "on": True, "fixed": "cosine",
}  # fmt: skip
CONFIGS: list[dict[str, Any]] = [
    BASE,
    {**BASE, "lr": 1.0, "mixed": 1.0, "opt": "sgd", "momentum": 0.9},
    {**BASE, "lr": 1e-6, "mixed": "1", "on": False},
    {**BASE, "dropout": 0.5, "mixed": 1, "depth": 9},
    {**BASE, "width": 512, "size": "l"},
    {**BASE, "width": 8, "rate": 32},
]
BEGAN = 1_700_000_000.25


@pytest.fixture
def chronicle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chronicle:
    """A study with a trial of each state; the third one's number is not used."""
    monkeypatch.chdir(tmp_path)
    with opened(tmp_path / "runs", study(SPACE, name="waves", direction="maximize")) as run:
        run.session(2, BEGAN)
        for number, config in zip((0, 1, 3, 4, 5, 6), CONFIGS, strict=True):
            run.asked(Trial(number, config, seed=100 + number), "initial" if number < 2 else "model")
        for number in (0, 1, 3, 4):
            run.started(number, f"{number}@node7", BEGAN + number)
        run.started(5, "1@node7", BEGAN + 5)
        for step, value in ((1, 0.5), (2, math.nan), (3, 0.25)):
            run.reported(1, step, value, BEGAN + 1 + step / 4)
        run.finished(0, Outcome(TrialState.COMPLETE, 0.25, {"loss": 1.5, "worker": 2.0}, 2.0), BEGAN + 10.5)
        run.finished(1, Outcome(TrialState.PRUNED, 0.125, {}, 1.0), BEGAN + 11)
        run.finished(3, Outcome(TrialState.FAIL, message="ValueError: no\nTraceback"), BEGAN + 12)
        run.finished(4, Outcome(TrialState.COMPLETE, 0.75, {"loss": 0.5}, 2.0), BEGAN + 13)
        run.sync()
    found = Chronicle(tmp_path / "runs" / "waves")
    found.read()
    return found


def export(*words: str, status: int = 0) -> None:
    assert main(["export", "--to", *words]) == status


def utc(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def objective(record: TrialRecord) -> float | None:
    return None if record.outcome is None else record.outcome.objective


# --- tables -----------------------------------------------------------------------------------------------------------


def test_csv_is_trials_csv(chronicle: Chronicle) -> None:
    export("csv")
    assert Path("waves.csv").read_bytes() == Path("runs/waves/trials.csv").read_bytes()
    with Path("waves.csv").open(newline="") as file:
        assert [row["number"] for row in csv.DictReader(file)] == ["0", "1", "3", "4"]


def test_parquet(chronicle: Chronicle) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow
    import pyarrow.parquet

    export("parquet")
    table = pyarrow.parquet.read_table("waves.parquet")
    with Path("runs/waves/trials.csv").open(newline="") as file:
        header = next(csv.reader(file))
    assert table.column_names == header
    assert table.schema.field("params_width").type == pyarrow.int64()
    assert table.schema.field("params_momentum").type == pyarrow.float64()
    assert table.schema.field("params_batch").type == pyarrow.int64()
    assert table.schema.field("params_on").type == pyarrow.bool_()
    assert table.schema.field("params_mixed").type == pyarrow.string()
    for row, record in zip(table.to_pylist(), chronicle.ended, strict=True):
        assert row["number"] == record.trial.number
        assert (row["value"], row["state"]) == (objective(record), record.state.value)
        assert (row["datetime_start"], row["datetime_complete"]) == (utc(record.started), utc(record.completed))
        assert row["duration"].total_seconds() == pytest.approx((record.completed or 0) - (record.started or 0))
        for name in SPACE:
            wanted = record.trial.config.get(name)
            assert row[f"params_{name}"] == (str(wanted) if name == "mixed" else wanted)
        assert record.outcome is not None
        assert row["user_attrs_loss"] == record.outcome.metrics.get("loss")
        assert row["user_attrs_metric_worker"] == record.outcome.metrics.get("worker")


# --- Optuna -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def optuna_study(chronicle: Chronicle) -> Any:
    optuna = pytest.importorskip("optuna")
    from optuna.storages.journal import JournalFileBackend

    export("optuna")
    storage = optuna.storages.JournalStorage(JournalFileBackend("waves.optuna.log"))
    return optuna.load_study(study_name="waves", storage=storage)


def test_optuna_trial_by_trial(chronicle: Chronicle, optuna_study: Any) -> None:
    import json

    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    assert optuna_study.direction.name == "MAXIMIZE"
    records = [chronicle.trials[number] for number in sorted(chronicle.trials)]
    distributions = {
        "lr": FloatDistribution(1e-6, 1.0, log=True),
        "dropout": FloatDistribution(0.0, 0.5, step=0.05),
        "width": IntDistribution(8, 512, log=True),
        "depth": IntDistribution(1, 9, step=2),
        "rate": IntDistribution(32, 128, log=True),
        "size": CategoricalDistribution(["s", "m", "l"]),
        "batch": CategoricalDistribution([16, 32, 64]),
        "mixed": CategoricalDistribution(["1", "1.0", "true", '"1"']),
        "opt": CategoricalDistribution(["sgd", "adam"]),
        "momentum": FloatDistribution(0.0, 0.99),
        "on": CategoricalDistribution([False, True]),
    }
    for trial, record in zip(optuna_study.trials, records, strict=True):
        assert trial.user_attrs["number"] == record.trial.number
        assert trial.state.name == record.state.value
        assert trial.value == objective(record)
        started = record.started if record.started is not None else record.completed
        assert (trial.datetime_start and trial.datetime_start.astimezone(UTC)) == utc(started)
        assert (trial.datetime_complete and trial.datetime_complete.astimezone(UTC)) == utc(record.completed)
        wanted = {name: value for name, value in record.trial.config.items() if name != "fixed"}
        wanted["mixed"] = json.dumps(wanted["mixed"])
        assert trial.params == wanted
        assert {name: type(value) for name, value in trial.params.items()} == {
            name: type(value) for name, value in wanted.items()
        }
        assert trial.distributions == {name: distributions[name] for name in wanted}
        assert (trial.user_attrs["fixed"], trial.user_attrs["origin"]) == ("cosine", record.origin)
        assert trial.user_attrs["seed"] == record.trial.seed
    reported = optuna_study.trials[1].intermediate_values
    assert (reported[1], math.isnan(reported[2]), reported[3]) == (0.5, True, 0.25)
    assert optuna_study.trials[2].user_attrs["failure"] == "ValueError: no"
    assert optuna_study.trials[0].user_attrs["metric_worker"] == 2.0
    assert optuna_study.best_trial.user_attrs["number"] == 4
    assert optuna_study.user_attrs["reverie_objective"] == "train.py:objective"


@pytest.mark.filterwarnings("ignore")
def test_optuna_draws_its_plots(optuna_study: Any) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as plots

    for draw in (
        plots.plot_optimization_history,
        plots.plot_parallel_coordinate,
        plots.plot_slice,
        plots.plot_edf,
        plots.plot_intermediate_values,
        plots.plot_timeline,
    ):
        assert draw(optuna_study) is not None
        pyplot.close("all")


# --- TensorBoard ------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_tensorboard(chronicle: Chronicle) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
    from tensorboard.plugins.hparams import metadata

    export("tensorboard")
    runs = EventMultiplexer(size_guidance={"scalars": 0, "tensors": 0}).AddRunsFromDirectory("waves-tensorboard")
    runs.Reload()
    assert set(runs.Runs()) == {".", *(f"trial-{number}" for number in (0, 1, 3, 4))}
    experiment = metadata.parse_experiment_plugin_data(content(runs, ".", metadata.EXPERIMENT_TAG))
    assert {info.name for info in experiment.hparam_infos} == set(SPACE)
    assert [metric.name.tag for metric in experiment.metric_infos] == ["objective"]
    for record in chronicle.ended:
        run = f"trial-{record.trial.number}"
        start = metadata.parse_session_start_info_plugin_data(content(runs, run, metadata.SESSION_START_INFO_TAG))
        shown = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
        wanted = dict(record.trial.config)
        wanted["mixed"] = "true" if wanted["mixed"] is True else str(wanted["mixed"])
        assert shown == wanted
        assert start.start_time_secs == record.started
        end = metadata.parse_session_end_info_plugin_data(content(runs, run, metadata.SESSION_END_INFO_TAG))
        assert end.end_time_secs == record.completed
        assert (end.status == 2) == (record.state is TrialState.FAIL)
        scalars = runs.GetAccumulator(run).Tags()["scalars"]
        assert ("objective" in scalars) == (objective(record) is not None)
        if "objective" in scalars:
            (event,) = runs.Scalars(run, "objective")
            assert (event.value, event.wall_time) == (objective(record), record.completed)
    reports = runs.Scalars("trial-1", "report")
    assert [(event.step, event.wall_time) for event in reports] == [
        (1, BEGAN + 1.25),
        (2, BEGAN + 1.5),
        (3, BEGAN + 1.75),
    ]
    assert [event.value for event in reports][::2] == [0.5, 0.25]
    assert runs.Scalars("trial-0", "metrics/loss")[0].value == 1.5


def content(runs: Any, run: str, tag: str) -> bytes:
    return bytes(runs.SummaryMetadata(run, tag).plugin_data.content)


# --- MLflow -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_mlflow_files(chronicle: Chronicle, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow.tracking import MlflowClient

    export("mlflow-files")
    client = MlflowClient(tracking_uri=Path("mlruns").absolute().as_uri())
    (experiment,) = [found for found in client.search_experiments() if found.name == "waves"]
    runs = {int(run.data.tags["reverie.number"]): run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {0, 1, 3, 4, 5}, "a trial that waits is no run yet"
    statuses = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "FAIL": "FAILED", "RUNNING": "RUNNING"}
    for number, run in runs.items():
        record = chronicle.trials[number]
        assert run.info.status == statuses[record.state.value]
        assert run.info.run_name == f"trial-{number}"
        assert run.data.params == {name: str(value) for name, value in record.trial.config.items()}
        assert run.info.start_time == int((record.started or 0) * 1000)
        assert run.info.end_time == (None if record.completed is None else int(record.completed * 1000))
        assert run.data.metrics.get("objective") == objective(record)
        assert (run.data.tags["reverie.state"], run.data.tags["reverie.origin"]) == (record.state.value, record.origin)
    history = client.get_metric_history(runs[1].info.run_id, "report")
    assert sorted((point.step, point.timestamp) for point in history) == [
        (step, int((BEGAN + 1 + step / 4) * 1000)) for step in (1, 2, 3)
    ]
    assert runs[0].data.metrics["loss"] == 1.5
    assert runs[0].data.metrics["metric_worker"] == 2.0
    assert runs[3].data.tags["reverie.failure"] == "ValueError: no"
    export("mlflow-files", status=2)
    export("mlflow-files", "--force")
    assert len(client.search_runs([experiment.experiment_id])) == 5


# --- files ------------------------------------------------------------------------------------------------------------


def test_what_is_there_is_replaced_when_asked(chronicle: Chronicle, capsys: pytest.CaptureFixture[str]) -> None:
    Path("waves.csv").write_text("mine")
    export("csv", status=2)
    assert "waves.csv: is there already; --force replaces it, -o names another place" in capsys.readouterr().err
    assert Path("waves.csv").read_text() == "mine"
    export("csv", "-o", "deep/folder/mine.csv")
    export("csv", "--force")
    assert Path("waves.csv").read_bytes() == Path("deep/folder/mine.csv").read_bytes()
    assert {path.name for path in Path().iterdir()} == {"waves.csv", "deep", "runs"}


@pytest.mark.parametrize(
    ("kind", "module", "extra"),
    [("parquet", "pyarrow", "parquet"), ("optuna", "optuna", "optuna"), ("tensorboard", "tensorboard", "tensorboard")],
)
def test_a_library_that_is_missing_is_named(
    chronicle: Chronicle,
    kind: str,
    module: str,
    extra: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    export(kind, status=2)
    told = capsys.readouterr().err
    assert f"error: this needs the package {module}, which cannot be imported" in told
    assert f"pip install 'reverie[{extra}]'" in told
    assert {path.name for path in Path().iterdir()} == {"runs"}, "nothing is left half written"


def test_an_empty_study_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with opened(tmp_path / "runs", study(SPACE, name="waves")) as run:
        run.session(1, BEGAN)
        run.sync()
    for kind, module in (("csv", "csv"), ("parquet", "pyarrow"), ("optuna", "optuna"), ("mlflow-files", "csv")):
        pytest.importorskip(module)
        export(kind)


# --- trials that are paused -------------------------------------------------------------------------------------------


def test_a_paused_trial_is_a_pruned_one_for_other_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optuna = pytest.importorskip("optuna")
    from tests.reported_kinds import budgets

    folder = budgets(tmp_path / "runs", trials=20)
    monkeypatch.chdir(tmp_path)
    found = Chronicle(folder)
    found.read()
    paused = {record.trial.number: record.rungs for record in found.trials.values() if record.paused}
    assert paused
    export("csv", str(folder))
    with Path("s.csv").open(newline="") as file:
        rows = {int(row["number"]): row for row in csv.DictReader(file)}
    assert set(rows) == set(found.trials)
    export("mlflow-files", str(folder), "-o", "mlruns")
    assert len(list(Path("mlruns").rglob("meta.yaml"))) == 1 + len(found.trials)
    export("optuna", str(folder))
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("s.optuna.log"))
    trials = optuna.load_study(study_name="s", storage=storage).trials
    assert len(trials) == len(found.trials)
    for number, rungs in paused.items():
        assert rows[number]["state"] == trials[number].state.name == "PRUNED"
        assert float(rows[number]["value"]) == trials[number].value == rungs[-1].outcome.objective
        assert trials[number].intermediate_values == {rung.budget: rung.outcome.objective for rung in rungs}
        assert trials[number].user_attrs["budget"] == rungs[-1].budget
        started = trials[number].datetime_start
        assert started.timestamp() == rungs[0].started

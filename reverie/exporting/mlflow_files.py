"""Runs of MLflow as its file store has them: ``<experiment>/<run>/{params,metrics,tags}`` and ``meta.yaml``.

MLflow keeps that layout as it is ("maintenance mode") and still reads it; its own client, of some 40 MB, writes nothing
else, so that the few files are written here. Strings in YAML are written as JSON, which YAML includes.
"""

from __future__ import annotations

import getpass
import json
import re
import uuid
from pathlib import Path

from reverie.exporting.attributes import as_ended, metric_names, metrics_of, notes, settled
from utilities.goals import Goals
from utilities.storage.chronicle import Chronicle
from utilities.trial import TrialRecord, TrialState

_FOREIGN = re.compile(r"[^\w. -]", re.ASCII)
_LONGEST = 6000
_PARTS = ("params", "metrics", "tags", "artifacts")
"""Folders of a run, without which it is not taken for one."""

_FINISHED, _FAILED, _RUNNING, _LOCAL = 3, 4, 1, 4
"""RunStatus and SourceType of MLflow's protocol."""

_SEED = uuid.UUID("6f0f7c1e-7c53-4d47-9d5c-3d4d2f7a0b11")


def place(chronicle: Chronicle, store: Path) -> Path:
    """Folder of the study's experiment in a store, which may hold others."""
    header = chronicle.header
    return store / str(uuid.uuid5(_SEED, f"{header.name} {header.created!r}").int % 10**18)


def write(chronicle: Chronicle, folder: Path) -> None:
    """Write an experiment with a run for each trial that began.

    Parameters
    ----------
    chronicle
        The study.
    folder
        Where to write it; it is moved to its `place` in the same store then.
    """
    header, final = chronicle.header, place(chronicle, folder.parent)
    folder.mkdir(parents=True)
    created = int(header.created * 1000)
    _meta(
        folder,
        artifact_location=final.absolute().as_uri(),
        creation_time=created,
        experiment_id=final.name,
        last_update_time=created,
        lifecycle_stage="active",
        name=header.name,
    )
    names, goals = _metric_keys(chronicle), chronicle.goals
    for record in map(as_ended, chronicle.trials.values()):
        if record.started is not None or record.outcome is not None:
            run = uuid.uuid5(_SEED, f"{final.name} {record.trial.number}").hex
            reports = chronicle.reports.get(record.trial.number, {})
            for part in _PARTS:
                (folder / run / part).mkdir(parents=True)
            _meta(folder / run, **_run_meta(record, final, run))
            _write_params_and_tags(folder / run, record, goals)
            _write_metrics(folder / run / "metrics", record, reports, names, goals)


def _metric_keys(chronicle: Chronicle) -> dict[str, str]:
    """Key for each metric, none of them that of the objective or of reports."""
    return {
        metric: f"metric_{name}" if name in ("objective", "report") else name
        for metric, name in metric_names(settled(chronicle), chronicle.goals).items()
    }


def _run_meta(record: TrialRecord, experiment: Path, run: str) -> dict[str, object]:
    """Content of a run's ``meta.yaml``."""
    outcome = record.outcome
    began = record.started if record.started is not None else record.completed or 0.0
    return {
        "deleted_time": None,
        "artifact_uri": (experiment / run / "artifacts").absolute().as_uri(),
        "end_time": None if record.completed is None else int(record.completed * 1000),
        "entry_point_name": "",
        "experiment_id": experiment.name,
        "lifecycle_stage": "active",
        "run_id": run,
        "run_name": f"trial-{record.trial.number}",
        "run_uuid": run,
        "source_name": "",
        "source_type": _LOCAL,
        "source_version": "",
        "start_time": int(began * 1000),
        "status": _RUNNING if outcome is None else _FAILED if outcome.state is TrialState.FAIL else _FINISHED,
        "tags": [],
        "user_id": _user(),
    }


def _write_params_and_tags(folder: Path, record: TrialRecord, goals: Goals) -> None:
    for name, value in record.trial.config.items():
        _write(folder / "params" / _key(name), str(value)[:_LONGEST])
    tags = {f"reverie.{note}": value for note, value in notes(record, goals).items()}
    for name, value in {
        "mlflow.runName": f"trial-{record.trial.number}",
        "reverie.state": record.state.value,
        **tags,
    }.items():
        _write(folder / "tags" / name, str(value)[:_LONGEST])


def _write_metrics(
    folder: Path, record: TrialRecord, reports: dict[int, tuple[float, float]], names: dict[str, str], goals: Goals
) -> None:
    if reports:
        points = (_point(value, step, time) for step, (value, time) in sorted(reports.items()))
        _write(folder / "report", "".join(points))
    if record.outcome is None:
        return
    numbers = {names[name]: value for name, value in metrics_of(record, goals).items()}
    if record.outcome.objective is not None:
        numbers["objective"] = record.outcome.objective
    for name, value in numbers.items():
        _write(folder / _key(name), _point(value, 0, record.completed or 0.0))


def _point(value: float, step: int, time: float) -> str:
    """A line of a metric: milliseconds since the epoch, value, step."""
    return f"{int(time * 1000)} {value!r} {step}\n"


def _key(name: str) -> str:
    """`name` as MLflow takes it for a file: other characters become underscores."""
    safe = _FOREIGN.sub("_", name).strip(" ")
    return safe if safe.strip(".") else f"_{safe}"


def _meta(folder: Path, **content: object) -> None:
    _write(folder / "meta.yaml", "".join(f"{key}: {json.dumps(value)}\n" for key, value in content.items()))


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "backslashreplace"))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""

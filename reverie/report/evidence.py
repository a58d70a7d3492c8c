"""What a run folder tells of its study, read without a lock and without a change: the run may be going on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utilities.errors import StudyError
from utilities.goals import Goals, make_goals
from utilities.space import Space
from utilities.storage.archive import ArchiveError, StoredModel, read_model, read_study
from utilities.storage.chronicle import Chronicle
from utilities.storage.records import Header, SessionStart
from utilities.trial import TrialRecord, TrialState

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """A study as its folder has it.

    Attributes
    ----------
    folder
        The run folder.
    header
        First record of the journal.
    sessions
        The runs, in their order.
    trials
        By number, in the order in which they were asked.
    reports
        Of each trial that reported: (step, value) in the order of the reports, the latest value of a step.
    summary
        Content of summary.json; empty where there is none yet.
    tables
        The study file's tables as study.h5 has them, or what the journal has of them.
    model
        Surrogates of the last checkpoint, None where there are none.
    space
        Of the study.
    """

    folder: Path
    header: Header
    sessions: list[SessionStart]
    trials: dict[int, TrialRecord]
    reports: dict[int, dict[int, float]]
    summary: Mapping[str, Any]
    tables: Mapping[str, Any]
    model: StoredModel | None
    space: Space = field(repr=False)

    @property
    def sign(self) -> float:
        """1 where the objective is to be minimised, -1 where it is to be maximised."""
        return 1.0 if self.header.direction == "minimize" else -1.0

    @cached_property
    def ended(self) -> list[TrialRecord]:
        """Trials that ended, in the order in which they did."""
        ended = [trial for trial in self.trials.values() if trial.outcome is not None]
        return sorted(ended, key=lambda trial: trial.completed or 0.0)

    @cached_property
    def completed(self) -> list[TrialRecord]:
        """Trials that ran to their end, in the order in which they ended."""
        return [trial for trial in self.ended if trial.state is TrialState.COMPLETE]

    @cached_property
    def failed(self) -> list[TrialRecord]:
        """Trials that failed, in that order."""
        return [trial for trial in self.ended if trial.state is TrialState.FAIL]

    @cached_property
    def goals(self) -> Goals:
        """What the trials are judged by, as in the latest run."""
        run = self.sessions[-1] if self.sessions else self.header
        return make_goals(self.header.direction, None, None, run.metric_constraints)

    def feasible(self, trial: TrialRecord) -> bool:
        """Whether a trial completed and keeps the constraints on metrics."""
        outcome = trial.outcome
        return outcome is not None and outcome.state is TrialState.COMPLETE and self.goals.keeps(outcome)

    @cached_property
    def best(self) -> TrialRecord | None:
        """Best feasible trial, the first of equals."""
        feasible = filter(self.feasible, self.completed)
        return min(feasible, key=lambda trial: self.sign * value_of(trial), default=None)

    @property
    def began(self) -> float:
        """Seconds since the epoch at which the first run began."""
        return self.sessions[0].time if self.sessions else self.header.created

    @property
    def latest(self) -> float:
        """Seconds since the epoch of the latest thing that the journal tells of."""
        times = [self.began, *(session.time for session in self.sessions)]
        times += [trial.completed or trial.started or 0.0 for trial in self.trials.values()]
        times += [rung.completed for trial in self.trials.values() for rung in trial.rungs]
        return max(times)

    @property
    def budget(self) -> int | None:
        """Trials of the latest run's budget, None without."""
        return self.sessions[-1].budget if self.sessions else None


def value_of(trial: TrialRecord) -> float:
    """Objective of a trial, NaN where it has none."""
    outcome = trial.outcome
    return float("nan") if outcome is None or outcome.objective is None else outcome.objective


def read_evidence(folder: Path) -> Evidence:
    """Read a run folder.

    Raises
    ------
    StudyError
        It holds no journal, or no readable one, or a study of several objectives.
    """
    path = folder / "journal.jsonl"
    if not path.is_file():
        raise StudyError(f"{folder}: a run folder must hold a journal.jsonl; this one has none")
    chronicle = Chronicle(folder)
    chronicle.read()
    if not chronicle.begun:
        raise StudyError(f"{path}: the journal has no header yet; try again when the run has begun")
    header = chronicle.header
    if header.objectives is not None:
        front = "summary.json has the front, trials.csv the values"
        raise StudyError(f"{folder}: a report is of one objective; this study has {len(header.objectives)}: {front}")
    return Evidence(
        folder=folder,
        header=header,
        sessions=chronicle.runs,
        trials=chronicle.trials,
        reports={
            number: {step: value for step, (value, _) in steps.items()} for number, steps in chronicle.reports.items()
        },
        summary=_summary(folder),
        tables=_tables(folder, header),
        model=_model(folder, chronicle.replay.space),
        space=chronicle.replay.space,
    )


def _summary(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _tables(folder: Path, header: Header) -> dict[str, Any]:
    try:
        return dict(read_study(folder / "study.h5")[0])
    except ArchiveError:
        keys = ("name", "objective", "command", "direction", "method", "acquisition", "kappa", "seed")
        study = {key: getattr(header, key) for key in keys}
        return {"study": {key: value for key, value in study.items() if value is not None}, "space": header.space}


def _model(folder: Path, space: Space) -> StoredModel | None:
    try:
        model = read_model(folder / "study.h5")
    except ArchiveError:
        return None
    return model if model is not None and model.names == tuple(space.names) else None

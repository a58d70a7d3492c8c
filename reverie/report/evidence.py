"""What a run folder tells of its study, read without a lock and without a change: the run may be going on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utilities.errors import JournalError, StudyError
from utilities.goals import Goals, make_goals
from utilities.space import Space
from utilities.storage.archive import ArchiveError, StoredModel, read_model, read_study
from utilities.storage.journal import check_format, decode
from utilities.storage.lines import read_lines
from utilities.storage.records import Asked, Header, Record, Reported, SessionStart
from utilities.storage.replay import Replay
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
    sessions: list[SessionStart] = []
    reports: defaultdict[int, dict[int, float]] = defaultdict(dict)
    replay: Replay | None = None
    waiting: list[Record] = []
    with FileIO(path, "r") as file:
        for line in read_lines(file):
            if line.body is None:
                continue  # torn, or being written at this moment
            if replay is None:
                check_format(line.body, path)
                replay = _begin(decode(line, path), path)
                continue
            record = decode(line, path)
            if isinstance(record, SessionStart):
                sessions.append(record)
            elif isinstance(record, Asked):
                replay.apply(record)
            else:
                waiting.append(record)
    if replay is None:
        raise StudyError(f"{path}: the journal has no header yet; try again when the run has begun")
    for record in waiting:
        number = getattr(record, "number", None)
        if number is not None and number not in replay.trials:
            continue  # its question was lost to damage that `reverie repair` takes out
        replay.apply(record)
        if isinstance(record, Reported) and record.part is None:  # each instance has a curve of its own
            reports[record.number][record.step] = record.value
    header = replay.header
    if header.objectives is not None:
        front = "summary.json has the front, trials.csv the values"
        raise StudyError(f"{folder}: a report is of one objective; this study has {len(header.objectives)}: {front}")
    return Evidence(
        folder=folder,
        header=header,
        sessions=sessions,
        trials=replay.trials,
        reports=dict(reports),
        summary=_summary(folder),
        tables=_tables(folder, header),
        model=_model(folder, replay.space),
        space=replay.space,
    )


def _begin(record: Record, path: Path) -> Replay:
    if not isinstance(record, Header):
        raise JournalError(f"{path}: a journal must begin with its header; line 1 is none")
    return Replay(record)


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

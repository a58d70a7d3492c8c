"""What a run folder tells of its study, read without a lock and without a change: the run may be going on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray

from utilities.budgets import Budget
from utilities.errors import StudyError
from utilities.fitting import label_of
from utilities.goals import Goals
from utilities.returned import OBJECTIVE
from utilities.rungs import concluded
from utilities.space import Space
from utilities.stage_plan import Begun
from utilities.storage.archive import ArchiveError, StoredModel, read_model, read_study
from utilities.storage.chronicle import Chronicle
from utilities.storage.records import Header, Measured, SessionStart
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
    goals
        What the trials are judged by, as in the latest run.
    stages
        Those that have begun.
    measured
        Of each trial on instances: its evaluations, in the order in which they ended.
    target
        Index of the objective that the values are of.
    rung
        Budget at which the values are; None for those of trials that completed.
    raced
        Whether trials that were given up in a race over instances have a value, too: the mean that they had come to.
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
    goals: Goals = field(repr=False)
    stages: Sequence[Begun] = ()
    measured: Mapping[int, Sequence[Measured]] = field(default_factory=dict)
    target: int = 0
    rung: Budget | None = None
    raced: bool = False

    def of(self, target: int) -> Evidence:
        """The same study by another of its objectives."""
        return replace(self, target=target)

    def at(self, budget: Budget) -> Evidence:
        """The same study by the values that trials had come to with this budget."""
        return replace(self, rung=budget)

    def with_given_up(self) -> Evidence:
        """The same study with the values of the trials that were given up in a race over instances."""
        return replace(self, raced=True)

    @property
    def objective(self) -> str:
        """Name of the objective."""
        return self.goals.names[self.target]

    @property
    def sign(self) -> float:
        """1 where the objective is to be minimised, -1 where it is to be maximised."""
        return float(self.goals.signs[self.target])

    def value(self, trial: TrialRecord) -> float:
        """Objective of a trial, NaN where it has none."""
        outcome = trial.outcome
        if self.rung is not None:
            own = trial.outcome if trial.budget == self.rung else None
            outcome = next((rung.outcome for rung in trial.rungs if rung.budget == self.rung), own)
        if outcome is None:
            return float("nan")
        if self.goals.several:
            values = self.goals.values_of(outcome)
            return float("nan") if values is None else values[self.target]
        return float("nan") if outcome.objective is None else outcome.objective

    @cached_property
    def ended(self) -> list[TrialRecord]:
        """Trials that ended, in the order in which they did."""
        ended = [trial for trial in self.trials.values() if trial.outcome is not None]
        return sorted(ended, key=lambda trial: trial.completed or 0.0)

    @cached_property
    def completed(self) -> list[TrialRecord]:
        """Trials that ran to their end, or came to a value at the rung, in the order in which they did."""
        if self.rung is None:
            return [trial for trial in self.ended if trial.state is TrialState.COMPLETE or self._given_up(trial)]
        reached = [trial for trial in self.trials.values() if np.isfinite(self.value(trial))]
        return sorted(reached, key=self._reached)

    def _given_up(self, trial: TrialRecord) -> bool:
        return self.raced and trial.state is TrialState.PRUNED and bool(np.isfinite(self.value(trial)))

    def _reached(self, trial: TrialRecord) -> float:
        """When a trial came to its value at the rung."""
        ends = (rung.completed for rung in trial.rungs if rung.budget == self.rung)
        return next(ends, trial.completed or 0.0)

    @cached_property
    def failed(self) -> list[TrialRecord]:
        """Trials that failed, in that order."""
        return [trial for trial in self.ended if trial.state is TrialState.FAIL]

    @cached_property
    def settled(self) -> list[TrialRecord]:
        """Trials that ended, and those that are paused: these have a value so far."""
        return [*self.ended, *(trial for trial in self.trials.values() if trial.paused)]

    @cached_property
    def states(self) -> Mapping[str, int]:
        """Number of trials by state; once the study is through, those that are paused are pruned."""
        counts = Counter[str](trial.state for trial in self.trials.values())
        through = str(self.summary.get("status", "")).startswith("finished")
        return concluded(counts) if through else counts

    def feasible(self, trial: TrialRecord) -> bool:
        """Whether a trial completed and keeps the constraints on metrics; at a rung, whether it came to a value."""
        outcome = trial.outcome
        if self.rung is not None:
            return bool(np.isfinite(self.value(trial)))
        return outcome is not None and outcome.state is TrialState.COMPLETE and self.goals.keeps(outcome)

    @cached_property
    def best(self) -> TrialRecord | None:
        """Best feasible trial, the first of equals."""
        feasible = (trial for trial in self.completed if self.feasible(trial) and np.isfinite(self.value(trial)))
        return min(feasible, key=lambda trial: self.sign * self.value(trial), default=None)

    def told(self, count: int) -> str:
        """So many of the trials that have a value, in words."""
        words = self.scored_trials
        return f"{count:,} {words.replace('trials', 'trial', 1) if count == 1 else words}"

    @property
    def scored_trials(self) -> str:
        """The trials that have a value, in words."""
        if self.raced:
            return "trials in the race"
        return "completed trials" if self.rung is None else f"trials at {self.rung:g} {self.budget_name}"

    def owns(self, kind: str) -> bool:
        """Whether a surrogate of this kind is of the objective, not of another one or of a constrained metric."""
        return label_of(kind) in ((quote(self.objective, safe=""),) if self.goals.several else ("", OBJECTIVE))

    @property
    def budget_name(self) -> str:
        """What a budget counts."""
        fidelity = self.header.fidelity
        return "" if fidelity is None else fidelity.name

    @property
    def began(self) -> float:
        """Seconds since the epoch at which the first run began."""
        return self.sessions[0].time if self.sessions else self.header.created

    @property
    def latest(self) -> float:
        """Seconds since the epoch of the latest thing that the journal tells of."""
        times = [self.began, *(session.time for session in self.sessions)]
        times += [trial.completed or trial.started or 0.0 for trial in self.trials.values()]
        times += [part.completed for parts in self.measured.values() for part in parts]
        times += [rung.completed for trial in self.trials.values() for rung in trial.rungs]
        return max(times)

    @property
    def budget(self) -> int | None:
        """Trials of the latest run's budget, None without."""
        return self.sessions[-1].budget if self.sessions else None


def read_evidence(folder: Path) -> Evidence:
    """Read a run folder.

    Raises
    ------
    StudyError
        It holds no journal, or no readable one.
    """
    path = folder / "journal.jsonl"
    if not path.is_file():
        raise StudyError(f"{folder}: a run folder must hold a journal.jsonl; this one has none")
    chronicle = Chronicle(folder)
    chronicle.read()
    if not chronicle.begun:
        raise StudyError(f"{path}: the journal has no header yet; try again when the run has begun")
    header = chronicle.header
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
        goals=chronicle.goals,
        stages=chronicle.replay.stages,
        measured=chronicle.measured,
    )


def _summary(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


_KEYS = (
    *("name", "objective", "command", "direction", "objectives", "directions", "metric_constraints", "instances"),
    *("method", "acquisition", "kappa", "seed"),
)


def _tables(folder: Path, header: Header) -> dict[str, Any]:
    try:
        return dict(read_study(folder / "study.h5")[0])
    except ArchiveError:
        study = {key: getattr(header, key) for key in _KEYS}
        tables = {"study": {key: value for key, value in study.items() if value is not None}, "space": header.space}
        return tables if header.fidelity is None else tables | {"fidelity": msgspec.to_builtins(header.fidelity)}


def _model(folder: Path, space: Space) -> StoredModel | None:
    try:
        model = read_model(folder / "study.h5")
    except ArchiveError:
        return None
    return model if model is not None and model.names == tuple(space.names) else None

"""A study of Optuna's in a journal file, which its plots and optuna-dashboard read.

Distributions say what Optuna can say, see `utilities.optuna_distributions`; a constant is a user attribute.
Constraints on metrics are Optuna's: by how much a trial breaks each, which is above 0 where it does.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

from reverie.exporting.attributes import (
    as_ended,
    is_feasible,
    metric_names,
    metrics_of,
    moment,
    notes,
    settled,
    values_of,
)
from reverie.exporting.libraries import library
from utilities.goals import Goals
from utilities.optuna_distributions import as_choice, distribution_of
from utilities.storage.chronicle import Chronicle
from utilities.trial import TrialRecord


def write(chronicle: Chronicle, path: Path) -> None:
    """Write all trials, running and waiting ones too, by ascending number; needs optuna.

    Raises
    ------
    StudyError
        optuna is not installed.
    """
    optuna: Any = library("optuna", "optuna")
    journal: Any = library("optuna.storages.journal", "optuna")
    header = chronicle.header
    # Each study that is made says so on standard error.
    told = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = optuna.storages.JournalStorage(journal.JournalFileBackend(str(path)))
        own = _Trials(optuna, chronicle)
        study = optuna.create_study(storage=storage, study_name=header.name, directions=own.goals.directions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna calls names of metrics experimental
            study.set_metric_names([*own.goals.names])
        for key in ("method", "seed", "objective", "command", "versions"):
            if getattr(header, key) is not None:
                study.set_user_attr(f"reverie_{key}", getattr(header, key))
        for number in sorted(chronicle.trials):
            study.add_trial(own.frozen(as_ended(chronicle.trials[number])))
    finally:
        optuna.logging.set_verbosity(told)


class _Trials:
    """Makes Optuna's trials of those of a study."""

    def __init__(self, optuna: Any, chronicle: Chronicle) -> None:
        self._optuna, self._reports = optuna, chronicle.reports
        self.goals = chronicle.goals
        self._metrics = metric_names(settled(chronicle), self.goals)
        self._space = chronicle.replay.space.varied
        self._distributions = {name: distribution_of(parameter) for name, parameter in self._space.items()}

    def frozen(self, record: TrialRecord) -> Any:
        """Trial as Optuna keeps it; the number is given by the study it is added to."""
        config, outcome = record.trial.config, record.outcome
        params = {name: as_choice(parameter, config[name]) for name, parameter in self._space.items() if name in config}
        attributes: dict[str, Any] = notes(record, self.goals)
        attributes |= {name: value for name, value in config.items() if name not in self._distributions}
        attributes |= {self._metrics[name]: value for name, value in metrics_of(record, self.goals).items()}
        started = record.started if record.started is not None else record.completed
        return self._optuna.trial.FrozenTrial(
            number=record.trial.number,
            trial_id=record.trial.number,
            state=self._optuna.trial.TrialState[record.state.value],
            value=None if outcome is None or self.goals.several else outcome.objective,
            values=values_of(record, self.goals),
            datetime_start=None if started is None else moment(started),
            datetime_complete=None if record.completed is None else moment(record.completed),
            params=params,
            distributions={name: self._distributions[name] for name in params},
            user_attrs=attributes,
            system_attrs=_violations(record, self.goals),
            intermediate_values=self._steps(record),
        )

    def _steps(self, record: TrialRecord) -> dict[int, float]:
        """What a trial reported, and what it came to with smaller budgets that are integers, by the step."""
        rungs = {rung.budget: rung.outcome.objective for rung in record.rungs if isinstance(rung.budget, int)}
        reports = {step: value for step, (value, _) in self._reports.get(record.trial.number, {}).items()}
        known = {step: value for step, value in rungs.items() if value is not None} | reports
        return dict(sorted(known.items()))


_LEAST, _MISSING = 1e-12, 1e300
"""What is told of a constraint that is broken by nothing, being strict, or by a metric that is missing: JSON has no
infinity."""


def _violations(record: TrialRecord, goals: Goals) -> dict[str, list[float]]:
    """How far a completed trial is beyond each constraint on metrics, as Optuna's samplers note it; empty without."""
    if is_feasible(record, goals) is None or record.outcome is None:
        return {}
    metrics = goals.metrics_of(record.outcome)
    found = []
    for constraint in goals.constraints:
        value = metrics.get(constraint.name, math.nan)
        beyond = (value - constraint.bound) * (1.0 if constraint.upper else -1.0)
        if constraint.holds(value):
            found.append(min(beyond, 0.0))
        else:
            found.append(min(max(beyond, _LEAST), _MISSING) if math.isfinite(beyond) else _MISSING)
    return {"constraints": [max(value, -_MISSING) for value in found]}

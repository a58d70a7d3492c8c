"""A study of Optuna's in a journal file, which its plots and optuna-dashboard read.

Distributions say what Optuna can say, see `utilities.optuna_distributions`; a constant is a user attribute.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reverie.exporting.attributes import metric_names, metrics_of, moment, notes, values_of
from reverie.exporting.libraries import library
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
        for key in ("method", "seed", "objective", "command", "versions"):
            study.set_user_attr(f"reverie_{key}", getattr(header, key))
        for number in sorted(chronicle.trials):
            study.add_trial(own.frozen(chronicle.trials[number]))
    finally:
        optuna.logging.set_verbosity(told)


class _Trials:
    """Makes Optuna's trials of those of a study."""

    def __init__(self, optuna: Any, chronicle: Chronicle) -> None:
        self._optuna, self._reports = optuna, chronicle.reports
        self.goals = chronicle.goals
        self._metrics = metric_names(chronicle.trials.values(), self.goals)
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
            system_attrs={},
            intermediate_values={
                step: value for step, (value, _) in sorted(self._reports.get(record.trial.number, {}).items())
            },
        )

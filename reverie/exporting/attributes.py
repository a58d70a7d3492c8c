"""What other tools are told of a trial beside its parameters and its objective."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec.structs import replace

from utilities.goals import Goals
from utilities.storage.chronicle import Chronicle
from utilities.trial import TrialRecord, TrialState

_NOTES = ("number", "seed", "failure", "worker", "origin", "feasible")


def settled(chronicle: Chronicle) -> list[TrialRecord]:
    """Trials that ended, in that order, then those that are paused, as `as_ended` has them."""
    paused = sorted(record.trial.number for record in chronicle.trials.values() if record.paused)
    return [as_ended(record) for record in (*chronicle.ended, *map(chronicle.trials.__getitem__, paused))]


def as_ended(record: TrialRecord) -> TrialRecord:
    """A trial as one that began with its first evaluation; a paused one as if it were never promoted, which is pruned.

    Other tools know of no trial that waits between two budgets.
    """
    if record.paused:
        last = record.rungs[-1]
        outcome = replace(last.outcome, state=TrialState.PRUNED)
        return replace(record, outcome=outcome, worker=last.worker, started=record.begun, completed=last.completed)
    return replace(record, started=record.begun) if record.rungs else record


def notes(record: TrialRecord, goals: Goals) -> dict[str, str | float]:
    """Number, seed, worker, origin and budget of a trial, why it failed, whether it keeps constraints on metrics."""
    own: dict[str, str | float] = {"number": record.trial.number, "seed": record.trial.seed, "origin": record.origin}
    if record.worker:
        own["worker"] = record.worker
    if record.outcome is not None and record.outcome.reason:
        own["failure"] = record.outcome.reason
    if record.budget is not None:
        own["budget"] = record.budget
    feasible = is_feasible(record, goals)
    if feasible is not None:
        own["feasible"] = feasible
    return own


def is_feasible(record: TrialRecord, goals: Goals) -> bool | None:
    """Whether a trial keeps the constraints on metrics; None where there are none, or it did not complete."""
    if not goals.constraints or record.outcome is None or record.outcome.state is not TrialState.COMPLETE:
        return None
    return goals.keeps(record.outcome)


def values_of(record: TrialRecord, goals: Goals) -> tuple[float, ...] | None:
    """Values of several objectives of a completed trial; None where there are none."""
    if not goals.several or record.outcome is None or record.outcome.state is not TrialState.COMPLETE:
        return None
    return goals.values_of(record.outcome)


def metrics_of(record: TrialRecord, goals: Goals) -> dict[str, float]:
    """Metrics of a trial, with several objectives these too: that may be the time of the evaluation."""
    if record.outcome is None:
        return {}
    values = values_of(record, goals)
    return {**({} if values is None else dict(zip(goals.names, values, strict=True))), **record.outcome.metrics}


def metric_names(records: Iterable[TrialRecord], goals: Goals) -> dict[str, str]:
    """Name for each of the `metrics_of` the trials, another one where it is that of a note."""
    names: dict[str, str] = {}
    for record in records:
        reserved = _NOTES if record.budget is None else (*_NOTES, "budget")
        for name in metrics_of(record, goals):
            if name not in names:
                free = name
                while free in reserved or free in names.values():
                    free = f"metric_{free}"
                names[name] = free
    return names


def moment(seconds: float) -> datetime:
    """Time of a record as other tools take it: with its zone, which is UTC."""
    return datetime.fromtimestamp(seconds, UTC)

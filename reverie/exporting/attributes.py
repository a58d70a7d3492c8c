"""What other tools are told of a trial beside its parameters and its objective."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from utilities.trial import TrialRecord

_NOTES = ("number", "seed", "failure", "worker", "origin")


def notes(record: TrialRecord) -> dict[str, str | int]:
    """Number, seed, worker and origin of a trial, and why it failed."""
    own: dict[str, str | int] = {"number": record.trial.number, "seed": record.trial.seed, "origin": record.origin}
    if record.worker:
        own["worker"] = record.worker
    if record.outcome is not None and record.outcome.reason:
        own["failure"] = record.outcome.reason
    return own


def metric_names(records: Iterable[TrialRecord]) -> dict[str, str]:
    """Name for each metric of the trials, another one where it is that of a note."""
    names: dict[str, str] = {}
    for record in records:
        for name in record.outcome.metrics if record.outcome else ():
            if name not in names:
                free = name
                while free in _NOTES or free in names.values():
                    free = f"metric_{free}"
                names[name] = free
    return names


def moment(seconds: float) -> datetime:
    """Time of a record as other tools take it: with its zone, which is UTC."""
    return datetime.fromtimestamp(seconds, UTC)

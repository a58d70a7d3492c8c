"""The evaluations of a study with budgets as columns: one row for each that ended, trial by trial.

Symbols
-------
m   evaluations
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from utilities.surrogate import Array
from utilities.trial import Outcome, TrialRecord

COLUMNS = ("number", "budget", "objective", "seconds", "started", "completed")


def rung_columns(records: Iterable[TrialRecord]) -> dict[str, Array]:
    """Columns (m,): trial, budget, objective, seconds of the evaluation, its start and end in seconds since the epoch.

    What an evaluation has not got is NaN: the objective of one that failed.
    """
    rows = []
    for record in records:
        rows += [_row(record, rung.budget, rung.outcome, rung.started, rung.completed) for rung in record.rungs]
        if record.outcome is not None and not (record.rungs and record.rungs[-1].budget == record.budget):
            rows.append(_row(record, record.budget, record.outcome, record.started, record.completed))
    table = np.array(rows, dtype=np.float64).reshape(-1, len(COLUMNS))
    return {name: table[:, column] for column, name in enumerate(COLUMNS)}


def _row(
    record: TrialRecord, budget: float | None, outcome: Outcome, started: float | None, completed: float | None
) -> tuple[float | None, ...]:
    return record.trial.number, budget, outcome.objective, outcome.seconds, started, completed

"""The table trials.csv: a row a trial, appended as it ends, in the columns of Optuna's ``trials_dataframe``.

``number, value, state, datetime_start, datetime_complete, duration, params_*, user_attrs_failure, user_attrs_worker,
user_attrs_origin, user_attrs_*``: times in local time without a zone, as Optuna has them, in ISO 8601 with
microseconds; the duration as pandas writes one; what a trial has not got is empty. With several objectives
``values_0, values_1, ...`` stand in place of ``value``, and under constraints on metrics ``user_attrs_feasible`` after
``user_attrs_origin``. The file follows from the journal and is written anew where it does not match.

In a study with budgets ``user_attrs_budget`` follows the origin: that of the trial's last evaluation. Once such a study
is through, trials that are still paused stand at the end, as pruned; a run that continues it takes them out.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from utilities.goals import Goals
from utilities.storage.atomic import replace_file
from utilities.trial import Outcome, TrialRecord, TrialState

_TIMES = ("state", "datetime_start", "datetime_complete", "duration")
_PART = 1000
_NOTES = ("failure", "worker", "origin")
_FEASIBLE = "feasible"
_PLAIN = Goals()


class TrialsCsv:
    """The file at `path`, which holds the trials that ended, in the order in which they did.

    Parameters
    ----------
    path
        The file.
    parameters
        Names of the parameters of the space.
    goals
        What trials are judged by.
    budgets
        Whether trials have budgets.
    """

    def __init__(self, path: Path, parameters: Sequence[str], goals: Goals = _PLAIN, *, budgets: bool = False) -> None:
        self.path, self._goals, self._budgets = path, goals, budgets
        self._parameters = list(parameters)
        extra = (_FEASIBLE,) if goals.constraints else ()
        self._notes = (*_NOTES, *extra, "budget") if budgets else (*_NOTES, *extra)
        self._records: list[TrialRecord] = []
        self._metrics: dict[str, str] = {}
        self._size = -1

    def restore(self, records: Iterable[TrialRecord], paused: Sequence[TrialRecord] = ()) -> bool:
        """Take over the trials that ended before; write the file anew where it does not hold just these.

        Parameters
        ----------
        records
            They, in the order in which they ended.
        paused
            Those that wait at a rung, as given to `conclude` if that was the last thing to happen.

        Returns
        -------
        bool
            Whether there was a file that did not match. One that only lacks the latest rows, as a run that was killed
            leaves it, does.
        """
        self._records = list(records)
        self._widen(self._records)
        there = self.path.exists()
        lacks_rows, matches = self._compare() if there else (True, False)
        expected = matches or lacks_rows or (bool(paused) and any(self._with(paused)._compare()))
        if matches:
            self._size = self.path.stat().st_size
        else:
            self._replace()
        return there and not expected

    def _with(self, paused: Sequence[TrialRecord]) -> TrialsCsv:
        """Table that has the paused trials at its end."""
        table = TrialsCsv(self.path, self._parameters, budgets=len(self._notes) > len(_NOTES))
        table._records = [*self._records, *paused]
        table._widen(table._records)
        return table

    def conclude(self, paused: Sequence[TrialRecord]) -> None:
        """Write the trials that are paused after those that ended, as pruned.

        Raises
        ------
        OSError
            The file cannot be written; it is as it was.
        """
        if paused:
            self._with(paused)._replace()
            self._size = 0  # another than it has: a row that followed would have it written anew

    def _compare(self) -> tuple[bool, bool]:
        """Whether the file only lacks the table's last rows, and whether it is the table."""
        with self.path.open("rb") as file:
            for part in self._table():
                begun = file.tell() > 0
                found = file.read(len(part))
                if found != part:
                    return part.startswith(found) and (found.endswith(b"\n") or (begun and not found)), False
            return False, not file.read(1)

    def _replace(self) -> None:
        data = b"".join(self._table())
        replace_file(self.path, data)
        self._size = len(data)

    def append(self, records: Sequence[TrialRecord]) -> None:
        """Append the rows of trials that ended.

        A new metric, or a file that is not as this object left it, has the whole file written anew.

        Raises
        ------
        OSError
            The file cannot be written. The records are taken over all the same, and written with the next call.
        """
        self._records.extend(records)
        size, self._size = self._size, -1
        if self._widen(records) or not self.path.exists() or self.path.stat().st_size != size:
            self._replace()
            return
        data = _lines(map(self._row, records))
        try:
            with self.path.open("ab") as file:
                file.write(data)
        except OSError:
            os.truncate(self.path, size)
            raise
        self._size = size + len(data)

    @property
    def stale(self) -> bool:
        """Whether the file could not be written the last time."""
        return self._size < 0

    def _widen(self, records: Iterable[TrialRecord]) -> bool:
        """Give each metric a column; returns whether there is a new one."""
        before = len(self._metrics)
        for record in records:
            for name in _final(record).metrics if record.outcome or record.paused else ():
                if name not in self._metrics:
                    self._metrics[name] = self._free_column(name)
        return len(self._metrics) > before

    def _free_column(self, metric: str) -> str:
        """Column for a metric, which may have the name of a column that is there already."""
        column = metric
        while column in self._notes or column in self._metrics.values():
            column = f"metric_{column}"
        return column

    def _table(self) -> Iterator[bytes]:
        """The whole table, in parts: of very many trials, all of it would take up much memory."""
        params = [f"params_{name}" for name in self._parameters]
        attrs = [f"user_attrs_{name}" for name in (*self._notes, *self._metrics.values())]
        values = [f"values_{i}" for i in range(len(self._goals.names))] if self._goals.several else ["value"]
        yield _lines([["number", *values, *_TIMES, *params, *attrs]])
        for first in range(0, len(self._records), _PART):
            yield _lines(map(self._row, self._records[first : first + _PART]))

    def _row(self, record: TrialRecord) -> list[object]:
        outcome, config = _final(record), record.trial.config
        completed = record.rungs[-1].completed if record.paused else record.completed
        return [
            record.trial.number,
            *self._values(outcome),
            outcome.state.value,
            _local(record.begun),
            _local(completed),
            _duration(record.begun, completed),
            *map(config.get, self._parameters),
            " ".join(outcome.reason.split()),
            record.rungs[-1].worker if record.paused else record.worker,
            record.origin,
            *self._feasible(outcome),
            *[record.budget][: self._budgets],
            *map(outcome.metrics.get, self._metrics),
        ]

    def _values(self, outcome: Outcome) -> Sequence[float | None]:
        if not self._goals.several:
            return [outcome.objective]
        values = self._goals.values_of(outcome) if outcome.state is TrialState.COMPLETE else None
        return [None] * len(self._goals.names) if values is None else values

    def _feasible(self, outcome: Outcome) -> list[bool | None]:
        """Whether a completed trial keeps the constraints on metrics; no column without any."""
        if not self._goals.constraints:
            return []
        return [self._goals.keeps(outcome) if outcome.state is TrialState.COMPLETE else None]


def _final(record: TrialRecord) -> Outcome:
    """Outcome of a trial; of a paused one what it would be if it were never promoted."""
    if record.paused:
        return replace(record.rungs[-1].outcome, state=TrialState.PRUNED)
    if record.outcome is None:
        raise ValueError(f"trial {record.trial.number} has not ended: it has no row")
    return record.outcome


def _local(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds).isoformat(timespec="microseconds")


def _duration(started: float | None, completed: float | None) -> str | None:
    if started is None or completed is None:
        return None
    span = timedelta(seconds=max(0.0, completed - started))
    minutes, seconds = divmod(span.seconds, 60)
    return f"{span.days} days {minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{span.microseconds:06}"


class _Lines(list[str]):
    """What the csv module writes to: it writes a row at a time."""

    def write(self, line: str) -> None:
        self.append(line.removesuffix("\r\n"))


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    # With "\r\n" as its line end, the csv module quotes a lone "\r" too, which readers take for the end of a line.
    lines = _Lines()
    csv.writer(lines, lineterminator="\r\n").writerows(rows)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")

"""The table of trials as Parquet: the columns of trials.csv, each of its own type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reverie.exporting.attributes import is_feasible, metric_names, metrics_of, moment, settled, values_of
from reverie.exporting.libraries import library
from utilities.choices import BoolParameter
from utilities.goals import Goals
from utilities.parameters import Parameter
from utilities.ranges import FloatParameter, IntParameter
from utilities.storage.chronicle import Chronicle
from utilities.trial import TrialRecord

_NOTES = ("failure", "worker", "origin")


def write(chronicle: Chronicle, path: Path) -> None:
    """Write a row for each trial that ended, in that order, then for those that are paused; needs pyarrow.

    Choices of several types are text. Times are UTC with microseconds.

    Raises
    ------
    StudyError
        pyarrow is not installed.
    """
    arrow: Any = library("pyarrow", "parquet")
    parquet: Any = library("pyarrow.parquet", "parquet")
    records, goals = settled(chronicle), chronicle.goals
    columns: dict[str, Any] = {
        "number": arrow.array([record.trial.number for record in records], arrow.int64()),
        **_values(arrow, records, goals),
        "state": arrow.array([record.state.value for record in records], arrow.string()),
        "datetime_start": _times(arrow, [record.started for record in records]),
        "datetime_complete": _times(arrow, [record.completed for record in records]),
        "duration": arrow.array(list(map(_microseconds, records)), arrow.duration("us")),
    }
    for name, parameter in chronicle.replay.space.parameters.items():
        kind, convert = _type(arrow, parameter)
        values = (record.trial.config.get(name) for record in records)
        columns[f"params_{name}"] = arrow.array([None if v is None else convert(v) for v in values], kind)
    noted = list(map(_noted, records))
    for i, note in enumerate(_NOTES):
        columns[f"user_attrs_{note}"] = arrow.array([own[i] for own in noted], arrow.string())
    if goals.constraints:
        columns["user_attrs_feasible"] = arrow.array([is_feasible(one, goals) for one in records], arrow.bool_())
    for metric, free in metric_names(records, goals).items():
        numbers = [metrics_of(record, goals).get(metric) for record in records]
        columns[f"user_attrs_{free}"] = arrow.array(numbers, arrow.float64())
    parquet.write_table(arrow.table(columns), path)


def _values(arrow: Any, records: list[TrialRecord], goals: Goals) -> dict[str, Any]:
    """Column of the objective, or one of each of several."""
    if not goals.several:
        return {"value": arrow.array([one.outcome and one.outcome.objective for one in records], arrow.float64())}
    rows = [values_of(record, goals) for record in records]
    return {
        f"values_{i}": arrow.array([None if row is None else row[i] for row in rows], arrow.float64())
        for i in range(len(goals.names))
    }


def _times(arrow: Any, seconds: list[float | None]) -> Any:
    moments = [None if time is None else moment(time) for time in seconds]
    return arrow.array(moments, arrow.timestamp("us", tz="UTC"))


def _microseconds(record: TrialRecord) -> int | None:
    if record.started is None or record.completed is None:
        return None
    return round(max(0.0, record.completed - record.started) * 1e6)


def _noted(record: TrialRecord) -> tuple[str, str, str]:
    reason = record.outcome.reason if record.outcome else ""
    return " ".join(reason.split()), record.worker, record.origin


def _type(arrow: Any, parameter: Parameter) -> tuple[Any, Callable[[Any], Any]]:
    """Type of a parameter's column, and what makes a value of that type."""
    if isinstance(parameter, FloatParameter):
        return arrow.float64(), float
    if isinstance(parameter, IntParameter):
        return arrow.int64(), int
    if isinstance(parameter, BoolParameter):
        return arrow.bool_(), bool
    options = getattr(parameter, "options", None) or [parameter.value]
    kinds = {type(option) for option in options}
    known = {int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_()}
    if len(kinds) == 1 and (kind := kinds.pop()) in known:
        return known[kind], kind
    return arrow.string(), str

"""The rules of the keys of ``[study]``: value and place in, checked value out.

A rule holds for a value from the file, and for its text from the command line.
"""

from __future__ import annotations

import math
import re
from typing import Any

from utilities.errors import StudyError
from utilities.methods import ACQUISITIONS, KAPPA, METHODS
from utilities.metric_constraints import (
    DIRECTIONS,
    check_direction,
    check_objectives,
    read_metric_constraint,
)
from utilities.storage.race_rules import MOST_INSTANCES, instances, race_alpha
from utilities.storage.rules import Rule, a_word, from_least
from utilities.storage.tables import LARGEST, show

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?)\s*{unit}\s*)?" for unit in _UNITS))
_NUMBER = r"\+?(\d[\d_]*\.?|\d*\.\d)[\d_]*([eE][-+]?\d+)?"
_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_MOST_SHARING = 1000
_ROUNDED = 0.025
"""How far from 1 a share of a GPU, times the workers that share it, may be: 0.33 and 0.17 are meant as 1/3 and 1/6."""

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtKMGT]?)(?:[iI]?[bB])?")

_OF_NAMES: dict[str, Any] = {"minLength": 1, "maxLength": 200, "pattern": r"^(?!\.\.?$)[^\s/\\]([^/\\]*[^\s/\\])?$"}
_TIME = rf"\s*({re.sub('[?]P<.>', '', _DURATION.pattern)}|{_NUMBER}\s*)$"
_OF_DURATIONS: dict[str, Any] = {"exclusiveMinimum": 0, "pattern": rf"^(?=.*[1-9]){_TIME}"}
_OF_MEMORY: dict[str, Any] = {"minimum": 1, "pattern": rf"^\s*{_MEMORY.pattern}\s*$"}
_OF_GPUS: dict[str, Any] = {"minimum": 0, "pattern": rf"^\s*{_NUMBER}\s*(/\s*{_NUMBER}\s*)?$"}
"""What the checks below allow of numbers and text at most, in the words of JSON Schema."""


def parse_duration(text: str | float, where: str) -> float:
    """Read a duration in seconds.

    Parameters
    ----------
    text
        ``"8h"``, ``"1h30m"``, ``"1.5 h"``, ``"2d"``, ``"90s"`` (units in the order d, h, m, s), or a number of seconds.
    where
        Start of an error message, like ``study.toml: [study] time_limit``.

    Raises
    ------
    StudyError
        Not a duration, negative, or not finite.
    """
    seconds = float(text) if isinstance(text, int | float) else _seconds(text.strip())
    if not 0.0 <= seconds < math.inf:
        raise StudyError(f'{where} must be a duration such as "8h", "1h30m", "90s" or 90 (seconds); got {show(text)}')
    return seconds


def _seconds(text: str) -> float:
    """Seconds in `text`, NaN where it is no duration."""
    match = _DURATION.fullmatch(text)
    if text and match:
        return sum(float(amount) * _UNITS[unit] for unit, amount in match.groupdict().items() if amount)
    try:
        return float(text)
    except ValueError:
        return math.nan


def parse_memory(text: str | int, where: str) -> int:
    """Read an amount of memory in bytes.

    Parameters
    ----------
    text
        ``"4G"``, ``"512M"``, ``"1.5 GiB"`` (units K, M, G, T in powers of 1,024, as in sbatch; with or without B or
        iB), or a number of bytes.
    where
        Start of an error message, like ``study.toml: [study] trial_memory``.

    Raises
    ------
    StudyError
        Not an amount of memory, below one byte, or beyond 64 bits.
    """
    match = _MEMORY.fullmatch(str(text).strip())
    amount = float(match[1]) * _BYTES[match[2].lower()] if match else math.nan
    if not 1.0 <= amount <= LARGEST:
        raise StudyError(f'{where} must be an amount of memory such as "4G", "512M" or bytes; got {show(text)}')
    return int(amount)


def _positive_duration(value: str | float, where: str) -> float:
    seconds = parse_duration(value, where)
    if seconds == 0:
        raise StudyError(f"{where} must be above 0; got {show(value)}")
    return seconds


def _positive(value: float | str, where: str) -> float:
    """A finite number above 0; text as it stands on a command line."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0.0 < number < math.inf:
        raise StudyError(f"{where} must be a finite number above 0; got {show(value)}")
    return number


def _gpus(value: str | float, where: str) -> float:
    """A whole number of GPUs, or 1/k of one; text as it stands on a command line, "1/k" itself too."""
    upper, slash, lower = str(value).partition("/")
    try:
        number = float(upper) / float(lower if slash else 1)
    except (ValueError, ZeroDivisionError):
        number = math.nan
    if number >= 0.0 and number.is_integer() and number <= LARGEST:
        return int(number)
    if 1.0 / _MOST_SHARING <= number < 1.0:
        sharing = round(1.0 / number)
        if abs(number * sharing - 1.0) <= _ROUNDED:
            return 1.0 / sharing
    raise StudyError(
        f'{where} must be a whole number of at least 0, or 1/k for k workers on a GPU, such as 0.5 or "1/3" (k at most '
        f"{_MOST_SHARING:,}); got {show(value)}"
    )


def name_of_study(value: str, where: str) -> str:
    """See that `value` can name a study and its folder; StudyError says which rule it breaks."""
    if value in ("", ".", "..") or value != value.strip() or not value.isprintable() or re.search(r"[/\\]", value):
        raise StudyError(
            f"{where} must be usable as a folder's name (printable, not empty, not a dot or two, no slash, no "
            f"space at either end); got {show(value)}"
        )
    if len(value.encode()) > 200:
        raise StudyError(f"{where} must have at most 200 bytes; got {len(value.encode())}: {show(value)}")
    return value


def _objective(value: str, where: str) -> str:
    if not value.strip() or not value.isprintable():
        rule = '"file.py:function", "package.module:function" or a benchmark'
        raise StudyError(f"{where} must be {rule}; got {show(value)}")
    return value


def _command(value: list[str], where: str) -> list[str]:
    if not value or not value[0]:
        raise StudyError(f"{where} must begin with the program to run; got {show(value)}")
    for i, argument in enumerate(value):
        if "\0" in argument:
            raise StudyError(f"{where}[{i}] must not hold a NUL character; got {show(argument)}")
    return value


def _objectives(value: list[str], where: str) -> list[str]:
    check_objectives(value, where)
    return value


def _directions(value: list[str], where: str) -> list[str]:
    for i, direction in enumerate(value):
        check_direction(direction, f"{where}[{i}]")
    return value


def _metric_constraints(value: list[str], where: str) -> list[str]:
    for i, text in enumerate(value):
        read_metric_constraint(text, f"{where}[{i}]")
    return value


def _folders(value: list[str], where: str) -> list[str]:
    for i, folder in enumerate(value):
        if not folder.strip() or not folder.isprintable():
            raise StudyError(f"{where}[{i}] must be the folder of an earlier study; got {show(folder)}")
        if folder in value[:i]:
            raise StudyError(f"{where} must name each folder once; got {show(folder)} twice")
    return value


def _unchecked(value: Any, where: str) -> Any:
    """Leave a value to be checked with the space, which alone knows its parameters."""
    return value


RULES: dict[str, Rule] = {
    "name": Rule(
        str | None,
        name_of_study,
        what="Names the study and its folder; by default the file's name without its ending",
        limits=_OF_NAMES,
    ),
    "objective": Rule(
        str | None,
        _objective,
        what='What is tuned: "file.py:function", "package.module:function", or the name of a benchmark',
        limits={"pattern": r"\S"},
    ),
    "command": Rule(
        list[str] | None,
        _command,
        what="What is tuned, a program and its arguments, with {parameter} for a value; in place of objective",
        limits={"minItems": 1},
    ),
    "direction": a_word(DIRECTIONS, "Whether the smallest or the largest objective is best"),
    "objectives": Rule(
        list[str] | None,
        _objectives,
        what="Names of two or more metrics that are all objectives",
        limits={"minItems": 2, "uniqueItems": True, "items": {"type": "string", "pattern": r"\S"}},
    ),
    "directions": Rule(
        list[str] | None,
        _directions,
        what="Direction of each of objectives, in their order; by default all are minimised",
        limits={"items": {"enum": list(DIRECTIONS)}},
    ),
    "metric_constraints": Rule(
        list[str] | None,
        _metric_constraints,
        what='Bounds that the metrics of a feasible trial keep, such as "seconds < 5"',
        limits={"items": {"type": "string", "pattern": r"^\s*[^\s<>=][^<>=]*(<=|>=|<|>)\s*[^\s<>=]+\s*$"}},
    ),
    "budget": from_least(
        1, "Trials in all, those of earlier runs included; by default 100, or no limit beside time_limit", int | None
    ),
    "time_limit": Rule(
        str | float | None,
        _positive_duration,
        what='Duration of one run, such as "8h": no trial starts after it',
        limits=_OF_DURATIONS,
    ),
    "method": a_word(METHODS, "What proposes configurations"),
    "acquisition": a_word(
        ACQUISITIONS, f"What a method that learns chooses by; {ACQUISITIONS[0]} by default", str | None
    ),
    "kappa": Rule(
        float | None,
        _positive,
        what=f'Standard deviations of the confidence bound of acquisition = "ucb"; {KAPPA} by default',
        limits={"exclusiveMinimum": 0},
    ),
    "seed": from_least(0, "Seed of the proposals and of the trials' own seeds"),
    "constraints": Rule(
        list[str] | None,
        _unchecked,
        what='Expressions that every configuration must keep, such as "low < high"',
    ),
    "forbid": Rule(
        list[Any] | None,
        _unchecked,
        "a list of tables",
        "Combinations of values that no configuration may have",
        {"items": {"type": "object"}},
    ),
    "warm_start": Rule(
        list[str] | None,
        _folders,
        what="Folders of earlier studies to learn from, relative to the study file's folder",
        limits={"uniqueItems": True, "items": {"type": "string", "pattern": r"\S"}},
    ),
    "trial_timeout": Rule(
        str | float | None,
        _positive_duration,
        what='Duration after which a trial fails, such as "10m"',
        limits=_OF_DURATIONS,
    ),
    "trial_memory": Rule(
        str | int | None,
        parse_memory,
        what='Memory beyond which a trial fails, such as "4G"',
        limits=_OF_MEMORY,
    ),
    "trainers": from_least(1, "Ranks that refit the surrogate"),
    "ranks_per_worker": from_least(1, "Ranks that evaluate each trial together"),
    "gpus_per_worker": Rule(
        str | float | None,
        _gpus,
        what='GPUs of its node that the trials of a worker see, or a share of one such as 0.5 or "1/3"',
        limits=_OF_GPUS,
    ),
    "threads_per_worker": from_least(
        1, "Threads of numerical libraries in a trial; by default a share of the cores", int | None
    ),
    "keep_best": from_least(1, "How many trials' folders are kept, those of the best; by default all", int | None),
    "retries": from_least(0, "How often a trial is evaluated again that was lost through no fault of its own"),
    "max_consecutive_failures": from_least(1, "So many failed trials in a row end the run"),
    "grace": Rule(
        str | float,
        parse_duration,
        what="Duration that running trials get once the run is to end",
        limits={"minimum": 0, "pattern": rf"^(?=.*\d){_TIME}"},
    ),
    "instances": Rule(
        int | list[Any] | None,
        instances,
        "a list of text and numbers, or how many there are",
        "Data periods, folds or seeds that each configuration is evaluated on; a number k stands for 0, 1, ... k - 1",
        {
            "minimum": 2,
            "maximum": MOST_INSTANCES,
            "minItems": 2,
            "maxItems": MOST_INSTANCES,
            "items": {"type": ["string", "number"]},
        },
    ),
    "first_instances": from_least(
        2, "Instances that every configuration gets; 3 by default, 2 of up to five", int | None
    ),
    "race_alpha": Rule(
        float | None,
        race_alpha,
        what="How easily a race gives a configuration up, 0 never; by default 0.25, up to 0.5 while it saves little",
        limits={"minimum": 0, "exclusiveMaximum": 1},
    ),
    "isolation": a_word(("process", "none"), "Where the objective runs: in a process of its own, or in the worker"),
}
"""Of ``[study]``."""

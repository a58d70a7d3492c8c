"""The rules of a study file's keys, and those of ``[study]``: value and place in, checked value out.

A rule holds for a value from the file, and for its text from the command line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, NoReturn

import msgspec

from utilities.errors import StudyError, nearest
from utilities.methods import ACQUISITIONS, METHODS
from utilities.metric_constraints import check_direction, check_objectives, read_metric_constraint
from utilities.storage.race_rules import instances, race_alpha
from utilities.storage.tables import LARGEST, show

_KINDS = {
    "bool": "true or false",
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "array": "a list of strings",
}
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?)\s*{unit}\s*)?" for unit in _UNITS))
_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_MOST_SHARING = 1000
_ROUNDED = 0.025
"""How far from 1 a share of a GPU, times the workers that share it, may be: 0.33 and 0.17 are meant as 1/3 and 1/6."""

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


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


def integer(value: int | str, where: str, least: int) -> int:
    """An integer from `least` to 2^63 - 1; text as it stands on a command line."""
    try:
        number = int(value)
    except ValueError:
        raise StudyError(f"{where} must be an integer; got {show(value)}") from None
    if not least <= number <= LARGEST:
        raise StudyError(
            f"{where} must be {f'at least {least}' if number < least else 'below 2^63'}; got {show(number)}"
        )
    return number


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


def one_of(known: Iterable[str]) -> Callable[[str, str], str]:
    """Make a check that a text is one of `known`, which names the nearest of them."""

    def check(value: str, where: str) -> str:
        if value not in known:
            rule = f"{where} must be one of {', '.join(known)}; got {show(value)}."
            raise StudyError(rule + nearest(value, known))
        return value

    return check


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


class Rule(NamedTuple):
    """Type of a value in a file, and the check of it: value and place in, checked value out.

    `told` names the type in an error, where that takes more than the type itself.
    """

    kind: Any
    check: Callable[[Any, str], Any]
    told: str = ""


def check_key(rules: Mapping[str, Rule], key: str, value: Any, table: str) -> Any:
    """Value of a key by its rule; None where it is null and the rule allows that.

    Parameters
    ----------
    rules
        Of all keys of the table.
    key, value
        As they stand in the file.
    table
        Start of an error message, like ``study.toml: [study]``.

    Raises
    ------
    StudyError
        An unknown key, a value of another type, or one that breaks the rule.
    """
    where = f"{table} {key}"
    if key not in rules:
        raise StudyError(f"{where} is not a known key; known keys: {', '.join(rules)}.{nearest(key, rules)}")
    rule = rules[key]
    try:
        typed = msgspec.convert(value, rule.kind)
    except msgspec.ValidationError as error:
        _refuse(error, rule.told, value, where)
    return None if typed is None else rule.check(typed, where)


def _refuse(error: msgspec.ValidationError, told: str, value: Any, where: str) -> NoReturn:
    """Say msgspec's "Expected `int | null`, got `str` - at `$[1]`" in the words of a study file."""
    kinds, place = re.findall(r"`([^`]*)`", str(error))[0].split(" | "), re.search(r"\$\[(\d+)\]", str(error))
    named = (_KINDS[kind] for kind in kinds if kind in _KINDS and not (kind == "int" and "float" in kinds))
    if place and not told:
        where, value = f"{where}{place[0][1:]}", value[int(place[1])]
    raise StudyError(f"{where} must be {told or ' or '.join(named)}; got {show(value)}") from None


RULES: dict[str, Rule] = {
    "name": Rule(str | None, name_of_study),
    "objective": Rule(str | None, _objective),
    "command": Rule(list[str] | None, _command),
    "direction": Rule(str, one_of(("minimize", "maximize"))),
    "objectives": Rule(list[str] | None, _objectives),
    "directions": Rule(list[str] | None, _directions),
    "metric_constraints": Rule(list[str] | None, _metric_constraints),
    "budget": Rule(int | None, lambda value, where: integer(value, where, 1)),
    "time_limit": Rule(str | float | None, _positive_duration),
    "method": Rule(str, one_of(METHODS)),
    "acquisition": Rule(str | None, one_of(ACQUISITIONS)),
    "kappa": Rule(float | None, _positive),
    "seed": Rule(int, lambda value, where: integer(value, where, 0)),
    "constraints": Rule(list[str] | None, _unchecked),
    "forbid": Rule(list[Any] | None, _unchecked, "a list of tables"),
    "warm_start": Rule(list[str] | None, _folders),
    "trial_timeout": Rule(str | float | None, _positive_duration),
    "trial_memory": Rule(str | int | None, parse_memory),
    "trainers": Rule(int, lambda value, where: integer(value, where, 1)),
    "ranks_per_worker": Rule(int, lambda value, where: integer(value, where, 1)),
    "gpus_per_worker": Rule(str | float | None, _gpus),
    "threads_per_worker": Rule(int | None, lambda value, where: integer(value, where, 1)),
    "keep_best": Rule(int | None, lambda value, where: integer(value, where, 1)),
    "retries": Rule(int, lambda value, where: integer(value, where, 0)),
    "max_consecutive_failures": Rule(int, lambda value, where: integer(value, where, 1)),
    "grace": Rule(str | float, parse_duration),
    "instances": Rule(int | list[Any] | None, instances, "a list of text and numbers, or how many there are"),
    "first_instances": Rule(int | None, lambda value, where: integer(value, where, 2)),
    "race_alpha": Rule(float | None, race_alpha),
    "isolation": Rule(str, one_of(("process", "none"))),
}

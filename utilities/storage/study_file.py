"""The study file: TOML or JSON in, a checked Study out, and one clear sentence for every mistake in it.

A key's rule stands in `_RULES`, whether its value comes from the file or from the command line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, TypeAlias

import msgspec

from utilities.errors import StudyError, nearest
from utilities.methods import ACQUISITIONS, METHODS, acquisition_misuse
from utilities.storage.tables import LARGEST, read_tables, show

if TYPE_CHECKING:
    from utilities.space import Space

Direction: TypeAlias = Literal["minimize", "maximize"]
Isolation: TypeAlias = Literal["process", "none"]

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?)\s*{unit}\s*)?" for unit in _UNITS))


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """What to optimise, where, and for how long.

    Attributes
    ----------
    name
        Name of the study and of its folder.
    objective
        ``train.py:objective``, ``package.module:function`` or the name of a benchmark; None where `command` is given.
    command
        Program and arguments, with ``{parameter}`` for a value and ``{{``, ``}}`` for braces.
    direction
        Whether the smallest or the largest objective is wanted.
    budget
        Number of trials; None means no limit.
    time_limit, trial_timeout
        Seconds for the run and for one trial; None means no limit.
    method
        One of METHODS.
    acquisition
        One of ACQUISITIONS, for methods that learn; None means the default.
    kappa
        Standard deviations in the bound of acquisition ``ucb``; None means the default.
    seed
        Seed of the proposals and, through the trials' own seeds, of the objective.
    grace
        Seconds that running trials get once a time limit or a signal ends the run.
    isolation
        Whether the objective runs in a child process of its worker or inside it.
    space
        The parameters.
    folder
        What a relative path of the objective is relative to.
    source
        The study file's path as given, or the benchmark's name: for messages.
    """

    name: str
    objective: str | None = None
    command: list[str] | None = None
    direction: Direction = "minimize"
    budget: int | None = None
    time_limit: float | None = None
    method: str = "auto"
    acquisition: str | None = None
    kappa: float | None = None
    seed: int = 0
    trial_timeout: float | None = None
    grace: float = 30.0
    isolation: Isolation = "process"
    space: Space
    folder: Path
    source: str

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Tables ``study`` and ``space`` as a study file has them, without the keys that are None."""
        table = {key: getattr(self, key) for key in _RULES}
        return {"study": {k: v for k, v in table.items() if v is not None}, "space": self.space.to_dict()}


# --- rules of single keys: value and place in, checked value out ------------------------------------------------------


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


def _positive_duration(value: str | float, where: str) -> float:
    seconds = parse_duration(value, where)
    if seconds == 0:
        raise StudyError(f"{where} must be above 0; got {show(value)}")
    return seconds


def _integer(value: int | str, where: str, least: int) -> int:
    """An integer from `least` to 2^63 - 1; text as it stands on a command line."""
    try:
        number = int(value)
    except ValueError:
        raise StudyError(f"{where} must be an integer; got {show(value)}") from None
    if not least <= number <= LARGEST:
        raise StudyError(f"{where} must be {f'at least {least}' if number < least else 'below 2^63'}; got {value}")
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


def _one_of(known: Iterable[str]) -> Callable[[str, str], str]:
    def check(value: str, where: str) -> str:
        if value not in known:
            rule = f"{where} must be one of {', '.join(known)}; got {show(value)}."
            raise StudyError(rule + nearest(value, known))
        return value

    return check


def _name(value: str, where: str) -> str:
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


class _Rule(NamedTuple):
    kind: Any
    check: Callable[[Any, str], Any]


_RULES: dict[str, _Rule] = {
    "name": _Rule(str | None, _name),
    "objective": _Rule(str | None, _objective),
    "command": _Rule(list[str] | None, _command),
    "direction": _Rule(str, _one_of(("minimize", "maximize"))),
    "budget": _Rule(int | None, lambda value, where: _integer(value, where, 1)),
    "time_limit": _Rule(str | float | None, _positive_duration),
    "method": _Rule(str, _one_of(METHODS)),
    "acquisition": _Rule(str | None, _one_of(ACQUISITIONS)),
    "kappa": _Rule(float | None, _positive),
    "seed": _Rule(int, lambda value, where: _integer(value, where, 0)),
    "trial_timeout": _Rule(str | float | None, _positive_duration),
    "grace": _Rule(str | float, parse_duration),
    "isolation": _Rule(str, _one_of(("process", "none"))),
}

_KINDS = {"int": "an integer", "float": "a number", "str": "a string", "array": "a list of strings"}


# --- the file ---------------------------------------------------------------------------------------------------------


def read_study(path: Path) -> Study:
    """Read a study from a ``.toml`` or ``.json`` file.

    Raises
    ------
    StudyError
        Whatever is wrong with the file: its path, the key, the rule, the value received, the nearest known name.
    """
    source = str(path)
    tables = read_tables(path)
    _check_tables(tables, source)
    fields = _study_fields(tables["study"], source)
    if "name" not in fields:
        fields["name"] = _name(path.stem, f"{source}: [study] name is missing and the file's name")
    study = Study(space=_space(tables["space"], source), folder=path.absolute().parent, source=source, **fields)
    _check_placeholders(study)
    _check_acquisition(study)
    return study


def override(
    study: Study,
    *,
    method: str | None = None,
    acquisition: str | None = None,
    kappa: float | str | None = None,
    budget: int | str | None = None,
    time_limit: float | str | None = None,
    seed: int | str | None = None,
    trial_timeout: float | str | None = None,
    grace: float | str | None = None,
    isolation: str | None = None,
    name: str | None = None,
) -> Study:
    """Replace what the command line gives, text or numbers; None leaves the study's own value.

    Raises
    ------
    StudyError
        A value breaks its rule: the flag, the rule, the value received. Or the study has no use for it.
    """
    given = {
        "method": method,
        "acquisition": acquisition,
        "kappa": kappa,
        "budget": budget,
        "time_limit": time_limit,
        "seed": seed,
        "trial_timeout": trial_timeout,
        "grace": grace,
        "isolation": isolation,
        "name": name,
    }
    changes = {
        key: _RULES[key].check(value, f"--{key.replace('_', '-')}") for key, value in given.items() if value is not None
    }
    changed: Study = msgspec.structs.replace(study, **changes)
    _check_acquisition(changed)
    return changed


def _check_acquisition(study: Study) -> None:
    misuse = acquisition_misuse(study.method, study.acquisition, study.kappa)
    if misuse:
        raise StudyError(f"{study.source}: [study] {misuse}")


def _check_tables(tables: Any, source: str) -> None:
    if not isinstance(tables, dict):
        raise StudyError(f"{source}: must hold the tables study and space; got {show(tables)}")
    for name in tables:
        if name not in ("study", "space"):
            hint = " It belongs under [study]." if name in _RULES else nearest(name, ("study", "space"))
            raise StudyError(f"{source}: [{name}] is not a table of a study file; known tables: study, space.{hint}")
    for name in ("study", "space"):
        if name not in tables:
            raise StudyError(f"{source}: the table [{name}] is missing")
        if not isinstance(tables[name], dict):
            raise StudyError(f"{source}: [{name}] must be a table; got {show(tables[name])}")


def _study_fields(table: Mapping[str, Any], source: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{source}: [study] {key}"
        if key not in _RULES:
            raise StudyError(f"{where} is not a known key; known keys: {', '.join(_RULES)}.{nearest(key, _RULES)}")
        typed = _typed(value, key, where)
        if typed is not None:
            fields[key] = _RULES[key].check(typed, where)
    if ("objective" in fields) == ("command" in fields):
        got = "both" if "objective" in fields else "neither"
        raise StudyError(f"{source}: [study] must have exactly one of objective and command; got {got}")
    return fields


def _typed(value: Any, key: str, where: str) -> Any:
    if key == "command" and isinstance(value, str):
        rule = f"must be a list, for it never passes through a shell, such as {show(value.split())}"
        raise StudyError(f"{where} {rule}; got {show(value)}")
    try:
        return msgspec.convert(value, _RULES[key].kind)
    except msgspec.ValidationError as error:
        _refuse(error, value, where)


def _refuse(error: msgspec.ValidationError, value: Any, where: str) -> NoReturn:
    """Say msgspec's "Expected `int | null`, got `str` - at `$[1]`" in the words of a study file."""
    kinds, place = re.findall(r"`([^`]*)`", str(error))[0].split(" | "), re.search(r"\$\[(\d+)\]", str(error))
    rule = " or ".join(_KINDS[kind] for kind in kinds if kind in _KINDS and not (kind == "int" and "float" in kinds))
    if place:
        where, value = f"{where}{place[0][1:]}", value[int(place[1])]
    raise StudyError(f"{where} must be {rule}; got {show(value)}") from None


def _space(table: Mapping[str, Any], source: str) -> Space:
    from utilities.space import Space  # here, not above: --help does not need numpy

    try:
        return Space.from_dict(table)
    except StudyError as error:
        raise StudyError(f"{source}: {error}") from None


def _check_placeholders(study: Study) -> None:
    known = study.space.names
    for i, argument in enumerate(study.command or ()):
        where = f"{study.source}: [study] command[{i}]"
        for match in _BRACES.finditer(argument):
            if match[0] in ("{", "}"):
                rule = f"{where} must have its braces in pairs, or doubled where a plain one is meant"
                raise StudyError(f"{rule}; got {show(argument)}")
            if match[1] is not None and match[1] not in known:
                hint = nearest(match[1], known)
                raise StudyError(f"{where}: {match[0]} must name a parameter; known: {', '.join(known)}.{hint}")

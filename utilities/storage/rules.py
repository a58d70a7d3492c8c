"""What a key of a study file may have: its type, the check of its value, and what editors are told of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

import msgspec

from utilities.errors import StudyError, nearest
from utilities.storage.tables import LARGEST, show

_KINDS = {
    "bool": "true or false",
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "array": "a list of strings",
}


class Rule(NamedTuple):
    """What a key may have.

    Attributes
    ----------
    kind
        Type of the value in a file.
    check
        Value and place in, checked value out.
    told
        Name of the type in an error, where that takes more than the type itself.
    what
        A sentence on the key, without its full stop, for editors and the reference.
    limits
        What `check` refuses of single values, in the words of JSON Schema: for editors, which see no code.
    """

    kind: Any
    check: Callable[[Any, str], Any]
    told: str = ""
    what: str = ""
    limits: Mapping[str, Any] = MappingProxyType({})


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


def one_of(known: Iterable[str]) -> Callable[[str, str], str]:
    """Make a check that a text is one of `known`, which names the nearest of them."""

    def check(value: str, where: str) -> str:
        if value not in known:
            rule = f"{where} must be one of {', '.join(known)}; got {show(value)}."
            raise StudyError(rule + nearest(value, known))
        return value

    return check


def from_least(least: int, what: str, kind: Any = int) -> Rule:
    """Rule of an integer from `least` on."""
    return Rule(kind, lambda value, where: integer(value, where, least), what=what, limits={"minimum": least})


def a_word(known: Sequence[str], what: str, kind: Any = str) -> Rule:
    """Rule of a text that is one of `known`."""
    return Rule(kind, one_of(known), what=what, limits={"enum": list(known)})

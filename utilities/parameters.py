"""One parameter of a space, read from its table: its type, its keys, the rules it must keep.

A parameter maps [0, 1] onto its values. Floats map continuously; integers, steps and choices own a cell each, and the
centre of a value's cell is that value's canonical place, so that a model sees every proposal where it will really be
evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from utilities.choices import BoolParameter, CategoricalParameter, ConstantParameter, OrdinalParameter
from utilities.errors import StudyError, nearest, quoted
from utilities.ranges import FloatParameter, IntParameter

Varied: TypeAlias = FloatParameter | IntParameter | CategoricalParameter | OrdinalParameter | BoolParameter
"""A parameter that has a coordinate in the unit cube."""

Parameter: TypeAlias = Varied | ConstantParameter

KINDS: dict[str, type[Parameter]] = {
    "float": FloatParameter,
    "int": IntParameter,
    "categorical": CategoricalParameter,
    "ordinal": OrdinalParameter,
    "bool": BoolParameter,
    "constant": ConstantParameter,
}
_NEEDED = ("low", "high", "choices", "value")


def parse_parameter(table: Any, where: str) -> Parameter:
    """Read one parameter from its table, as in a study file.

    Parameters
    ----------
    table
        ``type`` (float, int, categorical, ordinal, bool, constant) and the keys of that type.
    where
        Start of an error message, like ``[space.lr]``.

    Raises
    ------
    StudyError
        Unknown type or key, wrong type of a value, a broken rule.
    """
    if not isinstance(table, Mapping):
        raise StudyError(f"{where} must be a table with the keys type, low, high ... ; got {quoted(table)}")
    if "type" not in table:
        raise StudyError(f"{where} type is missing; known types: {', '.join(KINDS)}")
    kind = KINDS.get(table["type"]) if isinstance(table["type"], str) else None
    if kind is None:
        raise StudyError(
            f"{where} type must be one of {', '.join(KINDS)}; got {quoted(table['type'])}."
            + nearest(quoted(table["type"]), KINDS)
        )
    for key in table:
        if key != "type" and key not in kind.__struct_fields__:
            known = list(kind.__struct_fields__)
            raise StudyError(
                f"{where} {key} is not a key of type {table['type']}; known keys: {', '.join(sorted(known))}."
                + nearest(str(key), known)
            )
    return _convert(table, kind, where)


_WORDS = {"int": "an integer", "float": "a number", "bool": "true or false", "array": "a list", "object": "a table"}
_OF_KEYS = {
    "when": "a table of values, or lists of values, by parameter, or a list of such tables",
    "value": "text, a number or a boolean",
    "likely": "text, a number or a boolean",
    "sure": "a word or a number",
}
"""Rules of the keys that may be of several types."""


def _convert(table: Mapping[str, Any], kind: type[Parameter], where: str) -> Parameter:
    for key in _NEEDED:
        if key in kind.__struct_fields__ and key not in table:
            raise StudyError(f"{where} {key} is missing; type {table['type']} needs it")
    try:
        parameter = msgspec.convert(dict(table), kind)
    except msgspec.ValidationError as error:
        expected, place = re.search(r"`([a-z]+)", str(error)), re.search(r"\$\.(\w+)", str(error))
        key = place[1] if place else "a key"
        rule = _WORDS.get(expected[1], f"a {expected[1]}") if expected else "a number below 1e308 in size"
        rule = _OF_KEYS.get(key, rule)
        raise StudyError(f"{where} {key} must be {rule}; got {key} = {quoted(table.get(key))}") from None
    parameter.check(where)
    return parameter

"""A space of ConfigSpace as the tables of a study file: parameters, conditions, forbidden clauses.

Conditions are brought into the form of a ``when``: alternatives, in each of which every parent has one of some values
or lies in an interval. Forbidden clauses become tables of ``forbid``; relations between parameters, and what is joined
with them, become constraints. Normal and beta distributions keep their range alone, choices no weights: how often a
value is drawn is left to the method.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from utilities.errors import StudyError, quoted
from utilities.trial import Value

Table = dict[str, dict[str, Any]]
Way = dict[str, list[Value]]
"""What parameters must have: for each one of some choices, or, of a number, comparisons of which one must hold."""

_SYMBOLS = {
    "Equals": "==",
    "NotEquals": "!=",
    "GreaterThan": ">",
    "LessThan": "<",
    "GreaterThanEquals": ">=",
    "LessThanEquals": "<=",
}
_OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_ENDINGS = ("Condition", "Clause", "Relation")


def read_configspace(space: Any) -> tuple[Table, str, list[str], list[dict[str, Any]]]:
    """Tables of a space.

    Parameters
    ----------
    space
        A ``ConfigSpace.ConfigurationSpace``, of version 1.2 or later.

    Returns
    -------
    table, where, constraints, forbid
        As `Space.from_dict` takes them.

    Raises
    ------
    StudyError
        It is none, or has something without counterpart: a choice that is no text, number or boolean, a relation of
        parameters that are no numbers, or whose names no expression can have.
    """
    parameters = {name: space[name] for name in space} if hasattr(space, "forbidden_clauses") else None
    if parameters is None:
        raise StudyError(f"configspace must be a ConfigSpace.ConfigurationSpace; got {quoted(space)}")
    table = {name: _parameter(parameter) for name, parameter in parameters.items()}
    for condition in space.conditions:
        child = _child(condition)
        ways = [way for parts in _alternatives(condition) if (way := _together(parts)) is not None]
        if not ways:
            raise StudyError(f"{child}: its condition can never hold; got {quoted(condition)}")
        table[child]["when"] = ways[0] if len(ways) == 1 else ways
    constraints: list[str] = []
    forbid: list[dict[str, Any]] = []
    for parts in itertools.chain.from_iterable(map(_alternatives, space.forbidden_clauses)):
        if any(hasattr(part, "left") for part in parts):
            constraints.append(f"not ({' and '.join(map(_expression, parts))})")
        elif (way := _together(parts)) is not None:
            forbid.append(way)
    return table, "space", constraints, forbid


# --- parameters -------------------------------------------------------------------------------------------------------


def _parameter(parameter: Any) -> dict[str, Any]:
    kind = type(parameter).__name__.removesuffix("Hyperparameter")
    match kind:
        case "Constant":
            return {"type": "constant", "value": _value(parameter.value, parameter.name)}
        case "Categorical":
            choices = [_value(choice, parameter.name) for choice in parameter.choices]
            return {"type": "categorical", "choices": choices}
        case "Ordinal":
            return {"type": "ordinal", "choices": [_value(choice, parameter.name) for choice in parameter.sequence]}
        case "UniformFloat" | "NormalFloat" | "BetaFloat" | "UniformInteger" | "NormalInteger" | "BetaInteger":
            whole = kind.endswith("Integer")
            number = int if whole else float
            ends = {"low": number(parameter.lower), "high": number(parameter.upper)}
            table = {"type": "int" if whole else "float", **ends}
            return table | ({"log": True} if parameter.log else {})
    raise StudyError(f"{parameter.name}: a {type(parameter).__name__} has no counterpart here")


def _value(value: Any, name: str) -> Value:
    """A choice in a type of Python's own."""
    plain = value.item() if hasattr(value, "item") else value
    if not isinstance(plain, str | int | float):
        raise StudyError(f"{name}: a choice must be text, a number or a boolean; got {quoted(value)}")
    return str(plain) if isinstance(plain, str) else plain


# --- conditions and forbidden clauses ---------------------------------------------------------------------------------


def _child(condition: Any) -> str:
    while hasattr(condition, "components"):
        condition = condition.components[0]
    return str(condition.child.name)


def _alternatives(condition: Any) -> list[list[Any]]:
    """A condition or clause as alternatives, in each of which all of some simple ones hold."""
    if not hasattr(condition, "components"):
        return [[condition]]
    parts = [_alternatives(part) for part in condition.components]
    if "Or" in type(condition).__name__:
        return list(itertools.chain.from_iterable(parts))
    return [list(itertools.chain.from_iterable(some)) for some in itertools.product(*parts)]


def _together(parts: Iterable[Any]) -> Way | None:
    """What parameters must have for all of some simple conditions to hold; None where nothing will do."""
    way: Way = {}
    for part in parts:
        parameter = part.parent if hasattr(part, "parent") else part.hyperparameter
        wanted = _wanted(part, parameter)
        if parameter.name in way:
            wanted = _both(way[parameter.name], wanted, number=_is_number(parameter))
        if not wanted:
            return None
        way[str(parameter.name)] = wanted
    return way


def _wanted(part: Any, parameter: Any) -> list[Value]:
    """Choices, or comparisons, of which a simple condition wants one."""
    symbol = _symbol(part)
    given = _values(part)
    if _is_number(parameter):
        return [f"{symbol} {_plain(value, parameter)!r}" for value in given]
    known = _parameter(parameter)
    choices: list[Value] = known["choices"] if "choices" in known else [known["value"]]
    bounds = [choices.index(_plain(value, parameter)) for value in given]
    holds = _OPERATORS[symbol]
    return [choice for rank, choice in enumerate(choices) if any(holds(rank, bound) for bound in bounds)]


def _both(one: Sequence[Value], other: Sequence[Value], *, number: bool) -> list[Value]:
    if number:
        return [f"{first} and {second}" for first, second in itertools.product(one, other)]
    return [choice for choice in one if any(type(choice) is type(also) and choice == also for also in other)]


def _symbol(part: Any) -> str:
    name = type(part).__name__.removeprefix("Forbidden")
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    if name == "In":
        return "=="
    if name not in _SYMBOLS:
        raise StudyError(f"a {type(part).__name__} has no counterpart here; got {quoted(part)}")
    return _SYMBOLS[name]


def _values(part: Any) -> list[Any]:
    """Values that a simple condition names."""
    if hasattr(part, "values"):
        return list(part.values)
    return list(part.value) if type(part).__name__ == "InCondition" else [part.value]


def _is_number(parameter: Any) -> bool:
    return hasattr(parameter, "lower")


def _plain(value: Any, parameter: Any) -> Value:
    return _value(value, str(parameter.name))


def _expression(part: Any) -> str:
    """A simple clause or a relation as an expression of `utilities.expressions`."""
    symbol = _symbol(part)
    if hasattr(part, "left"):
        if not (_is_number(part.left) and _is_number(part.right)):
            raise StudyError(f"a relation must be between numbers; got {quoted(part)}")
        return f"{_name(part.left)} {symbol} {_name(part.right)}"
    parameter = part.hyperparameter
    if _is_number(parameter):
        compared = (f"{_name(parameter)} {symbol} {_plain(value, parameter)!r}" for value in _values(part))
        return f"({' or '.join(compared)})"
    return f"{_name(parameter)} in {_wanted(part, parameter)!r}"


def _name(parameter: Any) -> str:
    name = str(parameter.name)
    if not name.isidentifier():
        raise StudyError(f"{quoted(name)} must be a name as in Python to stand in a relation")
    return name

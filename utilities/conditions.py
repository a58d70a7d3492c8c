"""When parameters are active: conditions on others, read, checked, and looked up for values and for points.

A parameter is active where one of its alternatives holds: where each parent named there is active and has one of the
values listed, or one that a comparison such as ``">= 3"`` or ``">= 3 and < 8"`` holds for. Parameters in order are
compared by their order.
"""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utilities.choices import ConstantParameter, OrdinalParameter
from utilities.conditional import same_value
from utilities.errors import StudyError, nearest, quoted
from utilities.parameters import Parameter, Varied
from utilities.ranges import FloatParameter
from utilities.scales import Array
from utilities.trial import Value

Mask = NDArray[np.bool_]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_COMPARISON = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(.*?)\s*")

_MOST_LEVELS, _MOST_CLAUSES = 1000, 100
"""Parents of more values, and parameters that may be active in more ways, are not searched for contradictions."""


@dataclass(frozen=True)
class Comparison:
    """A parent's value beside another.

    Attributes
    ----------
    symbol
        The operator.
    operand
        The value on its right.
    reached, passed
        Places in the unit interval from which on values are at least the operand, and above it.
    """

    symbol: str
    operand: Value
    reached: float
    passed: float

    @classmethod
    def of(cls, symbol: str, operand: Value, parameter: Varied) -> Comparison:
        """Comparison of the values of `parameter`."""
        bound = parameter.position(operand)
        reached = _first_place(lambda unit: parameter.position(parameter.value(unit)) >= bound)
        passed = _first_place(lambda unit: parameter.position(parameter.value(unit)) > bound)
        return cls(symbol, operand, reached, passed)

    def met(self, parameter: Varied, value: Value) -> bool:
        """Whether it holds for a value of `parameter`."""
        return _OPERATORS[self.symbol](parameter.position(value), parameter.position(self.operand))

    def at(self, unit: Array) -> Mask:
        """Whether it holds for the value at each `unit` (m,)."""
        match self.symbol:
            case ">=":
                return unit >= self.reached
            case ">":
                return unit >= self.passed
            case "<":
                return unit < self.reached
            case "<=":
                return unit < self.passed
            case "==":
                return (unit >= self.reached) & (unit < self.passed)
            case _:
                return (unit < self.reached) | (unit >= self.passed)


def _first_place(reached: Callable[[float], bool]) -> float:
    """Lowest float in [0, 1] for which `reached`, which rises, is true, infinity where none is.

    So a comparison of places agrees to the bit with one of the values that they stand for.
    """
    low, high = 0.0, 1.0
    if reached(low):
        return low
    if not reached(high):
        return float("inf")
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


@dataclass(frozen=True)
class Requirement:
    """What one parent must have: one of some values, or one that all comparisons of a chain hold for."""

    parent: str
    parameter: Parameter
    values: list[Value]
    chains: list[list[Comparison]]

    def met(self, value: Value) -> bool:
        """Whether a value of the parent will do."""
        if any(same_value(value, wanted) for wanted in self.values):
            return True
        parameter = self.parameter
        return not isinstance(parameter, ConstantParameter) and any(
            all(comparison.met(parameter, value) for comparison in chain) for chain in self.chains
        )

    def at(self, unit: Array) -> Mask:
        """Whether the parent's value at each `unit` (m,) will do; of a constant, whatever the places are."""
        if isinstance(self.parameter, ConstantParameter):
            return np.full(unit.shape, self.met(self.parameter.value))
        found = self.parameter.matches(unit, self.values)
        for chain in self.chains:
            found |= np.logical_and.reduce([comparison.at(unit) for comparison in chain])
        return found


class Conditions:
    """Conditions of all parameters of a space.

    Parameters
    ----------
    parameters
        By name.
    where
        Name of their table, for messages.

    Attributes
    ----------
    order
        Names, parents before their children.
    parents
        Names of those on which others depend.

    Raises
    ------
    StudyError
        An unknown parent, a value that it cannot have, a circle, a condition that can never hold.
    """

    def __init__(self, parameters: Mapping[str, Parameter], where: str) -> None:
        self._parameters = parameters
        columns = [name for name, parameter in parameters.items() if not isinstance(parameter, ConstantParameter)]
        self._columns = {name: column for column, name in enumerate(columns)}
        self._alternatives: dict[str, list[list[Requirement]]] = {}
        for name, parameter in parameters.items():
            here = f"[{where}.{name}] when"
            _check_tables(parameter, here)
            if parameter.when:
                self._alternatives[name] = [
                    [self.require(parent, values, here) for parent, values in table.items()]
                    for table in parameter.alternatives
                ]
        self.parents = {need.parent for tables in self._alternatives.values() for table in tables for need in table}
        self.order = self._parents_first(where)
        self._check_possible(where)

    def __bool__(self) -> bool:
        return bool(self._alternatives)

    def alternatives(self, name: str) -> list[list[Requirement]]:
        """Alternatives of which one must hold for a parameter to be active; none where it always is."""
        return self._alternatives.get(name, [])

    def met(self, name: str, config: Mapping[str, Any]) -> bool:
        """Whether a parameter is active in a configuration of whose other parameters only active ones are there."""
        alternatives = self._alternatives.get(name)
        return alternatives is None or any(
            all(need.parent in config and need.met(config[need.parent]) for need in alternative)
            for alternative in alternatives
        )

    def active(self, points: Array) -> Mask:
        """Which coordinates are active at each of `points` (m, d): (m, d)."""
        mask = np.ones(points.shape, dtype=bool)
        if not self._alternatives:
            return mask
        found = self.activity(points)
        for name, column in self._columns.items():
            if name in found:
                mask[:, column] = found[name]
        return mask

    def activity(self, points: Array) -> dict[str, Mask]:
        """Where each conditional parameter, constants included, is active: (m,) for `points` (m, d)."""
        found: dict[str, Mask] = {}
        for name in self.order:
            if name in self._alternatives:
                on = np.zeros(len(points), dtype=bool)
                for alternative in self._alternatives[name]:
                    met = np.ones(len(points), dtype=bool)
                    for need in alternative:
                        met &= need.at(points[:, self._columns.get(need.parent, 0)])
                        if need.parent in found:
                            met &= found[need.parent]
                    on |= met
                found[name] = on
        return found

    # --- reading and checking ---------------------------------------------------------------------------------------

    def require(self, parent: str, wanted: list[Value], here: str) -> Requirement:
        """Read what a parameter must have: values and comparisons, of which one is enough.

        Raises
        ------
        StudyError
            An unknown parameter, a value that it cannot have; the message starts with `here`.
        """
        if parent not in self._parameters:
            raise StudyError(f"{here} names an unknown parameter {quoted(parent)}.{nearest(parent, self._parameters)}")
        parameter = self._parameters[parent]
        if not wanted:
            raise StudyError(f"{here} {parent} must list at least one value; got []")
        values: list[Value] = []
        chains: list[list[Comparison]] = []
        for value in wanted:
            place = f"{here} {parent}"
            chain = None if parameter.accepts(value) else _read_chain(value, parameter, place)
            if chain is None:
                _check_wanted(value, parameter, place)
                values.append(parameter.normal(value))
            else:
                chains.append(chain)
        return Requirement(parent, parameter, values, chains)

    def _parents_first(self, where: str) -> list[str]:
        parents = {
            name: {need.parent: None for alternative in self.alternatives(name) for need in alternative}
            for name in self._parameters
        }
        try:
            return list(TopologicalSorter(parents).static_order())
        except CycleError as error:
            *circle, _ = reversed(error.args[1])  # each needs the next
            places = list(self._parameters)
            start = min(range(len(circle)), key=lambda index: places.index(circle[index]))
            circle = [*circle[start:], *circle[:start], circle[start]]
            got = " -> ".join(circle)
            raise StudyError(f"[{where}.{circle[0]}] when must not be circular; got {got}") from None

    def _check_possible(self, where: str) -> None:
        """Refuse conditions that contradict those of the parents themselves."""
        ways: dict[str, list[dict[str, Mask]] | None] = {}
        for name in self.order:
            ways[name] = self._ways(name, ways)
            if ways[name] == []:
                parameter = self._parameters[name]
                rule = "can never hold: what it needs contradicts itself, or what its parents need"
                raise StudyError(f"[{where}.{name}] when {rule}; got {quoted(parameter.when)}")

    def _ways(self, name: str, ways: Mapping[str, list[dict[str, Mask]] | None]) -> list[dict[str, Mask]] | None:
        """Sets of values of all its ancestors with which a parameter is active; None where there are too many."""
        if name not in self._alternatives:
            return [{}]
        found: list[dict[str, Mask]] = []
        for alternative in self._alternatives[name]:
            above = [ways[need.parent] for need in alternative]
            known = [way for way in above if way is not None]
            if len(known) < len(above) or np.prod([len(way) for way in known], dtype=float) > _MOST_CLAUSES:
                return None
            own = dict(filter(None, map(_allowed, alternative)))
            found += [way for some in itertools.product(*known) if (way := _together([own, *some])) is not None]
        return found if len(found) <= _MOST_CLAUSES else None


def _allowed(need: Requirement) -> tuple[str, Mask] | None:
    """Which values of a parent will do, None of one that has very many."""
    parameter = need.parameter
    if isinstance(parameter, ConstantParameter):
        return need.parent, need.at(np.zeros(1))
    if parameter.levels > _MOST_LEVELS:
        return None
    return need.parent, need.at(parameter.places())


def _together(ways: list[dict[str, Mask]]) -> dict[str, Mask] | None:
    """What all of them allow, None where that is nothing."""
    both: dict[str, Mask] = {}
    for way in ways:
        for parent, allowed in way.items():
            both[parent] = both[parent] & allowed if parent in both else allowed
            if not both[parent].any():
                return None
    return both


def _check_tables(parameter: Parameter, here: str) -> None:
    if isinstance(parameter.when, list) and not all(parameter.when):
        raise StudyError(f"{here} must list tables that each name a parameter; got {quoted(parameter.when)}")
    if parameter.when == []:
        raise StudyError(f"{here} must list at least one table; got []")


def _check_wanted(value: Value, parameter: Parameter, place: str) -> None:
    """Refuse a value that the parent cannot have."""
    if isinstance(parameter, FloatParameter) and parameter.continuous:
        rule = f'must be a comparison such as "> {parameter.low}", for a float without a step'
        raise StudyError(f"{place} {rule}; got {quoted(value)}")
    if not parameter.accepts(value):
        hint = nearest(str(value), map(str, getattr(parameter, "options", ())))
        raise StudyError(f"{place} must be {parameter.describe()}; got {quoted(value)}.{hint}")


def _read_chain(value: Value, parameter: Parameter, place: str) -> list[Comparison] | None:
    """Comparisons that `value` stands for, None where it is none, or the parameter has no order."""
    if not isinstance(value, str) or isinstance(parameter, ConstantParameter) or parameter.one_hot:
        return None
    parts = re.split(r"\s+and\s+", value)
    if not _COMPARISON.fullmatch(parts[0]):
        return None
    chain = [_read_comparison(part, parameter, place) for part in parts]
    if not _some_place(chain, parameter):
        raise StudyError(f"{place} must hold for some value, {parameter.describe()}; got {quoted(value)}")
    return chain


def _read_comparison(text: str, parameter: Varied, place: str) -> Comparison:
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise StudyError(f'{place} must be comparisons joined by "and", such as ">= 3 and < 8"; got {quoted(text)}')
    operand = parameter.operand(match[2])
    if operand is None:
        kind = parameter.describe() if isinstance(parameter, OrdinalParameter) else "a number"
        raise StudyError(f"{place} must compare with {kind}; got {quoted(text)}")
    return Comparison.of(match[1], operand, parameter)


def _some_place(chain: list[Comparison], parameter: Varied) -> bool:
    """Whether all comparisons hold anywhere: at an end of what they leave, or between two."""
    ends = [0.0, 1.0]
    for comparison in chain:
        for end in (comparison.reached, comparison.passed):
            ends += [end, float(np.nextafter(end, 0.0))] if end <= 1.0 else []
    ends.sort()
    unit = np.array([*ends, *(0.5 * (first + last) for first, last in itertools.pairwise(ends))])
    if parameter.levels <= _MOST_LEVELS:
        unit = parameter.places()
    return bool(np.logical_and.reduce([comparison.at(unit) for comparison in chain]).any())

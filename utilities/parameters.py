"""One parameter of a space: its values, its cells in the unit interval, the rules it must keep.

A parameter maps [0, 1] onto its values. Floats map continuously; integers and categories own a cell each, and
the centre of a value's cell is that value's canonical place, so that a model sees every proposal where it will really
be evaluated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from utilities.errors import StudyError, nearest, quoted
from utilities.trial import Value

Array: TypeAlias = NDArray[np.float64]
Condition: TypeAlias = Mapping[str, Value | list[Value]]

LARGEST_INTEGER = 2**53
"""Largest size of an integer up to which floats, the places in the unit cube among them, hold every one exactly."""

LARGEST_GRID = 100_000
"""Most points of a grid along one parameter."""

DIGITS = 12
"""Decimal digits kept of a float: enough for any use, few enough to survive the way to the unit cube and back."""

_NUMBER = (int, float)
_HALF = re.compile("[\ud800-\udfff]")


def same_value(a: object, b: object) -> bool:
    """Whether two choices are the same: ``True`` is not 1 and ``1.0`` is not 1."""
    return type(a) is type(b) and a == b


class _Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    when: dict[str, Value | list[Value]] = {}

    def conditions(self) -> dict[str, list[Value]]:
        """Allowed values of each parent on which this parameter's activity depends."""
        return {parent: value if isinstance(value, list) else [value] for parent, value in self.when.items()}


class _Range(_Parameter, frozen=True, kw_only=True):
    log: bool = False
    grid: int | None = None

    def scaled(self, value: float) -> float:
        """`value` on this parameter's scale."""
        return math.log(value) if self.log else float(value)

    def all_scaled(self, values: Sequence[float]) -> Array:
        """Values (m,) on this parameter's scale: to the bit as `scaled` of each, which numpy's logarithm is not."""
        return np.array(list(map(math.log, values)) if self.log else values, dtype=np.float64)

    def check_range(self, low: float, high: float, where: str) -> None:
        if not (math.isfinite(low) and math.isfinite(high)):
            raise StudyError(f"{where} low and high must be finite numbers; got low = {low}, high = {high}")
        if not low < high:
            raise StudyError(f"{where} low must be below high; got low = {low}, high = {high}")
        if self.log and low <= 0:
            raise StudyError(f"{where} log = true needs low above 0; got low = {low}")
        if self.grid is not None and not 2 <= self.grid <= LARGEST_GRID:
            rule = f"grid must be at least 2 and at most {LARGEST_GRID:,} (points along this parameter)"
            raise StudyError(f"{where} {rule}; got {quoted(self.grid)}")


class FloatParameter(_Range, frozen=True, tag="float", tag_field="type", kw_only=True):
    """A real number in [low, high], on a linear or a logarithmic scale."""

    low: float
    high: float

    @property
    def levels(self) -> float:
        """Number of distinct values: infinite."""
        return math.inf

    def check(self, where: str) -> None:
        """Raise StudyError where a rule is broken."""
        self.check_range(self.low, self.high, where)
        if not math.isfinite(self.high - self.low):
            raise StudyError(f"{where} high - low must be a finite number; got low = {self.low}, high = {self.high}")
        if self.log and not math.log(self.low) < math.log(self.high):
            _refuse_neighbours(self.low, self.high, where)

    def value(self, unit: float) -> float:
        """Value at `unit` in [0, 1], with DIGITS decimals; the borders are hit exactly."""
        if unit <= 0.0:
            return self.low
        if unit >= 1.0:
            return self.high
        if self.log:
            raw = math.exp(math.log(self.low) * (1.0 - unit) + math.log(self.high) * unit)
            rounded = float(f"{raw:.{DIGITS - 1}e}")
        else:
            magnitude = math.floor(math.log10(max(abs(self.low), abs(self.high))))
            rounded = round(self.low + unit * (self.high - self.low), DIGITS - 1 - magnitude)
        return min(max(rounded, self.low), self.high)

    def _edges(self) -> tuple[float, float]:
        return (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)

    def unit(self, value: Any) -> float:
        """Place of `value` in [0, 1]."""
        first, last = self._edges()
        return min(max((self.scaled(value) - first) / (last - first), 0.0), 1.0)

    def units(self, values: Sequence[Any]) -> Array:
        """Places (m,) of m values: to the bit as `unit` of each."""
        first, last = self._edges()
        return np.clip((self.all_scaled(values) - first) / (last - first), 0.0, 1.0)

    def snap(self, unit: Array) -> Array:
        """Canonical places: any place is one."""
        return np.clip(unit, 0.0, 1.0)

    def matches(self, unit: Array, values: Sequence[Value]) -> NDArray[np.bool_]:
        """Whether each `unit` is the place of one of `values`."""
        return np.isin(unit, [self.unit(value) for value in values])

    def accepts(self, value: object) -> bool:
        """Whether `value` may be set."""
        return isinstance(value, _NUMBER) and not isinstance(value, bool) and self.low <= value <= self.high

    def normal(self, value: Any) -> float:
        """`value` in this parameter's own type."""
        return float(value)

    def describe(self) -> str:
        """Rule for an error message."""
        return f"a number from {self.low} to {self.high}"


class IntParameter(_Range, frozen=True, tag="int", tag_field="type", kw_only=True):
    """An integer in [low, high], each with a cell of equal width on a linear or a logarithmic scale."""

    low: int
    high: int

    @property
    def levels(self) -> int:
        """Number of distinct values."""
        return self.high - self.low + 1

    def check(self, where: str) -> None:
        """Raise StudyError where a rule is broken."""
        for key, value in (("low", self.low), ("high", self.high)):
            if abs(value) > LARGEST_INTEGER:
                raise StudyError(f"{where} {key} must be at most 2^53 in size; got {quoted(value)}")
        self.check_range(self.low, self.high, where)
        first, last = self._edges()
        if not first < last:
            _refuse_neighbours(self.low, self.high, where)

    def _edges(self) -> tuple[float, float]:
        if self.log:
            return math.log(self.low - 0.5), math.log(self.high + 0.5)
        return self.low - 0.5, self.high + 0.5

    def _values(self, unit: Array) -> Array:
        first, last = self._edges()
        raw = first + np.clip(unit, 0.0, 1.0) * (last - first)
        return np.clip(np.rint(np.exp(raw) if self.log else raw), self.low, self.high)

    def value(self, unit: float) -> int:
        """Integer whose cell holds `unit`."""
        return int(self._values(np.asarray(unit)))

    def unit(self, value: Any) -> float:
        """Centre of the cell of `value` (on a log scale, the place of `value` in it)."""
        first, last = self._edges()
        return (self.scaled(value) - first) / (last - first)

    def units(self, values: Sequence[Any]) -> Array:
        """Places (m,) of m values: to the bit as `unit` of each."""
        first, last = self._edges()
        return np.asarray((self.all_scaled(values) - first) / (last - first))

    def snap(self, unit: Array) -> Array:
        """Canonical place of the integer in whose cell each `unit` lies."""
        first, last = self._edges()
        values = self._values(unit)
        return ((np.log(values) if self.log else values) - first) / (last - first)

    def matches(self, unit: Array, values: Sequence[Value]) -> NDArray[np.bool_]:
        """Whether each `unit` lies in the cell of one of `values`."""
        return np.isin(self._values(unit), np.asarray(values, dtype=np.float64))

    def accepts(self, value: object) -> bool:
        """Whether `value` may be set."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def normal(self, value: Any) -> int:
        """`value` in this parameter's own type."""
        return int(value)

    def describe(self) -> str:
        """Rule for an error message."""
        return f"an integer from {self.low} to {self.high}"


class CategoricalParameter(_Parameter, frozen=True, tag="categorical", tag_field="type", kw_only=True):
    """One of several choices without an order."""

    choices: list[Value]

    @property
    def levels(self) -> int:
        """Number of choices."""
        return len(self.choices)

    def check(self, where: str) -> None:
        """Raise StudyError where a rule is broken."""
        if not self.choices:
            raise StudyError(f"{where} choices must not be empty; got []")
        seen: set[tuple[type, Value]] = set()
        for choice in self.choices:
            if isinstance(choice, float) and not math.isfinite(choice):
                raise StudyError(f"{where} choices must be finite; got {choice}")
            if isinstance(choice, str) and _HALF.search(choice):
                raise StudyError(f"{where} choices must not hold half of a surrogate pair; got {choice!a}")
            if (type(choice), choice) in seen:
                raise StudyError(f"{where} choices must differ from each other; got {quoted(choice)} twice")
            seen.add((type(choice), choice))

    def index(self, value: object) -> int:
        """Index of `value` among the choices, -1 where it is none."""
        return next((i for i, choice in enumerate(self.choices) if same_value(choice, value)), -1)

    def indices(self, unit: Array) -> NDArray[np.int64]:
        """Index of the choice in whose cell each `unit` lies."""
        cells = np.floor(np.clip(unit, 0.0, 1.0) * self.levels).astype(np.int64)
        return np.minimum(cells, self.levels - 1)

    def value(self, unit: float) -> Value:
        """Choice whose cell holds `unit`."""
        return self.choices[int(self.indices(np.asarray(unit)))]

    def unit(self, value: object) -> float:
        """Centre of the cell of `value`."""
        return (self.index(value) + 0.5) / self.levels

    def units(self, values: Sequence[Value]) -> Array:
        """Places (m,) of m values: to the bit as `unit` of each."""
        indices = {(type(choice), choice): index for index, choice in enumerate(self.choices)}
        return (np.array([indices[type(value), value] for value in values]) + 0.5) / self.levels

    def snap(self, unit: Array) -> Array:
        """Centre of the cell that holds each `unit`."""
        return (self.indices(unit) + 0.5) / self.levels

    def matches(self, unit: Array, values: Sequence[Value]) -> NDArray[np.bool_]:
        """Whether each `unit` lies in the cell of one of `values`."""
        return np.isin(self.indices(unit), [self.index(value) for value in values])

    def accepts(self, value: object) -> bool:
        """Whether `value` is one of the choices."""
        return self.index(value) >= 0

    def normal(self, value: Any) -> Value:
        """Choice equal to `value`."""
        return self.choices[self.index(value)]

    def describe(self) -> str:
        """Rule for an error message."""
        return f"one of {quoted(self.choices)}"


def _refuse_neighbours(low: float, high: float, where: str) -> NoReturn:
    rule = "log = true needs low and high so far apart that floating-point logarithms tell them apart"
    raise StudyError(f"{where} {rule}; got low = {low}, high = {high}")


Parameter: TypeAlias = FloatParameter | IntParameter | CategoricalParameter
_KINDS: dict[str, type[Parameter]] = {"float": FloatParameter, "int": IntParameter, "categorical": CategoricalParameter}


def parse_parameter(table: Any, where: str) -> Parameter:
    """Read one parameter from its table, as in a study file.

    Parameters
    ----------
    table
        ``type`` (float, int, categorical) and the keys of that type.
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
        raise StudyError(f"{where} type is missing; known types: {', '.join(_KINDS)}")
    kind = _KINDS.get(table["type"]) if isinstance(table["type"], str) else None
    if kind is None:
        raise StudyError(
            f"{where} type must be one of {', '.join(_KINDS)}; got {quoted(table['type'])}."
            + nearest(quoted(table["type"]), _KINDS)
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


def _convert(table: Mapping[str, Any], kind: type[Parameter], where: str) -> Parameter:
    for key in ("low", "high", "choices"):
        if key in kind.__struct_fields__ and key not in table:
            raise StudyError(f"{where} {key} is missing; type {table['type']} needs it")
    try:
        parameter = msgspec.convert(dict(table), kind)
    except msgspec.ValidationError as error:
        expected, place = re.search(r"`([a-z]+)", str(error)), re.search(r"\$\.(\w+)", str(error))
        key = place[1] if place else "a key"
        rule = _WORDS.get(expected[1], f"a {expected[1]}") if expected else "a number below 1e308 in size"
        raise StudyError(f"{where} {key} must be {rule}; got {key} = {quoted(table.get(key))}") from None
    parameter.check(where)
    return parameter

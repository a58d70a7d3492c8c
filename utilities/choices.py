"""Parameters that are one of a list: choices without an order, choices in order, booleans, and constants."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from utilities.conditional import Conditional, Tunable, same_value
from utilities.errors import StudyError, quoted
from utilities.scales import Array, Lattice
from utilities.trial import Value

_CHOICES = "What there is to choose from, all different; of an ordinal in order"
"""What editors are told of the choices."""

_HALF = re.compile("[\ud800-\udfff]")


class _Choices(Tunable, frozen=True, kw_only=True):
    continuous: ClassVar[bool] = False
    one_hot: ClassVar[bool] = True

    @property
    def options(self) -> Sequence[Value]:
        """What there is to choose from."""
        raise NotImplementedError

    def check(self, where: str) -> None:
        """Raise StudyError where a rule is broken."""
        if not self.options:
            raise StudyError(f"{where} choices must not be empty; got []")
        seen: set[tuple[type, Value]] = set()
        for choice in self.options:
            _check_value(choice, f"{where} choices")
            if (type(choice), choice) in seen:
                raise StudyError(f"{where} choices must differ from each other; got {quoted(choice)} twice")
            seen.add((type(choice), choice))
        self.check_hint(where)

    @property
    def levels(self) -> int:
        """Number of choices."""
        return len(self.options)

    @property
    def grid_levels(self) -> int:
        """Number of points of a grid along this parameter: all choices."""
        return self.levels

    def grid_places(self, indices: NDArray[np.int64]) -> Array:
        """Places of the points of a grid with these indices."""
        return self._scale.places(indices.astype(np.float64))

    @cached_property
    def _scale(self) -> Lattice:
        """Where the indices of the choices lie."""
        return Lattice(0, 1, self.levels)

    @cached_property
    def _indices(self) -> dict[tuple[type, Value], int]:
        return {(type(choice), choice): index for index, choice in enumerate(self.options)}

    @cached_property
    def _array(self) -> NDArray[Any]:
        """All choices, as floats where all are numbers."""
        numbers = all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in self.options)
        array = np.empty(self.levels, dtype=np.float64 if numbers else object)
        array[:] = self.options
        return array

    def index(self, value: Any) -> int:
        """Index of `value` among the choices, -1 where it is none."""
        try:
            return self._indices.get((type(value), value), -1)
        except TypeError:
            return -1

    def indices(self, unit: Array) -> NDArray[np.int64]:
        """Index of the choice in whose cell each `unit` lies."""
        return self._scale.ranks(unit).astype(np.int64)

    def value(self, unit: float) -> Value:
        """Choice whose cell holds `unit`."""
        return self.options[int(self._scale.value(unit))]

    def values(self, unit: Array) -> NDArray[Any]:
        """Choices (m,) whose cells hold `unit` (m,)."""
        return np.asarray(self._array[self.indices(unit)])

    def places(self) -> Array:
        """Centres of all cells, in order."""
        return self._scale.places(np.arange(self.levels, dtype=np.float64))

    def unit(self, value: Any) -> float:
        """Centre of the cell of `value`."""
        return (self.index(value) + 0.5) / self.levels

    def units(self, values: Sequence[Value]) -> Array:
        """Places (m,) of m values: to the bit as `unit` of each."""
        indices = self._indices
        return (np.array([indices[type(value), value] for value in values]) + 0.5) / self.levels

    def snap(self, unit: Array) -> Array:
        """Centre of the cell that holds each `unit`."""
        return self._scale.snap(unit)

    def shifted(self, unit: Array, steps: int) -> Array:
        """Centres of the cells so many choices after those that hold `unit`, no further than the last."""
        return self._scale.shifted(unit, steps)

    def matches(self, unit: Array, values: Sequence[Value]) -> NDArray[np.bool_]:
        """Whether each `unit` lies in the cell of one of `values`."""
        return np.isin(self.indices(unit), [self.index(value) for value in values])

    def accepts(self, value: object) -> bool:
        """Whether `value` is one of the choices."""
        return self.index(value) >= 0

    def normal(self, value: Any) -> Value:
        """Choice equal to `value`."""
        return self.options[self.index(value)]

    def position(self, value: Any) -> float:
        """Rank of `value` among the choices: what comparisons compare."""
        return float(self.index(value))

    def operand(self, text: str) -> Value | None:
        """None: choices without an order are not compared."""
        return None

    def describe(self) -> str:
        """Rule for an error message."""
        return f"one of {quoted(list(self.options))}"


class CategoricalParameter(_Choices, frozen=True, tag="categorical", tag_field="type", kw_only=True):
    """One of several choices without an order."""

    choices: Annotated[list[Value], Meta(description=_CHOICES, extra_json_schema={"minItems": 1})]

    @property
    def options(self) -> Sequence[Value]:
        """The choices."""
        return self.choices


class OrdinalParameter(_Choices, frozen=True, tag="ordinal", tag_field="type", kw_only=True):
    """One of several choices in order, from one end to the other: a model takes neighbours for alike."""

    choices: Annotated[list[Value], Meta(description=_CHOICES, extra_json_schema={"minItems": 1})]
    one_hot: ClassVar[bool] = False

    @property
    def options(self) -> Sequence[Value]:
        """The choices, in order."""
        return self.choices

    def operand(self, text: str) -> Value | None:
        """Choice that the right side of a comparison means; None where it is none."""
        return next((choice for choice in self.choices if text in (str(choice), str(choice).lower())), None)


class BoolParameter(_Choices, frozen=True, tag="bool", tag_field="type", kw_only=True):
    """True or false."""

    @property
    def options(self) -> Sequence[Value]:
        """Both."""
        return (False, True)

    def describe(self) -> str:
        """Rule for an error message."""
        return "true or false"


class ConstantParameter(Conditional, frozen=True, tag="constant", tag_field="type", kw_only=True):
    """The same value in every configuration: no coordinate, and nothing that a model sees."""

    value: Annotated[Value, Meta(description="Of every configuration in which the constant is active")]

    @property
    def levels(self) -> int:
        """Number of distinct values: one."""
        return 1

    def check(self, where: str) -> None:
        """Raise StudyError where a rule is broken."""
        _check_value(self.value, f"{where} value")

    def accepts(self, value: object) -> bool:
        """Whether `value` is the value."""
        return same_value(value, self.value)

    def normal(self, value: Any) -> Value:
        """The value."""
        return self.value

    def position(self, value: Any) -> float:
        """Nothing: constants are not compared."""
        return 0.0

    def operand(self, text: str) -> Value | None:
        """None: constants are not compared."""
        return None

    def describe(self) -> str:
        """Rule for an error message."""
        return f"the constant {quoted(self.value)}"


def _check_value(value: Value, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise StudyError(f"{where} must be finite; got {value}")
    if isinstance(value, str) and _HALF.search(value):
        raise StudyError(f"{where} must not hold half of a surrogate pair; got {value!a}")

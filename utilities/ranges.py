"""Parameters that are numbers: floats and integers, with or without a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, NoReturn

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from utilities.conditional import Tunable
from utilities.errors import StudyError, quoted
from utilities.scales import DIGITS, Array, Continuum, Lattice, decimals
from utilities.trial import Value

LARGEST_INTEGER = 2**53
"""Largest size of an integer up to which floats, the places in the unit cube among them, hold every one exactly."""

LARGEST_GRID = 100_000
"""Most points of a grid along one parameter."""

GRID_POINTS = 5
"""Points of a grid along a float without a ``grid`` or a ``step`` key."""

_NUMBER = (int, float)

_LOW, _HIGH, _STEP = (
    "The lowest value",
    "The highest value, which must be above low",
    "Only low, low + step, ... up to high, which must be one of them; of an int 1 by default",
)
_INTEGERS = {"minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER}
"""What editors are told of the ends of a range."""


class _Range(Tunable, frozen=True, kw_only=True):
    log: Annotated[bool, Meta(description="Whether the scale is logarithmic; low must be above 0 then")] = False
    grid: Annotated[
        int | None,
        Meta(
            description='Points along this parameter with method = "grid"; by default '
            f"{GRID_POINTS} of a float without a step, else all values",
            extra_json_schema={"minimum": 2, "maximum": LARGEST_GRID},
        ),
    ] = None
    one_hot: ClassVar[bool] = False

    @cached_property
    def scale(self) -> Continuum | Lattice:
        raise NotImplementedError

    @property
    def levels(self) -> float:
        """Number of distinct values, infinite for a float without a step."""
        return self.scale.levels

    @property
    def continuous(self) -> bool:
        """Whether there is a value between any two."""
        return isinstance(self.scale, Continuum)

    @property
    def grid_levels(self) -> int:
        """Number of points of a grid along this parameter."""
        if isinstance(self.scale, Continuum):
            return self.grid or GRID_POINTS
        return self.scale.levels if self.grid is None else len(self._grid)

    def grid_places(self, indices: NDArray[np.int64]) -> Array:
        """Places of the points of a grid with these indices."""
        if isinstance(self.scale, Continuum):
            return np.asarray(indices / (self.grid_levels - 1))
        return self.scale.places(indices.astype(np.float64)) if self.grid is None else self._grid[indices]

    @cached_property
    def _grid(self) -> Array:
        """Places of a grid with its ``grid`` points, or all values where there are no more."""
        scale = self.scale
        count = min(self.grid or GRID_POINTS, int(scale.levels))
        ends = scale.snap(np.array([0.0, 1.0]))
        return np.unique(scale.snap(np.linspace(ends[0], ends[1], count)))

    def places(self) -> Array:
        """Canonical places of all values, of which there are finitely many."""
        if isinstance(self.scale, Continuum):
            raise ValueError("a float without a step has more values than can be listed")
        return self.scale.places(np.arange(self.scale.levels, dtype=np.float64))

    def shifted(self, unit: Array, steps: int) -> Array:
        """Canonical places (m,) so many values above those at `unit` (m,); of a float without a step, `unit`."""
        return unit if isinstance(self.scale, Continuum) else self.scale.shifted(unit, steps)

    def values(self, unit: Array) -> Array:
        """Values (m,) at `unit` (m,), as floats; those of a float without a step to about DIGITS digits."""
        return self.scale.values(unit)

    def unit(self, value: Any) -> float:
        """Canonical place of `value` in [0, 1]."""
        return self.scale.unit(value)

    def units(self, values: Sequence[Any]) -> Array:
        """Places (m,) of m values: to the bit as `unit` of each."""
        return self.scale.units(values)

    def snap(self, unit: Array) -> Array:
        """Canonical place of the value at each `unit`."""
        return self.scale.snap(unit)

    def matches(self, unit: Array, values: Sequence[Any]) -> NDArray[np.bool_]:
        """Whether each `unit` (m,) is a place of one of `values`."""
        return self.scale.matches(unit, values)

    def position(self, value: Any) -> float:
        """What comparisons compare: the value itself."""
        return float(value)

    def operand(self, text: str) -> Value | None:
        """Value that the right side of a comparison means, any number; None where it is none."""
        for kind in _NUMBER:
            try:
                number = kind(text)
            except ValueError:
                continue
            return number if math.isfinite(number) else None
        return None

    def _check_range(self, low: float, high: float, where: str) -> None:
        if not (math.isfinite(low) and math.isfinite(high)):
            raise StudyError(f"{where} low and high must be finite numbers; got low = {low}, high = {high}")
        if not low < high:
            raise StudyError(f"{where} low must be below high; got low = {low}, high = {high}")
        if self.log and low <= 0:
            raise StudyError(f"{where} log = true needs low above 0; got low = {low}")
        if self.grid is not None and not 2 <= self.grid <= LARGEST_GRID:
            rule = f"grid must be at least 2 and at most {LARGEST_GRID:,} (points along this parameter)"
            raise StudyError(f"{where} {rule}; got {quoted(self.grid)}")

    def _check_lattice(self, low: float, high: float, step: float, close: float, where: str) -> None:
        """Refuse a step that does not lead from low to high, up to `close`, or too far down for a logarithm."""
        if not step > 0:
            raise StudyError(f"{where} step must be above 0; got {quoted(step)}")
        if not step <= high - low + close:
            raise StudyError(f"{where} step must be at most high - low = {high - low}; got {quoted(step)}")
        steps = (high - low) // step
        if abs(low + round((high - low) / step) * step - high) > close:
            last = low + steps * step
            ends = " or ".join(f"{end:.{DIGITS}g}" for end in (last, last + step))
            rule = f"high must be low and a multiple of step, such as {ends}"
            raise StudyError(f"{where} {rule}; got low = {low}, high = {high}, step = {step}")
        if self.log and not low > 0.5 * step:
            rule = "log = true needs low above half of step"
            raise StudyError(f"{where} {rule}; got low = {low}, step = {step}")


class FloatParameter(_Range, frozen=True, tag="float", tag_field="type", kw_only=True):
    """A real number in [low, high], on a linear or a logarithmic scale: any, or low and multiples of step above it."""

    low: Annotated[float, Meta(description=_LOW)]
    high: Annotated[float, Meta(description=_HIGH)]
    step: Annotated[float | None, Meta(description=_STEP, extra_json_schema={"exclusiveMinimum": 0})] = None

    @cached_property
    def scale(self) -> Continuum | Lattice:
        """Where the values lie."""
        if self.step is None:
            return Continuum(self.low, self.high, self.log)
        return Lattice(self.low, self.step, round((self.high - self.low) / self.step) + 1, self.log)

    @cached_property
    def _resolution(self) -> float:
        """Difference of two values beside each other, in the digits that are kept."""
        return float(10.0 ** -decimals(self.low, self.high))

    def check(self, where: str) -> None:
        """Raise StudyError where a rule is broken."""
        self._check_range(self.low, self.high, where)
        if not math.isfinite(self.high - self.low):
            raise StudyError(f"{where} high - low must be a finite number; got low = {self.low}, high = {self.high}")
        if self.log and not math.log(self.low) < math.log(self.high):
            _refuse_neighbours(self.low, self.high, where)
        if self.step is not None:
            if not math.isfinite(self.step) or 0 < self.step < self._resolution:
                rule = f"step must be at least {self._resolution:g}, for {DIGITS} digits are kept"
                raise StudyError(f"{where} {rule}; got {quoted(self.step)}")
            self._check_lattice(self.low, self.high, self.step, 0.5 * self._resolution, where)
        self.check_hint(where)

    def value(self, unit: float) -> float:
        """Value at `unit` in [0, 1], with DIGITS decimals; the borders are hit exactly."""
        raw = self.scale.value(unit)
        if self.step is None:
            return raw
        return self._rounded(raw)

    def _rounded(self, raw: float) -> float:
        """`raw` with DIGITS decimals, and within the borders; at the last value, the upper one."""
        if raw > self.high - 0.5 * self._resolution:
            return self.high
        return max(round(raw, decimals(self.low, self.high)), self.low)

    def accepts(self, value: object) -> bool:
        """Whether `value` may be set."""
        if not isinstance(value, _NUMBER) or isinstance(value, bool) or not self.low <= value <= self.high:
            return False
        return self.step is None or abs(self.normal(value) - value) <= self._resolution

    def normal(self, value: Any) -> float:
        """`value` in this parameter's own type, and where there is a step, as that gives it."""
        scale = self.scale
        if isinstance(scale, Continuum):
            return float(value)
        return self._rounded(scale.low + scale.rank(value) * scale.step)

    def describe(self) -> str:
        """Rule for an error message."""
        return f"a number from {self.low} to {self.high}" + (f" in steps of {self.step}" if self.step else "")


class IntParameter(_Range, frozen=True, tag="int", tag_field="type", kw_only=True):
    """An integer in [low, high], every one or every `step`-th, on a linear or a logarithmic scale."""

    low: Annotated[int, Meta(description=_LOW, extra_json_schema=_INTEGERS)]
    high: Annotated[int, Meta(description=_HIGH, extra_json_schema=_INTEGERS)]
    step: Annotated[int | None, Meta(description=_STEP, extra_json_schema={"minimum": 1})] = None

    @cached_property
    def scale(self) -> Continuum | Lattice:
        """Where the values lie."""
        step = self.step or 1
        return Lattice(self.low, step, (self.high - self.low) // step + 1, self.log)

    def check(self, where: str) -> None:
        """Raise StudyError where a rule is broken."""
        for key, value in (("low", self.low), ("high", self.high)):
            if abs(value) > LARGEST_INTEGER:
                raise StudyError(f"{where} {key} must be at most 2^53 in size; got {quoted(value)}")
        self._check_range(self.low, self.high, where)
        if self.step is not None:
            self._check_lattice(self.low, self.high, self.step, 0.0, where)
        if self.log and not math.log(self.low - 0.5) < math.log(self.high + 0.5):
            _refuse_neighbours(self.low, self.high, where)
        self.check_hint(where)

    def value(self, unit: float) -> int:
        """Integer whose cell holds `unit`."""
        return int(self.scale.value(unit))

    def accepts(self, value: object) -> bool:
        """Whether `value` may be set."""
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            return False
        return self.step is None or (value - self.low) % self.step == 0

    def normal(self, value: Any) -> int:
        """`value` in this parameter's own type."""
        return int(value)

    def describe(self) -> str:
        """Rule for an error message."""
        return f"an integer from {self.low} to {self.high}" + (f" in steps of {self.step}" if self.step else "")


def _refuse_neighbours(low: float, high: float, where: str) -> NoReturn:
    rule = "log = true needs low and high so far apart that floating-point logarithms tell them apart"
    raise StudyError(f"{where} {rule}; got low = {low}, high = {high}")

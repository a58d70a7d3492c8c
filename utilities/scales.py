"""Where numbers lie in the unit interval: all of a range, or those of a lattice, on a linear or a logarithmic scale.

The values of a lattice own a cell each: of equal width on a linear scale, and on a logarithmic one from half a step
below a value to half a step above it. A value's canonical place is the centre of its cell (on a logarithmic scale, the
place of the value in it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

DIGITS = 12
"""Decimal digits kept of a float: enough for any use, few enough to survive the way to the unit cube and back."""


def decimals(low: float, high: float) -> int:
    """Decimals after the point with which a float of that range has DIGITS digits."""
    return DIGITS - 1 - math.floor(math.log10(max(abs(low), abs(high))))


def _scaled(values: Sequence[float], log: bool) -> Array:
    """Values (m,) on their scale: to the bit as math.log of each, which numpy's logarithm is not."""
    return np.array(list(map(math.log, values)) if log else values, dtype=np.float64)


@dataclass(frozen=True)
class Continuum:
    """All real numbers in [low, high]."""

    low: float
    high: float
    log: bool

    @property
    def levels(self) -> float:
        """Number of distinct values: infinite."""
        return math.inf

    @property
    def _edges(self) -> tuple[float, float]:
        return (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)

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
            rounded = round(self.low + unit * (self.high - self.low), decimals(self.low, self.high))
        return min(max(rounded, self.low), self.high)

    def values(self, unit: Array) -> Array:
        """Values (m,) at `unit` (m,), rounded to no digits."""
        first, last = self._edges
        raw = first * (1.0 - unit) + last * unit
        return np.clip(np.exp(raw) if self.log else raw, self.low, self.high)

    def unit(self, value: float) -> float:
        """Place of `value` in [0, 1]."""
        first, last = self._edges
        return min(max(((math.log(value) if self.log else float(value)) - first) / (last - first), 0.0), 1.0)

    def units(self, values: Sequence[float]) -> Array:
        """Places (m,) of m values: to the bit as `unit` of each."""
        first, last = self._edges
        return np.clip((_scaled(values, self.log) - first) / (last - first), 0.0, 1.0)

    def snap(self, unit: Array) -> Array:
        """Canonical places: any place is one."""
        return np.clip(unit, 0.0, 1.0)

    def matches(self, unit: Array, values: Sequence[float]) -> NDArray[np.bool_]:
        """Whether each `unit` is the place of one of `values`."""
        return np.isin(unit, [self.unit(value) for value in values])


@dataclass(frozen=True)
class Lattice:
    """The numbers low, low + step, low + 2 step ...: `levels` of them. Their indices are called ranks."""

    low: float
    step: float
    levels: int
    log: bool = False

    @property
    def edges(self) -> tuple[float, float]:
        """Ends of the first and the last cell, on the scale."""
        first, last = self.low - 0.5 * self.step, self.low + (self.levels - 0.5) * self.step
        return (math.log(first), math.log(last)) if self.log else (first, last)

    def ranks(self, unit: Array) -> Array:
        """Rank of the value in whose cell each `unit` lies."""
        if self.log:
            first, last = self.edges
            raw = (np.exp(first + np.clip(unit, 0.0, 1.0) * (last - first)) - self.low) / self.step
            ranks = np.rint(raw)
        else:
            ranks = np.floor(np.clip(unit, 0.0, 1.0) * self.levels)
        return np.asarray(np.clip(ranks, 0.0, self.levels - 1.0))

    def places(self, ranks: Array) -> Array:
        """Canonical places of the values of these ranks."""
        if self.log:
            first, last = self.edges
            return np.asarray((np.log(self.low + ranks * self.step) - first) / (last - first))
        return np.asarray((ranks + 0.5) / self.levels)

    def value(self, unit: float) -> float:
        """Value in whose cell `unit` lies: an int where low and step are."""
        return self.low + int(self.ranks(np.asarray(unit))) * self.step

    def values(self, unit: Array) -> Array:
        """Values (m,) at `unit` (m,)."""
        return np.asarray(self.low + self.ranks(unit) * self.step)

    def rank(self, value: float) -> int:
        """Rank of `value`; of the nearest value where it lies beside the lattice."""
        return min(max(round((value - self.low) / self.step), 0), self.levels - 1)

    def unit(self, value: float) -> float:
        """Canonical place of `value`."""
        rank = self.rank(value)
        if self.log:
            first, last = self.edges
            return (math.log(self.low + rank * self.step) - first) / (last - first)
        return (rank + 0.5) / self.levels

    def units(self, values: Sequence[float]) -> Array:
        """Canonical places (m,) of m values: to the bit as `unit` of each."""
        ranks = np.rint((np.asarray(values, dtype=np.float64) - self.low) / self.step)
        ranks = np.clip(ranks, 0.0, self.levels - 1.0)
        if self.log:
            first, last = self.edges
            return (_scaled((self.low + ranks * self.step).tolist(), log=True) - first) / (last - first)
        return (ranks + 0.5) / self.levels

    def snap(self, unit: Array) -> Array:
        """Canonical place of the value in whose cell each `unit` lies."""
        return self.places(self.ranks(unit))

    def shifted(self, unit: Array, steps: int) -> Array:
        """Canonical places of the values so many steps above those at `unit`, no further than the last."""
        return self.places(np.clip(self.ranks(unit) + steps, 0.0, self.levels - 1.0))

    def matches(self, unit: Array, values: Sequence[float]) -> NDArray[np.bool_]:
        """Whether each `unit` lies in the cell of one of `values`."""
        return np.isin(self.ranks(unit), [self.rank(value) for value in values])

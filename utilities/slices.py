"""What is left of one parameter: a stretch of a float, neighbouring values of a number, some of several choices.

Places are those of the parameter's own unit interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from utilities.errors import StudyError, nearest, quoted
from utilities.parameters import Varied
from utilities.ranges import GRID_POINTS, FloatParameter, IntParameter
from utilities.scales import Array, Lattice
from utilities.stage_plan import Limit
from utilities.trial import Value


class Slice(Protocol):
    """Some of the values of a parameter.

    Attributes
    ----------
    low, high
        The ends of their places.
    ends
        The places of the first and the last.
    """

    low: float
    high: float
    ends: tuple[float, float]

    @property
    def levels(self) -> float:
        """Number of distinct values, infinite where there is one between any two."""

    @property
    def grid_levels(self) -> int:
        """Number of points of a grid along them."""

    def grid_places(self, indices: NDArray[np.int64]) -> Array:
        """Places of the points of a grid with these indices."""

    def places(self) -> Array:
        """Canonical places of all values, of which there are finitely many."""

    def spread(self, unit: Array) -> Array:
        """Places (m,) of the slice for `unit` (m,) of the unit interval: evenly over it where these are."""

    def gather(self, unit: Array) -> Array:
        """Places (m,) of the unit interval that `spread` takes nearest to `unit` (m,)."""

    def clip(self, unit: Array) -> Array:
        """Canonical places (m,) of the slice nearest to `unit` (m,)."""

    def holds(self, unit: Array) -> NDArray[np.bool_]:
        """Whether each of `unit` (m,), canonical, is a place of the slice."""


class Stretch:
    """An interval of a float without a step, or a single value of it."""

    def __init__(self, parameter: FloatParameter, low: float, high: float) -> None:
        self.low, self.high = self.ends = parameter.unit(low), parameter.unit(high)
        self._points = (parameter.grid or GRID_POINTS) if self.low < self.high else 1

    @property
    def levels(self) -> float:
        """Infinite, or 1."""
        return math.inf if self.low < self.high else 1

    @property
    def grid_levels(self) -> int:
        """As many as along the whole parameter."""
        return self._points

    def grid_places(self, indices: NDArray[np.int64]) -> Array:
        """Places of the points of a grid, the ends included."""
        return self.spread(indices / max(1, self._points - 1))

    def places(self) -> Array:
        """The only place."""
        if self.low < self.high:
            raise ValueError("a stretch of a float has more values than can be listed")
        return np.array([self.low])

    def spread(self, unit: Array) -> Array:
        """Places at these shares of the way."""
        return np.asarray(np.clip(self.low + unit * (self.high - self.low), self.low, self.high))

    def gather(self, unit: Array) -> Array:
        """Shares of the way."""
        width = self.high - self.low
        return np.clip((unit - self.low) / width, 0.0, 1.0) if width > 0.0 else np.full_like(unit, 0.5)

    def clip(self, unit: Array) -> Array:
        """Nearest places."""
        return np.clip(unit, self.low, self.high)

    def holds(self, unit: Array) -> NDArray[np.bool_]:
        """Whether each place lies between the ends."""
        return np.asarray((unit >= self.low) & (unit <= self.high))


class Ranks:
    """Values of a lattice from one to another; `low` and `high` are the ends of their cells."""

    def __init__(self, lattice: Lattice, low: float, high: float, grid: int | None) -> None:
        self._lattice = lattice
        self._first, last = lattice.rank(low), lattice.rank(high)
        self.levels: float = last - self._first + 1
        first_place, last_place = lattice.places(np.array([self._first, last], dtype=np.float64)).tolist()
        self.ends: tuple[float, float] = first_place, last_place
        self.low, self.high = np.clip(lattice.places(np.array([self._first - 0.5, last + 0.5])), 0.0, 1.0).tolist()
        wanted = None if grid is None else min(grid, int(self.levels))
        self._grid = (
            None if wanted is None else np.unique(lattice.snap(np.linspace(self.ends[0], self.ends[1], wanted)))
        )

    @property
    def grid_levels(self) -> int:
        """All values, or as many as the parameter's ``grid``."""
        return int(self.levels) if self._grid is None else len(self._grid)

    def grid_places(self, indices: NDArray[np.int64]) -> Array:
        """Places of the points of a grid with these indices."""
        if self._grid is not None:
            return np.asarray(self._grid[indices])
        return self._lattice.places(self._first + indices.astype(np.float64))

    def places(self) -> Array:
        """Canonical places of all values."""
        return self._lattice.places(self._first + np.arange(self.levels, dtype=np.float64))

    def spread(self, unit: Array) -> Array:
        """Places in the cells at these shares of the way."""
        return self.clip(self.low + unit * (self.high - self.low))

    def gather(self, unit: Array) -> Array:
        """Shares of the way."""
        return np.asarray(np.clip((unit - self.low) / (self.high - self.low), 0.0, 1.0))

    def clip(self, unit: Array) -> Array:
        """Places of the nearest values."""
        return np.clip(self._lattice.snap(unit), self.ends[0], self.ends[1])

    def holds(self, unit: Array) -> NDArray[np.bool_]:
        """Whether each place is that of one of the values."""
        return np.asarray((unit >= self.ends[0]) & (unit <= self.ends[1]))


class Some:
    """Some of several choices."""

    low, high = 0.0, 1.0

    def __init__(self, parameter: Varied, choices: list[Value]) -> None:
        self._places = np.unique([parameter.unit(choice) for choice in choices])
        self.ends: tuple[float, float] = float(self._places[0]), float(self._places[-1])

    @property
    def levels(self) -> float:
        """Number of choices."""
        return len(self._places)

    @property
    def grid_levels(self) -> int:
        """All choices."""
        return len(self._places)

    def grid_places(self, indices: NDArray[np.int64]) -> Array:
        """Places of the choices with these indices among those that are left."""
        return np.asarray(self._places[indices])

    def places(self) -> Array:
        """Centres of all their cells."""
        return self._places

    def spread(self, unit: Array) -> Array:
        """Centres of the cells of the choices, each for an equal part of the unit interval."""
        count = len(self._places)
        return np.asarray(self._places[np.minimum((np.clip(unit, 0.0, 1.0) * count).astype(np.intp), count - 1)])

    def gather(self, unit: Array) -> Array:
        """Middle of the part of the unit interval that the nearest choice has."""
        return np.asarray((self._nearest(unit) + 0.5) / len(self._places))

    def clip(self, unit: Array) -> Array:
        """Centres of the cells of the nearest choices."""
        return np.asarray(self._places[self._nearest(unit)])

    def holds(self, unit: Array) -> NDArray[np.bool_]:
        """Whether each place is that of one of the choices."""
        return np.isin(unit, self._places)

    def _nearest(self, unit: Array) -> NDArray[np.intp]:
        return np.asarray(np.abs(unit[:, None] - self._places).argmin(axis=1))


_KEYS = ("low", "high", "choices", "value")


def make_slice(parameter: Varied, limit: Limit) -> Slice:
    """Make the slice of a parameter that a checked limit leaves."""
    if isinstance(parameter, FloatParameter | IntParameter):
        low, high = limit.get("low", parameter.low), limit.get("high", parameter.high)
        if "value" in limit:
            low = high = limit["value"]
        scale = parameter.scale
        if isinstance(scale, Lattice):
            return Ranks(scale, low, high, parameter.grid)
        return Stretch(parameter, low, high)  # type: ignore[arg-type]
    return Some(parameter, limit["choices"] if "choices" in limit else [limit["value"]])


def check_limit(parameter: Varied, limit: Any, where: str, keys: tuple[str, ...] = _KEYS) -> Limit:
    """See that a limit is one of this parameter, and return it in the parameter's own types.

    Parameters
    ----------
    parameter
        To be limited.
    limit
        As a user wrote it.
    where
        Start of a message.
    keys
        Those that may be there.

    Raises
    ------
    StudyError
        A key that the parameter has no use for, a value that it cannot have, ends in the wrong order.
    """
    number = isinstance(parameter, FloatParameter | IntParameter)
    own = [key for key in keys if key == "value" or (key == "choices") != number]
    if not isinstance(limit, Mapping) or not limit:
        raise StudyError(f"{where} must be a table with {' or '.join(own)}; got {quoted(limit)}")
    for key in limit:
        if key not in own:
            raise StudyError(
                f"{where} {quoted(key)} is not a key here; known keys: {', '.join(own)}.{nearest(str(key), own)}"
            )
    for key in ("low", "high", "value"):
        if key in limit and not parameter.accepts(limit[key]):
            raise StudyError(f"{where} {key} must be {parameter.describe()}; got {quoted(limit[key])}")
    if "choices" in limit:
        choices = limit["choices"]
        if not isinstance(choices, list) or not choices or not all(map(parameter.accepts, choices)):
            raise StudyError(f"{where} choices must be a list of some of {parameter.describe()}; got {quoted(choices)}")
        return {"choices": [parameter.normal(choice) for choice in choices]}
    found = {key: parameter.normal(value) for key, value in limit.items()}
    if isinstance(parameter, FloatParameter | IntParameter) and "value" not in found:
        low, high = float(found.get("low", parameter.low)), float(found.get("high", parameter.high))
        if not low < high:
            raise StudyError(f"{where} low must be below high; got low = {low:g}, high = {high:g}")
    return found

"""The search space: parameters to and from the unit cube, and the features that surrogates see.

Symbols
-------
d   parameters           U (m, d)   points of the unit cube, a column a parameter
p   feature columns      X (m, p)   what the surrogates see: categories one-hot, conditional numbers on an arc

A point is canonical when each integer and category sits at the centre of its cell and each inactive parameter
at INACTIVE.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from utilities.errors import StudyError, nearest, quoted
from utilities.parameters import Array, CategoricalParameter, FloatParameter, Parameter, parse_parameter, same_value
from utilities.trial import Config

INACTIVE = 0.5
"""Place of an inactive parameter in the unit cube."""

_MANY = 8
"""Configurations from which on a parameter of all of them at once is cheaper than all parameters of one."""

_BLOCK = 1024
"""Configurations whose parameters are looked at one after the other: few enough to stay in the processor's cache."""

_ARC = 0.5 * math.pi
_WEIGHT = math.sqrt(0.5)


class Space:
    """Parameters by name, some of them active only under conditions on others.

    Examples
    --------
    >>> space = Space.from_dict({"lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}})
    >>> space.from_unit([[0.5]])
    [{'lr': 0.01}]
    """

    def __init__(self, parameters: Mapping[str, Parameter], where: str = "space") -> None:
        if not parameters:
            raise StudyError(f"[{where}] must name at least one parameter; got none")
        self.parameters: dict[str, Parameter] = dict(parameters)
        self.names: list[str] = list(self.parameters)
        self._columns = {name: i for i, name in enumerate(self.names)}
        self._conditions = {name: parameter.conditions() for name, parameter in self.parameters.items()}
        self._check_conditions(where)
        self._order = self._parents_first(where)
        self._rules = [
            (name, self.parameters[name].accepts, list(self._conditions[name].items())) for name in self._order
        ]
        self._lay_out_features()

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], where: str = "space") -> Space:
        """Read a space from the ``[space]`` table of a study file.

        Parameters
        ----------
        table
            A table for each parameter: ``type`` (float, int, categorical), ``low``, ``high``, ``log``, ``grid``,
            ``choices``, ``when`` (a value, or a list of values, for each parameter it depends on).
        where
            Name of the table in error messages.

        Raises
        ------
        StudyError
            Whatever is wrong with it: where, the rule, the value received.
        """
        if not isinstance(table, Mapping):
            raise StudyError(f"[{where}] must be a table of parameters; got {quoted(table)}")
        for name in table:
            if not isinstance(name, str) or not name or not name.isprintable():
                raise StudyError(f"[{where}] a parameter's name must be printable text; got {quoted(name)}")
        return cls({name: parse_parameter(row, f"[{where}.{name}]") for name, row in table.items()}, where)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Canonical table: equal for equal spaces."""
        return {name: msgspec.to_builtins(parameter) for name, parameter in self.parameters.items()}

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Space({', '.join(self.names)})"

    @property
    def cardinality(self) -> float:
        """Upper bound on the number of distinct configurations; infinite where a float is among the parameters."""
        levels = [parameter.levels for parameter in self.parameters.values()]
        return math.inf if math.inf in levels else math.prod(levels)  # an int of 400 digits times inf overflows

    # --- conditions -------------------------------------------------------------------------------------------------

    def _check_conditions(self, where: str) -> None:
        for name, conditions in self._conditions.items():
            for parent, values in conditions.items():
                here = f"[{where}.{name}] when"
                if parent not in self.parameters:
                    raise StudyError(
                        f"{here} names an unknown parameter {quoted(parent)}.{nearest(parent, self.parameters)}"
                    )
                rule = self.parameters[parent]
                if isinstance(rule, FloatParameter):
                    raise StudyError(f"{here} must depend on a categorical or an int; {quoted(parent)} is a float")
                if not values:
                    raise StudyError(f"{here} {parent} must list at least one value; got []")
                for value in values:
                    if not rule.accepts(value):
                        hint = nearest(str(value), map(str, getattr(rule, "choices", ())))
                        raise StudyError(f"{here} {parent} must be {rule.describe()}; got {quoted(value)}.{hint}")

    def _parents_first(self, where: str) -> list[str]:
        sorter = TopologicalSorter({name: parameter.when for name, parameter in self.parameters.items()})
        try:
            return list(sorter.static_order())
        except CycleError as error:
            *circle, _ = reversed(error.args[1])  # each needs the next
            start = min(range(len(circle)), key=lambda index: self._columns[circle[index]])
            circle = [*circle[start:], *circle[:start], circle[start]]
            got = " -> ".join(circle)
            raise StudyError(f"[{where}.{circle[0]}] when must not be circular; got {got}") from None

    def active(self, points: Array) -> NDArray[np.bool_]:
        """Which parameters are active at each of `points` (m, d): (m, d)."""
        mask = np.ones(points.shape, dtype=bool)
        for name in self._order:
            column = self._columns[name]
            for parent, values in self._conditions[name].items():
                place = self._columns[parent]
                met = self.parameters[parent].matches(points[:, place], values)
                mask[:, column] &= met & mask[:, place]
        return mask

    # --- configurations and points ----------------------------------------------------------------------------------

    def snap(self, points: Array) -> Array:
        """Canonical points: (m, d) with integers and categories at their cell's centre, inactive ones at INACTIVE."""
        points = np.asarray(points, dtype=np.float64)
        snapped = np.empty_like(points)
        for column, parameter in enumerate(self.parameters.values()):
            snapped[:, column] = parameter.snap(points[:, column])
        if self._conditional:
            snapped[~self.active(snapped)] = INACTIVE
        return snapped

    def from_unit(self, points: Array | Sequence[Sequence[float]]) -> list[Config]:
        """Configurations at `points` (m, d) of the unit cube, without their inactive parameters."""
        places = np.asarray(points, dtype=np.float64).reshape(-1, len(self))
        parameters = list(self.parameters.items())
        if not self._conditional:
            rows = places.tolist()
            return [{name: p.value(place) for (name, p), place in zip(parameters, row, strict=True)} for row in rows]
        mask = self.active(places)
        return [
            {name: p.value(float(row[column])) for column, (name, p) in enumerate(parameters) if on[column]}
            for row, on in zip(places, mask, strict=True)
        ]

    def to_unit(self, configs: Sequence[Config]) -> Array:
        """Canonical points (m, d) of `configs`."""
        points = np.full((len(configs), len(self)), INACTIVE)
        if len(configs) < _MANY:
            for point, config in zip(points, configs, strict=True):
                for name, value in config.items():
                    point[self._columns[name]] = self.parameters[name].unit(value)
            return points
        for first in range(0, len(configs), _BLOCK):
            self._place(configs[first : first + _BLOCK], points[first : first + _BLOCK])
        return points

    def _place(self, configs: Sequence[Config], points: Array) -> None:
        """Write the places of `configs` into `points` (m, d), a parameter at a time."""
        for column, (name, parameter) in enumerate(self.parameters.items()):
            try:
                points[:, column] = parameter.units([config[name] for config in configs])
            except KeyError:
                rows = [row for row, config in enumerate(configs) if name in config]
                points[rows, column] = parameter.units([configs[row][name] for row in rows])

    def validate(self, config: Mapping[str, Any]) -> Config:
        """Check a configuration and return it with each value in its parameter's own type.

        Raises
        ------
        StudyError
            An unknown, missing or inactive parameter, or a value outside its range.
        """
        for name, value in config.items():
            if name not in self.parameters:
                raise StudyError(f"configuration: {quoted(name)} is not a parameter.{nearest(name, self.names)}")
            if not self.parameters[name].accepts(value):
                raise StudyError(
                    f"configuration: {name} must be {self.parameters[name].describe()}; got {quoted(value)}"
                )
        wanted: set[str] = set()
        for name in self._order:
            conditions = self._conditions[name]
            if all(
                parent in wanted and any(same_value(config[parent], value) for value in values)
                for parent, values in conditions.items()
            ):
                if name not in config:
                    raise StudyError(f"configuration: {name} is missing; it must be {self.parameters[name].describe()}")
                wanted.add(name)
            elif name in config:
                raise StudyError(
                    f"configuration: {name} = {quoted(config[name])} is inactive: it needs {quoted(conditions)}"
                )
        return {name: self.parameters[name].normal(config[name]) for name in self.names if name in wanted}

    def holds(self, config: Config) -> bool:
        """Whether `validate` would accept the configuration, at a fraction of the time, without a reason."""
        known = 0
        for name, accepts, conditions in self._rules:
            if conditions and not all(
                parent in config and any(same_value(config[parent], value) for value in values)
                for parent, values in conditions
            ):
                continue
            if name not in config or not accepts(config[name]):
                return False
            known += 1
        return known == len(config)  # an inactive one is not counted, whatever depends on it

    def key(self, config: Config) -> Hashable:
        """Hashable identity of a configuration, of a few bytes: a study remembers each that it proposed.

        Different types differ, as in ``True``, ``1`` and ``1.0``.
        """
        values = [value + 0.0 if type(value) is float else value for value in map(config.get, self.names)]  # no -0.0
        return blake2b(msgspec.msgpack.encode(values), digest_size=16).digest()

    def enumerate_points(self, limit: int = 100_000) -> Array | None:
        """All distinct canonical points (m, d) of a finite space of at most `limit` combinations, else None."""
        if self.cardinality > limit:
            return None
        axes = [
            parameter.snap((np.arange(int(parameter.levels)) + 0.5) / parameter.levels)
            if isinstance(parameter, CategoricalParameter)
            else np.array([parameter.unit(value) for value in range(int(parameter.low), int(parameter.high) + 1)])
            for parameter in self.parameters.values()
        ]
        return np.unique(self.snap(np.array(list(itertools.product(*axes)))), axis=0)

    # --- features ---------------------------------------------------------------------------------------------------

    def _lay_out_features(self) -> None:
        self._conditional = any(parameter.when for parameter in self.parameters.values())
        self._plain = not self._conditional and not any(
            isinstance(parameter, CategoricalParameter) for parameter in self.parameters.values()
        )
        self._slices: list[slice] = []
        groups: list[int] = []
        warped: list[bool] = []
        for group, parameter in enumerate(self.parameters.values()):
            categorical = isinstance(parameter, CategoricalParameter)
            width = int(parameter.levels) if categorical else 3 if parameter.when else 1
            self._slices.append(slice(len(groups), len(groups) + width))
            groups += [group] * width
            warped += [width == 1 and not categorical] * width
        self.groups: NDArray[np.int64] = np.array(groups)
        self.warped: NDArray[np.bool_] = np.array(warped)

    def features(self, points: Array) -> Array:
        """Feature rows (m, p) of `points` (m, d), which need not be canonical.

        An unconditional number is its canonical place. A category is one-hot over sqrt 2, so that two different
        choices are at distance 1. A conditional number is a point on a quarter circle and a flag, the origin where it
        is inactive (the arc kernel, Swersky et al. 2014, arXiv 1409.4011), at distance 1 from any active value.
        ``groups`` (p,) names the parameter of each column.
        """
        points = self.snap(points)
        if self._plain:
            return points
        mask = self.active(points)
        x = np.zeros((len(points), len(self.groups)))
        for column, (name, where) in enumerate(zip(self.names, self._slices, strict=True)):
            parameter, place, on = self.parameters[name], points[:, column], mask[:, column]
            if isinstance(parameter, CategoricalParameter):
                rows = np.flatnonzero(on)
                x[rows, where.start + parameter.indices(place[rows])] = _WEIGHT
            elif parameter.when:
                arc = np.stack([np.ones_like(place), np.sin(_ARC * place), np.cos(_ARC * place)], axis=1)
                x[:, where] = _WEIGHT * arc * on[:, None]
            else:
                x[:, where.start] = place
        return x

    @property
    def continuous(self) -> NDArray[np.int64]:
        """Columns of the unit cube that are floats: those along which features are smooth."""
        return np.array(
            [i for i, p in enumerate(self.parameters.values()) if isinstance(p, FloatParameter)], dtype=np.int64
        )

    def feature_pullback(self, points: Array, grad: Array) -> Array:
        """Gradient (m, d) in the unit cube at `points` of a scalar with gradient `grad` (m, p) in the features.

        Zero along integers, categories and inactive parameters.
        """
        mask = self.active(points)
        out = np.zeros_like(points)
        for column in self.continuous:
            where, place = self._slices[column], points[:, column]
            if self.parameters[self.names[column]].when:
                along = _WEIGHT * _ARC
                slope = grad[:, where.start + 1] * np.cos(_ARC * place) - grad[:, where.start + 2] * np.sin(
                    _ARC * place
                )
                out[:, column] = along * slope * mask[:, column]
            else:
                out[:, column] = grad[:, where.start]
        return out

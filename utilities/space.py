"""The search space: parameters to and from the unit cube, and the features that surrogates see.

Symbols
-------
d   coordinates          U (m, d)   points of the unit cube, a column a parameter that is no constant
p   feature columns      X (m, p)   what the surrogates see, see `utilities.features`

A point is canonical when each value of finitely many sits at the centre of its cell and each inactive parameter
at INACTIVE.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from utilities.choices import ConstantParameter
from utilities.conditional import Wanted
from utilities.conditions import Conditions
from utilities.constraints import Constraints
from utilities.errors import StudyError, nearest, quoted
from utilities.feasibility import find_allowed
from utilities.features import Features
from utilities.parameters import Parameter, Varied, parse_parameter
from utilities.scales import Array
from utilities.slices import Slice
from utilities.trial import Config

INACTIVE = 0.5
"""Place of an inactive parameter in the unit cube."""

Axis: TypeAlias = Varied | Slice
"""What there is of a parameter."""

_MANY = 8
"""Configurations from which on a parameter of all of them at once is cheaper than all parameters of one."""

_BLOCK = 1024
"""Configurations whose parameters are looked at one after the other: few enough to stay in the processor's cache."""


class Space:
    """Parameters by name, some of them active only under conditions on others.

    Examples
    --------
    >>> space = Space.from_dict({"lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}})
    >>> space.from_unit([[0.5]])
    [{'lr': 0.01}]
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        where: str = "space",
        constraints: Sequence[str] = (),
        forbid: Sequence[Wanted] = (),
    ) -> None:
        if not parameters:
            raise StudyError(f"[{where}] must name at least one parameter; got none")
        self.parameters: dict[str, Parameter] = dict(parameters)
        self.varied: dict[str, Varied] = {
            name: parameter for name, parameter in parameters.items() if not isinstance(parameter, ConstantParameter)
        }
        if not self.varied:
            raise StudyError(f"[{where}] must have a parameter that is no constant; got {quoted(list(parameters))}")
        self.names: list[str] = list(self.varied)
        self._columns = {name: i for i, name in enumerate(self.names)}
        self._conditions = Conditions(self.parameters, where)
        self._rules = [
            (name, self.parameters[name].accepts, bool(self.parameters[name].when)) for name in self._conditions.order
        ]
        self._constants = {
            name: parameter.value for name, parameter in parameters.items() if isinstance(parameter, ConstantParameter)
        }
        self.constraints = Constraints(self.parameters, self._conditions, constraints, forbid)
        self._example = find_allowed(self) if self.constraints else None
        self._features = Features(self.varied)
        self.groups, self.warped = self._features.groups, self._features.warped

    @classmethod
    def from_dict(
        cls,
        table: Mapping[str, Any],
        where: str = "space",
        constraints: Sequence[str] = (),
        forbid: Sequence[Wanted] = (),
    ) -> Space:
        """Read a space from the ``[space]`` table of a study file.

        Parameters
        ----------
        table
            A table for each parameter: ``type`` (float, int, categorical, ordinal, bool, constant), ``low``, ``high``,
            ``step``, ``log``, ``grid``, ``choices``, ``value``, ``likely``, ``sure``, ``when`` (a value, a list of
            values or a comparison for each parameter it depends on, or a list of such tables).
        where
            Name of the table in error messages.
        constraints, forbid
            As in a study file: expressions that must be true, and tables of values that no configuration may match.

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
        parameters = {name: parse_parameter(row, f"[{where}.{name}]") for name, row in table.items()}
        return cls(parameters, where, constraints, forbid)

    @classmethod
    def from_configspace(cls, configspace: Any) -> Space:
        """Read a ``ConfigSpace.ConfigurationSpace``, with its conditions and forbidden clauses.

        Raises
        ------
        StudyError
            It has something without counterpart here: what.
        """
        from utilities.configspace_reader import read_configspace

        return cls.from_dict(*read_configspace(configspace))

    @classmethod
    def from_optuna(cls, distributions: Any) -> Space:
        """Read a dict of Optuna's distributions by name, or the distributions of a study's trials.

        Raises
        ------
        StudyError
            They have something without counterpart here: what.
        """
        from utilities.optuna_reader import read_distributions

        return cls.from_dict(read_distributions(distributions))

    def restricted(self, constraints: Sequence[str], forbid: Sequence[Wanted]) -> Space:
        """Return the same space with these constraints in place of its own.

        Raises
        ------
        StudyError
            One of them is wrong, or no configuration that keeps them was found.
        """
        return Space(self.parameters, constraints=constraints, forbid=forbid)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Canonical table: equal for equal spaces."""
        return {name: msgspec.to_builtins(parameter) for name, parameter in self.parameters.items()}

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self._whole() == other._whole()

    def _whole(self) -> tuple[Any, ...]:
        return self.to_dict(), self.constraints.expressions, self.constraints.forbidden

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Space({', '.join(self.names)})"

    @property
    def cardinality(self) -> float:
        """Upper bound on the number of distinct configurations; infinite where a float is among the parameters."""
        levels = [axis.levels for axis in self.axes]
        return math.inf if math.inf in levels else math.prod(levels)  # an int of 400 digits times inf overflows

    @property
    def conditions(self) -> Conditions:
        """When parameters are active."""
        return self._conditions

    def active(self, points: Array) -> NDArray[np.bool_]:
        """Which coordinates are active at each of `points` (m, d): (m, d)."""
        return self._conditions.active(points)

    @property
    def parents(self) -> set[str]:
        """Names of the parameters on which others depend."""
        return self._conditions.parents

    # --- configurations and points ----------------------------------------------------------------------------------

    def snap(self, points: Array) -> Array:
        """Canonical points: (m, d) with integers and categories at their cell's centre, inactive ones at INACTIVE."""
        points = np.asarray(points, dtype=np.float64)
        snapped = np.empty_like(points)
        for column, parameter in enumerate(self.varied.values()):
            snapped[:, column] = parameter.snap(points[:, column])
        if self._conditions:
            snapped[~self.active(snapped)] = INACTIVE
        return snapped

    def from_unit(self, points: Array | Sequence[Sequence[float]]) -> list[Config]:
        """Configurations at `points` (m, d) of the unit cube, without their inactive parameters."""
        places = np.asarray(points, dtype=np.float64).reshape(-1, len(self))
        if not self._conditions:
            return [self._config(row, self.parameters) for row in places.tolist()]
        active = self._conditions.activity(places)
        return [
            self._config(row, [name for name in self.parameters if name not in active or active[name][i]])
            for i, row in enumerate(places.tolist())
        ]

    def _config(self, row: Sequence[float], names: Iterable[str]) -> Config:
        """Configuration of a point (d,), of these parameters."""
        columns, constants = self._columns, self._constants
        return {
            name: self.varied[name].value(row[columns[name]]) if name in columns else constants[name] for name in names
        }

    def to_unit(self, configs: Sequence[Config]) -> Array:
        """Canonical points (m, d) of `configs`."""
        points = np.full((len(configs), len(self)), INACTIVE)
        if len(configs) < _MANY:
            for point, config in zip(points, configs, strict=True):
                for name, value in config.items():
                    if name in self._columns:
                        point[self._columns[name]] = self.varied[name].unit(value)
            return points
        for first in range(0, len(configs), _BLOCK):
            self._place(configs[first : first + _BLOCK], points[first : first + _BLOCK])
        return points

    def _place(self, configs: Sequence[Config], points: Array) -> None:
        """Write the places of `configs` into `points` (m, d), a parameter at a time."""
        for column, (name, parameter) in enumerate(self.varied.items()):
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
            An unknown, missing or inactive parameter, a value outside its range, a constraint that is broken.
        """
        whole = self.normal(config)
        for name in self._conditions.order:
            if self._conditions.met(name, whole):
                if name not in config:
                    raise StudyError(f"configuration: {name} is missing; it must be {self.parameters[name].describe()}")
            elif name in config:
                raise StudyError(
                    f"configuration: {name} = {quoted(config[name])} is inactive: it needs "
                    f"{quoted(self.parameters[name].when)}"
                )
        broken = self.constraints.broken(whole)
        if broken:
            raise StudyError(f"configuration: {quoted(whole)} breaks {broken}")
        return whole

    def normal(self, config: Mapping[str, Any]) -> Config:
        """Check the values of some parameters, each by itself, and return them in order and in their own types.

        Raises
        ------
        StudyError
            An unknown parameter, a value outside its range.
        """
        for name, value in config.items():
            if name not in self.parameters:
                raise StudyError(f"configuration: {quoted(name)} is not a parameter.{nearest(name, self.parameters)}")
            if not self.parameters[name].accepts(value):
                raise StudyError(
                    f"configuration: {name} must be {self.parameters[name].describe()}; got {quoted(value)}"
                )
        return {name: self.parameters[name].normal(config[name]) for name in self.parameters if name in config}

    def with_constants(self, config: Config) -> Config:
        """Add the constants that are active where a configuration has these values."""
        found = self.from_unit(self.to_unit([config]))[0]
        return {name: value for name, value in found.items() if name in self._constants} | config

    def holds(self, config: Config) -> bool:
        """Whether `validate` would accept the configuration, at a fraction of the time, without a reason."""
        known = 0
        for name, accepts, conditional in self._rules:
            if conditional and not self._conditions.met(name, config):
                continue
            if name not in config or not accepts(config[name]):
                return False
            known += 1
        return known == len(config) and self.allows(config)  # an inactive one is not counted, whatever depends on it

    def allows(self, config: Config) -> bool:
        """Whether a configuration of this space keeps the constraints."""
        return not self.constraints or not self.constraints.broken(config)

    def allowed(self, points: Array) -> Array:
        """Those of `points` (m, d) that keep the constraints, to about the digits that floats are rounded to."""
        return points[self.constraints.allowed(points)] if self.constraints else points

    @property
    def example(self) -> Array | None:
        """A point (1, d) that keeps the constraints; None where there are none."""
        return self._example

    def key(self, config: Config) -> Hashable:
        """Hashable identity of a configuration, of a few bytes: a study remembers each that it proposed.

        Different types differ, as in ``True``, ``1`` and ``1.0``.
        """
        values = [value + 0.0 if type(value) is float else value for value in map(config.get, self.names)]  # no -0.0
        return blake2b(msgspec.msgpack.encode(values), digest_size=16).digest()

    def enumerate_points(self, limit: int = 100_000) -> Array | None:
        """All distinct canonical points (m, d) of a finite space of at most `limit` combinations, else None.

        Those that break the constraints are left out.
        """
        if self.cardinality > limit:
            return None
        axes = [axis.places() for axis in self.axes]
        return self.allowed(np.unique(self.snap(np.array(list(itertools.product(*axes)))), axis=0))

    # --- what `utilities.subspace` leaves of it ---------------------------------------------------------------------

    @property
    def axes(self) -> Sequence[Axis]:
        """What there is of each parameter that is no constant: all."""
        return list(self.varied.values())

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest place (d,) of each coordinate."""
        return np.zeros(len(self)), np.ones(len(self))

    def spread(self, points: Array) -> Array:
        """Points (m, d) of this space for `points` (m, d) of the unit cube: these."""
        return points

    def gather(self, points: Array) -> Array:
        """Points (m, d) of the unit cube that `spread` takes to `points` (m, d): these."""
        return points

    def within(self, points: Array) -> Array:
        """Points (m, d) of this space nearest to `points` (m, d) of the unit cube: these."""
        return points

    # --- features ---------------------------------------------------------------------------------------------------

    def features(self, points: Array) -> Array:
        """Feature rows (m, p) of `points` (m, d), which need not be canonical, see `Features.rows`.

        ``groups`` (p,) names the coordinate of each column.
        """
        points = self.snap(points)
        return self._features.rows(points, self.active(points))

    @property
    def layout(self) -> Features:
        """Which feature columns are whose."""
        return self._features

    @property
    def continuous(self) -> NDArray[np.int64]:
        """Columns of the unit cube that are floats without a step: those along which features are smooth."""
        return self._features.continuous

    def feature_pullback(self, points: Array, grad: Array) -> Array:
        """Gradient (m, d) in the unit cube at `points` of a scalar with gradient `grad` (m, p) in the features.

        Zero along all that is not continuous, and where it is inactive.
        """
        return self._features.pullback(points, self.active(points), grad)

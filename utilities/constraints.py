"""Known constraints: combinations that are forbidden, and expressions that must hold, of points and configurations.

What names an inactive parameter does not apply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utilities.choices import BoolParameter, CategoricalParameter, ConstantParameter, OrdinalParameter
from utilities.conditional import Wanted
from utilities.conditions import Conditions, Requirement
from utilities.errors import StudyError, quoted
from utilities.expressions import by_index, read_expression
from utilities.parameters import Parameter
from utilities.scales import Array
from utilities.trial import Config, Value

Mask = NDArray[np.bool_]


class Constraints:
    """What every proposal must keep.

    Parameters
    ----------
    parameters, conditions
        Of the space.
    expressions
        Each must be true, see `utilities.expressions`.
    forbidden
        Tables of values, comparisons, or lists of these, by parameter, as in a ``when``: no configuration may match all
        of a table.

    Attributes
    ----------
    expressions, forbidden
        As given.

    Raises
    ------
    StudyError
        An expression or a table is wrong: which, and the rule.
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        conditions: Conditions,
        expressions: Sequence[str] = (),
        forbidden: Sequence[Wanted] = (),
    ) -> None:
        self.expressions, self.forbidden = list(expressions), list(forbidden)
        self._conditions = conditions
        self._varied = {name: p for name, p in parameters.items() if not isinstance(p, ConstantParameter)}
        self._columns = {name: column for column, name in enumerate(self._varied)}
        self._read = [read_expression(text, parameters, f"constraints[{i}]") for i, text in enumerate(self.expressions)]
        self._tables = [self._read_table(table, f"forbid[{i}]") for i, table in enumerate(self.forbidden)]

    def __bool__(self) -> bool:
        return bool(self._read or self._tables)

    def _read_table(self, table: Wanted, where: str) -> list[Requirement]:
        if not isinstance(table, Mapping) or not table:
            raise StudyError(f"{where} must be a table of values by parameter, not empty; got {quoted(table)}")
        return [
            self._conditions.require(name, value if isinstance(value, list) else [value], where)
            for name, value in table.items()
        ]

    def kept(self, points: Array) -> list[Mask]:
        """Whether each constraint is kept at each of `points` (m, d): a mask (m,) for each, in the order of `texts`."""
        active = self._conditions.activity(points)
        found = []
        for expression in self._read:
            on = self._all_active(expression.names, active, len(points))
            values = {name: self._values(name, points) for name in expression.names if name in self._columns}
            found.append(expression.holds(values) | ~on)
        for table in self._tables:
            met = self._all_active([need.parent for need in table], active, len(points))
            for need in table:
                met &= need.at(points[:, self._columns.get(need.parent, 0)])
            found.append(~met)
        return found

    def allowed(self, points: Array) -> Mask:
        """Whether all constraints are kept (m,) at `points` (m, d), to about the digits that floats are rounded to."""
        return np.asarray(np.logical_and.reduce([np.ones(len(points), dtype=bool), *self.kept(points)]))

    def broken(self, config: Config) -> str:
        """Say which constraint a configuration breaks; the empty string where it keeps all of them."""
        for i, expression in enumerate(self._read):
            if all(name in config for name in expression.names):
                values = {name: self._coded(name, config[name]) for name in expression.names if name in self._columns}
                if not expression.holds(values).all():
                    return self.texts[i]
        for i, table in enumerate(self._tables, start=len(self._read)):
            if all(need.parent in config and need.met(config[need.parent]) for need in table):
                return self.texts[i]
        return ""

    @property
    def texts(self) -> list[str]:
        """What each constraint says, for messages."""
        said = [f"constraints[{i}], {quoted(text)}" for i, text in enumerate(self.expressions)]
        return said + [f"forbid[{i}], {quoted(table)}" for i, table in enumerate(self.forbidden)]

    def _all_active(self, names: Sequence[str], active: Mapping[str, Mask], count: int) -> Mask:
        on = np.ones(count, dtype=bool)
        for name in names:
            on &= active.get(name, True)
        return on

    def _values(self, name: str, points: Array) -> NDArray[Any]:
        """Values (m,) of a parameter as expressions take them."""
        parameter, unit = self._varied[name], points[:, self._columns[name]]
        if isinstance(parameter, BoolParameter):
            return parameter.indices(unit) > 0
        if isinstance(parameter, CategoricalParameter | OrdinalParameter) and by_index(parameter):
            return parameter.indices(unit)
        return parameter.values(unit)

    def _coded(self, name: str, value: Value) -> NDArray[Any]:
        """A value of a parameter as expressions take it: an array (1,)."""
        parameter = self._varied[name]
        if isinstance(parameter, CategoricalParameter | OrdinalParameter) and by_index(parameter):
            return np.array([parameter.index(value)])
        return np.array([value])

"""Spaces for peers: conditions flattened, values from and to the unit cube. Standard library only.

A flattened space gives every parameter a value; those whose conditions do not hold are dropped before the evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Table = Mapping[str, Row]
Config = dict[str, Any]


def is_active(row: Row, config: Mapping[str, Any]) -> bool:
    """Whether the conditions of a parameter hold in a configuration without inactive parameters."""
    for parent, allowed in row.get("when", {}).items():
        choices = allowed if isinstance(allowed, list) else [allowed]
        if parent not in config or config[parent] not in choices:
            return False
    return True


def parents_first(space: Table) -> list[str]:
    """Names in an order in which every parameter comes after those that its conditions name."""
    order: list[str] = []
    while len(order) < len(space):
        ready = [name for name, row in space.items() if name not in order and set(row.get("when", {})) <= set(order)]
        if not ready:
            raise ValueError(f"the conditions of {sorted(set(space) - set(order))} go round in a circle")
        order += ready
    return order


def drop_inactive(space: Table, flat: Mapping[str, Any]) -> Config:
    """Configuration of a flattened one."""
    config: Config = {}
    for name in parents_first(space):
        if is_active(space[name], config):
            config[name] = flat[name]
    return config


def _edges(row: Row) -> tuple[float, float]:
    """Borders of a range on the scale in which it is uniform; an integer owns a cell of half a step to both sides."""
    half = 0.5 if row["type"] == "int" else 0.0
    low, high = row["low"] - half, row["high"] + half
    return (math.log(low), math.log(high)) if row.get("log") else (low, high)


def value_at(row: Row, unit: float) -> Any:
    """Value of a parameter at a place in [0, 1]."""
    if row["type"] == "categorical":
        choices = row["choices"]
        return choices[min(int(unit * len(choices)), len(choices) - 1)]
    first, last = _edges(row)
    raw = first + unit * (last - first)
    value = math.exp(raw) if row.get("log") else raw
    if row["type"] == "int":
        value = round(value)
    return min(max(value, row["low"]), row["high"])


def place_of(row: Row, value: Any) -> float:
    """Place in [0, 1] of a value; the middle of its cell for a category."""
    if row["type"] == "categorical":
        return (row["choices"].index(value) + 0.5) / len(row["choices"])
    first, last = _edges(row)
    return ((math.log(value) if row.get("log") else value) - first) / (last - first)


class Encoding:
    """A flattened space as a cube: a column a number, a column a choice (one-hot).

    A point decodes to the largest of a category's columns; `snap` puts it where its configuration really is.
    """

    def __init__(self, space: Table) -> None:
        self.space = space
        self.columns = sum(self._width(row) for row in space.values())

    @staticmethod
    def _width(row: Row) -> int:
        return len(row["choices"]) if row["type"] == "categorical" else 1

    def decode(self, point: Sequence[float]) -> Config:
        """Flattened configuration at a point."""
        flat, column = {}, 0
        for name, row in self.space.items():
            part = list(point[column : column + self._width(row)])
            column += len(part)
            categorical = row["type"] == "categorical"
            flat[name] = row["choices"][part.index(max(part))] if categorical else value_at(row, part[0])
        return flat

    def encode(self, flat: Mapping[str, Any]) -> list[float]:
        """Point of a flattened configuration."""
        point: list[float] = []
        for name, row in self.space.items():
            if row["type"] == "categorical":
                point += [float(choice == flat[name]) for choice in row["choices"]]
            else:
                point.append(place_of(row, flat[name]))
        return point

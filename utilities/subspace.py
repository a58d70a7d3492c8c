"""A part of a space: of each parameter a range of its values, some of its choices, or one value.

Points are those of the whole space's unit cube: a model of all of it sees them where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from utilities.errors import SpaceExhaustedError, StudyError
from utilities.feasibility import find_allowed
from utilities.scales import Array
from utilities.slices import Slice, make_slice
from utilities.space import Axis, Space
from utilities.stage_plan import Limit, Limits
from utilities.trial import Config

_RANDOM = 1024
"""Random points by which is seen which parameters are ever active."""


class Subspace(Space):
    """A part of a space that keeps its features, conditions and constraints.

    What is drawn and searched for here lies in it. Points that lie elsewhere, such as those of earlier trials, get
    their features from the whole space: here they would be moved to the border.

    Parameters
    ----------
    space
        The whole.
    limits
        By the name of a parameter, as `utilities.slices.check_limit` returns them.

    Raises
    ------
    SpaceExhaustedError
        No configuration that keeps the constraints was found in it.
    """

    def __init__(self, space: Space, limits: Mapping[str, Limit]) -> None:
        vars(self).update(vars(space))
        self.limits: Limits = {name: dict(limit) for name, limit in limits.items()}
        self._slices: dict[int, Slice] = {
            self.names.index(name): make_slice(space.varied[name], limit) for name, limit in limits.items()
        }
        if self.constraints:
            try:
                self._example = find_allowed(self)
            except StudyError as error:
                raise SpaceExhaustedError(str(error)) from None

    @property
    def axes(self) -> Sequence[Axis]:
        """What is left of each parameter."""
        return [self._slices.get(column, parameter) for column, parameter in enumerate(self.varied.values())]

    @property
    def free(self) -> list[str]:
        """Names of the parameters of which more than one value is left, and that are active somewhere in the part."""
        points = self.snap(self.spread(np.random.default_rng(0).random((_RANDOM, len(self)))))
        active = self.active(points)
        named = enumerate(zip(self.names, self.axes, strict=True))
        return [name for column, (name, axis) in named if axis.levels > 1 and active[:, column].any()]

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest place (d,) of each coordinate."""
        low, high = np.zeros(len(self)), np.ones(len(self))
        for column, part in self._slices.items():
            low[column], high[column] = part.low, part.high
        return low, high

    def spread(self, points: Array) -> Array:
        """Points (m, d) in the part for `points` (m, d) of the unit cube: evenly over it where these are."""
        moved = points.copy()
        for column, part in self._slices.items():
            moved[:, column] = part.spread(points[:, column])
        return moved

    def gather(self, points: Array) -> Array:
        """Points (m, d) of the unit cube that `spread` takes nearest to `points` (m, d)."""
        moved = points.copy()
        for column, part in self._slices.items():
            moved[:, column] = part.gather(points[:, column])
        return moved

    def within(self, points: Array) -> Array:
        """Points (m, d) of the part nearest to `points` (m, d), a coordinate at a time."""
        moved = np.array(points, dtype=np.float64)
        for column, part in self._slices.items():
            moved[:, column] = part.clip(moved[:, column])
        return moved

    def snap(self, points: Array) -> Array:
        """Canonical points (m, d) of the part nearest to `points` (m, d)."""
        return super().snap(self.within(points))

    def holds_points(self, points: Array) -> NDArray[np.bool_]:
        """Whether each of the canonical `points` (m, d) lies in the part, in all that is active."""
        active, inside = self.active(points), np.ones(len(points), dtype=bool)
        for column, part in self._slices.items():
            inside &= part.holds(points[:, column]) | ~active[:, column]
        return inside

    def holds_config(self, config: Config) -> bool:
        """Whether a configuration of the space lies in the part."""
        return bool(self.holds_points(self.to_unit([config]))[0])

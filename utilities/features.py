"""The features that surrogates see of points of the unit cube.

Symbols
-------
d   coordinates           U (m, d)   points of the unit cube
p   feature columns       X (m, p)   categories one-hot, conditional numbers on an arc
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from utilities.choices import BoolParameter, CategoricalParameter
from utilities.parameters import Varied
from utilities.scales import Array

ARC = 0.5 * math.pi
WEIGHT = math.sqrt(0.5)


class Features:
    """Layout of the feature columns, and the way from points to rows and of gradients back.

    Attributes
    ----------
    groups : array (p,)
        The coordinate of each column.
    warped : array (p,)
        Whether a column is a place in the unit interval, which a model may warp.
    slices
        The columns of each coordinate.
    continuous : array
        Coordinates that are floats without a step: those along which features are smooth.
    """

    def __init__(self, parameters: Mapping[str, Varied]) -> None:
        self._parameters = list(parameters.values())
        self.slices: list[slice] = []
        groups: list[int] = []
        warped: list[bool] = []
        for group, parameter in enumerate(self._parameters):
            width = int(parameter.levels) if parameter.one_hot else 3 if parameter.when else 1
            self.slices.append(slice(len(groups), len(groups) + width))
            groups += [group] * width
            warped += [width == 1 and not parameter.one_hot] * width
        self.groups: NDArray[np.int64] = np.array(groups)
        self.warped: NDArray[np.bool_] = np.array(warped)
        self.continuous: NDArray[np.int64] = np.array(
            [column for column, parameter in enumerate(self._parameters) if parameter.continuous], dtype=np.int64
        )
        self._plain = not any(parameter.one_hot or parameter.when for parameter in self._parameters)

    def rows(self, points: Array, active: NDArray[np.bool_]) -> Array:
        """Feature rows (m, p) of canonical `points` (m, d).

        A number or a rank that is always active is its canonical place. A category is one-hot over sqrt 2, so that two
        different choices are at distance 1. A conditional number is a point on a quarter circle and a flag, the origin
        where it is inactive (the arc kernel, Swersky et al. 2014, arXiv 1409.4011), at distance 1 from active values.
        """
        if self._plain:
            return points
        x = np.zeros((len(points), len(self.groups)))
        for column, (parameter, where) in enumerate(zip(self._parameters, self.slices, strict=True)):
            place, on = points[:, column], active[:, column]
            if isinstance(parameter, CategoricalParameter | BoolParameter):
                rows = np.flatnonzero(on)
                x[rows, where.start + parameter.indices(place[rows])] = WEIGHT
            elif parameter.when:
                arc = np.stack([np.ones_like(place), np.sin(ARC * place), np.cos(ARC * place)], axis=1)
                x[:, where] = WEIGHT * arc * on[:, None]
            else:
                x[:, where.start] = place
        return x

    def pullback(self, points: Array, active: NDArray[np.bool_], grad: Array) -> Array:
        """Gradient (m, d) in the unit cube at `points` of a scalar with gradient `grad` (m, p) in the features.

        Zero along all coordinates that are not continuous, and where they are inactive.
        """
        out = np.zeros_like(points)
        for column in self.continuous:
            where, place = self.slices[column], points[:, column]
            if self._parameters[column].when:
                along = WEIGHT * ARC
                slope = grad[:, where.start + 1] * np.cos(ARC * place) - grad[:, where.start + 2] * np.sin(ARC * place)
                out[:, column] = along * slope * active[:, column]
            else:
                out[:, column] = grad[:, where.start]
        return out

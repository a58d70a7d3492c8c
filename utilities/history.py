"""What the optimiser remembers: outcomes, pending and failed trials, and which configurations were proposed already."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from utilities.space import Space
from utilities.surrogate import Array, Dataset
from utilities.trial import Config


class _Rows:
    """Rows that grow in place: appending n rows costs O(n) in all."""

    def __init__(self, width: int) -> None:
        self._buffer: Array = np.empty((16, width))
        self._count = 0

    def append(self, row: Array | float) -> None:
        if self._count == len(self._buffer):
            self._buffer = np.vstack([self._buffer, np.empty_like(self._buffer)])
        self._buffer[self._count] = row
        self._count += 1

    @property
    def view(self) -> Array:
        rows: Array = self._buffer[: self._count]
        return rows


class History:
    """Completed, pending and failed trials, as points of the unit cube and as feature rows; observations of others too.

    Objectives are kept to be minimised.

    Attributes
    ----------
    numbers
        Of the completed trials, in the order in which they were told.
    exact, noisy
        Whether a configuration that was evaluated again gave the same objective again, or another one. Both are False
        before there was any; once one was the same, there is no noise.
    repeated
        Whether any configuration was asked again, whatever became of it.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._x, self._points, self._y = _Rows(len(space.groups)), _Rows(len(space)), _Rows(1)
        self._variance, self._uncertain = _Rows(1), False
        self._pending: dict[int, Array] = {}
        self._features: dict[int, Array] = {}
        self._ended, self._valid = _Rows(len(space.groups)), _Rows(1)
        self._seen: set[Hashable] = set()
        self._keys: dict[int, Hashable] = {}
        self._objectives: dict[Hashable, float] = {}
        self.exact = self.noisy = self.repeated = False
        self.numbers: list[int] = []

    @property
    def data(self) -> Dataset:
        """Completed trials in the order in which they were told."""
        return Dataset(self._x.view, self._y.view[:, 0], self._variance.view[:, 0] if self._uncertain else None)

    @property
    def points(self) -> Array:
        """Points (n, d) of the completed trials, in the same order."""
        return self._points.view

    @property
    def pending(self) -> Array:
        """Points (q, d) of the trials asked and not told."""
        return np.array(list(self._pending.values())).reshape(-1, len(self._space))

    @property
    def waiting(self) -> int:
        """Number of trials asked and not told: cheaper than their points."""
        return len(self._pending)

    @property
    def outcomes(self) -> tuple[Array, NDArray[np.bool_]]:
        """Feature rows (n, p) of the trials that ended, in the order in which they were told, and which completed."""
        return self._ended.view, self._valid.view[:, 0] > 0.5

    @property
    def told(self) -> int:
        """Number of trials that ended, either way."""
        return len(self._ended.view)

    def is_pending(self, number: int) -> bool:
        """Whether the trial was asked and not told."""
        return number in self._pending

    def knows(self, config: Config) -> bool:
        """Whether the configuration was asked before, whatever became of it."""
        return self._space.key(config) in self._seen

    def is_repeatable(self, config: Config) -> bool:
        """Whether another evaluation of the configuration may tell something: it completed, and may be noisy."""
        key = self._space.key(config)
        return not self.exact and key in self._objectives and key not in self._keys.values()

    def best_point(self) -> Array:
        """Point (1, d) of the lowest objective."""
        return np.asarray(self.points[np.argmin(self.data.y)][None])

    def observe(self, config: Config, objective: float) -> None:
        """Note an outcome (to be minimised) of another study: that configuration was not asked in this one."""
        point = self._space.to_unit([config])
        row = self._space.features(point)[0]
        self._points.append(point[0])
        self._x.append(row)
        self._end(row, valid=True)
        self._append(objective, 0.0)

    def ask(self, number: int, config: Config) -> None:
        """Note a trial that was handed out."""
        self.ask_all([number], [config])

    def ask_all(self, numbers: Sequence[int], configs: Sequence[Config]) -> None:
        """Note trials that were handed out, in this order: of many, each costs a fraction of one."""
        points = self._space.to_unit(configs)
        features = self._space.features(points)
        for number, config, point, row in zip(numbers, configs, points, features, strict=True):
            self._pending[number], self._features[number] = point.copy(), row.copy()
            self._keys[number] = self._space.key(config)
            self.repeated |= self._keys[number] in self._seen
            self._seen.add(self._keys[number])

    def complete(self, number: int, objective: float, variance: float = 0.0) -> None:
        """Note the objective (to be minimised) of a pending trial, and what is known of the variance of its noise."""
        point, key = self._pending.pop(number), self._keys.pop(number)
        row = self._features.pop(number)
        if key in self._objectives:
            self.exact |= self._objectives[key] == objective
            self.noisy = not self.exact
        self._objectives[key] = objective
        self._points.append(point)
        self._x.append(row)
        self._end(row, valid=True)
        self._append(objective, variance)
        self.numbers.append(number)

    def fail(self, number: int) -> None:
        """Note that a pending trial failed."""
        del self._keys[number], self._pending[number]
        self._end(self._features.pop(number), valid=False)

    def drop(self, number: int) -> None:
        """Note that a pending trial ended without telling anything of its configuration."""
        del self._keys[number], self._pending[number], self._features[number]

    def _append(self, objective: float, variance: float) -> None:
        self._y.append(objective)
        self._variance.append(variance)
        self._uncertain |= variance > 0.0

    def _end(self, row: Array, *, valid: bool) -> None:
        self._ended.append(row)
        self._valid.append(float(valid))

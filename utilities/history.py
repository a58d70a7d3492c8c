"""What the optimiser remembers: outcomes, pending and failed trials, and which configurations were proposed already."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from utilities.learning_curves import CurveData, Curves
from utilities.rows import Rows
from utilities.space import Space
from utilities.surrogate import Array, Dataset
from utilities.trial import Config


class History:
    """Completed, pending and failed trials, as points of the unit cube and as feature rows; observations of others too.

    Objectives are kept to be minimised. A trial that is paused counts as completed, with its latest value.

    Parameters
    ----------
    max_steps
        Step of a trial that runs to its end; None where that is what completed trials reported last.
    targets
        How many numbers an outcome has, see `utilities.goals`; the objective, or the first of several, is one.
    ended_by_model
        Whether trials are ended early only by what the model foresees of them.

    Attributes
    ----------
    numbers
        Of the completed trials, in the order in which they were told.
    revisions
        How often the objective of a row changed, for a trial that was paused came to another value.
    revised
        First row that changed since it was last reset to None.
    exact, noisy
        Whether a configuration that was evaluated again gave the same objective again, or another one. Both are False
        before there was any; once one was the same, there is no noise.
    pruned
        Rows of the trials that were ended early.
    asked
        Number of trials handed out, whatever became of them.
    repeated
        Whether any configuration was asked again, whatever became of it.
    """

    def __init__(
        self, space: Space, max_steps: float | None = None, targets: int = 1, *, ended_by_model: bool = False
    ) -> None:
        self._space, self.ended_by_model = space, ended_by_model
        self.curves = Curves(len(space.groups), max_steps)
        self._x, self._points, self._y = Rows(len(space.groups)), Rows(len(space)), Rows(1)
        self._variance, self._uncertain = Rows(1), False
        self._targets, self._feasible = Rows(targets), Rows(1)
        self._pending: dict[int, Array] = {}
        self._features: dict[int, Array] = {}
        self._ended, self._valid = Rows(len(space.groups)), Rows(1)
        self._seen: set[Hashable] = set()
        self._keys: dict[int, Hashable] = {}
        self._objectives: dict[Hashable, float] = {}
        self.exact = self.noisy = self.repeated = False
        self.numbers: list[int] = []
        self.asked = 0
        self.pruned: set[int] = set()
        self._paused: dict[int, int] = {}
        self._going_on: set[int] = set()
        self.revisions = 0
        self.revised: int | None = None

    @property
    def data(self) -> Dataset:
        """Completed trials in the order in which they were told; with the rows of curves where there are any.

        Trials that were ended early are among them, with the latest value that they reported.
        """
        x, y, variance = self._x.view, self._y.view[:, 0], self._variance.view[:, 0] if self._uncertain else None
        if self.curves.active:
            return CurveData(x, y, variance, rows=self.curves.rows, revision=self.curves.revision)
        return Dataset(x, y, variance)

    @property
    def targets(self) -> Array:
        """Targets (n, t) of the completed trials, in the same order; NaN where one is missing."""
        return self._targets.view

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """Which of the completed trials (n,) keep the constraints on metrics."""
        return self._feasible.view[:, 0] > 0.5

    @property
    def points(self) -> Array:
        """Points (n, d) of the completed trials, in the same order."""
        return self._points.view

    @property
    def pending(self) -> Array:
        """Points (q, d) of the trials asked and not told."""
        return np.array(list(self._pending.values())).reshape(-1, len(self._space))

    @property
    def pending_by_key(self) -> dict[Hashable, Array]:
        """Point (d,) of each pending trial by the identity of its configuration."""
        return {self._keys[number]: point for number, point in self._pending.items()}

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
        """Whether the trial was asked and not told, or goes on after a pause."""
        return number in self._pending or number in self._going_on

    def knows(self, config: Config) -> bool:
        """Whether the configuration was asked before, whatever became of it."""
        return self._space.key(config) in self._seen

    def is_repeatable(self, config: Config) -> bool:
        """Whether another evaluation of the configuration may tell something: it completed, and may be noisy."""
        key = self._space.key(config)
        return not self.exact and key in self._objectives and key not in self._keys.values()

    def best_point(self) -> Array:
        """Point (1, d) of the lowest objective, of feasible trials where there are any."""
        y, feasible = self.data.y, self.feasible
        best = np.argmin(np.where(feasible, y, np.inf)) if feasible.any() else np.argmin(y)
        return np.asarray(self.points[best][None])

    def observe(self, config: Config, objective: float, targets: Array | None = None, *, feasible: bool = True) -> None:
        """Note an outcome (to be minimised) of another study: that configuration was not asked in this one."""
        point = self._space.to_unit([config])
        row = self._space.features(point)[0]
        self._points.append(point[0])
        self._x.append(row)
        self._end(row, valid=True)
        self._note(objective, 0.0, targets, feasible=feasible)
        self.curves.observe(row, objective)

    def report(self, number: int, step: float, value: float) -> None:
        """Note an intermediate value (to be minimised) of a pending trial."""
        self.curves.report(number, self._features[number], step, value)

    def ask(self, number: int, config: Config) -> None:
        """Note a trial that was handed out."""
        self.ask_all([number], [config])

    def ask_all(self, numbers: Sequence[int], configs: Sequence[Config]) -> None:
        """Note trials that were handed out, in this order: of many, each costs a fraction of one."""
        self.asked += len(numbers)
        points = self._space.to_unit(configs)
        features = self._space.features(points)
        for number, config, point, row in zip(numbers, configs, points, features, strict=True):
            self._pending[number], self._features[number] = point.copy(), row.copy()
            self._keys[number] = self._space.key(config)
            self.repeated |= self._keys[number] in self._seen
            self._seen.add(self._keys[number])

    def complete(
        self,
        number: int,
        objective: float,
        variance: float = 0.0,
        targets: Array | None = None,
        *,
        feasible: bool = True,
        pruned: bool = False,
    ) -> None:
        """Note the outcome of a pending trial, or what one that was ended early came to.

        Parameters
        ----------
        number, objective
            The objective is to be minimised; of several, it is the first. Of one ended early, it is the latest value.
        variance
            What is known of that of the objective's noise.
        targets
            All of them (t,); by default the objective alone.
        feasible
            Whether the trial keeps the constraints on metrics.
        pruned
            Whether it was ended early.
        """
        row = self._features[number]
        if pruned:
            self.pruned.add(self._paused.get(number, len(self._y)))
            self.curves.end(number, row, objective, variance)
        else:
            self.curves.complete(number, row, objective, variance)
        key = self._keys.pop(number)
        if key in self._objectives:
            self.exact |= self._objectives[key] == objective
            self.noisy = not self.exact
        self._objectives[key] = objective
        self._observe(number, objective, variance, targets, feasible=feasible)
        self._paused.pop(number, None)
        self._features.pop(number)

    def _observe(
        self, number: int, objective: float, variance: float, targets: Array | None = None, *, feasible: bool = True
    ) -> None:
        """Give a trial a row, or its row another objective."""
        self._going_on.discard(number)
        if number in self._paused:
            self._revise(self._paused[number], objective, variance)
            return
        row = self._features[number]
        self._points.append(self._pending.pop(number))
        self._x.append(row)
        self._end(row, valid=True)
        self._note(objective, variance, targets, feasible=feasible)
        self.numbers.append(number)

    def _revise(self, row: int, objective: float, variance: float) -> None:
        if (self._y.view[row, 0], self._variance.view[row, 0]) != (objective, variance):
            self._y.view[row, 0] = self._targets.view[row, 0] = objective
            self._variance.view[row, 0] = variance
            self._uncertain |= variance > 0.0
            self.revisions += 1
            self.revised = row if self.revised is None else min(row, self.revised)

    def pause(self, number: int, objective: float, budget: float, variance: float = 0.0) -> None:
        """Note what a pending trial came to (to be minimised) with a budget, before it waits, or goes on."""
        self.curves.report(number, self._features[number], budget, objective, variance)
        row = len(self._y)
        self._observe(number, objective, variance)
        self._paused.setdefault(number, row)

    def go_on(self, number: int) -> None:
        """Note that a paused trial is pending again. Its outcome is not fantasised: it has one."""
        self._going_on.add(number)

    def _note(self, objective: float, variance: float, targets: Array | None, *, feasible: bool) -> None:
        self._y.append(objective)
        self._variance.append(variance)
        self._uncertain |= variance > 0.0
        self._targets.append(objective if targets is None else targets)
        self._feasible.append(float(feasible))

    def fail(self, number: int) -> None:
        """Note that a pending trial failed; what it reported, or came to before a pause, stays."""
        row = self._features[number]
        self.drop(number)
        self._end(row, valid=False)

    def drop(self, number: int) -> None:
        """Note that a trial ended without telling anything more of its configuration."""
        self.curves.end(number, self._features[number], None)
        del self._keys[number], self._features[number]
        self._pending.pop(number, None)
        self._paused.pop(number, None)
        self._going_on.discard(number)

    def _end(self, row: Array, *, valid: bool) -> None:
        self._ended.append(row)
        self._valid.append(float(valid))

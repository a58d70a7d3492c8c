"""What stands at present: the best trial, or those that no other dominates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from utilities.goals import Goals
from utilities.surrogate import Array
from utilities.trial import Config, Incumbent


class FrontTrial(NamedTuple):
    """A trial that no other dominates: values of the objectives in the user's own directions."""

    number: int
    values: tuple[float, ...]
    config: Config


class Incumbents:
    """Keeps the best feasible trial of a single objective, the front of the feasible trials of several.

    Parameters
    ----------
    goals
        What trials are judged by.

    Attributes
    ----------
    best
        Best feasible trial of one objective, of equals the first; None before it, and of several objectives.
    completed, feasible
        Trials that completed, and those among them that keep the constraints.
    """

    def __init__(self, goals: Goals) -> None:
        self._goals = goals
        self.best: Incumbent | None = None
        self.completed = self.feasible = 0
        self._front: list[FrontTrial] = []
        self._rows: Array = np.empty((0, len(goals.names)))

    def note(self, number: int, config: Config, values: Sequence[float], *, feasible: bool) -> None:
        """Take a trial that completed, with the values of its objectives in the user's own directions."""
        self.completed += 1
        self.feasible += feasible
        if not feasible:
            return
        row = self._goals.signs * np.asarray(values)
        if self._goals.several:
            self._enter(FrontTrial(number, tuple(map(float, values)), config), row)
        elif self.best is None or row[0] < self._goals.signs[0] * self.best.objective:
            self.best = Incumbent(number, float(values[0]), config)

    def _enter(self, trial: FrontTrial, row: Array) -> None:
        known = self._rows
        if np.any(np.all(known <= row, axis=1) & np.any(known < row, axis=1)):
            return
        kept = ~(np.all(row <= known, axis=1) & np.any(row < known, axis=1))
        self._front = [one for one, keep in zip(self._front, kept, strict=True) if keep] + [trial]
        self._rows = np.vstack([known[kept], row])

    @property
    def front(self) -> list[FrontTrial]:
        """Feasible trials that none dominates, by the first objective, the best first; of a single one its best."""
        if not self._goals.several:
            best = self.best
            return [] if best is None else [FrontTrial(best.number, (best.objective,), best.config)]
        return [self._front[i] for i in np.lexsort(self._rows.T[::-1])]

    @property
    def size(self) -> int:
        """Number of trials in the front."""
        return len(self._front) if self._goals.several else int(self.best is not None)

    @property
    def ideal(self) -> tuple[float, ...]:
        """Best value of each objective in the front; empty where that is."""
        if not len(self._rows):
            return ()
        return tuple((self._goals.signs * self._rows.min(axis=0)).tolist())

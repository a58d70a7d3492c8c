"""The stages of a study: from coarse to fine, each within a part of the space that the outcomes before it suggest.

A stage lasts until its share of the budget is handed out and half of that has ended, or nothing is left in its part.
What part that is follows from the study file and from what is known as the stage begins, and is a record from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utilities.errors import SpaceExhaustedError
from utilities.history import History
from utilities.narrowing import narrow
from utilities.scales import Array
from utilities.space import Space
from utilities.stage_plan import Begun, Limits, Stage
from utilities.subspace import Subspace

BEST_SHARE, BEST_FEWEST = 0.1, 5
"""Where there is no model, the next part is about so many of the best trials: a share, and a number at least."""


class Stages:
    """Which stage a study is in, and what part of the space it has.

    Parameters
    ----------
    space
        Of the study.
    plan
        As the study file lists its stages; empty for a study that has none.

    Attributes
    ----------
    index
        Of the present stage; -1 before the first.
    start
        How many trials had been handed out, or were about to be, when it began.
    begun
        The stages that have trials.
    part
        Where it looks; None before the first, and where nothing in it keeps the constraints.
    new
        Number of parameters that vary in it, and did in no stage before.
    """

    def __init__(self, space: Space, plan: Sequence[Stage] = ()) -> None:
        self._space, self.plan = space, list(plan)
        self.index, self.start, self.new = -1, 0, 0
        self.part: Subspace | None = None
        self._ranges: Limits = {}
        self._varied: set[str] = set()
        self._parts: dict[int, Subspace] = {}
        self._entered: dict[int, tuple[int, Limits, Limits]] = {}
        self.begun: list[Begun] = []
        self._told = 0

    def __bool__(self) -> bool:
        return bool(self.plan)

    def restore(self, begun: Iterable[Begun]) -> None:
        """Take over the stages that earlier runs began; those that the plan has no more go on as its last."""
        for entry in begun if self.plan else ():
            self.begun.append(entry)
            with suppress(SpaceExhaustedError):  # of constraints that were added since: see `part`
                self._enter(min(entry.stage, len(self.plan) - 1), entry.start, entry.ranges, entry.limits)
        self._told = len(self.begun)

    def handed_out(self, stage: int | None, number: int) -> None:
        """Note that a proposal of a stage became the trial with this number."""
        if stage is not None and (not self.begun or self.begun[-1].stage < stage):
            self.begun.append(Begun(stage, number, *self._entered[stage]))

    def news(self) -> list[Begun]:
        """Stages that have begun since the last call."""
        found, self._told = self.begun[self._told :], len(self.begun)
        return found

    def part_of(self, number: int) -> Space:
        """Where the trial with this number could be: of its stage, the whole where it came before all stages."""
        begun = next((entry for entry in reversed(self.begun) if entry.first <= number), None)
        if begun is None:
            return self._space
        if begun.stage not in self._parts:
            self._parts[begun.stage] = Subspace(self._space, begun.limits)
        return self._parts[begun.stage]

    @property
    def place(self) -> str:
        """Which stage it is, in words; the empty string where there is none."""
        return f"stage {self.index + 1} of {len(self.plan)}" if self.index >= 0 else ""

    def to_summary(self) -> list[dict[str, Any]]:
        """The stages that have begun, for summary.json: number, first trial, and where each looks."""
        return [{"stage": one.stage + 1, "first_trial": one.first, "box": one.limits} for one in self.begun]

    # --- when another begins ------------------------------------------------------------------------------------------

    @property
    def last(self) -> bool:
        """Whether no other stage follows the present one."""
        return self.index >= len(self.plan) - 1

    def over(self, position: int, ended: int, *, exhausted: bool = False) -> bool:
        """Whether another stage is to begin.

        Parameters
        ----------
        position
            Trials handed out, or about to be.
        ended
            Trials that ended.
        exhausted
            Whether nothing is left in the present part.
        """
        if self.index < 0 or self.last:
            return self.index < 0
        end = sum(stage.budget or 0 for stage in self.plan[: self.index + 1])
        if not exhausted and (position <= self.start or position < end):
            return False
        if not self.plan[self.index + 1].needs_outcomes(self._space.names):
            return True
        planned = min(self.plan[self.index].budget or 0, position - self.start)
        return ended >= min(position, self.start + -(-planned // 2))

    def begin(self, position: int, history: History, optima: Array | None) -> None:
        """Begin the next stage.

        Parameters
        ----------
        position
            Trials handed out, or about to be.
        history
            What is known.
        optima : array (m, d)
            Places in the present part where the optimum may be; None where there is no model.

        Raises
        ------
        SpaceExhaustedError
            No configuration of its part keeps the constraints; the stage has begun nonetheless.
        """
        stage = self.plan[self.index + 1]
        ranges = self._narrowed(stage, history, optima) | stage.space
        fixed: Limits = {name: {"value": value} for name, value in stage.fixed.items()}
        self._enter(self.index + 1, position, ranges, ranges | self._held(stage, history) | fixed)

    def _enter(self, index: int, start: int, ranges: Limits, limits: Limits) -> None:
        self.index, self.start, self._ranges = index, start, ranges
        self._entered[index] = start, ranges, limits
        self.part = None
        self.part = Subspace(self._space, limits)
        free = set(self.part.free)
        self.new = len(free - self._varied)
        self._varied |= free

    def _narrowed(self, stage: Stage, history: History, optima: Array | None) -> Limits:
        """Ranges of the next stage: about where the optimum may be, else about the best trials in the present part."""
        if stage.shrink is None or self.part is None:
            return dict(self._ranges)
        rows = self._best_rows(history)
        points = history.points[rows] if optima is None else optima
        best = history.points[rows[:1]] if len(rows) else None
        return self._ranges | narrow(self.part, points, best, stage.shrink)

    def _best_rows(self, history: History) -> NDArray[np.intp]:
        """Rows of the best trials in the present part, best first; of feasible ones where there are any."""
        if self.part is None or not len(history.data):
            return np.empty(0, dtype=np.intp)
        inside = np.flatnonzero(self.part.holds_points(history.points))
        if (feasible := inside[history.feasible[inside]]).size:
            inside = feasible
        count = max(BEST_FEWEST, int(np.ceil(BEST_SHARE * len(inside))))
        return inside[np.argsort(history.data.y[inside], kind="stable")[:count]]

    def _held(self, stage: Stage, history: History) -> Limits:
        """Values of the parameters that do not vary: those of the best trial, else the likely ones."""
        known = self._space.from_unit(history.best_point())[0] if len(history.data) else {}
        limits: Limits = {}
        for name in stage.held(self._space.names):
            value = known.get(name, self._space.varied[name].likely)
            if value is not None:
                limits[name] = {"value": value}
        return limits

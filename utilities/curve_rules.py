"""Rules that judge a trial by its own curve, alone or beside those of completed trials."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence


class Median:
    """Ends a trial whose best value is worse than the completed trials' median there (Golovin et al. 2017)."""

    def __init__(self, first: int, trials: int) -> None:
        self._first, self._trials, self._completed = first, trials, 0
        self._curves: dict[int, dict[int, float]] = {}
        self._at: dict[int, list[float]] = {}

    def report(self, number: int, step: int, value: float) -> bool:
        """As of `StoppingRule`."""
        curve = self._curves.setdefault(number, {})
        best = curve[step] = min(value, next(reversed(curve.values()), math.inf))
        others = self._at.get(step)
        if step < self._first or self._completed < self._trials or not others:
            return False
        return best > 0.5 * (others[(len(others) - 1) // 2] + others[len(others) // 2])

    def end(self, number: int, *, complete: bool) -> None:
        """As of `StoppingRule`."""
        curve = self._curves.pop(number, {})
        if complete and curve:
            self._completed += 1
            for step, best in curve.items():
                insort(self._at.setdefault(step, []), best)


class Patience:
    """Ends a trial whose best value has not improved for so many steps."""

    def __init__(self, first: int, patience: int, delta: float) -> None:
        self._first, self._patience, self._delta = first, patience, delta
        self._best: dict[int, tuple[int, float]] = {}

    def report(self, number: int, step: int, value: float) -> bool:
        """As of `StoppingRule`."""
        at, best = self._best.get(number, (step, math.inf))
        if value < best - self._delta or (math.isinf(best) and value < best):
            at, best = step, value
        self._best[number] = at, best
        return step >= self._first and step - at >= self._patience

    def end(self, number: int, *, complete: bool) -> None:
        """As of `StoppingRule`."""
        self._best.pop(number, None)


class Threshold:
    """Ends a trial whose value leaves given bounds, or is infinite."""

    def __init__(self, first: int, bounds: Sequence[float]) -> None:
        self._first, (self._low, self._high) = first, bounds

    def report(self, number: int, step: int, value: float) -> bool:
        """As of `StoppingRule`."""
        return step >= self._first and not (self._low <= value <= self._high and value < math.inf)

    def end(self, number: int, *, complete: bool) -> None:
        """As of `StoppingRule`: it remembers nothing."""

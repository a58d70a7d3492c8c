"""Ending trials by what a model of their learning curves foresees. Standard library only.

A trial is judged at steps at least a quarter apart, so that what a curve costs grows with the logarithm of its length,
and together with all others that are due: once, before the next proposal, for however many reports came.

- With a `probability`, it is ended where that of its objective to beat the incumbent's is below it.
- `guided`, rungs are ranked by the objectives foreseen, not by the values shown there: a trial is ended where the
  probability of its objective to be among the best 1/eta of those that reached the rung is below 1/2.

What the rule itself says of values stands besides, and for ranks where the model knows too little.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

APART = 1.25
"""Ratio of the steps at which a trial is judged, at least."""


class Foresight(Protocol):
    """What a model knows of trials, by their numbers."""

    def chances(self, numbers: Sequence[int]) -> Sequence[float] | None:
        """Probability of each to beat the incumbent; None where the model knows too little."""

    def chance_among(self, number: int, others: Sequence[int], best: int) -> float | None:
        """Probability of a trial to be among the `best` of the `others`, itself one of them; None likewise."""


@dataclass(frozen=True)
class Rung:
    """Trials that reached a rung, the latest one last, and how many of them go on."""

    numbers: Sequence[int]
    best: int


@dataclass
class _Case:
    """A trial to be judged: whether the rule would end it, and the rung that it reached."""

    stop: bool
    rung: Rung | None


class Judge:
    """Puts off what a rule says of trials until the model has been asked.

    Parameters
    ----------
    probability
        Below which of beating the incumbent a trial is ended; None where that is not asked.
    first
        Step below which no trial is ended.
    """

    def __init__(self, probability: float | None, first: int) -> None:
        self._probability, self._first = probability, first
        self._next: dict[int, int] = {}
        self._cases: dict[int, _Case] = {}

    def note(self, number: int, step: int, *, stop: bool, rung: Rung | None) -> None:
        """Take what the rule says of a report."""
        due = self._probability is not None and step >= max(self._first, self._next.get(number, 0))
        if due:
            self._next[number] = max(step + 1, math.ceil(APART * step))
        if due or stop or rung is not None:
            earlier = self._cases.pop(number, _Case(False, None))
            self._cases[number] = _Case(earlier.stop or stop, rung or earlier.rung)

    def end(self, number: int) -> None:
        """Take note that a trial ended."""
        self._next.pop(number, None)
        self._cases.pop(number, None)

    def judge(self, foresight: Foresight, running: Iterable[int]) -> list[int]:
        """Numbers of the trials to end, of those due that are among the `running`."""
        cases = {number: self._cases[number] for number in running if number in self._cases}
        self._cases.clear()
        if not cases:
            return []
        verdicts = {number: self._by_rung(number, case, foresight) for number, case in cases.items()}
        if self._probability is not None and (chances := foresight.chances(list(cases))) is not None:
            for number, chance in zip(cases, chances, strict=True):
                verdicts[number] |= chance < self._probability
        return [number for number, stop in verdicts.items() if stop]

    def _by_rung(self, number: int, case: _Case, foresight: Foresight) -> bool:
        if case.rung is None:
            return case.stop
        chance = foresight.chance_among(number, case.rung.numbers, case.rung.best)
        return case.stop if chance is None else chance < 0.5

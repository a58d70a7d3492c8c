"""Successive halving without waiting, in one bracket or in those of Hyperband (Li et al. 2020, 2018)."""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from zlib import crc32

from utilities.model_stopping import Rung

MOST_COMPARED = 100
"""Trials, the latest that reached a rung, among which one is ranked by what the model foresees."""


def bracket_shares(first: int, most: int, eta: int) -> list[float]:
    """Share of the trials in each bracket of Hyperband, the one of the earliest first rung first.

    Its trials begin with `first` steps, those of the last bracket with up to `most`.
    """
    rungs = 0
    while first * eta ** (rungs + 1) <= most:
        rungs += 1
    sizes = [math.ceil((rungs + 1) / (s + 1) * eta**s) for s in range(rungs, -1, -1)]
    return [size / sum(sizes) for size in sizes]


class Halving:
    """Successive halving without waiting: at each rung a trial is compared with those that were there before it.

    Bracket b has its rungs at first x eta^b, first x eta^(b + 1), ...
    """

    def __init__(self, first: int, eta: int, shares: Sequence[float], seed: int) -> None:
        self._first, self._eta, self._seed = first, eta, seed
        self._upto = list(accumulate(shares))
        self._reached: dict[int, int] = {}
        self._values: dict[tuple[int, int], list[float]] = {}
        self._there: dict[tuple[int, int], deque[int]] = {}
        self._at: dict[int, int] = {}

    def bracket(self, number: int) -> int:
        """Bracket of a trial, the same in every run of the study."""
        place = crc32(f"{self._seed}:{number}".encode()) / 2**32
        return min(sum(place >= upto for upto in self._upto), len(self._upto) - 1)

    def report(self, number: int, step: int, value: float) -> bool:
        """As of `StoppingRule`."""
        bracket = self.bracket(number)
        rung = self._rung(step) - bracket
        if rung <= self._reached.get(number, -1):
            return False
        self._reached[number], self._at[number] = rung, step
        self._there.setdefault((bracket, rung), deque(maxlen=MOST_COMPARED)).append(number)
        values = self._values.setdefault((bracket, rung), [])
        insort(values, value)
        return value > values[max(1, len(values) // self._eta) - 1]

    def rung(self, number: int, step: int) -> Rung | None:
        """Rung that the latest report of a trial, at `step`, reached; None where it reached none."""
        if self._at.get(number) != step:
            return None
        there = list(self._there[self.bracket(number), self._reached[number]])
        return Rung(there, max(1, len(there) // self._eta))

    def _rung(self, step: int) -> int:
        """Number of the highest rung of the first bracket up to a step, -1 below the first."""
        rung, at = -1, self._first
        while at <= step:
            rung, at = rung + 1, at * self._eta
        return rung

    def end(self, number: int, *, complete: bool) -> None:
        """As of `StoppingRule`."""
        self._reached.pop(number, None)
        self._at.pop(number, None)

"""Asynchronous successive halving by promotion: which trial goes on with a larger budget. No I/O, no clock.

A trial is evaluated with a small budget, paused, and promoted to the next rung once it is among the best 1/eta of all
that reached its own (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2). Nobody
waits for a rung to fill: whoever is free takes a promotable trial of the highest rung, else a new trial.

Guided, the latest `MOST_COMPARED` trials of a rung are ranked by the objectives that a model foresees with the full
budget, anew each time: what is foreseen of a trial changes with what others come to. Where nothing is foreseen yet,
values rank.

Symbols
-------
n   trials that reached a rung      eta   one in so many of them is promoted
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from utilities.budgets import Budget, Fidelity
from utilities.halving import MOST_COMPARED
from utilities.trial import Rung, TrialRecord, TrialState

Foresee: TypeAlias = Callable[[Sequence[int]], Sequence[float] | None]
"""From trials' numbers: their objectives with the full budget as foreseen, lower being better; None without a model."""


class _Place(NamedTuple):
    """Where a paused trial waits, with its value there."""

    bracket: int
    level: int
    value: float


class _Level:
    """The trials that reached a rung, best first, and those of them that wait there."""

    def __init__(self) -> None:
        self.reached: list[tuple[float, int]] = []
        self.waiting: list[tuple[float, int]] = []
        self.latest: deque[int] = deque(maxlen=MOST_COMPARED)

    def enter(self, entry: tuple[float, int]) -> None:
        insort(self.reached, entry)
        insort(self.waiting, entry)
        self.latest.append(entry[1])

    def leave(self, entry: tuple[float, int]) -> None:
        del self.waiting[bisect_left(self.waiting, entry)]

    def candidate(self, eta: int, foresee: Foresee | None) -> int | None:
        """The best that waits, if it is among the best 1/eta; None where none is."""
        share = len(self.reached) // eta
        if not self.waiting or not share:
            return None
        if foresee is not None and (foreseen := foresee(self.latest)) is not None:
            ranked = [number for _, number in sorted(zip(foreseen, self.latest, strict=True))]
            waiting = {number for _, number in self.waiting}
            return next((number for number in ranked[: max(1, len(ranked) // eta)] if number in waiting), None)
        return self.waiting[0][1] if bisect_left(self.reached, self.waiting[0]) < share else None


class Rungs:
    """Says which paused trial is to be promoted.

    Parameters
    ----------
    fidelity
        The rungs.
    seed
        Of the study: from it each trial has its bracket.

    Attributes
    ----------
    fidelity
        As given.
    completed
        Number of trials that were evaluated with the full budget.
    """

    def __init__(self, fidelity: Fidelity, seed: int) -> None:
        self.fidelity = fidelity
        self._budgets, self._eta = fidelity.budgets, fidelity.eta
        self._seed = seed
        self._levels = [[_Level() for _ in self._budgets[:-1]] for _ in range(fidelity.brackets)]
        self._brackets: dict[int, int] = {}
        self._places: dict[int, _Place] = {}
        self.completed = 0

    def first(self, number: int) -> Budget:
        """Budget with which a new trial begins."""
        return self.fidelity.first(number, self._seed)

    def is_full(self, budget: Budget | None) -> bool:
        """Whether no larger budget follows."""
        return budget is None or self._level(budget) == len(self._budgets) - 1

    def begin(self, number: int, budget: Budget) -> None:
        """Note with which budget a trial begins, which makes its bracket."""
        self._brackets[number] = min(self._level(budget), len(self._levels) - 1)

    def pause(self, number: int, budget: Budget, value: float) -> None:
        """Note that a trial came to a value, to be minimised, at a budget that is not the full one."""
        place = _Place(self._brackets[number], self._level(budget), value)
        self._places[number] = place
        self._levels[place.bracket][place.level].enter((value, number))

    def is_paused(self, number: int) -> bool:
        """Whether a trial waits at a rung."""
        return number in self._places

    @property
    def paused(self) -> list[int]:
        """Numbers of the trials that wait at a rung, in ascending order."""
        return sorted(self._places)

    def candidate(self, *, last: bool = False, foresee: Foresee | None = None) -> int | None:
        """Number of the trial that is to be promoted next; None where none is.

        Parameters
        ----------
        last
            Whether nothing else is left to do. Where no trial has had the full budget by then, the best one of the
            highest rung goes on all the same: a study should not end without a result.
        foresee
            By what trials are ranked where the rungs are guided; their values without.
        """
        for level in range(len(self._budgets) - 2, -1, -1):
            for bracket in self._levels:
                if (number := bracket[level].candidate(self._eta, foresee)) is not None:
                    return number
        if not last or self.completed:
            return None
        waiting = [(-place.level, place.value, number) for number, place in self._places.items()]
        return min(waiting)[2] if waiting else None

    def next_budget(self, number: int) -> Budget:
        """Budget to which a paused trial would be promoted."""
        return self._budgets[self._places[number].level + 1]

    def leave(self, number: int) -> None:
        """Take a paused trial from its rung: it goes on, or has ended. There, others are still ranked against it."""
        place = self._places.pop(number)
        self._levels[place.bracket][place.level].leave((place.value, number))

    def _level(self, budget: Budget) -> int:
        return min(range(len(self._budgets)), key=lambda level: abs(self._budgets[level] - budget))


def in_order(records: Iterable[TrialRecord]) -> list[tuple[TrialRecord, Rung | None]]:
    """What ended in the course of a study, in that order: an evaluation at a rung, or the trial, which is None."""
    ended: list[tuple[float, TrialRecord, Rung | None]] = []
    for record in records:
        ended += [(rung.completed, record, rung) for rung in record.rungs]
        if record.outcome is not None:
            ended.append((record.completed or 0.0, record, None))
    return [(record, rung) for _, record, rung in sorted(ended, key=lambda entry: entry[0])]


def rung_counts(fidelity: Fidelity, records: Iterable[TrialRecord]) -> dict[str, Any]:
    """What a study has spent: for each budget the trials that came to a value there, and those of them that went on.

    ``spent`` is the sum over all trials of the largest budget at which each came to a value: what it cost where each
    evaluation continued from the one before.
    """
    budgets = fidelity.budgets
    trials, promoted = Counter[Budget](), Counter[Budget]()
    spent: Budget = 0
    for record in records:
        reached = [rung.budget for rung in record.rungs]
        promoted.update(budget for budget in reached if budget < (record.budget or 0))
        if record.state is TrialState.COMPLETE and record.budget is not None:
            reached.append(record.budget)
        trials.update(reached)
        spent += max(reached, default=0)
    rungs = [{"budget": budget, "trials": trials[budget], "promoted": promoted[budget]} for budget in budgets]
    return {"name": fidelity.name, "spent": spent, "rungs": rungs}


def concluded(states: Mapping[str, int]) -> dict[str, int]:
    """Numbers of trials by state once a study is through: those that are paused are pruned."""
    counts = dict(states)
    if paused := counts.pop(TrialState.PAUSED, 0):
        counts[TrialState.PRUNED] = counts.get(TrialState.PRUNED, 0) + paused
    return counts

"""Which trial is promoted: against a search through everything, in any order of outcomes."""

from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utilities.budgets import Fidelity
from utilities.halving import MOST_COMPARED
from utilities.rungs import Rungs, concluded, in_order, rung_counts
from utilities.trial import Outcome, Rung, Trial, TrialRecord, TrialState

FIDELITY = Fidelity(low=1, high=27, brackets=2)
BUDGETS = FIDELITY.budgets


class Oracle:
    """Successive halving by promotion as the paper states it: every rung is sorted anew at each question."""

    def __init__(self, fidelity: Fidelity) -> None:
        self.budgets, self.eta = fidelity.budgets, fidelity.eta
        self.reached: dict[tuple[float, float], dict[int, float]] = defaultdict(dict)
        self.waiting: dict[int, tuple[float, float]] = {}
        self.first: dict[int, float] = {}
        self.completed = 0

    def pause(self, number: int, budget: float, value: float) -> None:
        self.reached[self.first[number], budget][number] = value
        self.waiting[number] = self.first[number], budget

    def candidates(self, last: bool) -> set[int]:
        """All that may go on: those of the highest rung, the best of each bracket."""
        for budget in reversed(self.budgets[:-1]):
            found = set()
            for (first, at), values in self.reached.items():
                ranked = sorted(values, key=lambda number: (values[number], number))
                top = ranked[: len(ranked) // self.eta]
                able = [number for number in top if self.waiting.get(number) == (first, at)]
                found |= set(able[:1]) if at == budget else set()
            if found:
                return found
        if not last or self.completed or not self.waiting:
            return set()
        highest = max(budget for _, budget in self.waiting.values())
        at = {n: self.reached[place][n] for n, place in self.waiting.items() if place[1] == highest}
        return {min(at, key=lambda number: (at[number], number))}


@given(st.data())
def test_who_is_promoted_is_who_a_search_finds(data: st.DataObject) -> None:
    """Trials come to their rungs in any order, with ties; some are given up, some fail after a promotion."""
    rungs, oracle = Rungs(FIDELITY, seed=4), Oracle(FIDELITY)
    running: dict[int, float] = {}
    for _ in range(data.draw(st.integers(1, 60))):
        last = data.draw(st.booleans())
        candidate, expected = rungs.candidate(last=last), oracle.candidates(last)
        assert (candidate is None) == (not expected)
        assert candidate is None or candidate in expected
        assert rungs.paused == sorted(oracle.waiting)
        act = data.draw(st.sampled_from(["new", "end", "promote", "give up"]))
        if act == "new":
            number = len(oracle.first)
            oracle.first[number] = running[number] = rungs.first(number)
            rungs.begin(number, running[number])
        elif act == "end" and running:
            number = data.draw(st.sampled_from(sorted(running)))
            budget = running.pop(number)
            value = float(data.draw(st.integers(0, 5)))
            if data.draw(st.integers(0, 9)) == 0:
                continue  # it failed
            if rungs.is_full(budget):
                rungs.completed += 1
                oracle.completed += 1
            else:
                rungs.pause(number, budget, value)
                oracle.pause(number, budget, value)
        elif act == "promote" and candidate is not None:
            running[candidate] = rungs.next_budget(candidate)
            _, before = oracle.waiting.pop(candidate)
            assert running[candidate] == BUDGETS[BUDGETS.index(before) + 1]
            rungs.leave(candidate)
        elif act == "give up" and oracle.waiting:
            number = data.draw(st.sampled_from(sorted(oracle.waiting)))
            del oracle.waiting[number]
            rungs.leave(number)


def halving(values: list[float], **settings: int) -> Rungs:
    rungs = Rungs(Fidelity(low=1, high=9, **settings), 0)
    for number, value in enumerate(values):
        rungs.begin(number, 1)
        rungs.pause(number, 1, value)
    return rungs


def test_the_best_third_of_a_rung_goes_on() -> None:
    rungs = halving([5.0, 1.0, 3.0, 2.0, 4.0, 0.0, 6.0])
    went_on = []
    while (number := rungs.candidate()) is not None:
        went_on.append(number)
        rungs.leave(number)
    assert went_on == [5, 1]
    rungs.begin(7, 1)
    rungs.pause(7, 1, 9.0)
    rungs.begin(8, 1)
    rungs.pause(8, 1, 9.0)
    assert rungs.candidate() == 3


def test_a_higher_rung_comes_first() -> None:
    rungs = halving([float(number) for number in range(12)])
    for number in range(3):
        rungs.leave(number)
        rungs.pause(number, 3, 10.0 + number)
    assert rungs.candidate() == 0
    assert rungs.next_budget(0) == 9
    rungs.leave(0)
    assert rungs.candidate() == 3


def test_few_trials_end_with_one_that_had_the_full_budget() -> None:
    rungs = halving([2.0, 1.0])
    assert rungs.candidate() is None
    assert rungs.candidate(last=True) == 1
    rungs.leave(1)
    rungs.pause(1, 3, 5.0)
    assert rungs.candidate(last=True) == 1
    rungs.leave(1)
    assert rungs.candidate(last=True) == 0  # it failed with the full budget
    rungs.completed += 1
    assert rungs.candidate(last=True) is None


@given(st.lists(st.floats(-9.0, 9.0), min_size=1, max_size=130, unique=True), st.integers(0, 129))
def test_guided_rungs_rank_the_latest_by_what_is_foreseen(finals: list[float], leaving: int) -> None:
    rungs = halving([float(number) for number in range(len(finals))])
    if leaving < len(finals):
        rungs.leave(leaving)
    asked = list(range(len(finals)))[-MOST_COMPARED:]

    def foresee(numbers: Sequence[int]) -> list[float]:
        assert list(numbers) == asked
        return [finals[number] for number in numbers]

    best = sorted(asked, key=lambda number: finals[number])[: len(asked) // 3]
    expected = next((number for number in best if number != leaving), None)
    assert rungs.candidate(foresee=foresee) == expected


def test_values_rank_while_nothing_is_foreseen() -> None:
    rungs = halving([2.0, 1.0, 3.0])
    assert rungs.candidate(foresee=lambda numbers: None) == 1
    assert rungs.candidate(foresee=lambda numbers: [3.0, 2.0, 1.0]) == 2


# --- records ----------------------------------------------------------------------------------------------------------


def came_to(budget: int, value: float, at: float) -> Rung:
    return Rung(budget, Outcome(TrialState.COMPLETE, value), "1@a", at - 1.0, at)


@pytest.fixture
def records() -> list[TrialRecord]:
    """One trial that completed, one that is paused, one that goes on, one that failed at the second rung."""
    trials = [TrialRecord(Trial(number, {}, budget=1), "random") for number in range(4)]
    trials[0].rungs = came_to(1, 1.0, 2.0), came_to(3, 0.5, 5.0)
    trials[0].promoted = Trial(0, {}, budget=9, previous_budget=3)
    trials[0].outcome, trials[0].completed = Outcome(TrialState.COMPLETE, 0.25), 9.0
    trials[1].rungs = (came_to(1, 2.0, 3.0),)
    trials[2].rungs = (came_to(1, 1.5, 1.0),)
    trials[2].promoted = Trial(2, {}, budget=3, previous_budget=1)
    trials[3].rungs = (came_to(1, 1.5, 4.0),)
    trials[3].promoted = Trial(3, {}, budget=3, previous_budget=1)
    trials[3].outcome, trials[3].completed = Outcome(TrialState.FAIL), 6.0
    return trials


def test_states_of_records(records: list[TrialRecord]) -> None:
    assert [record.state for record in records] == ["COMPLETE", "PAUSED", "WAITING", "FAIL"]
    assert [record.budget for record in records] == [9, 1, 3, 3]
    assert [record.begun for record in records] == [1.0, 2.0, 0.0, 3.0]


def test_what_ended_stands_in_order(records: list[TrialRecord]) -> None:
    found = [(record.trial.number, None if rung is None else rung.budget) for record, rung in in_order(records)]
    assert found == [(2, 1), (0, 1), (1, 1), (3, 1), (0, 3), (3, None), (0, None)]


def test_what_was_spent(records: list[TrialRecord]) -> None:
    assert rung_counts(Fidelity(name="epochs", low=1, high=9), records) == {
        "name": "epochs",
        "spent": 9 + 1 + 1 + 1,
        "rungs": [
            {"budget": 1, "trials": 4, "promoted": 3},
            {"budget": 3, "trials": 1, "promoted": 1},
            {"budget": 9, "trials": 1, "promoted": 0},
        ],
    }


def test_once_a_study_is_through_the_paused_are_pruned() -> None:
    assert concluded({"COMPLETE": 2, "PAUSED": 3, "PRUNED": 1}) == {"COMPLETE": 2, "PRUNED": 4}
    assert concluded({"COMPLETE": 2}) == {"COMPLETE": 2}

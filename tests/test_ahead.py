"""How many proposals are made at once, and when: by what evaluations and proposals take."""

from __future__ import annotations

import math
import sys

import pytest

from mpi.mpi_ahead import BLIND, HELD_SHARE, MOST, PARTS, SHARE, SINGLY, Ahead
from utilities.ledger import Ledger
from utilities.space import Space
from utilities.storage.study import Study
from utilities.trial import Outcome, Trial, TrialState


class Maker:
    """In place of an optimiser: notes what is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, float]] = []
        self.ready, self.must_wait, self.method = 0, False, "dngo"

    def prepare(self, count: int, batch: int, seconds: float) -> list[str]:
        self.asked.append((count, batch, seconds))
        return ["initial"] * min(batch, count - self.ready)


def ahead(
    *, workers: int, told: int, evaluation: float, single: float, batch: float = 0.0, batches: bool = True
) -> tuple[Ahead, Maker]:
    space = Space.from_dict({"x": {"type": "float", "low": 0.0, "high": 1.0}})
    study = Study(name="s", objective="branin", space=space, folder=".", source="test")
    ledger = Ledger(study, 0.0)
    for rank in range(1, workers + 1):
        ledger.seat(rank, "here", 0.0)
    for number in range(told):
        ledger.start(1, number, 0.0)
        outcome = Outcome(TrialState.COMPLETE, 1.0, seconds=evaluation)
        ledger.end_part(1, outcome, 0.0)
        ledger.count(Trial(number=number, config={"x": 0.5}, seed=0), outcome)
    ledger.proposed(single)
    if batch:
        ledger.proposed(batch, 2)
    maker = Maker()
    return Ahead(maker, ledger, batches=batches), maker  # type: ignore[arg-type]


def test_slow_evaluations_get_proposals_made_when_they_are_needed() -> None:
    plan, maker = ahead(workers=4, told=50, evaluation=100.0, single=0.05)
    assert not plan.stock(1000)
    plan.serve(1, 1000)
    assert [(count, batch) for count, batch, _ in maker.asked] == [(1, 1)]


def test_evaluations_in_which_a_worker_would_notice_get_them_ahead() -> None:
    plan, maker = ahead(workers=4, told=50, evaluation=1.0, single=0.1)
    assert plan.stock(1000)
    assert [(count, batch) for count, batch, _ in maker.asked] == [(1, 1)]


def test_batches_last_for_the_requests_that_come_meanwhile() -> None:
    plan, maker = ahead(workers=100, told=2000, evaluation=1.0, single=0.1, batch=0.2)
    plan.serve(3, 1000)
    assert maker.asked == [(80, 80, pytest.approx(0.005))]
    assert plan.stock(1000)
    assert maker.asked[1][:2] == (100, 80)
    maker.ready = 21
    assert not plan.stock(1000)


def test_many_workers_that_wait_together_get_a_batch() -> None:
    plan, maker = ahead(workers=1000, told=400, evaluation=1000.0, single=0.1)
    plan.serve(1, 10_000)
    plan.serve(20, 10_000)
    plan.serve(900, 10_000)
    assert [batch for _, batch, _ in maker.asked] == [1, 1, 400 // SHARE]


@pytest.mark.parametrize(("told", "most"), [(5, 1), (SINGLY, 1), (2 * SINGLY, 4), (5000, MOST), (200, 50)])
@pytest.mark.parametrize("left", [300, sys.maxsize])
def test_a_batch_knows_nothing_of_its_own_outcomes_and_is_no_large_part_of_all(told: int, most: int, left: int) -> None:
    plan, maker = ahead(workers=3, told=told, evaluation=1e-6, single=0.05)
    plan.serve(1, left)
    if left < sys.maxsize:
        most = max(most, left // PARTS)
    assert maker.asked == [(most, most, pytest.approx(0.0, abs=1e-6))]


def test_in_a_long_run_of_free_evaluations_the_first_ones_come_in_batches_too() -> None:
    plan, maker = ahead(workers=3, told=20, evaluation=1e-6, single=0.05)
    plan.serve(1, 2000)
    slow, other = ahead(workers=3, told=20, evaluation=0.1, single=0.05)
    slow.serve(1, 2000)
    assert [maker.asked[0][1], other.asked[0][1]] == [2000 // PARTS, 1]


def test_a_refit_is_waited_for_only_where_the_run_would_be_over_before_long() -> None:
    for left, evaluation, waits in (
        (25, 1e-6, True),
        (40, 1e-6, False),
        (1000, 0.1, False),
        (sys.maxsize, 1e-6, False),
    ):
        plan, maker = ahead(workers=8, told=30, evaluation=evaluation, single=0.02)
        assert not plan.must_wait(left)
        maker.must_wait = True
        plan._ledger.refitted(0.3)
        assert plan.must_wait(left) == waits


def test_the_first_refit_of_a_run_of_free_evaluations_is_waited_for_and_no_second() -> None:
    plan, maker = ahead(workers=3, told=30, evaluation=1e-6, single=0.0)
    plan._ledger._latest_calls.clear()
    maker.must_wait = True
    assert plan.must_wait(2000)
    plan._ledger.refitted(0.5)
    assert not plan.must_wait(2000)
    assert plan.must_wait(500)


def test_a_worker_holds_as_many_as_it_would_begin_in_a_batch_longer_than_the_last_few() -> None:
    plan, _ = ahead(workers=8, told=8 * HELD_SHARE * 3, evaluation=0.1, single=0.02, batch=0.09)
    assert plan.depth_held() == 2
    plan._ledger.proposed(0.25, 10)
    plan._ledger.proposed(0.05, 10)
    assert plan.depth_held() == 3
    for _ in range(5):
        plan._ledger.proposed(0.05, 10)
    assert plan.depth_held() == 1
    early, _ = ahead(workers=8, told=8 * HELD_SHARE, evaluation=0.1, single=0.02, batch=0.25)
    assert early.depth_held() == 1


def test_with_many_workers_the_first_batches_are_blind_anyway() -> None:
    plan, maker = ahead(workers=64 * BLIND, told=3, evaluation=1.0, single=0.05)
    plan.serve(500, sys.maxsize)
    assert maker.asked[0][1] == 64


def test_the_budget_bounds_a_batch() -> None:
    plan, maker = ahead(workers=3, told=2000, evaluation=1e-6, single=0.05)
    plan.serve(1, 7)
    assert plan.stock(7)
    assert [asked[:2] for asked in maker.asked] == [(7, 7), (7, 7)]


def test_a_run_that_is_to_be_reproducible_makes_them_one_by_one() -> None:
    plan, maker = ahead(workers=1, told=2000, evaluation=1e-6, single=0.05, batches=False)
    plan.serve(1, 7)
    assert [asked[:2] for asked in maker.asked] == [(1, 1)]


def test_nothing_is_made_ahead_while_a_fit_is_waited_for_or_nothing_is_known() -> None:
    plan, maker = ahead(workers=3, told=20, evaluation=1e-6, single=0.05)
    maker.must_wait = True
    assert not plan.stock(7)
    plan, maker = ahead(workers=3, told=0, evaluation=1.0, single=0.05)
    assert not plan.stock(7)
    plan.serve(1, 7)
    assert maker.asked == [(1, 1, math.inf)]


def test_the_first_proposal_of_very_many_workers_is_a_batch() -> None:
    plan, maker = ahead(workers=10_000, told=5, evaluation=60.0, single=0.0)
    plan._ledger._latest_proposals.clear()
    plan.serve(1, 100_000)
    maker.method = "random"
    plan.serve(1, 100_000)
    assert [batch for _, batch, _ in maker.asked] == [36, 1]

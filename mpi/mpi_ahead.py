"""When to make proposals, and how many at once: one by one while there is time for that, in batches while there is not.

Symbols
-------
pace       seconds between two requests: mean evaluation over number of workers
single     seconds for a proposal by itself          pass       seconds for a batch
"""

from __future__ import annotations

import math
import sys
import time

from utilities.ledger import Ledger
from utilities.methods import LEARNING, MODEL_METHODS, OPTUNA_TPE
from utilities.optimizer import Optimizer

WORTH_WAITING = 0.01
"""A proposal that takes less than this share of an evaluation is made when needed, with all that is known then."""

LOAD = 0.5
"""Share of the master's time for proposals: one by one they may take no more."""

GUESS = 0.05
"""Seconds for a proposal before the first was made."""

QUEUE = 0.05
"""Share of an evaluation that several workers may wait together for proposals made one by one."""

PASSES = 4
"""A batch is to last for so many times the requests that come while it is made."""

MOST = 256
"""Proposals in a batch."""

SINGLY, SHARE, BLIND = 16, 4, 16
"""Up to the first number of trials proposals are made one by one, however slow. A batch is later at most one in the
second number of all trials: it knows nothing of its own outcomes. Or it is one in the third number of workers, where
so many trials are pending that a few more make no difference."""

FREE, PARTS = 20.0, 64
"""Where a proposal takes so many times as long as passes between two requests, a batch may be one in so many of the
trials that are left: in a long run of evaluations that cost nothing, the first deserve no more time than the others."""

PATIENCE = 2.0
"""A refit that is overdue is waited for where the rest of the run takes less than so many refits. In a longer one the
next refit is soon there, and workers are not to idle for it."""

BRIEF = 1e-3
"""Seconds for a proposal of a batch before the first was made."""

TURN = 3e-3
"""Seconds between an outcome and the next trial where that is ready: the way of both messages, and the disk."""

LONGER = 1.5
"""A batch may take so many times as long as the longest of the last few: the more is known, the longer it takes."""

MOST_HELD, HELD_SHARE = 32, 8
"""Trials that a worker holds, and the part of all trials that are held by all workers, at most."""


class Ahead:
    """Makes proposals for the workers that wait, and for those that soon will.

    Parameters
    ----------
    optimizer
        Makes them.
    ledger
        Knows how long everything takes.
    batches
        Whether proposals may be made in batches. Without, what is proposed does not depend on the time it takes.
    """

    def __init__(self, optimizer: Optimizer, ledger: Ledger, *, batches: bool) -> None:
        self._optimizer, self._ledger, self._batches = optimizer, ledger, batches

    def warm_up(self, waiting: int, left: int) -> None:
        """Make the very first proposals of a run."""
        if not self._optimizer.ready and not self.must_wait(left):
            self.serve(waiting, left)

    def serve(self, waiting: int, left: int) -> None:
        """Make proposals now that none is ready: for `waiting` workers, `left` trials of the budget being to start."""
        batch = self._batch(waiting, left)
        self._make(batch, batch)

    def stock(self, left: int) -> bool:
        """Use an idle moment to make proposals ahead; returns whether any was made."""
        evaluation = self._ledger.mean_evaluation
        if evaluation is None or self.must_wait(left):
            return False
        batch = self._batch(0, left)
        if batch == 1:
            depth = self._depth(evaluation, left)
            return depth > 0 and self._make(depth, 1)
        soon = self._expected(self._ledger.typical_pass)
        return self._optimizer.ready <= soon and self._make(min(soon + batch, left), batch)

    def must_wait(self, left: int) -> bool:
        """Whether to propose now would waste evaluations: a refit elsewhere is overdue, and the run nearly over."""
        if not self._optimizer.must_wait:
            return False
        unknown = BRIEF if self._ledger.refits else 0.0  # before the first refit all others could be over
        each = max(self._pace, self._ledger.recent_proposal or unknown)
        return self._ledger.mean_evaluation is None or left * each < PATIENCE * self._ledger.typical_fit

    def depth_held(self) -> int:
        """Trials that a worker should hold beside the one it evaluates: 0 where it hardly waits for the next.

        What is held was chosen early. So a method that learns has only a small part of all its trials held.
        """
        evaluation = self._ledger.mean_evaluation
        if evaluation is None:
            return 0
        proposal = self._ledger.typical_proposal
        wait = TURN + max(0.5 * proposal, LONGER * self._ledger.long_pass)  # a batch keeps the master from answering
        if wait <= WORTH_WAITING * evaluation:
            return 0
        depth = min(MOST_HELD, math.ceil(wait / max(evaluation, 1e-9)))
        if self._optimizer.method not in LEARNING:
            return depth
        return min(depth, self._ledger.ended // (HELD_SHARE * len(self._ledger.seats)))

    def _make(self, depth: int, batch: int) -> bool:
        began = time.perf_counter()
        origins = self._optimizer.prepare(depth, batch, LOAD * self._pace)
        if not {"model", OPTUNA_TPE}.isdisjoint(origins):
            self._ledger.proposed(time.perf_counter() - began, len(origins))
        return bool(origins)

    @property
    def _pace(self) -> float:
        evaluation = self._ledger.mean_evaluation
        return math.inf if evaluation is None else evaluation / max(1, len(self._ledger.seats))

    def _expected(self, seconds: float) -> int:
        """Requests in so many seconds, at most `MOST`."""
        return MOST if seconds >= MOST * self._pace else math.ceil(seconds / self._pace)

    def _batch(self, waiting: int, left: int) -> int:
        """Proposals to make in one pass; 1 where there is time to make each by itself."""
        known = self._ledger.ended
        single = self._ledger.typical_proposal
        if single == 0.0 and self._optimizer.method in MODEL_METHODS:
            single = GUESS
        evaluation = self._ledger.mean_evaluation or math.inf
        together = waiting > 1 and waiting * single > QUEUE * evaluation
        if not self._batches or (single <= LOAD * self._pace and not together):
            return 1
        wanted = max(waiting, PASSES * self._expected(self._ledger.typical_pass or single))
        affordable = known * known // SINGLY**2 if known < SINGLY**2 // SHARE else known // SHARE
        affordable = max(affordable, len(self._ledger.seats) // BLIND)
        if single > FREE * self._pace and left < sys.maxsize:
            affordable = max(affordable, left // PARTS)
        return max(1, min(wanted, affordable, left, MOST))

    def _depth(self, evaluation: float, left: int) -> int:
        """Number of requests expected while one proposal is made; 0 where a worker hardly notices that it waits."""
        proposal, workers = self._ledger.typical_proposal, len(self._ledger.seats)
        if proposal < WORTH_WAITING * evaluation:
            return 0
        return max(0, min(max(1, self._expected(proposal)), workers, left))

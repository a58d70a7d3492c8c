"""Where the next trial comes from: evaluated again, promoted, a part of one, or proposed; what the budget leaves."""

from __future__ import annotations

import sys

from mpi.mpi_ahead import Ahead
from mpi.mpi_dispatch import Dispatch
from mpi.mpi_ending import Ending
from mpi.mpi_promotions import Promotions
from mpi.mpi_race import Parts
from utilities.display.progress import Display
from utilities.errors import SpaceExhaustedError
from utilities.ledger import Ledger
from utilities.optimizer import Optimizer
from utilities.stage_plan import describe
from utilities.storage.run_folder import RunFolder
from utilities.trial import Trial


class Supply:
    """The trials that are still to be evaluated.

    Parameters
    ----------
    budget
        Trials of the study; None for no limit.
    optimizer, run, ledger, display, dispatch, promotions, ending
        Those of the master.
    parts
        Those of the trials; None where a trial is one evaluation.
    ahead
        Whether to make proposals in batches, and before they are asked for.

    Attributes
    ----------
    exhausted
        Whether the space has no more configurations.
    """

    def __init__(
        self,
        budget: int | None,
        optimizer: Optimizer,
        run: RunFolder,
        ledger: Ledger,
        *,
        display: Display,
        dispatch: Dispatch,
        promotions: Promotions,
        parts: Parts | None,
        ending: Ending,
        ahead: bool,
    ) -> None:
        self._budget, self._optimizer, self._run, self._ledger = budget, optimizer, run, ledger
        self._display, self._dispatch, self._promotions, self._parts = display, dispatch, promotions, parts
        self._proposals = Ahead(optimizer, ledger, batches=ahead)
        self._hands, self._again = dispatch.hands, dispatch.again
        self._ending = ending
        self.exhausted = False

    def warm_up(self) -> None:
        """Make the first proposal, which loads libraries, before its trial is noted as started."""
        if self._ledger.mean_evaluation is None and self._hands.idle and self.any and not self._waiting:
            self._proposals.warm_up(len(self._hands.idle), self.left)

    def stock(self) -> bool:
        """Use an idle moment to make proposals ahead; returns whether any was made."""
        return self._proposals.stock(self.left)

    def depth_held(self) -> int:
        """Trials that a worker should hold beside the one it evaluates."""
        return self._proposals.depth_held()

    def next(self, worker: int) -> Trial | None:
        """Next trial for a worker, or next part of one; None where it has to wait."""
        if (trial := self._dispatch.next_again(worker)) is not None:
            return trial
        if self._parts is None:
            return self._promotions.next(last=self._nothing_else) or self._propose()
        part = self._parts.next(worker)
        if part is None and self.left > 0 and (trial := self._propose()) is not None:
            self._parts.enter(trial)
            part = self._parts.next(worker)
        return part

    @property
    def awaits_refit(self) -> bool:
        """Whether no proposal is made before the next refit is there."""
        return self._proposals.must_wait(self.left)

    def _propose(self) -> Trial | None:
        if self.awaits_refit:
            return None
        if not self._optimizer.ready:
            self._proposals.serve(len(self._hands.idle), self.left)
        try:
            trial = self._optimizer.ask()
        except SpaceExhaustedError:
            self.exhausted = not self._optimizer.blocked
            return None
        for begun in self._optimizer.stages.news():
            self._run.stage(begun)
            self._display.say(describe(begun, self._optimizer.stages.plan))
        self._run.asked(trial, self._optimizer.origins[trial.number])
        return trial

    @property
    def any(self) -> bool:
        """Whether another trial may start."""
        if self._ending.closing:
            return False
        begun = len(self._again) if self._parts is None else len(self._parts)
        more = self._waiting or not self.exhausted
        left = self.left + (begun if self._waiting else 0)
        return (more and left > 0) or self._promotions.any(last=self._nothing_else)

    @property
    def at_hand(self) -> bool:
        """Whether a trial can be given without a proposal being made."""
        return self._waiting or bool(self._optimizer.ready) or self._promotions.any(last=self._nothing_else)

    @property
    def left(self) -> int:
        """Trials that the budget leaves to be proposed."""
        if self._budget is None:
            return sys.maxsize
        begun = len(self._hands) + len(self._again) if self._parts is None else len(self._parts)
        return self._budget - self._ledger.ended - begun

    @property
    def _waiting(self) -> bool:
        """Whether anything waits that was proposed already: a trial to be evaluated again, a part of one."""
        return bool(self._again) or (self._parts is not None and self._parts.waiting)

    @property
    def _nothing_else(self) -> bool:
        """Whether no trial runs, waits to be evaluated again, or may be proposed."""
        return not len(self._hands) and not self._again and (self.exhausted or self.left <= 0)

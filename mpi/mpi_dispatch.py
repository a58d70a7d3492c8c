"""Trials on their way to workers and back: who has which, what the records say of it, which are evaluated again."""

from __future__ import annotations

from collections import deque

from mpi.mpi_definitions import Evaluate, Letter, Recall
from mpi.mpi_hands import Hands
from utilities.ledger import Ledger
from utilities.storage.run_folder import RunFolder
from utilities.trial import Trial


class Dispatch:
    """Gives trials to workers and takes them back.

    Times are seconds since the epoch.

    Parameters
    ----------
    run, ledger
        Where it is noted when a worker begins with a trial.
    retries
        How often a trial is evaluated again at most.

    Attributes
    ----------
    hands
        Who has which.
    again
        Trials, or parts of them, to be evaluated before any new one, the next first.
    """

    def __init__(self, run: RunFolder, ledger: Ledger, retries: int) -> None:
        self._run, self._ledger, self._retries = run, ledger, retries
        self.hands = Hands()
        of_old = () if run.in_parts else run.records.values()
        waiting = (record for record in of_old if record.outcome is None and not record.paused)
        self.again = deque(record.evaluation for record in waiting)

    def give(self, worker: int, trial: Trial, now: float) -> Letter:
        """Give a trial to a worker not in `Hands.idle`."""
        if self.hands.give(worker, trial):
            self._note_start(worker, trial, now)
        return worker, Evaluate(trial)

    def next_again(self, worker: int) -> Trial | None:
        """The first of `again` that this worker may take: it has no other part of the same trial."""
        for trial in self.again:
            if not self.hands.has(worker, trial.number):
                self.again.remove(trial)
                return trial
        return None

    def go_on(self, worker: int, now: float) -> None:
        """Note that a worker has begun with the next trial that it holds, or is idle."""
        following = self.hands.next_of(worker)
        if following is not None:
            self._note_start(worker, following, now)

    def _note_start(self, worker: int, trial: Trial, now: float) -> None:
        self._run.started(trial.number, self._ledger.worker(worker), now, trial.part)
        self._ledger.start(worker, trial.number, now)

    def recall(self) -> list[Letter]:
        """Ask for the trials that are held and not begun, once for each."""
        return [(worker, Recall(number)) for worker, number in self.hands.recall()]

    def take_back(self, worker: int, number: int) -> None:
        """Have a trial that was not begun wait again."""
        begun = self._ledger.trial_at(worker) == number
        trial = self.hands.take(worker, number)
        if trial is None:
            return
        self.again.appendleft(trial)
        if begun:
            self._ledger.take_back(worker)
        if begun or not self.hands.count(worker):
            self.hands.next_of(worker)

    def retry(self, trial: Trial, reason: str, worker: int, now: float) -> bool:
        """Have a trial evaluated again that is not to blame; False where that was done as often as allowed.

        On each instance, and with each of its budgets, it may be as often.
        """
        record = self._run.records[trial.number]
        since = record.rungs[-1].completed if record.rungs else 0.0
        if sum(loss.part == trial.part and loss.time >= since for loss in record.losses) >= self._retries:
            return False
        self._run.lost(trial.number, reason, now, trial.part)
        self._ledger.retry(worker)
        self.again.append(trial)
        return True

    def leave(self, worker: int) -> Trial | None:
        """Give up a worker; returns the trial that it evaluated. What it held waits again."""
        trials = self.hands.leave(worker)
        self.again.extendleft(reversed(trials[1:]))
        return trials[0] if trials else None

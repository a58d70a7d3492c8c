"""The trials that wait at a rung, as the master sees them: paused, promoted, and given up at the end."""

from __future__ import annotations

from msgspec.structs import replace

from mpi.mpi_stops import Stops
from utilities.ledger import Ledger
from utilities.optimizer import Optimizer
from utilities.storage.run_folder import RunFolder
from utilities.trial import Outcome, Trial, TrialState


class Promotions:
    """Pauses trials at their rungs and has them go on, in the optimiser, the records and the books alike.

    Parameters
    ----------
    optimizer
        Told already of all earlier trials.
    run, ledger, stops
        Those of the master.
    """

    def __init__(self, optimizer: Optimizer, run: RunFolder, ledger: Ledger, stops: Stops) -> None:
        self._optimizer, self._run, self._ledger, self._stops = optimizer, run, ledger, stops

    def take(self, trial: Trial, outcome: Outcome, source: int, now: float) -> Outcome | None:
        """Pause a trial that has come to its rung, at `now` in seconds since the epoch.

        Returns
        -------
        Outcome or None
            With which the trial ends; None where it is paused. A rule that has a say may have ended it.
        """
        rungs, value = self._optimizer.rungs, outcome.objective
        if rungs is None or outcome.state is not TrialState.COMPLETE or value is None or rungs.is_full(trial.budget):
            return outcome
        if self._stops.arrive(trial, value, source, now):
            return replace(outcome, state=TrialState.PRUNED)
        self._run.paused(trial, outcome, now)
        self._optimizer.tell_outcome(trial, outcome)
        self._ledger.count(trial, replace(outcome, state=TrialState.PAUSED))
        return None

    def any(self, *, last: bool) -> bool:
        """Whether a trial is to be promoted; see `utilities.rungs.Rungs.candidate` for `last`."""
        return self._optimizer.promotable(last=last)

    def next(self, *, last: bool) -> Trial | None:
        """The trial that goes on; None where none does."""
        trial = self._optimizer.promote(last=last)
        if trial is not None:
            self._run.promoted(trial)
            self._ledger.promote()
        return trial

    def close(self) -> bool:
        """End the trials that are paused as pruned, each with its latest value; returns whether there were any."""
        numbers = [] if self._optimizer.rungs is None else self._optimizer.rungs.paused
        for number in numbers:
            record = self._run.records[number]
            outcome = self._stops.end(record.evaluation, replace(record.rungs[-1].outcome, state=TrialState.PRUNED))
            self._run.finished(number, outcome, record.rungs[-1].completed)
            self._optimizer.give_up(number)
            self._ledger.close()
        return bool(numbers)

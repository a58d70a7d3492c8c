"""Why and when a run ends before its budget is spent, and the exit status that tells."""

from __future__ import annotations

from mpi.mpi_definitions import FINISHED, NONE_SUCCEEDED, RESUMABLE, USER_ERROR
from mpi.mpi_promotions import Promotions
from utilities.ledger import Ledger
from utilities.storage.study import Study
from utilities.trial import Outcome, TrialState

TIME_LIMIT = "time limit"


class Ending:
    """What ends a run: its time limit, a signal, failures in a row, an objective that cannot be loaded.

    Times are seconds since the epoch.

    Parameters
    ----------
    study
        Its limits.
    ledger
        Counts the trials that ended.
    promotions
        Know whether a paused trial is to go on.

    Attributes
    ----------
    stopped
        Why no more trials start; empty while they do.
    error
        What the user must mend; empty where that is nothing.
    failing
        What of the trials' failures ends the run; empty where nothing does.
    """

    def __init__(self, study: Study, ledger: Ledger, promotions: Promotions) -> None:
        self._study, self._ledger, self._promotions = study, ledger, promotions
        self._stop_at: float | None = None
        self._failures_in_a_row = 0
        self.stopped = ""
        self.error = ""
        self.failing = ""

    @property
    def closing(self) -> bool:
        """Whether no more trials start."""
        return self._stop_at is not None

    def stop(self, why: str, now: float, grace: float | None = None) -> None:
        """Start no more trials; running ones get `grace` seconds (the study's by default), none at a second call."""
        grace = 0.0 if self.closing else self._study.grace if grace is None else grace
        self.stopped = self.stopped or why
        self._stop_at = now + grace

    def out_of_grace(self, now: float) -> bool:
        """Whether running trials are not waited for any longer."""
        return self._stop_at is not None and now >= self._stop_at

    def out_of_time(self, now: float) -> bool:
        """Whether the run's time limit has come, and nothing ended it before."""
        limit = self._study.time_limit
        return limit is not None and not self.closing and now - self._ledger.began >= limit

    def note(self, outcome: Outcome) -> None:
        """Count failures in a row."""
        self._failures_in_a_row = self._failures_in_a_row + 1 if outcome.state is TrialState.FAIL else 0
        limit = self._study.max_consecutive_failures
        if self._failures_in_a_row >= limit:
            self.failing = f"{limit} trials failed in a row"

    @property
    def spent(self) -> bool:
        """Whether as many trials ended as the budget allows, and none of those that are paused is to go on."""
        budget = self._study.budget
        return budget is not None and self._ledger.ended >= budget and not self._promotions.any(last=True)

    def status(self, *, succeeded: bool) -> int:
        """Exit status of the run; `succeeded` says whether any trial did."""
        if self.error:
            return USER_ERROR
        if self.failing:
            return NONE_SUCCEEDED
        limited_by_time_alone = self._study.budget is None and self.stopped == TIME_LIMIT
        if self.stopped and not limited_by_time_alone and not self.spent:
            return RESUMABLE
        return FINISHED if succeeded else NONE_SUCCEEDED

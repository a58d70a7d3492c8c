"""The gate through which the master's messages leave, only once what they rest on is on disk; what else is written."""

from __future__ import annotations

from mpi.mpi_definitions import Letter, Message
from utilities.display.progress import Display
from utilities.errors import DiskError
from utilities.optimizer import Optimizer
from utilities.storage.run_folder import RunFolder

RETRY_SECONDS = 1.0
CHECKPOINT_SECONDS = 60.0
ROWS_SECONDS = 1.0
"""How late a row of trials.csv may be in a run whose master always has something better to do."""


class DiskGate:
    """Puts the records on disk and lets the messages out. Where the disk takes no more, it shuts and keeps both.

    Parameters
    ----------
    run
        Where everything is recorded.
    display
        Is told when the gate shuts, and when it opens again.
    now
        Time at the start.

    Attributes
    ----------
    shut
        Whether the disk took nothing at the last attempt.
    """

    def __init__(self, run: RunFolder, display: Display, now: float) -> None:
        self._run, self._display, self._checkpointed = run, display, now
        self._kept: list[Letter] = []
        self._next = self._rows_at = 0.0
        self.shut = False

    def due(self, now: float) -> bool:
        """Whether to try the disk again."""
        return self.shut and now >= self._next

    def pass_through(self, letters: list[Letter], now: float) -> list[Letter]:
        """Messages that may leave now: these and those kept, or none.

        Raises
        ------
        JournalError
            The disk has gone for good.
        """
        self._kept += letters
        if self.shut and not self.due(now):
            return []
        if not self._sync(now, rows=self.shut or now >= self._rows_at):
            return []
        if self.shut:
            self.shut = False
            self._display.say(f"{self._run.folder}: the disk takes records again; the run goes on")
        return self.recall()

    def recall(self, *kinds: type[Message]) -> list[Letter]:
        """Take back messages that have not left: those of these kinds, or all."""
        back = [letter for letter in self._kept if not kinds or isinstance(letter[1], kinds)]
        self._kept = [letter for letter in self._kept if kinds and not isinstance(letter[1], kinds)]
        return back

    def catch_up(self, now: float) -> None:
        """Use the time in which nothing arrives to write the rows of trials.csv that are due."""
        if not self.shut and self._run.has_rows:
            self._sync(now, rows=True)

    def checkpoint_due(self, now: float) -> bool:
        """Whether study.h5 is old and the disk takes records."""
        return now - self._checkpointed > CHECKPOINT_SECONDS and not self.shut

    def checkpoint(self, optimizer: Optimizer, now: float) -> None:
        """Write study.h5; where that fails, the display is told."""
        self._checkpointed = now
        try:
            self._run.checkpoint(optimizer.fits, optimizer.space, optimizer.calibration)
        except (DiskError, OSError) as error:
            self._display.say(f"{error}; the journal has everything that study.h5 lacks")

    def _sync(self, now: float, *, rows: bool) -> bool:
        try:
            self._run.sync(rows=rows)
        except DiskError as error:
            self._shut(error, now)
            return False
        if rows:
            self._rows_at = now + ROWS_SECONDS
        return True

    def _shut(self, error: DiskError, now: float) -> None:
        if not self.shut:
            self._display.say(f"{error}; no new trials until there is room, outcomes are kept in memory meanwhile")
        self.shut, self._next = True, now + RETRY_SECONDS

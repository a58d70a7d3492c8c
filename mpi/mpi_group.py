"""A worker of several ranks, as the first of them leads it: the others evaluate each trial with it, and report to it.

Every rank has a child process of its own, in which the objective meets that of the other ranks. So whatever becomes of
one of them (it raises, it is killed, it hangs) breaks no MPI communicator, and limits hold for each.

| message | direction        | carries                                            |
|---------|------------------|----------------------------------------------------|
| EVALUATE| first -> others  | trial, and where its ranks meet                    |
| CANCEL  | first -> others  | trial number: another rank failed, give it up      |
| DONE    | others -> first  | trial number, outcome: one for each EVALUATE       |
| EXIT    | first -> others  | and back, before the first itself answers its EXIT |
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from learning_objective.evaluation import folder_of
from learning_objective.meeting import MeetingPoint
from mpi.mpi_definitions import Cancel, Done, Evaluate, Letter, Message, Report, Stop, WorkerDuty
from mpi.mpi_worker import GIVEN_UP, Worker
from utilities.trial import TrialState

_UNWIND_SECONDS = 2.0
"""How long the other ranks of a trial that failed may take to notice; their processes are given up then."""

_NAP = 1e-3


class GroupLeader(Worker):
    """A worker whose trials other ranks evaluate with it; the outcome of a success is that of this rank.

    A trial fails as soon as it does on any rank. What counts is the first cause: a rank that found another one gone is
    no cause. All ranks have ended a trial before the next one begins.

    Parameters
    ----------
    duty
        Objective, folder and limits; the ranks, this one first.
    threads
        See `Worker`.
    point
        Where the ranks meet.

    Attributes
    ----------
    letters
        Messages to the other ranks, to be sent.
    """

    def __init__(self, duty: WorkerDuty, threads: int, point: MeetingPoint) -> None:
        super().__init__(duty, threads, listener=point.descriptor)
        self._ranks, self._hosts, self._point = duty.group, duty.hosts, point
        self._trials_folder = Path(duty.trials_folder)
        self._done: dict[int, Done] = {}
        self._cancel_at: float | None = None
        self.letters: list[Letter] = []

    def begin(self) -> None:
        """Begin the next trial that is held, on every rank, where none runs."""
        if self.trial is None and self._held:
            self._held[0] = together = Evaluate(self._held[0].trial, self._point.arrange())
            self._done, self._cancel_at = {}, None
            super().begin()
            self._tell(self._ranks[1:], together)

    def handle(self, message: Message) -> Message | None:
        """Take a message of the master's, see `Worker.handle`."""
        if isinstance(message, Stop):
            self._tell(self._ranks[1:], message)
        return super().handle(message)

    def take(self, message: Message, source: int) -> None:
        """Take a message of another rank: of what it says, its outcome of the running trial counts."""
        if isinstance(message, Done) and self.trial is not None and message.number == self.trial.number:
            self._done[source] = message

    def poll(self, seconds: float) -> Message | None:
        """Wait at most `seconds` for the running trial: this rank reports, or every rank has ended it."""
        if self.trial is None:
            return None
        first = self._ranks[0]
        if first in self._done:
            time.sleep(min(seconds, _NAP))
        elif isinstance(event := self._look(seconds), Report):
            return event
        elif event is not None:
            self._done[first] = event
        self._give_up_where_due(self.trial.number, time.monotonic())
        return self._settle() if len(self._done) == len(self._ranks) else None

    def _give_up_where_due(self, number: int, now: float) -> None:
        """Once a rank has failed, give up those that have not ended some time later."""
        if not any(done.outcome.state is TrialState.FAIL for done in self._done.values()):
            return
        if self._cancel_at is None:
            self._cancel_at = now + _UNWIND_SECONDS
        if now < self._cancel_at:
            return
        self._cancel_at = math.inf
        running = [rank for rank in self._ranks if rank not in self._done]
        self._tell([rank for rank in running if rank != self._ranks[0]], Cancel(number))
        if self._ranks[0] in running:
            self._evaluator.kill()
            self._done[self._ranks[0]] = Done(number, GIVEN_UP, peer_lost=True)

    def _settle(self) -> Done:
        """Outcome of a trial that every rank has ended."""
        if self.trial is not None:
            with suppress(OSError):  # something is in it
                folder_of(self._trials_folder, self.trial).rmdir()
        self.trial = None
        failed = [rank for rank in self._ranks if self._done[rank].outcome.state is TrialState.FAIL]
        if not failed:
            return self._done[self._ranks[0]]
        # min takes the first of equals: an objective that cannot be loaded, then a cause, then what came of it.
        rank = min(failed, key=lambda rank: (not self._done[rank].unloadable, self._done[rank].peer_lost))
        return self._failure(rank, self._done[rank])

    def _failure(self, rank: int, done: Done) -> Done:
        """What a rank's failure is to the master: named after the rank, unless all ranks would fail so."""
        if done.unloadable:
            return done
        place = self._ranks.index(rank)
        where = f"on rank {place} of {len(self._ranks)} ({rank}@{self._hosts[place]}): "
        return replace(done, outcome=replace(done.outcome, message=where + done.outcome.message))

    def _tell(self, ranks: Sequence[int], message: Message) -> None:
        self.letters += [(rank, message) for rank in ranks]

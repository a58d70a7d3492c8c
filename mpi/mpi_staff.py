"""Who works as what: ranks become workers and trainers, and others take over from those that are lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mpi.mpi_definitions import Exit, Letter, Ready, RestDuty, Start, WorkerDuty
from mpi.mpi_dispatch import Dispatch
from mpi.mpi_refits import Refits
from mpi.mpi_roster import Roster
from utilities.display.progress import Display
from utilities.display.text import counted
from utilities.errors import StudyError
from utilities.ledger import Ledger
from utilities.storage.study import Study
from utilities.trial import Outcome, Trial, TrialState


class Superior(Protocol):
    """What the staff needs of the master."""

    def record(self, trial: Trial, outcome: Outcome, source: int, now: float) -> None:
        """Book an outcome."""

    def stop(self, why: str, now: float, grace: float | None = None, error: str = "") -> None:
        """End the run; `error` is what the user must mend."""


class Staff:
    """The ranks of a run in their roles.

    Times are seconds since the epoch.

    Parameters
    ----------
    study
        How many ranks and GPUs a worker gets, how often a trial is evaluated again.
    duty
        What each worker is told.
    ranks
        Number of ranks that will report.
    refits, dispatch, ledger, display
        Those of the master.
    outbox
        Where messages to be sent are put.
    master
        Books the outcome of a trial that was lost too often, and ends the run.

    Attributes
    ----------
    hosts
        Host of each rank that is there.
    """

    def __init__(
        self,
        study: Study,
        duty: WorkerDuty,
        ranks: int,
        *,
        refits: Refits,
        dispatch: Dispatch,
        ledger: Ledger,
        display: Display,
        outbox: list[Letter],
        master: Superior,
    ) -> None:
        self._study, self._refits, self._dispatch, self._ledger = study, refits, dispatch, ledger
        self._display, self._outbox, self._master = display, outbox, master
        self._roster = Roster(study, duty, ranks)
        self._idle_told: list[int] = []
        self.hosts = self._roster.hosts

    def welcome(self, rank: int, ready: Ready, now: float) -> None:
        """Give a rank that reports its role."""
        self._roster.report(rank, ready)
        if rank in self._refits.trainers:
            self._outbox.append((rank, self._refits.welcome(rank)))
            self._employ([], now)
        else:
            self._employ([rank], now)

    def dismiss(self, status: int) -> list[Letter]:
        """EXIT to every rank but those whom the first rank of their worker tells."""
        return [(rank, Exit(status)) for rank in sorted(self.hosts) if self._roster.leader_of(rank) == rank]

    def turn_away(self, rank: int, ready: Ready, status: int) -> None:
        """Answer a rank that reports after the run is over."""
        self._roster.report(rank, ready)
        self._outbox.append((rank, Exit(status)))

    def _employ(self, ranks: Sequence[int], now: float) -> None:
        """Make ranks workers, once all whom they share nodes with are there."""
        try:
            begun = self._roster.enlist(ranks)
        except StudyError as error:
            self._master.stop("there are too few GPUs", now, grace=0.0, error=str(error))
            return
        for rank, duty in begun:
            self._outbox.append((rank, Start(duty)))
            if self._roster.leader_of(rank) == rank:
                self._ledger.seat(rank, self.hosts[rank], now, duty.devices or ())
                self._dispatch.hands.enter(rank)
        idle = self._roster.idle
        if self._roster.complete and idle and idle != self._idle_told:
            self._idle_told = idle
            few = f"too few for another worker of {self._study.ranks_per_worker}"
            self._display.say(f"{counted(len(idle), 'rank')} idle ({', '.join(map(str, idle))}): {few}")

    # --- losses -----------------------------------------------------------------------------------------------------

    def lose(self, rank: int, others: int, now: float) -> None:
        """Go on without a rank that has died, `others` living beside the master: see `mpi.mpi_master.Master.lose`."""
        name = self._roster.name(rank)
        self._ledger.lost_ranks.append(name)
        fate = self._lose_trainer(rank) if rank in self._refits.trainers else self._lose_worker(rank, name, now)
        self._display.say(f"{name} was lost{fate}")
        self._employ([], now)
        if others == 0:
            self._master.stop("every other rank was lost", now, grace=0.0)
        elif not self._ledger.seats and len(self._refits.trainers) == others:
            self._turn_trainers_into_workers(now)
        if not self._ledger.seats and self._study.ranks_per_worker > 1 and self._roster.complete and others:
            self._master.stop("too few ranks are left for a worker", now, grace=0.0)

    def _lose_trainer(self, rank: int) -> str:
        alone = len(self._refits.trainers) == 1
        self._refits.lose(rank)
        self._roster.lose(rank)
        return f", which was {'the' if alone else 'a'} trainer"

    def _lose_worker(self, rank: int, name: str, now: float) -> str:
        """Give up a worker that has lost a rank; returns what becomes of its trial."""
        leader = self._roster.leader_of(rank)
        group = self._roster.led_by(leader)
        trial = self._dispatch.leave(leader)
        fate = "" if trial is None else self._lose_trial(trial, leader, f"{name} was lost", now)
        self._ledger.leave(leader, now)
        self._roster.release(leader)
        self._roster.lose(rank)
        left = [other for other in group if other != rank and other in self.hosts]
        self._outbox += [(other, Start(RestDuty())) for other in left]
        self._employ(left, now)
        return fate

    def _lose_trial(self, trial: Trial, worker: int, why: str, now: float) -> str:
        if self._dispatch.retry(trial, why, worker, now):
            return f"; trial {trial.number} is evaluated again"
        seconds = self._ledger.seconds_at(worker, now)
        self._master.record(trial, Outcome(TrialState.FAIL, seconds=seconds, message=why), worker, now)
        return f"; trial {trial.number} has failed: it was tried {self._study.retries + 1} times"

    # --- refits -----------------------------------------------------------------------------------------------------

    def fill_vacancy(self, now: float) -> None:
        """Have the surrogate refitted by somebody else where the last trainer was lost: a worker, or the master."""
        if not self._refits.vacant:
            return
        idle = self._dispatch.hands.idle
        if len(self._ledger.seats) == 1 or self._study.ranks_per_worker > 1:
            self._refits.make_here()
            self._display.say("the master refits the surrogate from now on")
        elif idle:
            rank = idle[-1]
            self._dispatch.hands.leave(rank)
            self._roster.release(rank)
            self._outbox.append(self._refits.pass_to(rank))
            self._ledger.leave(rank, now)
            self._display.say(f"{self._roster.name(rank)} refits the surrogate from now on")

    def _turn_trainers_into_workers(self, now: float) -> None:
        ranks = [rank for rank in self._refits.trainers if rank in self.hosts]
        self._refits.make_here()
        self._employ(ranks, now)
        for rank in ranks:
            if rank in self._ledger.seats:
                told = "evaluates from now on, and the master refits the surrogate"
                self._display.say(f"{self._roster.name(rank)} {told}")

"""The master: messages in, messages out. It owns the optimiser, the records and the knowledge of who waits.

A plain object without MPI and without a clock: a loop around it carries the messages, and a simulator or a test can do
so just as well. Times are seconds since the epoch.
"""

from __future__ import annotations

from mpi.mpi_definitions import (
    Done,
    Evaluate,
    Exit,
    Fitted,
    Letter,
    Message,
    Ready,
    Report,
    Returned,
    Start,
    WorkerDuty,
)
from mpi.mpi_dispatch import Dispatch
from mpi.mpi_ending import TIME_LIMIT, Ending
from mpi.mpi_gate import DiskGate
from mpi.mpi_hand_out import HandOut
from mpi.mpi_promotions import Promotions
from mpi.mpi_race import Parts
from mpi.mpi_refits import Refits
from mpi.mpi_staff import Staff
from mpi.mpi_stops import Stops
from mpi.mpi_supply import Supply
from utilities.display.progress import Display
from utilities.early_stopping import EarlyStopping
from utilities.ledger import Ledger
from utilities.optimizer import Optimizer
from utilities.storage.run_folder import RunFolder
from utilities.storage.study import Study
from utilities.trial import Outcome, Trial, TrialState


class Master:
    """Hands out trials, books outcomes, has the surrogate refitted, and ends the run.

    Parameters
    ----------
    study
        What to run, and for how long.
    optimizer
        Already told of all earlier trials; ``refit="external"`` where there is a trainer.
    run
        Where everything is recorded before it is acted on.
    display
        Is told how it goes.
    duty
        What each worker is told at the start.
    trainers
        Ranks of the trainers. Every other rank that reports is a worker.
    stopping
        By what trials are ended early; None where none is.
    ranks
        Number of ranks that will report.
    ahead
        Whether to make proposals before they are asked for. Without, a run in one process is reproducible.
    now
        Time at the start.
    """

    def __init__(
        self,
        study: Study,
        optimizer: Optimizer,
        run: RunFolder,
        display: Display,
        duty: WorkerDuty,
        *,
        trainers: tuple[int, ...] = (),
        stopping: EarlyStopping | None = None,
        ranks: int = 0,
        ahead: bool = True,
        now: float,
    ) -> None:
        self._study, self._optimizer, self._run, self._display = study, optimizer, run, display
        self._ahead = ahead
        self._refits = Refits(optimizer, study.seed, trainers)
        self.ledger = Ledger(study, now)
        self.ledger.restore(run.records.values())
        self._dispatch = Dispatch(run, self.ledger, study.retries)
        self._stops = Stops(stopping, run, self.ledger, optimizer)
        self._promotions = Promotions(optimizer, run, self.ledger, self._stops)
        self.ending = Ending(study, self.ledger, self._promotions)
        self._hands, self._again = self._dispatch.hands, self._dispatch.again
        self._parts = None if study.instances is None else Parts(study.instances, study, run.first_seed, self._hands)
        self._supply = Supply(
            study.budget,
            optimizer,
            run,
            self.ledger,
            display=display,
            dispatch=self._dispatch,
            promotions=self._promotions,
            parts=self._parts,
            ending=self.ending,
            ahead=ahead,
        )
        self._hand_out = HandOut(self._supply, self._dispatch, self.ledger, hold=ahead)
        self._gate = DiskGate(run, display, now)
        self._outbox: list[Letter] = []
        self._staff = Staff(
            study,
            duty,
            ranks,
            refits=self._refits,
            dispatch=self._dispatch,
            ledger=self.ledger,
            display=display,
            outbox=self._outbox,
            master=self,
        )
        self._ranks = self._staff.hosts
        self._changed = True
        self.over = False
        if self._parts is not None:
            self._settle(self._parts.restore(run.records.values()), now)

    # --- messages in ------------------------------------------------------------------------------------------------

    def handle(self, message: Message, source: int, now: float) -> list[Letter]:
        """Take one message and return the messages to send."""
        self.take(message, source, now)
        return self.answer(now)

    def take(self, message: Message, source: int, now: float) -> None:
        """Take one message; what it leads to comes from the next `answer`."""
        self._changed = True
        if isinstance(message, Done):
            self._take_outcome(message, source, now)
        elif isinstance(message, Returned):
            self._dispatch.take_back(source, message.number)
        elif isinstance(message, Ready):
            self._take_rank(message, source, now)
        elif isinstance(message, Fitted):
            self._refits.take(message, source, now)
            self.ledger.refitted(message.seconds)
        elif isinstance(message, Report):
            part = self._hands.part(source, message.number)
            self._outbox += self._stops.take(message, source, now, part)
        elif isinstance(message, Exit):
            self._ranks.pop(source, None)
        else:
            raise TypeError(f"a master does not expect {type(message).__name__} (from rank {source})")

    def _take_rank(self, message: Ready, source: int, now: float) -> None:
        if self.over:
            self._staff.turn_away(source, message, self.status)
        else:
            self._staff.welcome(source, message, now)

    def _take_outcome(self, message: Done, source: int, now: float) -> None:
        trial = self._hands.take(source, message.number)
        if trial is None:
            return  # of a rank that was given up: somebody else has its trial
        if message.unloadable:
            self._again.appendleft(trial)
            self.stop("the objective could not be loaded", now, grace=0.0, error=message.outcome.message)
            self._hands.next_of(source)
            return
        if message.killed and self.ending.closing:  # batch systems signal trials too: it is cut off, not to blame
            self._again.appendleft(trial)
            self.ledger.take_back(source)
        elif not (message.killed and self._dispatch.retry(trial, message.outcome.reason, source, now)):
            self.record(trial, message.outcome, source, now)
        self._dispatch.go_on(source, now)

    def record(self, trial: Trial, outcome: Outcome, source: int, now: float) -> None:
        """Book an outcome that a worker brought, or that it never will."""
        if self._parts is None:
            final = self._promotions.take(trial, outcome, source, now)
            self.ledger.end_part(source, outcome, now)
            if final is not None:
                self._end(trial, self._stops.end(trial, final), now)
            self._note(outcome, now)
        elif trial.part is not None:
            self.ledger.end_part(source, outcome, now)
            self._run.measured(trial.number, trial.part, outcome, self.ledger.worker(source), now)
            self._parts.take(trial, outcome)
            self._settle(self._parts, now)

    def _settle(self, parts: Parts, now: float) -> None:
        """Book the trials that have ended by their parts."""
        for part in filter(parts.useless, list(self._again)):
            self._again.remove(part)
        for trial, outcome in parts.settle():
            self._end(trial, outcome, now)
            self._note(outcome, now)

    def _end(self, trial: Trial, outcome: Outcome, now: float) -> None:
        self._run.finished(trial.number, outcome, now)
        self._optimizer.tell_outcome(trial, outcome)
        self.ledger.count(trial, outcome)

    def _note(self, outcome: Outcome, now: float) -> None:
        """End the run where too many in a row have failed."""
        self.ending.note(outcome)
        if self.ending.failing and not self.ending.closing:
            self.stop(self.ending.failing, now)

    def lose(self, rank: int, others: int, now: float) -> None:
        """Go on without a rank that has died: its trial is evaluated again, another rank takes over from a trainer.

        Parameters
        ----------
        rank
            The rank.
        others
            Number of other ranks that live, the master aside.
        now
            Seconds since the epoch.
        """
        self._changed = True
        self._staff.lose(rank, others, now)

    # --- messages out -----------------------------------------------------------------------------------------------

    def greet(self) -> list[Letter]:
        """START for the ranks that have reported: sent ahead of `answer`, they load while a first proposal is made."""
        starts = [letter for letter in self._outbox if isinstance(letter[1], Start)]
        self._outbox[:] = [letter for letter in self._outbox if not isinstance(letter[1], Start)]
        return starts

    def warm_up(self) -> None:
        """Make the first proposal, which loads libraries, before its trial is noted as started."""
        self._supply.warm_up()

    def answer(self, now: float) -> list[Letter]:
        """Messages to send, once everything they rest on is on disk. At most one slow proposal is made for it.

        Nothing is handed out while the disk takes no more.

        EXIT is the last message to a rank: MPI_Finalize fails where another waits to be received.
        """
        self._watch_clock(now)
        if not self._changed and not self._gate.due(now):
            return []
        self._changed = False
        letters = self._take_letters() + ([] if self.over else self._stops.judge())
        waited = self._gate.shut
        if not self.over and not waited:
            letters += [*self._refit(now), *self._hand_out.give(now)]
            self._changed |= self._hand_out.unfinished
        letters = self._gate.pass_through(letters, now)
        self._changed |= waited and not self._gate.shut
        if self.over:
            return letters + self._gate.recall()
        if self._finished(now) and not self._close_paused():
            self.over = True
            self._gate.recall()
            letters += self._staff.dismiss(self.status)
        return letters

    def _close_paused(self) -> bool:
        """Where the study is through and folders are cleared, end the trials that are paused; whether any was."""
        if self._study.keep_best is None or self.ending.stopped:
            return False
        closed = self._promotions.close()
        self._changed |= closed  # they are to be on disk first
        return closed

    def _refit(self, now: float) -> list[Letter]:
        if self.ending.closing:
            return []
        self._staff.fill_vacancy(now)
        return self._take_letters() + self._refits.ask(now, awaited=self._supply.awaits_refit)

    def _take_letters(self) -> list[Letter]:
        letters = list(self._outbox)
        self._outbox.clear()
        return letters

    # --- when to go on, and when to end -----------------------------------------------------------------------------

    @property
    def has_more(self) -> bool:
        """Whether `answer` has more to say at once."""
        return self._changed

    def _finished(self, now: float) -> bool:
        if len(self._hands) or self._gate.shut:
            return self.ending.out_of_grace(now)
        if self.ending.closing:
            return True
        return not self._supply.any

    def stop(self, why: str, now: float, grace: float | None = None, error: str = "") -> None:
        """Start no more trials, and end when the running ones have or after `grace` seconds (the study's by default).

        With an `error`, that is what the user must mend.

        A second call ends the run at once. Trials that are cut off stay pending and come first in the next run.
        """
        self.ending.error = self.ending.error or error
        self.ending.stop(why, now, grace)
        for worker, message in self._gate.recall(Evaluate):
            if isinstance(message, Evaluate):
                self._dispatch.take_back(worker, message.trial.number)
        self._outbox += self._dispatch.recall()
        self._changed = True

    @property
    def exhausted(self) -> bool:
        """Whether the space has no more configurations."""
        return self._supply.exhausted

    @property
    def dismissed(self) -> bool:
        """Whether every rank has answered the EXIT."""
        return not self._ranks

    @property
    def status(self) -> int:
        """Exit status of the run."""
        succeeded = self._optimizer.incumbents.completed > 0 or self.ledger.states[TrialState.PAUSED] > 0
        return self.ending.status(succeeded=succeeded)

    # --- while nothing arrives --------------------------------------------------------------------------------------

    def idle(self, now: float) -> list[Letter]:
        """Use the time in which nothing arrives: answer who still waits, make a proposal ahead."""
        letters = self.answer(now)
        if not letters and self._ahead and self._supply.any:
            self._changed |= self._supply.stock() and bool(self._hands.roomy)
        self._gate.catch_up(now)
        if self._gate.checkpoint_due(now):
            self.checkpoint(now)
        return letters

    def _watch_clock(self, now: float) -> None:
        if self.ending.out_of_time(now):
            self.stop(TIME_LIMIT, now)
        if self.ending.out_of_grace(now) and not self.over:
            self._changed = True

    def checkpoint(self, now: float) -> None:
        """Write study.h5; where that fails, the display is told."""
        self._gate.checkpoint(self._optimizer, now)

    def show(self, now: float) -> None:
        """Tell the display how it goes."""
        if not self._display.due(self.ledger.ended, now - self.ledger.began):
            return
        fitted = self._optimizer.fit_state is not None
        phase = "finishing" if not self._supply.any else "model" if fitted else "initial design"
        phase = "waiting for the disk" if self._gate.shut else phase
        phase = ", ".join(filter(None, [self._optimizer.stages.place, phase]))
        self._display.update(self.ledger.status(self._optimizer, phase, now))

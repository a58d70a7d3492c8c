"""The worker: evaluates trials one at a time, relays what they report, and ends them early when told.

Shared by the worker ranks of a parallel run and by the run in one process. Imports neither numpy nor torch: what the
objective needs is imported in the child process that evaluates it.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Self

from learning_objective import evaluation
from learning_objective.evaluation import Evaluator
from learning_objective.resources import Resources
from mpi.mpi_definitions import Cancel, Done, Evaluate, Message, Recall, Report, Returned, Stop, WorkerDuty
from utilities.trial import Outcome, Trial, TrialState

GIVEN_UP = Outcome(TrialState.FAIL, message="given up: another rank of the worker failed")


class Worker:
    """An evaluator that speaks the protocol.

    Parameters
    ----------
    duty
        Objective, folder and limits.
    threads
        This rank's share of the node's cores: so many threads the objective may use, unless the study or the user's
        environment says otherwise.
    listener
        Descriptor at which the first rank of a worker of several waits for the others; None for all others.
    """

    def __init__(self, duty: WorkerDuty, threads: int, listener: int | None = None) -> None:
        self._evaluator = Evaluator(
            duty.objective,
            Path(duty.trials_folder),
            timeout=duty.trial_timeout,
            memory=duty.trial_memory,
            isolation=duty.isolation,
            resources=Resources(duty.threads or threads, duty.threads is not None, duty.devices),
            place=duty.place,
            listener=listener,
        )
        self._evaluator.warm_up()  # while the master makes the first proposal
        self.trial: Trial | None = None
        self._held: deque[Evaluate] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and self.trial is not None:
            error.add_note(f"while trial {self.trial.number} was evaluated: {self.trial.config}")
        self.close()

    def close(self) -> None:
        """End the child process, whatever it does."""
        self._evaluator.close()

    def handle(self, message: Message) -> Message | None:
        """Take a trial, end one early, or give one back; returns what the master is to be told.

        Raises
        ------
        TypeError
            Not a message for a worker.
        """
        if isinstance(message, Evaluate):
            self._held.append(message)
        elif isinstance(message, Stop):
            if self.trial is not None and self.trial.number == message.number:
                self._evaluator.request_stop()
        elif isinstance(message, Recall):
            return Returned(message.number) if self._drop(message.number) else None
        elif isinstance(message, Cancel):
            return self._cancel(message.number)
        else:
            raise TypeError(f"a worker does not expect {type(message).__name__}")
        return None

    def _drop(self, number: int) -> bool:
        """Whether a trial was held, and is no longer."""
        held = [message for message in self._held if message.trial.number == number]
        for message in held:
            self._held.remove(message)
        return bool(held)

    def _cancel(self, number: int) -> Done | None:
        """Give up a trial at once; None where it has ended by itself."""
        if self.trial is not None and self.trial.number == number:
            self._evaluator.kill()
            self.trial = None
        elif not self._drop(number):
            return None
        return Done(number, GIVEN_UP, peer_lost=True)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to evaluate."""
        return self.trial is None and not self._held

    def begin(self) -> None:
        """Begin the next trial that is held, where none runs."""
        if self.trial is None and self._held:
            message = self._held.popleft()
            self.trial = message.trial
            self._evaluator.start(message.trial, message.meeting)

    def poll(self, seconds: float) -> Message | None:
        """Wait at most `seconds` for the running trial to report or to end."""
        event = self._look(seconds)
        if isinstance(event, Done):
            self.trial = None
        return event

    def _look(self, seconds: float) -> Report | Done | None:
        """Wait at most `seconds` for what this rank's own process has to say of the running trial."""
        event, evaluator = self._evaluator.poll(seconds), self._evaluator
        if event is None or self.trial is None:
            return None
        if isinstance(event, evaluation.Report):
            return Report(event.number, event.step, event.value)
        return Done(
            self.trial.number,
            event,
            unloadable=evaluator.load_error is not None,
            killed=evaluator.killed,
            peer_lost=evaluator.peer_lost,
        )

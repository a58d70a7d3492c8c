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
from mpi.mpi_definitions import Done, Evaluate, Message, Recall, Report, Returned, Stop, WorkerDuty
from utilities.trial import Trial


class Worker:
    """An evaluator that speaks the protocol.

    Parameters
    ----------
    duty
        Objective, folder and limits.
    threads
        This rank's share of the node's cores: so many threads the objective may use, unless the study or the user's
        environment says otherwise.
    """

    def __init__(self, duty: WorkerDuty, threads: int) -> None:
        self._evaluator = Evaluator(
            duty.objective,
            Path(duty.trials_folder),
            timeout=duty.trial_timeout,
            memory=duty.trial_memory,
            isolation=duty.isolation,
            resources=Resources(duty.threads or threads, duty.threads is not None, duty.devices),
        )
        self.trial: Trial | None = None
        self._held: deque[Trial] = deque()

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
            self._held.append(message.trial)
        elif isinstance(message, Stop):
            if self.trial is not None and self.trial.number == message.number:
                self._evaluator.request_stop()
        elif isinstance(message, Recall):
            for trial in self._held:
                if trial.number == message.number:
                    self._held.remove(trial)
                    return Returned(trial.number)
        else:
            raise TypeError(f"a worker does not expect {type(message).__name__}")
        return None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to evaluate."""
        return self.trial is None and not self._held

    def begin(self) -> None:
        """Begin the next trial that is held, where none runs."""
        if self.trial is None and self._held:
            self.trial = self._held.popleft()
            self._evaluator.start(self.trial)

    def poll(self, seconds: float) -> Message | None:
        """Wait at most `seconds` for the running trial to report or to end."""
        event = self._evaluator.poll(seconds)
        if event is None or self.trial is None:
            return None
        if isinstance(event, evaluation.Report):
            return Report(event.number, event.step, event.value)
        number, self.trial = self.trial.number, None
        return Done(number, event, unloadable=self._evaluator.load_error is not None, killed=self._evaluator.killed)

"""One trial at a time: evaluated in a child process that may crash, hang or be killed, or right here for a benchmark.

Imports neither numpy nor torch: worker ranks live on this file.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Self

import msgspec

from learning_objective.child_process import ChildMessage, ChildProcess, Done, Joined, Loaded, LoadFailed, Reported
from learning_objective.in_process import InProcess
from learning_objective.loading import LoadError
from learning_objective.meeting import Meeting, Place
from learning_objective.memory import MemoryWatch, format_bytes
from learning_objective.objective_spec import ObjectiveSpec
from learning_objective.output_log import trim
from learning_objective.resources import WHATEVER_IS_SET, Resources
from learning_objective.results import ending, from_outside, output_file, tail_of
from learning_objective.time_limit import TimeLimit
from utilities.trial import Outcome, Trial, TrialState

LOAD_SECONDS = 600.0
"""How long importing the objective may take: a thousand workers that import torch from one file server take minutes."""

_DISMISSAL_SECONDS = 2.0
_GLANCE = 0.02
_LOOK_SECONDS = 0.1
"""How often the output and the memory of a running trial are looked at."""

_UNLOADABLE = "the objective cannot be loaded"


def folder_of(trials_folder: Path, trial: Trial) -> Path:
    """A trial's own folder; that of a part of one lies in the trial's."""
    folder = trials_folder / str(trial.number)
    return folder if trial.part is None else folder / str(trial.part)


class Report(msgspec.Struct, frozen=True):
    """An intermediate value of a running trial.

    Attributes
    ----------
    number
        The trial's.
    step
        Epoch, iteration or the like.
    value
        NaN where it was not finite.
    """

    number: int
    step: int
    value: float


class Evaluator:
    """Evaluates trials, one after the other, and never fails because an objective does.

    The child process is kept from trial to trial and replaced when it died or was killed. It starts with the first
    trial, or with `warm_up`.

    Parameters
    ----------
    spec
        What to evaluate.
    trials_folder
        Each trial's own folder lies in it, named by the trial's number.
    timeout
        Seconds that a trial may take; None for no limit. Importing the objective does not count.
    isolation
        "process", or "none" to evaluate a benchmark in this process. Anything but a benchmark, and a benchmark with a
        limit, gets its process all the same.
    resources
        Threads and GPUs that the objective may use. Evaluated in this process, it gets them as far as its libraries are
        not loaded yet.
    grace
        Seconds between asking a trial that exceeded its timeout to end, and killing it.
    memory
        Bytes that a trial's process may have, with all that it started; None for no limit. What importing the objective
        takes counts.
    place
        Which rank this is of a worker of several; None where one process evaluates.
    listener
        Descriptor at which the first of them waits for the others.

    Attributes
    ----------
    load_error : str or None
        Why the objective cannot be loaded, the reason on the first line, if the latest attempt to load it failed: no
        trial can succeed then.
    killed : bool
        Whether the latest outcome is of a trial whose process was killed from outside: by the kernel for want of
        memory, by an administrator, by the batch system.
    peer_lost : bool
        Whether the latest outcome is a failure that comes of another rank of the worker, which left the trial.
    """

    def __init__(
        self,
        spec: ObjectiveSpec,
        trials_folder: Path,
        timeout: float | None = None,
        isolation: str = "process",
        resources: Resources = WHATEVER_IS_SET,
        grace: float = 5.0,
        memory: int | None = None,
        place: Place | None = None,
        listener: int | None = None,
    ) -> None:
        self._spec = spec
        self._trials_folder = trials_folder.absolute()
        self._timeout = math.inf if timeout is None else timeout
        self._resources = resources
        self._limit = TimeLimit(grace)
        self._place, self._listener = place, listener
        limited = timeout is not None or memory is not None
        here = isolation == "none" and spec.benchmark is not None and not limited and place is None
        self._here = InProcess(spec, resources) if here else None
        self._child: ChildProcess | None = None
        self._loaded = False
        self._trial: Trial | None = None
        self._outcome: Outcome | None = None
        self._memory = None if memory is None else MemoryWatch(memory)
        self._next_look = 0.0
        self.load_error: str | None = None
        self.killed = self.peer_lost = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def warm_up(self) -> None:
        """Start the child process and let it load the objective, without waiting for it."""
        if self._here or self._child is not None:
            return
        self._child = ChildProcess(self._resources, () if self._listener is None else (self._listener,))
        self._loaded = False
        self._child.send({"type": "load", **self._spec.as_message()})
        self._limit.begin(LOAD_SECONDS, f"importing it took more than {LOAD_SECONDS:g} s")

    def load(self) -> str | None:
        """Load the objective and wait for it: None, or why it cannot be loaded."""
        self.warm_up()
        while self._child is not None and not self._loaded:
            self.poll(_GLANCE)
        return self.load_error

    def start(self, trial: Trial, meeting: Meeting | None = None) -> None:
        """Begin to evaluate a trial; `poll` brings what comes of it.

        Parameters
        ----------
        trial
            The trial.
        meeting
            Where the ranks of a worker of several meet.

        Raises
        ------
        RuntimeError
            The previous trial has not ended.
        OSError
            No process can be started.
        """
        if self._trial is not None:
            raise RuntimeError(f"trial {trial.number} was started before trial {self._trial.number} ended")
        if self._here is not None:
            self._trial, self._outcome = trial, self._evaluate_here(trial, self._here)
            return
        if self._child is not None and self._child.gone():
            self.kill()
        self.warm_up()
        self._trial, self.killed, self.peer_lost = trial, False, False
        if self._loaded:
            self._limit_start()
        together = meeting and self._place and meeting.as_message(self._place, self._listener)
        where = {"folder": str(self._folder(trial)), "devices": self._resources.devices, "together": together}
        self._send({"type": "evaluate", **msgspec.structs.asdict(trial), **where})

    def poll(self, seconds: float) -> Outcome | Report | None:
        """Wait for the running trial to report or to end.

        Parameters
        ----------
        seconds
            How long to wait at most; 0 only looks.

        Returns
        -------
        Outcome, Report or None
            None where nothing happened in that time, or nothing runs.
        """
        if self._outcome is not None:
            return self._ended(self._outcome)
        until = time.monotonic() + seconds
        while self._child is not None:
            event = self._advance(self._child)
            now = time.monotonic()
            if event is not None or now >= until:
                return event
            if self._child is not None:
                self._child.wait(min(until, self._limit.deadline, self._next_look if self._trial else until) - now)
        return None

    @property
    def group(self) -> int | None:
        """Process group of the child process; None while there is none."""
        return None if self._child is None else self._child.group

    def request_stop(self) -> None:
        """Ask the running trial to end early: its ``should_stop()`` says True, a command gets SIGTERM."""
        if self._trial is not None:
            self._send({"type": "stop", "number": self._trial.number})

    def kill(self) -> None:
        """Abandon whatever runs, at once, with every process it started. There will be no outcome."""
        if self._child is not None:
            self._child.end()
        self._child = self._trial = self._outcome = None

    def close(self) -> None:
        """End the child process: at once while it evaluates, after its exit handlers otherwise."""
        if self._child is not None and self._trial is None and self._loaded:
            self._child.dismiss(_DISMISSAL_SECONDS)
            self._child = None
        self.kill()

    def _folder(self, trial: Trial) -> Path:
        return folder_of(self._trials_folder, trial)

    def _output(self, trial: Trial) -> Path:
        return self._folder(trial) / output_file(0 if self._place is None else self._place.rank)

    def _send(self, message: dict[str, Any]) -> None:
        if self._child is not None:
            self._child.send(message)

    def _limit_start(self) -> None:
        """Limit the trial; where ranks have to meet first, that does not count."""
        if self._place is None:
            self._limit_trial()
        else:
            self._limit.begin(LOAD_SECONDS, f"the worker's other ranks did not come within {LOAD_SECONDS:g} s")

    def _limit_trial(self) -> None:
        self._limit.begin(self._timeout, f"exceeded trial_timeout of {self._timeout:g} s")

    def _evaluate_here(self, trial: Trial, here: InProcess) -> Outcome:
        try:
            return here.evaluate(trial, self._folder(trial))
        except LoadError as error:
            self.load_error = str(error)
            return Outcome(TrialState.FAIL, message=f"{_UNLOADABLE}: {error}")

    def _advance(self, child: ChildProcess) -> Outcome | Report | None:
        """Act on one thing that happened to the child, if anything did."""
        if (ended := self._look_at(child)) is not None:
            return ended
        message = child.receive()
        if message is None and child.gone():
            message = child.receive()  # what it wrote between the two looks
            if message is None:
                return self._after_end(child)
        if message is None:
            return self._enforce_limit(child)
        event = self._act_on(message)
        return (self._hurry(child) or event) if isinstance(message, Reported) else event

    def _hurry(self, child: ChildProcess) -> Outcome | None:
        """Keep the time limit of a trial that reports on and on."""
        return self._enforce_limit(child) if self._limit.overtaken() else None

    def _look_at(self, child: ChildProcess) -> Outcome | None:
        """Bound the output and the memory of a running trial."""
        now = time.monotonic()
        if self._trial is None or now < self._next_look:
            return None
        self._next_look = now + _LOOK_SECONDS
        child.trim_early_output()
        if self._loaded:
            self._trim(self._trial)
        held = None if self._memory is None or self._limit.exceeded else self._memory.excess(child.group)
        if held is None or self._memory is None:
            return None
        why = f"exceeded trial_memory of {format_bytes(self._memory.limit)} (it had {format_bytes(held)})"
        return self._failed(why if self._loaded else f"while it was imported, it {why}\n{child.early_output()}")

    def _act_on(self, message: ChildMessage) -> Outcome | Report | None:
        match message:
            case Loaded() if not self._loaded:
                self._loaded, self.load_error = True, None
                if self._trial is None:
                    self._limit.lift()
                else:
                    self._limit_start()
            case Joined(number) if self._runs(number) and not self._limit.exceeded:
                self._limit_trial()
            case LoadFailed(text):
                return self._cannot_load(text)
            case Reported(number, step, value) if self._runs(number) and not self._limit.exceeded:
                return Report(number, step, math.nan if value is None else value)
            case Done(number, state, objective, metrics, text, killed, spent, peer_lost) if self._runs(number):
                if self._limit.exceeded:
                    return self._failed(self._limit.exceeded)
                self.killed, self.peer_lost = killed, peer_lost
                self._trim(self._trial)
                outcome = Outcome(TrialState(state), objective, metrics, self._limit.seconds, text)
                if spent:
                    self.kill()
                return self._ended(outcome)
        return None

    def _runs(self, number: int) -> bool:
        """Whether that trial runs: a thread that an earlier one left behind may still report."""
        return self._trial is not None and self._trial.number == number

    def _after_end(self, child: ChildProcess) -> Outcome | None:
        early = child.early_output()
        status = child.end()
        self._child = None
        if self._limit.exceeded:
            why = self._limit.exceeded
        elif status is None:
            why = "the objective's process closed its connection to the worker"
        else:
            why = f"the objective's process {ending(status)}"
            self.killed = from_outside(status)
        if self._loaded:
            return self._failed(why)
        why = f"{why}\n{early}".rstrip()
        return self._failed(f"while it was imported, {why}") if self.killed else self._cannot_load(why)

    def _enforce_limit(self, child: ChildProcess) -> Outcome | None:
        if not self._limit.over:
            return None
        if self._limit.exceeded:
            return self._after_end(child)
        child.terminate()
        self._limit.exceed()
        return None

    def _cannot_load(self, why: str) -> Outcome | None:
        self.load_error = why
        return self._failed(f"{_UNLOADABLE}: {why}")

    def _failed(self, message: str) -> Outcome | None:
        """The running trial failed, and its process is of no more use."""
        trial, seconds = self._trial, self._limit.seconds
        self.kill()
        self._trim(trial)
        if trial is None:
            return None
        output = tail_of(self._output(trial)) if self._loaded else ""
        return Outcome(TrialState.FAIL, seconds=seconds, message=f"{message}\n{output}".rstrip())

    def _trim(self, trial: Trial | None) -> None:
        if trial is not None:
            trim(self._output(trial))

    def _ended(self, outcome: Outcome) -> Outcome:
        self._trial = self._outcome = None
        self._limit.lift()
        return outcome

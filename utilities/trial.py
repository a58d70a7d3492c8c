"""A trial and its outcome: what the optimiser proposes, what a worker evaluates, what the journal keeps.

None of these can be part of a cycle, so the garbage collector has no need to look at them: there may be very many.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

Value: TypeAlias = bool | int | float | str
"""What a parameter can be set to."""

Config: TypeAlias = dict[str, Value]
"""A configuration: active parameters only, by name."""


Instance: TypeAlias = int | float | str | None
"""A data period, a fold or a seed that configurations are evaluated on, by its name; None where there is none."""


class TrialState(StrEnum):
    """State of a trial, by Optuna's names."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAIL = "FAIL"


class Trial(msgspec.Struct, frozen=True, gc=False):
    """A configuration to be evaluated.

    Attributes
    ----------
    number
        Consecutive from 0 within a study.
    config
        Value of each active parameter.
    seed
        Seed for the objective's own randomness, the same whenever this trial is evaluated again.
    budget
        Fidelity at which to evaluate; None means full.
    instance
        Data period, fold or the like at which to evaluate; None where the study has none, and of a trial as a whole.
    part
        Place of this evaluation among those of a trial that has one on each instance; None likewise.
    """

    number: int
    config: Config
    seed: int = 0
    budget: float | None = None
    instance: Instance = None
    part: int | None = None


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What came of evaluating a trial.

    Attributes
    ----------
    state
        COMPLETE, PRUNED or FAIL.
    objective
        The value to optimise in the user's own direction; None unless COMPLETE (or PRUNED with a value).
    metrics
        Further numbers that the objective returned.
    seconds
        Wall time of the evaluation.
    message
        Why it failed: one line of reason first, then the traceback or the tail of the output.
    standard_error
        Of the objective, where it is a mean over instances.
    """

    state: TrialState
    objective: float | None = None
    metrics: dict[str, float] = {}
    seconds: float = 0.0
    message: str = ""
    standard_error: float | None = None

    @property
    def reason(self) -> str:
        """First line of the message."""
        return self.message.partition("\n")[0]


class Loss(msgspec.Struct, frozen=True, gc=False):
    """An evaluation that came to nothing by no fault of the trial.

    Attributes
    ----------
    worker
        Rank that evaluated it, and its host.
    reason
        Why: the worker was lost, the process killed.
    time
        Seconds since the epoch.
    part
        Which of a trial's evaluations it was; None where it has one alone.
    """

    worker: str
    reason: str
    time: float
    part: int | None = None


class TrialRecord(msgspec.Struct, gc=False):
    """Everything the run knows of one trial.

    Attributes
    ----------
    trial
        The trial itself.
    origin
        Where the configuration came from: "initial" (space-filling design), "model", "enqueued", or the method's name.
    outcome
        None while it waits or runs.
    worker
        Rank that evaluated it, and its host: ``3@node7``; empty before it started.
    started, completed
        Seconds since the epoch.
    losses
        Evaluations of it that were lost.
    parts
        Outcomes of its evaluations on instances, by their place; empty where the study has no instances.
    """

    trial: Trial
    origin: str
    outcome: Outcome | None = None
    worker: str = ""
    started: float | None = None
    completed: float | None = None
    losses: list[Loss] = []
    parts: dict[int, Outcome] = {}

    @property
    def state(self) -> TrialState:
        """WAITING, RUNNING, or the outcome's state."""
        if self.outcome is not None:
            return self.outcome.state
        return TrialState.WAITING if self.started is None else TrialState.RUNNING

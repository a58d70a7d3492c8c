"""A trial and its outcome: what the optimiser proposes, what a worker evaluates, what the journal keeps.

None of these can be part of a cycle, so the garbage collector has no need to look at them: there may be very many.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias

import msgspec

from utilities.budgets import Budget

Value: TypeAlias = bool | int | float | str
"""What a parameter can be set to."""

Config: TypeAlias = dict[str, Value]
"""A configuration: active parameters only, by name."""


Instance: TypeAlias = int | float | str | None
"""A data period, a fold or a seed that configurations are evaluated on, by its name; None where there is none."""


class TrialState(StrEnum):
    """State of a trial, by Optuna's names; PAUSED, between two budgets, is none of them."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
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
        What this evaluation may use in all, that of the earlier ones included; None in a study without budgets.
    previous_budget
        With how much it was evaluated before; 0 at first.
    instance
        Data period, fold or the like at which to evaluate; None where the study has none, and of a trial as a whole.
    part
        Place of this evaluation among those of a trial that has one on each instance; None likewise.
    """

    number: int
    config: Config
    seed: int = 0
    budget: Budget | None = None
    previous_budget: Budget = 0
    instance: Instance = None
    part: int | None = None

    @property
    def resumed(self) -> bool:
        """Whether it goes on from what an evaluation with a smaller budget left."""
        return self.previous_budget > 0


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


class Rung(msgspec.Struct, frozen=True, gc=False):
    """An evaluation of a trial with less than the full budget.

    Attributes
    ----------
    budget
        With which it was evaluated.
    outcome
        COMPLETE, and what it came to.
    worker, started, completed
        As of `TrialRecord`.
    """

    budget: Budget
    outcome: Outcome
    worker: str
    started: float | None
    completed: float


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
    rungs
        Its evaluations with smaller budgets, by ascending budget.
    promoted
        The trial as it was last promoted to a larger budget; None before.
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
    rungs: tuple[Rung, ...] = ()
    promoted: Trial | None = None

    @property
    def evaluation(self) -> Trial:
        """The trial with the budgets of its latest evaluation, which may be still to come."""
        latest = self.promoted or self.trial
        if self.rungs and self.rungs[-1].budget > (latest.budget or 0):
            return msgspec.structs.replace(latest, budget=self.rungs[-1].budget)  # its promotion is lost
        return latest

    @property
    def budget(self) -> Budget | None:
        """Of its latest evaluation; None in a study without budgets."""
        return self.evaluation.budget

    @property
    def paused(self) -> bool:
        """Whether it waits to be promoted: its latest evaluation ended at a smaller budget than the full one."""
        return self.outcome is None and bool(self.rungs) and self.rungs[-1].budget == self.budget

    @property
    def begun(self) -> float | None:
        """When its first evaluation began, in seconds since the epoch."""
        return self.rungs[0].started if self.rungs else self.started

    @property
    def state(self) -> TrialState:
        """WAITING, RUNNING, PAUSED, or the outcome's state."""
        if self.outcome is not None:
            return self.outcome.state
        if self.paused:
            return TrialState.PAUSED
        return TrialState.WAITING if self.started is None else TrialState.RUNNING


class Incumbent(NamedTuple):
    """The best trial so far: its objective is in the user's own direction."""

    number: int
    objective: float
    config: Config


class Prediction(NamedTuple):
    """Where the posterior mean is best, and what is predicted there: mean and standard deviation, user's units."""

    objective: float
    sd: float
    config: Config

"""The status of a run at one moment, as displays show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from utilities.budgets import Budget
from utilities.display.text import clean, counted, listed, number
from utilities.trial import TrialState, Value


@dataclass(frozen=True, slots=True)
class ShownTrial:
    """A trial as displays show it.

    Attributes
    ----------
    number
        Number of the trial.
    config
        Its active parameters.
    state
        How it ended.
    objective
        Its value in the user's direction; None where it has none.
    values
        Those of several objectives.
    feasible
        Whether it keeps the constraints on metrics.
    budget
        With which it was evaluated; None in a study without budgets.
    """

    number: int
    config: Mapping[str, Value]
    state: TrialState = TrialState.COMPLETE
    objective: float | None = None
    values: tuple[float, ...] = ()
    feasible: bool = True
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class ShownFront:
    """The trials that no other dominates, as displays show them.

    Attributes
    ----------
    names
        Of the objectives.
    size
        Number of these trials.
    ideal
        Best value of each objective among them; empty where there is none.
    """

    names: tuple[str, ...]
    size: int
    ideal: tuple[float, ...]

    def __str__(self) -> str:
        """Size, and the best of each objective."""
        best = (f"best {clean(name)} {number(value)}" for name, value in zip(self.names, self.ideal, strict=False))
        return listed([counted(self.size, "trial"), *best])


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What one worker does.

    Attributes
    ----------
    rank
        MPI rank, 0 in a run of one process.
    host
        Name of its machine.
    trial
        Number of the trial it evaluates; None while idle.
    seconds
        Time since that trial began, in seconds.
    devices
        Names of the GPUs that it got.
    """

    rank: int
    host: str
    trial: int | None = None
    seconds: float = 0.0
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A run at one moment.

    Attributes
    ----------
    study
        Name of the study.
    method
        Method of proposal, such as "gp".
    done
        Trials ended, whatever their state, those of an earlier run of the same study included.
    budget
        Trials to be ended; None where only time limits the run.
    elapsed
        Seconds since the start.
    time_limit
        Seconds after which the run stops; None without limit.
    seconds_left
        Estimated seconds to the end; None where unknown.
    running
        Trials under evaluation.
    states
        Ended trials by state.
    direction
        "minimize" or "maximize".
    best
        The incumbent; None before the first success, and with several objectives.
    front
        Of several objectives; None with a single one.
    busy_fraction
        Share of the workers' time spent on evaluations so far, in [0, 1]; None where unknown.
    workers
        Every worker, in order of rank.
    recent
        The last few trials that ended, the latest first.
    phase
        "initial design", "model" or "finishing".
    surrogate
        One line on the surrogate; may be empty.
    failures
        Number of failed trials by reason.
    """

    study: str
    method: str
    done: int
    budget: int | None
    elapsed: float
    time_limit: float | None = None
    seconds_left: float | None = None
    running: int = 0
    states: Mapping[TrialState, int] = field(default_factory=dict)
    direction: str = "minimize"
    best: ShownTrial | None = None
    front: ShownFront | None = None
    busy_fraction: float | None = None
    workers: tuple[WorkerStatus, ...] = ()
    recent: tuple[ShownTrial, ...] = ()
    phase: str = ""
    surrogate: str = ""
    failures: tuple[tuple[str, int], ...] = ()

    @property
    def fraction(self) -> float | None:
        """Share of the budget used, in [0, 1]: of the trials, or of the time where only time is limited."""
        return fraction_used(self.done, self.budget, self.elapsed, self.time_limit)


def fraction_used(done: int, budget: int | None, elapsed: float, time_limit: float | None) -> float | None:
    """Share of `budget` trials or, without one, of `time_limit` seconds that is used; None where neither limits."""
    if budget is not None:
        return min(done / budget, 1.0)
    return min(elapsed / time_limit, 1.0) if time_limit else None

"""The whole loop in one call, for objectives that can be evaluated where they stand."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from utilities.errors import SpaceExhaustedError
from utilities.goals import OBJECTIVE, Goals
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.standing import FrontTrial, Incumbent, Prediction
from utilities.trial import Config, TrialRecord, TrialState
from utilities.trial import Outcome as _Outcome

Returned: TypeAlias = float | Sequence[float] | Mapping[str, float]
"""What an objective may return."""


class Result(NamedTuple):
    """What a call of `minimize` found.

    Attributes
    ----------
    best
        Best trial: number, objective, config; None where none is feasible, and of several objectives.
    predicted_best
        Minimiser of the posterior mean; None without a model, and of several objectives.
    records
        Every trial with its outcome, in order.
    best_trials
        Trials that no other dominates: number, values, config; of a single objective the best.
    """

    best: Incumbent | None
    predicted_best: Prediction | None
    records: list[TrialRecord]
    best_trials: list[FrontTrial]


def minimize(
    objective: Callable[[Config], Returned],
    space: Space | Mapping[str, Any],
    budget: int,
    method: str = "auto",
    seed: int = 0,
    *,
    directions: Sequence[str] | None = None,
    objectives: Sequence[str] | None = None,
    metric_constraints: Sequence[str] | None = None,
    acquisition: str | None = None,
    kappa: float | None = None,
    enqueue: Iterable[Mapping[str, Any]] = (),
    catch: tuple[type[Exception], ...] = (),
    callback: Callable[[TrialRecord], None] | None = None,
) -> Result:
    """Minimise `objective` over `space` in this process, one trial after the other.

    Parameters
    ----------
    objective
        Takes a configuration (a dict of the active parameters) and returns a number; of several objectives, a sequence
        of their values, or a dict with these by their names. A dict may hold further metrics. What is not finite, or
        lacks a metric, is a failed trial.
    space
        A Space, or the ``[space]`` table of a study file as a dict.
    budget
        Number of trials, above 0.
    method, seed, directions, objectives, metric_constraints, acquisition, kappa
        As of Optimizer. ``seconds`` in a constraint is the wall time of a call that returns no such metric.
    enqueue
        Configurations, whole or in part, that come first.
    catch
        Exceptions of the objective that count as a failed trial; others end the call.
    callback
        Called with the record of each trial as it ends.

    Raises
    ------
    StudyError
        The space, a setting of the optimiser or a configuration of `enqueue` is wrong.
    ValueError
        The budget is not above 0.
    """
    if budget <= 0:
        raise ValueError(f"budget must be above 0; got {budget}")
    optimizer = Optimizer(
        space,
        method,
        seed,
        directions=directions,
        objectives=objectives,
        metric_constraints=metric_constraints,
        acquisition=acquisition,
        kappa=kappa,
    )
    for config in enqueue:
        optimizer.enqueue(config)
    records: list[TrialRecord] = []
    for _ in range(budget):
        try:
            trial = optimizer.ask()
        except SpaceExhaustedError:
            break
        outcome = _evaluate(objective, trial.config, optimizer.goals, catch)
        optimizer.tell_outcome(trial, outcome)
        records.append(TrialRecord(trial, optimizer.origins[trial.number], outcome))
        if callback is not None:
            callback(records[-1])
    return Result(optimizer.best, optimizer.predicted_best(), records, optimizer.best_trials)


def _evaluate(
    objective: Callable[[Config], Returned], config: Config, goals: Goals, catch: tuple[type[Exception], ...]
) -> _Outcome:
    began = time.perf_counter()
    try:
        returned = objective(dict(config))
        seconds = time.perf_counter() - began
        known = _by_name(returned, goals)
    except catch as error:
        return _Outcome(TrialState.FAIL, message=f"{type(error).__name__}: {error}")
    value = known.pop(OBJECTIVE, None)
    outcome = _Outcome(TrialState.COMPLETE, value, known, seconds)
    metrics = goals.metrics_of(outcome)
    for name in goals.targets:
        if name not in metrics:
            return _Outcome(TrialState.FAIL, message=f'objective returned no "{name}" (it has {", ".join(metrics)})')
        if not math.isfinite(metrics[name]):
            of = "" if name == OBJECTIVE else f' for "{name}"'
            return _Outcome(TrialState.FAIL, message=f"objective returned {metrics[name]}{of}")
    return outcome


def _by_name(returned: Returned, goals: Goals) -> dict[str, float]:
    """Numbers that an objective returned, by name."""
    if isinstance(returned, Mapping):
        return {str(name): float(value) for name, value in returned.items()}
    return dict(zip(goals.names, goals.check_values(returned), strict=True))

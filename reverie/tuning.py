"""The whole loop in one call, for objectives that can be evaluated where they stand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from utilities.budgets import Fidelity
from utilities.errors import SpaceExhaustedError
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.trial import Incumbent, Prediction, Rung, Trial, TrialRecord, TrialState
from utilities.trial import Outcome as _Outcome


class Result(NamedTuple):
    """What a call of `minimize` found.

    Attributes
    ----------
    best
        Best trial: number, objective, config; None where none succeeded.
    predicted_best
        Minimiser of the posterior mean; None without a model.
    records
        Every trial with its outcome, in order.
    """

    best: Incumbent | None
    predicted_best: Prediction | None
    records: list[TrialRecord]


def minimize(
    objective: Callable[..., float],
    space: Space | Mapping[str, Any],
    budget: int,
    method: str = "auto",
    seed: int = 0,
    *,
    acquisition: str | None = None,
    kappa: float | None = None,
    fidelity: Fidelity | Mapping[str, Any] | None = None,
    enqueue: Iterable[Mapping[str, Any]] = (),
    catch: tuple[type[Exception], ...] = (),
    callback: Callable[[TrialRecord], None] | None = None,
) -> Result:
    """Minimise `objective` over `space` in this process, one trial after the other.

    Parameters
    ----------
    objective
        Takes a configuration (a dict of the active parameters) and returns a number. One that is not finite is a failed
        trial. With `fidelity` it takes the trial, too, ``objective(config, trial)``: its ``number``, ``seed``, and
        ``budget``, what it may use in all, the ``previous_budget`` of its last evaluation included.
    space
        A Space, or the ``[space]`` table of a study file as a dict.
    budget
        Number of trials, above 0.
    method, seed, acquisition, kappa
        As of Optimizer.
    fidelity
        Budgets, such as ``{"low": 1, "high": 27}``, as of Optimizer. A trial begins with the least, and goes on once it
        is among the best 1 in ``eta`` there.
    enqueue
        Configurations, whole or in part, that come first.
    catch
        Exceptions of the objective that count as a failed trial; others end the call.
    callback
        Called with the record of each trial as it ends; with those that are never promoted, at the end.

    Raises
    ------
    StudyError
        The space, a setting of the optimiser, the fidelity or a configuration of `enqueue` is wrong.
    ValueError
        The budget is not above 0.
    """
    if budget <= 0:
        raise ValueError(f"budget must be above 0; got {budget}")
    optimizer = Optimizer(space, method, seed, acquisition=acquisition, kappa=kappa, fidelity=fidelity)
    for config in enqueue:
        optimizer.enqueue(config)
    records: dict[int, TrialRecord] = {}
    while (trial := _next(optimizer, budget)) is not None:
        arguments = (dict(trial.config),) if fidelity is None else (dict(trial.config), trial)
        outcome = _evaluate(objective, arguments, catch)
        optimizer.tell_outcome(trial, outcome)
        record = records.setdefault(trial.number, TrialRecord(trial, optimizer.origins[trial.number]))
        _note(record, trial, outcome, paused=optimizer.rungs is not None and optimizer.rungs.is_paused(trial.number))
        if callback is not None and record.outcome is not None:
            callback(record)
    for record in records.values():
        if record.paused:
            record.outcome = replace(record.rungs[-1].outcome, state=TrialState.PRUNED)
            if callback is not None:
                callback(record)
    return Result(optimizer.best, optimizer.predicted_best(), list(records.values()))


def _next(optimizer: Optimizer, budget: int) -> Trial | None:
    """Trial to evaluate next, of `budget` in all; None where nothing is left to do."""
    if optimizer.asked < budget:
        try:
            return optimizer.ask()
        except SpaceExhaustedError:
            pass
    return optimizer.promote(last=True)


def _note(record: TrialRecord, trial: Trial, outcome: _Outcome, *, paused: bool) -> None:
    if trial.resumed:
        record.promoted = trial
    if paused and trial.budget is not None:
        record.rungs = (*record.rungs, Rung(trial.budget, outcome, "", None, time.time()))
    else:
        record.outcome = outcome


def _evaluate(
    objective: Callable[..., float], arguments: tuple[object, ...], catch: tuple[type[Exception], ...]
) -> _Outcome:
    try:
        value = float(objective(*arguments))
    except catch as error:
        return _Outcome(TrialState.FAIL, message=f"{type(error).__name__}: {error}")
    if value - value != 0.0:
        return _Outcome(TrialState.FAIL, message=f"objective returned {value}")
    return _Outcome(TrialState.COMPLETE, value)

"""The whole loop in one call, for objectives that can be evaluated where they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from utilities.errors import SpaceExhaustedError
from utilities.incumbent import Incumbent, Prediction
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.trial import Config, TrialRecord, TrialState
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
    objective: Callable[[Config], float],
    space: Space | Mapping[str, Any],
    budget: int,
    method: str = "auto",
    seed: int = 0,
    *,
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
        Takes a configuration (a dict of the active parameters) and returns a number. One that is not finite is a failed
        trial.
    space
        A Space, or the ``[space]`` table of a study file as a dict.
    budget
        Number of trials, above 0.
    method, seed, acquisition, kappa
        As of Optimizer.
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
    optimizer = Optimizer(space, method, seed, acquisition=acquisition, kappa=kappa)
    for config in enqueue:
        optimizer.enqueue(config)
    records: list[TrialRecord] = []
    for _ in range(budget):
        try:
            trial = optimizer.ask()
        except SpaceExhaustedError:
            break
        outcome = _evaluate(objective, trial.config, catch)
        optimizer.tell_outcome(trial, outcome)
        records.append(TrialRecord(trial, optimizer.origins[trial.number], outcome))
        if callback is not None:
            callback(records[-1])
    return Result(optimizer.best, optimizer.predicted_best(), records)


def _evaluate(objective: Callable[[Config], float], config: Config, catch: tuple[type[Exception], ...]) -> _Outcome:
    try:
        value = float(objective(dict(config)))
    except catch as error:
        return _Outcome(TrialState.FAIL, message=f"{type(error).__name__}: {error}")
    if value - value != 0.0:
        return _Outcome(TrialState.FAIL, message=f"objective returned {value}")
    return _Outcome(TrialState.COMPLETE, value)

"""The whole loop in one call, for objectives that can be evaluated where they stand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from reverie.executors import Executor, evaluate, next_trial, run_on, worker_count
from utilities.budgets import Fidelity
from utilities.incumbents import FrontTrial
from utilities.optimizer import Optimizer
from utilities.returned import Returned
from utilities.space import Space
from utilities.trial import Incumbent, Outcome, Prediction, Rung, Trial, TrialRecord, TrialState


class Result(NamedTuple):
    """What a call of `minimize` found.

    Attributes
    ----------
    best
        Best trial: number, objective, config; None where none is feasible, and of several objectives.
    predicted_best
        Minimiser of the posterior mean; None without a model, and of several objectives.
    records
        Every trial with its outcome, in the order in which they ended.
    best_trials
        Trials that no other dominates: number, values, config; of a single objective the best.
    """

    best: Incumbent | None
    predicted_best: Prediction | None
    records: list[TrialRecord]
    best_trials: list[FrontTrial]


def minimize(
    objective: Callable[..., Returned],
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
    stages: Sequence[Mapping[str, Any]] = (),
    fidelity: Fidelity | Mapping[str, Any] | None = None,
    enqueue: Iterable[Mapping[str, Any]] = (),
    catch: tuple[type[Exception], ...] = (),
    callback: Callable[[TrialRecord], None] | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
) -> Result:
    """Minimise `objective` over `space`: one trial after the other in this process, or many at once on an executor.

    On an executor, such as a pool of threads, of processes, of MPI ranks (`mpi4py.futures.MPIPoolExecutor`) or of
    Dask's, as many trials run as it has workers, and each that ends is followed by a new proposal. The order in which
    trials end then decides what is proposed.

    Parameters
    ----------
    objective
        Takes a configuration (a dict of the active parameters) and returns a number; of several objectives, a sequence
        of their values, or a dict with these by their names. A dict may hold further metrics. What is not finite, or
        lacks a metric, is a failed trial. With `fidelity` it takes the trial, too, ``objective(config, trial)``: its
        ``number``, ``seed``, and ``budget``, what it may use in all, the ``previous_budget`` of its last evaluation
        included.
    space
        A Space, or the ``[space]`` table of a study file as a dict.
    budget
        Number of trials, above 0.
    method, seed, directions, objectives, metric_constraints, acquisition, kappa, stages
        As of Optimizer. ``seconds`` in a constraint is the wall time of a call that returns no such metric.
    fidelity
        Budgets, such as ``{"low": 1, "high": 27}``, as of Optimizer. A trial begins with the least, and goes on once it
        is among the best 1 in ``eta`` there.
    enqueue
        Configurations, whole or in part, that come first.
    catch
        Exceptions of the objective that count as a failed trial; others end the call.
    callback
        Called with the record of each trial as it ends; with those that are never promoted, at the end.
    executor
        Of `concurrent.futures`, or of the same interface; it is not shut down in the end. The objective must be such as
        it takes: importable, where it pickles.
    workers
        Trials that the executor evaluates at once; None where it says so itself.

    Raises
    ------
    StudyError
        The space, a setting of the optimiser, the fidelity or a configuration of `enqueue` is wrong.
    TypeError
        The executor cannot submit.
    ValueError
        The budget is not above 0, or the number of workers is not known.

    Notes
    -----
    Where an executor is used, KeyboardInterrupt cancels the trials that have not begun, and what has ended is returned.
    Any other exception that is not of `catch` cancels them and is raised.
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
        stages=stages,
        fidelity=fidelity,
    )
    for config in enqueue:
        optimizer.enqueue(config)
    records = _Records(optimizer, callback)
    if executor is not None:
        run_on(executor, worker_count(executor, workers), optimizer, objective, budget, catch, records.note)
    elif workers is not None:
        raise ValueError(f"workers needs an executor; got workers = {workers} alone")
    else:
        while (trial := next_trial(optimizer, budget, last=True)) is not None:
            outcome = evaluate(objective, trial, optimizer.goals.expected, catch)
            optimizer.tell_outcome(trial, outcome)
            records.note(trial, outcome)
    records.conclude()
    return Result(optimizer.best, optimizer.predicted_best(), records.ended, optimizer.best_trials)


class _Records:
    """Records of the trials, in the order in which they ended."""

    def __init__(self, optimizer: Optimizer, callback: Callable[[TrialRecord], None] | None) -> None:
        self._optimizer, self._callback = optimizer, callback
        self._all: dict[int, TrialRecord] = {}
        self.ended: list[TrialRecord] = []

    def note(self, trial: Trial, outcome: Outcome) -> None:
        """Note the outcome of an evaluation that the optimiser was told of."""
        record = self._all.setdefault(trial.number, TrialRecord(trial, self._optimizer.origins[trial.number]))
        if trial.resumed:
            record.promoted = trial
        rungs = self._optimizer.rungs
        if trial.budget is not None and rungs is not None and rungs.is_paused(trial.number):
            record.rungs = (*record.rungs, Rung(trial.budget, outcome, "", None, time.time()))
        else:
            self._end(record, outcome)

    def conclude(self) -> None:
        """End the trials that are never promoted."""
        for record in self._all.values():
            if record.paused:
                self._end(record, replace(record.rungs[-1].outcome, state=TrialState.PRUNED))

    def _end(self, record: TrialRecord, outcome: Outcome) -> None:
        record.outcome = outcome
        self.ended.append(record)
        if self._callback is not None:
            self._callback(record)

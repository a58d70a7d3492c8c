"""The whole loop in one call, for objectives that can be evaluated where they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from reverie.executors import Executor, evaluate, run_on, worker_count
from utilities.errors import SpaceExhaustedError
from utilities.optimizer import Incumbent, Optimizer, Prediction
from utilities.space import Space
from utilities.trial import Config, Outcome, Trial, TrialRecord


class Result(NamedTuple):
    """What a call of `minimize` found.

    Attributes
    ----------
    best
        Best trial: number, objective, config; None where none succeeded.
    predicted_best
        Minimiser of the posterior mean; None without a model.
    records
        Every trial with its outcome, in the order in which they ended.
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
    stages: Sequence[Mapping[str, Any]] = (),
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
        Takes a configuration (a dict of the active parameters) and returns a number. One that is not finite is a failed
        trial.
    space
        A Space, or the ``[space]`` table of a study file as a dict.
    budget
        Number of trials, above 0.
    method, seed, acquisition, kappa, stages
        As of Optimizer.
    enqueue
        Configurations, whole or in part, that come first.
    catch
        Exceptions of the objective that count as a failed trial; others end the call.
    callback
        Called with the record of each trial as it ends.
    executor
        Of `concurrent.futures`, or of the same interface; it is not shut down in the end. The objective must be such as
        it takes: importable, where it pickles.
    workers
        Trials that the executor evaluates at once; None where it says so itself.

    Raises
    ------
    StudyError
        The space, a setting of the optimiser or a configuration of `enqueue` is wrong.
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
    optimizer = Optimizer(space, method, seed, acquisition=acquisition, kappa=kappa, stages=stages)
    for config in enqueue:
        optimizer.enqueue(config)
    records: list[TrialRecord] = []

    def note(trial: Trial, outcome: Outcome) -> None:
        records.append(TrialRecord(trial, optimizer.origins[trial.number], outcome))
        if callback is not None:
            callback(records[-1])

    if executor is not None:
        run_on(executor, worker_count(executor, workers), optimizer, objective, budget, catch, note)
    elif workers is not None:
        raise ValueError(f"workers needs an executor; got workers = {workers} alone")
    else:
        _run(optimizer, objective, budget, catch, note)
    return Result(optimizer.best, optimizer.predicted_best(), records)


def _run(
    optimizer: Optimizer,
    objective: Callable[[Config], float],
    budget: int,
    catch: tuple[type[Exception], ...],
    note: Callable[[Trial, Outcome], None],
) -> None:
    """Evaluate `budget` trials one after the other."""
    for _ in range(budget):
        try:
            trial = optimizer.ask()
        except SpaceExhaustedError:
            return
        outcome = evaluate(objective, trial.config, catch)
        optimizer.tell_outcome(trial, outcome)
        note(trial, outcome)

"""Trials on any executor of `concurrent.futures`, or of the same interface.

A worker imports this file for `evaluate`: no numerics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from utilities.errors import SpaceExhaustedError
from utilities.returned import Expected, Returned
from utilities.trial import Outcome, Trial, TrialState

if TYPE_CHECKING:
    from utilities.optimizer import Optimizer


class Future(Protocol):
    """What submitting gives."""

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised."""

    def cancel(self) -> bool:
        """Give the call up, if it has not begun."""

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        """Have `fn` called with this future once it is done, from whatever thread."""


class Executor(Protocol):
    """What `minimize` and `on_executor` need: of thread and process pools, mpi4py's and Dask's executors and others."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future:
        """Have `fn` called with these arguments."""


def worker_count(executor: Executor, workers: int | None = None) -> int:
    """How many calls an executor can make at once.

    Parameters
    ----------
    workers
        What the user says; None to ask the executor, by the names under which thread and process pools, loky's and
        mpi4py's keep it.

    Raises
    ------
    TypeError
        It cannot submit.
    ValueError
        It does not say how many workers it has, or `workers` is not above 0.
    """
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor must have a method submit(function, *arguments); got a {type(executor).__name__}")
    if workers is not None:
        if workers <= 0:
            raise ValueError(f"workers must be above 0; got {workers}")
        return workers
    for name in ("num_workers", "max_workers", "_max_workers"):
        count = getattr(executor, name, None)
        if isinstance(count, int) and count > 0:
            return count
    raise ValueError(f"a {type(executor).__name__} does not say how many workers it has: give workers=...")


def evaluate(
    objective: Callable[..., Returned], trial: Trial, expected: Expected, catch: tuple[type[Exception], ...]
) -> Outcome:
    """Call an objective, here or on a worker of an executor; what it raises of `catch` is a failure.

    Where trials have budgets it gets the trial, too.
    """
    arguments = (dict(trial.config),) if trial.budget is None else (dict(trial.config), trial)
    began = time.perf_counter()
    try:
        returned = objective(*arguments)
        seconds = time.perf_counter() - began
        numbers = expected.numbers(returned)
    except catch as error:
        return Outcome(TrialState.FAIL, message=f"{type(error).__name__}: {error}")
    return expected.outcome(numbers, seconds)


def next_trial(optimizer: Optimizer, budget: int, *, last: bool) -> Trial | None:
    """Trial to evaluate next, of `budget` in all; None where there is none now.

    Parameters
    ----------
    last
        Whether nothing is running: then nothing else will be there to promote.
    """
    if optimizer.asked < budget:
        try:
            return optimizer.ask()
        except SpaceExhaustedError:
            pass
    return optimizer.promote(last=last)


def run_on(
    executor: Executor,
    workers: int,
    optimizer: Optimizer,
    objective: Callable[..., Returned],
    budget: int,
    catch: tuple[type[Exception], ...],
    note: Callable[[Trial, Outcome], None],
) -> None:
    """Evaluate `budget` trials, `workers` of them at once; each that ends makes room for a new proposal.

    Parameters
    ----------
    note
        Called with each trial that ended, in the order in which they did, in this thread.

    Raises
    ------
    Exception
        What the objective or the executor raised, `catch` aside. What has not begun is cancelled, as it is on a
        KeyboardInterrupt: that ends the call like a spent budget, once what has ended is noted.
    """
    ended: SimpleQueue[tuple[Trial, Future]] = SimpleQueue()
    running: dict[int, Future] = {}

    def tell(trial: Trial, future: Future) -> None:
        outcome = future.result()
        del running[trial.number]
        optimizer.tell_outcome(trial, outcome)
        note(trial, outcome)

    try:
        while True:
            while not ended.empty():
                tell(*ended.get())
            trial = next_trial(optimizer, budget, last=not running) if len(running) < workers else None
            if trial is not None:
                running[trial.number] = executor.submit(evaluate, objective, trial, optimizer.goals.expected, catch)
                running[trial.number].add_done_callback(partial(_put, ended, trial))
            elif running:
                tell(*ended.get())
            else:
                break
    except KeyboardInterrupt:
        _cancel(running)
        while not ended.empty():
            trial, future = ended.get()
            if _has_result(future):
                tell(trial, future)
    except BaseException:
        _cancel(running)
        raise


def _put(ended: SimpleQueue[tuple[Trial, Future]], trial: Trial, future: Future) -> None:
    ended.put((trial, future))


def _has_result(future: Future) -> bool:
    """Whether a future that is done neither raised nor was cancelled."""
    try:
        future.result()
    except (Exception, KeyboardInterrupt):
        return False
    return True


def _cancel(running: Mapping[int, Future]) -> None:
    for future in running.values():
        future.cancel()

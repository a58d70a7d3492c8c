"""Any executor of `concurrent.futures`, or of the same interface: how many trials it can evaluate at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


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

"""Run what is parallel by joblib, such as scikit-learn's searches, on an executor: mpi4py's among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from reverie.integration.extras import missing

try:
    import joblib
    from joblib.parallel import ParallelBackendBase
except ImportError as error:
    raise missing("joblib", "joblib", "joblib") from error

from reverie.executors import Executor, Future, worker_count


@contextmanager
def on_executor(executor: Executor, workers: int | None = None) -> Iterator[None]:
    """Have joblib use an executor of `concurrent.futures`, or of the same interface, within the block.

    Parameters
    ----------
    executor
        Not shut down in the end. What is run on it must be such as it takes: importable, where it pickles.
    workers
        How many calls it can make at once; None where it says so itself.

    Raises
    ------
    TypeError, ValueError
        As `worker_count`.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool, on_executor(pool):
    ...     joblib.Parallel()(joblib.delayed(abs)(number) for number in (-1, 2))
    [1, 2]
    """
    count = worker_count(executor, workers)
    with joblib.parallel_config(backend=ExecutorBackend(executor, count), n_jobs=count):
        yield


class ExecutorBackend(ParallelBackendBase):  # type: ignore[misc]
    """Backend of joblib whose workers are those of an executor.

    Parameters
    ----------
    executor
        To which calls are submitted.
    workers
        How many it can make at once.
    """

    supports_retrieve_callback = True

    def __init__(self, executor: Executor, workers: int) -> None:
        super().__init__()
        self._executor, self._workers = executor, workers
        self._futures: set[Future] = set()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """All workers, or as many of them as are asked for."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        return self._workers if n_jobs is None or n_jobs < 0 else min(n_jobs, self._workers)

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], object] | None = None) -> Future:
        """Submit a batch of calls."""
        future = self._executor.submit(func)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future) -> Any:
        """Return what a batch returned, or raise what it raised."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancel what has not begun."""
        for future in list(self._futures):
            future.cancel()

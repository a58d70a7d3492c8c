"""`minimize` on executors: threads, processes, MPI ranks, and those that have the interface alone."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from mpi_runs import Launcher, Studio, launchers

from reverie import TrialState, minimize
from reverie.executors import worker_count

SPACE = {"x": {"type": "float", "low": -5.0, "high": 5.0}, "y": {"type": "float", "low": -5.0, "high": 5.0}}
SPAWN = get_context("spawn")


def bowl(config: dict[str, Any]) -> float:
    return float((config["x"] - 1.0) ** 2 + (config["y"] + 2.0) ** 2)


def half_broken(config: dict[str, Any]) -> float:
    if config["x"] < 0.0:
        raise ArithmeticError("x is below 0")
    return math.nan if config["x"] > 4.0 else bowl(config)


def dying(config: dict[str, Any]) -> float:
    os._exit(3)


class Elsewhere:
    """Futures of an executor that shares nothing with `concurrent.futures`: what Dask's are."""

    class Promise:
        def __init__(self) -> None:
            self._done, self._calls = threading.Event(), [self._noop]
            self.value: Any = None

        def _noop(self, future: Any) -> None:
            """So that there is a call."""

        def result(self) -> Any:
            self._done.wait()
            return self.value

        def cancel(self) -> bool:
            return False

        def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
            self._calls.append(fn)

        def keep(self, value: Any) -> None:
            self.value = value
            self._done.set()
            for call in self._calls:
                call(self)

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Elsewhere.Promise:
        promise = self.Promise()
        threading.Timer(0.02, lambda: promise.keep(fn(*args))).start()
        return promise


@pytest.fixture(params=["threads", "processes", "elsewhere"])
def executor(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "elsewhere":
        yield Elsewhere()
        return
    with ThreadPoolExecutor(3) if request.param == "threads" else ProcessPoolExecutor(3, mp_context=SPAWN) as pool:
        yield pool


# --- what comes of it -------------------------------------------------------------------------------------------------


def test_the_minimum_is_found_on_any_executor(executor: Any) -> None:
    seen: list[Any] = []
    result = minimize(bowl, SPACE, 24, "gp", callback=seen.append, executor=executor, workers=3)
    assert seen == result.records
    assert sorted(record.trial.number for record in result.records) == list(range(24))
    assert result.best is not None
    assert result.best.objective < 0.5
    assert all(record.outcome is not None for record in result.records)
    assert [record.outcome.objective for record in result.records if record.outcome] == [
        bowl(record.trial.config) for record in result.records
    ]
    assert result.predicted_best is not None


def test_failures_are_failures_on_any_executor(executor: Any) -> None:
    result = minimize(half_broken, SPACE, 20, "random", catch=(ArithmeticError,), executor=executor, workers=2)
    for record in result.records:
        x, outcome = record.trial.config["x"], record.outcome
        assert outcome is not None
        if x < 0.0:
            assert (outcome.state, outcome.message) == (TrialState.FAIL, "ArithmeticError: x is below 0")
        elif x > 4.0:
            assert (outcome.state, outcome.message) == (TrialState.FAIL, "objective returned nan")
        else:
            assert outcome.objective == bowl(record.trial.config)
    assert {record.state for record in result.records} == {TrialState.FAIL, TrialState.COMPLETE}


@pytest.mark.parametrize("make", [ThreadPoolExecutor, partial(ProcessPoolExecutor, mp_context=SPAWN)])
def test_an_exception_that_is_not_caught_ends_the_call(make: Any) -> None:
    with make(2) as pool, pytest.raises(ArithmeticError, match="x is below 0"):
        minimize(half_broken, SPACE, 50, "random", executor=pool)


def test_what_cannot_be_sent_is_no_failed_trial() -> None:
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool, pytest.raises(Exception, match=r"[Pp]ickle|local object"):
        minimize(lambda config: 1.0, SPACE, 5, "random", catch=(Exception,), executor=pool)


def test_a_pool_that_breaks_ends_the_call() -> None:
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool, pytest.raises(BrokenProcessPool):
        minimize(dying, SPACE, 5, "random", executor=pool)


def test_a_finite_space_ends_the_call() -> None:
    space = {"n": {"type": "int", "low": 1, "high": 5}}
    with ThreadPoolExecutor(3) as pool:
        result = minimize(lambda config: float(config["n"]), space, 20, executor=pool)
    assert sorted(record.trial.config["n"] for record in result.records) == [1, 2, 3, 4, 5]
    assert result.best is not None
    assert result.best.config == {"n": 1}


# --- when -------------------------------------------------------------------------------------------------------------


class Held(Executor):
    """Runs a call when the test lets it."""

    _max_workers = 3

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.most = 0
        self.order: list[int] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, partial(fn, *args)))
        self.most = max(self.most, len(self.waiting))
        self.order.append(len(self.waiting))
        if len(self.waiting) == self._max_workers:
            self.release(-1)
        return future

    def release(self, which: int) -> None:
        future, call = self.waiting.pop(which)
        threading.Timer(0.01, lambda: future.set_result(call())).start()


def test_every_trial_that_ends_is_followed_by_another_at_once() -> None:
    executor = Held()

    def note(record: Any) -> None:
        ended.append(record.trial.number)
        if len(ended) == 9:  # the budget is handed out: nothing else lets go of those two
            executor.release(0)
            executor.release(0)

    ended: list[int] = []
    minimize(bowl, SPACE, 11, "random", executor=executor, callback=note)
    assert executor.most == 3
    assert ended[:9] == [2, 3, 4, 5, 6, 7, 8, 9, 10]  # two slow ones hold nobody up
    assert set(ended) == set(range(11))


def test_pending_trials_are_kept_apart() -> None:
    with ThreadPoolExecutor(6) as pool:
        result = minimize(bowl, SPACE, 24, "gp", executor=pool)
    assert len({tuple(record.trial.config.values()) for record in result.records}) == 24


# --- interrupts -------------------------------------------------------------------------------------------------------


def test_an_interrupt_returns_what_is_known() -> None:
    begun = threading.Semaphore(0)

    def objective(config: dict[str, Any]) -> float:
        begun.release()
        if len(ended) >= 5:
            raise KeyboardInterrupt
        return bowl(config)

    ended: list[Any] = []
    with ThreadPoolExecutor(2) as pool:
        result = minimize(objective, SPACE, 40, "random", executor=pool, callback=ended.append)
    assert 5 <= len(result.records) < 10
    assert result.best is not None
    assert result.best.objective == min(bowl(record.trial.config) for record in result.records)


INTERRUPTED = """
import time
from concurrent.futures import ThreadPoolExecutor
from reverie import minimize

def objective(config):
    time.sleep(0.05)
    return config["x"]

with ThreadPoolExecutor(2) as pool:
    told = lambda record: print("ended", flush=True)
    result = minimize(objective, {"x": {"type": "float", "low": 0.0, "high": 1.0}}, 10_000, "random",
                      executor=pool, callback=told)
print("known", len(result.records), result.best is not None)
"""


def test_ctrl_c_in_a_terminal_returns_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "tune.py").write_text(INTERRUPTED)
    with subprocess.Popen([sys.executable, "tune.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for _ in range(4):
            assert run.stdout.readline() == "ended\n"
        run.send_signal(signal.SIGINT)
        rest = run.stdout.read().splitlines()
        assert run.wait(timeout=60) == 0
    assert rest[-1].startswith("known ")
    known = int(rest[-1].split()[1])
    assert known == 4 + rest.count("ended")
    assert rest[-1].endswith("True")


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_the_number_of_workers_is_asked_for_where_it_is_kept() -> None:
    with ThreadPoolExecutor(3) as pool:
        assert worker_count(pool) == 3
        assert worker_count(pool, 2) == 2

    class Ranks(Elsewhere):
        num_workers = 7

    assert worker_count(Ranks()) == 7
    with pytest.raises(ValueError, match="a Elsewhere does not say how many workers it has: give workers="):
        worker_count(Elsewhere())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"executor": 3}, TypeError, r"must have a method submit\(function, \*arguments\); got a int"),
        ({"executor": Elsewhere()}, ValueError, "does not say how many workers"),
        ({"executor": Elsewhere(), "workers": 0}, ValueError, "workers must be above 0; got 0"),
        ({"workers": 2}, ValueError, "workers needs an executor; got workers = 2 alone"),
    ],
)
def test_mistakes_are_named(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        minimize(bowl, SPACE, 3, **settings)


def test_a_worker_loads_no_numerics() -> None:
    source = "import sys, reverie.executors; print(*{'numpy', 'scipy', 'torch'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, "\n", "")


# --- MPI --------------------------------------------------------------------------------------------------------------

ON_RANKS = """
import time
from mpi4py import MPI
from mpi4py.futures import MPIPoolExecutor
from sklearn.datasets import load_iris
from sklearn.svm import SVC
from reverie import minimize
from reverie.integration.joblib import on_executor
from reverie.integration.sklearn import ReverieSearchCV

def objective(config):
    time.sleep(0.01)
    if config["x"] > 4.5:
        raise ArithmeticError("too large")
    return (config["x"] - 1.0) ** 2 + 1e-9 * MPI.COMM_WORLD.Get_rank()

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        space = {"x": {"type": "float", "low": -5.0, "high": 5.0}}
        result = minimize(objective, space, 16, "gp", executor=pool, catch=(ArithmeticError,))
        complete = [record for record in result.records if record.state == "COMPLETE"]
        ranks = {round((r.outcome.objective - (r.trial.config["x"] - 1.0) ** 2) * 1e9) for r in complete}
        print("minimised", len(result.records), sorted(ranks), result.best.objective < 0.1)
        search = ReverieSearchCV(SVC(), {"C": {"type": "float", "low": 0.1, "high": 10.0}}, n_iter=4, random_state=0)
        with on_executor(pool):
            search.fit(*load_iris(return_X_y=True))
        print("searched", len(search.cv_results_["params"]), search.best_score_ > 0.9)
"""


@pytest.mark.mpi
@pytest.mark.parametrize("launcher", launchers(), ids=str)
def test_a_pool_of_mpi_ranks(launcher: Launcher, tmp_path: Path) -> None:
    studio = Studio(launcher, tmp_path / "ranks")
    studio.write("tune.py", ON_RANKS)
    python = str(launcher.programs / "python")
    command = [str(launcher.mpiexec), "-np", "3", python, "-m", "mpi4py.futures", "tune.py"]
    with studio.start_command(command) as run:
        status, out, err = run.wait()
    assert status == 0, err
    minimised, searched = out.splitlines()
    assert minimised == "minimised 16 [1, 2] True"
    assert searched == "searched 4 True"

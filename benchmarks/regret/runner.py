"""Runs the plan: a process a core, each with one driver at a time; every finished run becomes a row at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from benchmarks.regret import records
from benchmarks.regret.driver import ONE_THREAD, Driver, PeerError
from benchmarks.regret.problem import Crash, Problem
from benchmarks.regret.problems import all_problems
from benchmarks.regret.records import Record
from benchmarks.regret.schedule import completions, durations, generator
from benchmarks.regret.subsets import Run

LOGS = records.ROOT / "runs" / "regret"
DRIVERS = 4
"""Drivers that a process keeps: some take ten seconds to import, and a few hundred megabytes."""


class Asked(Protocol):
    """What can be run: a Driver, or an optimiser in this process."""

    version: str

    def start(self, problem: Problem, seed: int, budget: int, pending: int) -> None:
        """Begin a run."""

    def ask(self) -> tuple[int, dict[str, Any], float]:
        """Id, configuration, CPU seconds."""

    def tell(self, number: int, value: float | None) -> float:
        """CPU seconds."""


def evaluate(problem: Problem, config: dict[str, Any], seed: int, number: int) -> float | None:
    """Observed value of an evaluation, None where it crashes; noise depends on its number, not on the optimiser."""
    try:
        return problem.function(config, generator(problem.name, seed, number))
    except Crash:
        return None


def execute(asked: Asked, problem: Problem, run: Run) -> Record:
    """One run from its start to its end, or to where the optimiser raises."""
    seconds: dict[int, float] = {}
    improvements: list[tuple[int, float]] = []
    failed: list[int] = []
    best, ended, error = float("inf"), 0, ""

    def ask() -> tuple[int, dict[str, Any]]:
        identity, config, cpu = asked.ask()
        seconds[identity] = cpu
        return identity, config

    try:
        asked.start(problem, run.seed, run.evaluations, run.pending)
        for done in completions(ask, durations(problem.name, run.seed, run.evaluations), run.pending):
            value = evaluate(problem, done.config, run.seed, done.number)
            ended += 1
            if value is None:
                failed.append(ended)
            elif value < best:
                best = value
                improvements.append((ended, problem.true(done.config) if problem.noise else value))
            seconds[done.id] += asked.tell(done.id, value)
    except PeerError as raised:
        error = str(raised)
    return Record(
        problem=problem.name,
        pending=run.pending,
        seed=run.seed,
        evaluations=ended,
        improvements=tuple(improvements),
        failed=tuple(failed),
        cpu_total=sum(seconds.values()),
        cpu_median=median(seconds.values()) if seconds else 0.0,
        versions=asked.version,
        error=error,
    )


class Worker:
    """State of one process: the problems, and the drivers of the optimisers that ran last, idle but ready."""

    def __init__(self, tables: Path, environments: Path) -> None:
        self._environments = environments
        self._problems = all_problems(tables)
        self._drivers: dict[str, Driver] = {}

    def execute(self, run: Run) -> Record:
        """One run; a driver that raised or hung is not used again."""
        driver = self._drivers.pop(run.optimiser, None)
        if driver is None:
            driver = Driver(run.optimiser, self._environments, LOGS / f"{run.optimiser}-{os.getpid()}.log")
        record = execute(driver, self._problems[run.problem], run)
        if record.error:
            driver.close()
        else:
            self._drivers[run.optimiser] = driver
        while len(self._drivers) > DRIVERS:
            self._drivers.pop(next(iter(self._drivers))).close()
        return record


_worker: Worker | None = None


def _begin(tables: Path, environments: Path) -> None:
    global _worker
    _worker = Worker(tables, environments)


def _execute(run: Run) -> Record:
    assert _worker is not None
    return _worker.execute(run)


def run_plan(
    runs: list[Run], tables: Path, environments: Path, processes: int, seconds: float, folder: Path = records.FOLDER
) -> int:
    """Execute what has no record yet, in order, starting nothing after `seconds`; returns how many runs ended."""
    missing = records.unfinished([(run.optimiser, (run.problem, run.pending, run.seed)) for run in runs], folder)
    waiting = [run for run, is_missing in zip(runs, missing, strict=True) if is_missing]
    print(f"{len(waiting)} of {len(runs)} runs are to do", flush=True)
    os.environ.update(ONE_THREAD)
    context = multiprocessing.get_context("spawn")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; the same command continues"))
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(tables, environments))
    try:
        return drain(waiting, lambda run: pool.submit(_execute, run), processes, time.monotonic() + seconds, folder)
    finally:
        for child in multiprocessing.active_children():
            child.terminate()
        pool.shutdown(cancel_futures=True)


def drain(
    waiting: list[Run], submit: Callable[[Run], Future[Record]], processes: int, deadline: float, folder: Path
) -> int:
    """Keep `processes` runs going, and store each as it ends."""
    going: dict[Future[Record], Run] = {}
    queue, ended = iter(waiting), 0
    while True:
        while len(going) < processes and time.monotonic() < deadline:
            run = next(queue, None)
            if run is None:
                break
            going[submit(run)] = run
        if not going:
            return ended
        for future in wait(going, return_when=FIRST_COMPLETED).done:
            run, record = going.pop(future), future.result()
            records.append(run.optimiser, record, folder)
            ended += 1
            last = record.improvements[-1][1] if record.improvements else float("nan")
            print(
                f"{time.strftime('%H:%M:%S')} {ended}/{len(waiting)} {run.optimiser} {run.problem} p{run.pending} "
                f"seed {run.seed}: {last:.6g}, {record.cpu_total:.1f} CPU s {record.error}",
                flush=True,
            )

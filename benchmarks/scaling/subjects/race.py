"""Time one optimiser, in its own environment.

    python -m benchmarks.scaling.subjects.race NAME PENDING BATCH SIZES SECONDS

At each size it has that many observations, and its pending trials are out. Then, again and again, it is told of the
BATCH oldest of these and asked for as many others: the CPU seconds of all that, over BATCH, are those of a proposal.
Refits that it lets somebody else make are timed apart. An answer is a line of JSON; it ends where a proposal takes more
than SECONDS.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.scaling.subjects.observations import Observations

MOST_ROUNDS, FEWEST_ROUNDS, GROWTH = 40, 3, 0.2
"""Rounds at a size, at most so many and no more than let it grow by this share, but so many at least."""

SECONDS_A_SIZE = 40.0
CHUNK, SHARE = 20, 50
"""Observations given at a time, or this share of those it has, where that is more: refits come due when they would."""

SUBJECTS = {
    "gp": ("reverie_methods", "gp"),
    "dngo": ("reverie_methods", "dngo"),
    "dngo-paper": ("reverie_methods", "dngo-paper"),
    "auto": ("reverie_methods", "auto"),
    "optuna-tpe": ("optuna_samplers", "tpe"),
    "optuna-gp": ("optuna_samplers", "gp"),
    "botorch": ("botorch_qlogei", ""),
    "smac": ("smac_hpo", ""),
    "deephyper": ("deephyper_cbo", ""),
}
"""Module and argument of each."""


class Subject(Protocol):
    """An optimiser of six floats in [0, 1]."""

    version: str

    def load(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[str, int, float]]:
        """Give it observations; returns kind, rows and CPU seconds of the refits that this made due."""

    def ask(self, count: int) -> list[tuple[Any, Sequence[float]]]:
        """Propose so many more trials: each an id and its point."""

    def tell(self, number: Any, value: float) -> None:
        """Report an outcome."""


def race(subject: Subject, pending: int, batch: int, sizes: Sequence[int], most_seconds: float) -> None:
    """Print a line for each refit, and one for each size reached."""
    source, told = Observations(seed=0), 0
    out: deque[tuple[Any, Sequence[float]]] = deque()

    def load(size: int) -> float:
        """Bring it to `size` observations; returns the seconds of the longest refit."""
        nonlocal told
        longest = 0.0
        while told < size and longest < most_seconds:
            count = min(max(CHUNK, told // SHARE), size - told)
            for kind, rows, seconds in subject.load(*source.draw(count)):
                print(json.dumps({"fit": kind, "observations": rows, "seconds": seconds}), flush=True)
                longest = max(longest, seconds)
            told += count
        return longest

    def proposals() -> float:
        """Seconds of one in a batch of them."""
        nonlocal told
        ended = [out.popleft() for _ in range(batch)]
        values = [source.observe(point) for _, point in ended]
        began = time.process_time()
        for (number, _), value in zip(ended, values, strict=True):
            subject.tell(number, value)
        out.extend(subject.ask(pending - len(out)))
        told += batch
        return (time.process_time() - began) / batch

    for size in sizes:
        if load(size) > most_seconds:
            return
        times: list[float] = []
        begun = time.process_time()
        if len(out) < pending:
            out.extend(subject.ask(pending - len(out)))
        first = (time.process_time() - begun) / pending
        end = time.monotonic() + SECONDS_A_SIZE
        if first < most_seconds:
            proposals()
            most = max(FEWEST_ROUNDS, min(MOST_ROUNDS, int(GROWTH * size / batch)))
            while len(times) < most and (time.monotonic() < end or len(times) < FEWEST_ROUNDS):
                times.append(proposals())
        times = times or [first]
        line = {
            "observations": size,
            "mean": statistics.fmean(times),
            "median": statistics.median(times),
            "longest": max(times),
            "rounds": len(times),
            "version": subject.version,
        }
        print(json.dumps(line), flush=True)
        if statistics.fmean(times) > most_seconds:
            return


def main() -> None:
    name, pending, batch, sizes, seconds = sys.argv[1:6]
    module, argument = SUBJECTS[name]
    make = importlib.import_module(f"benchmarks.scaling.subjects.{module}").make
    race(make(argument), int(pending), int(batch), [int(size) for size in sizes.split(",")], float(seconds))


if __name__ == "__main__":
    main()

"""Asynchronous runs in virtual time: P workers that are always busy, evaluations that take as long as they take.

The durations are log-normal and depend on the problem, the seed and the number of the evaluation only, so they are the
same for every optimiser. What a proposal takes is not charged.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

SIGMA = 0.5
"""Standard deviation of the logarithm of a duration."""

Config = dict[str, Any]


class Completion(NamedTuple):
    """An evaluation that ended: its number in the order of asking, its id, what was asked, and when it ended."""

    number: int
    id: int
    config: Config
    time: float


def generator(problem: str, seed: int, stream: int) -> np.random.Generator:
    """Random numbers of one problem, seed and purpose."""
    return np.random.default_rng([zlib.crc32(problem.encode()), seed, stream])


def durations(problem: str, seed: int, evaluations: int) -> list[float]:
    """Durations of the evaluations 1, 2, ...; a longer run begins with the same ones."""
    return [float(value) for value in np.exp(SIGMA * generator(problem, seed, 0).standard_normal(evaluations))]


def completions(ask: Callable[[], tuple[int, Config]], lengths: list[float], pending: int) -> Iterator[Completion]:
    """Ask whenever a worker is free, and yield the evaluations in the order in which they end.

    Whoever iterates tells the outcome of each before going on, so the next proposal knows of it.
    """
    running: list[tuple[float, int, int, Config]] = []
    for number, length in enumerate(lengths[:pending], start=1):
        heapq.heappush(running, (length, number, *ask()))
    number = len(running)
    while running:
        time, ended, identity, config = heapq.heappop(running)
        yield Completion(ended, identity, config, time)
        if number < len(lengths):
            number += 1
            heapq.heappush(running, (time + lengths[number - 1], number, *ask()))

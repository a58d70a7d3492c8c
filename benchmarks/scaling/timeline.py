"""When evaluations ran, as they noted it themselves, and what share of the workers' time that was.

Symbols and shapes: spans (n, 2), began and ended of each evaluation in seconds since the epoch, in the order in which
they began; ended is infinite where one was cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.scaling.measures import share

EARLY = 10
"""One evaluation in so many counts as the start, in which models are loaded and workers wait for their first trial."""


@dataclass(frozen=True)
class Timeline:
    """What became of a run's evaluations, in a window from the first one's beginning on.

    Attributes
    ----------
    evaluations
        That ended within the window.
    span
        Seconds of the window.
    busy
        Share of the workers' time in it that went into evaluations; those that it cuts count up to there.
    busy_later
        The same from where the first tenth of the evaluations has begun and the next one begins.
    took, longest
        Seconds of an evaluation that ended, median and maximum.
    """

    evaluations: int
    span: float
    busy: float
    busy_later: float
    took: float
    longest: float


def read_spans(folder: Path) -> NDArray[np.float64]:
    """Spans (n, 2) from the records of every process in `folder`, as `runners.sleeping` writes them."""
    lines = [line for file in folder.iterdir() for line in file.read_text().splitlines(keepends=True)]
    spans = np.array([_span(line) for line in lines]).reshape(-1, 2)
    return spans[np.argsort(spans[:, 0])]


def _span(line: str) -> tuple[float, float]:
    began, _, ended = line.partition(" ")
    return float(began), float(ended) if ended.endswith("\n") else math.inf


def timeline(spans: NDArray[np.float64], workers: int, limit: float = math.inf) -> Timeline:
    """What `workers` did in the `limit` seconds from the first evaluation's beginning on, or until the last one ended.

    Parameters
    ----------
    spans
        At least one evaluation (n, 2) that ended.
    workers
        How many evaluations can run at once.
    limit
        Seconds after which what goes on does not count; infinite for all of a run that came to its end.

    Raises
    ------
    ValueError
        No evaluation ended in time.
    """
    first = float(spans[0, 0]) if len(spans) else 0.0
    spans = spans[spans[:, 0] < first + limit]
    ended = spans[spans[:, 1] <= first + limit] if math.isfinite(limit) else spans[np.isfinite(spans[:, 1])]
    if not len(ended):
        raise ValueError(f"no evaluation of {len(spans)} ended within {limit} s")
    end = first + limit if math.isfinite(limit) else float(ended[:, 1].max())
    seconds = ended[:, 1] - ended[:, 0]
    return Timeline(
        evaluations=len(ended),
        span=end - first,
        busy=share(spans, (first, end)) / workers,
        busy_later=share(spans, (float(spans[len(spans) // EARLY, 0]), end)) / workers,
        took=float(np.median(seconds)),
        longest=float(seconds.max()),
    )

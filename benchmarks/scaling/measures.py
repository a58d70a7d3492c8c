"""What a simulated run measures."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Summary:
    """A run in figures. Times are virtual seconds.

    The whole run reaches from the start to the last outcome; it is open until the last trial begins, and steady from
    when every worker has begun one until then.

    Attributes
    ----------
    trials
        That ended.
    seconds
        Length of the whole run.
    busy, busy_open, busy_steady
        Share of the workers' time that went into evaluations: in the whole run, while it is open, while it is steady.
    load, load_steady
        Share of the master's time in which it worked.
    master_ms_per_trial
        Milliseconds of the master's work over the trials that ended.
    proposal_ms, proposal_p99_ms
        Milliseconds that the model took for one of the last 10,000 proposals, median and 99 % quantile; NaN without.
    wait_ms, wait_p99_ms, wait_max_ms
        Milliseconds that a worker waited from the end of a trial to the beginning of its next, messages included:
        median, 99 % quantile, maximum.
    fits, fit_seconds, fit_longest
        Refits, seconds of them in all, and of the longest.
    best
        Lowest noise-free objective of a trial.
    """

    trials: int
    seconds: float
    busy: float
    busy_open: float
    busy_steady: float
    load: float
    load_steady: float
    master_ms_per_trial: float
    proposal_ms: float
    proposal_p99_ms: float
    wait_ms: float
    wait_p99_ms: float
    wait_max_ms: float
    fits: int
    fit_seconds: float
    fit_longest: float
    best: float


@dataclass
class Measures:
    """Everything noted while a run is simulated, in O(1) an event.

    Attributes
    ----------
    workers
        Their number.
    curve
        Virtual seconds, trials ended, and the objective without noise, wherever the latter fell.
    """

    workers: int
    curve: list[tuple[float, int, float]] = field(default_factory=list)
    _evaluations: array[float] = field(default_factory=lambda: array("d"))
    _passes: array[float] = field(default_factory=lambda: array("d"))
    _fits: array[float] = field(default_factory=lambda: array("d"))
    ended: int = 0
    best: float = math.inf

    def evaluation(self, idle_since: float, began: float, ended: float) -> None:
        """Note that a worker waits from `idle_since` to `began`, then evaluates until `ended`."""
        self._evaluations.extend((idle_since, began, ended))

    def outcome(self, now: float, value: float) -> None:
        """Note an outcome that reaches the master, infinite where it is a failure."""
        self.ended += 1
        if value < self.best:
            self.best = value
            self.curve.append((now, self.ended, value))

    def work(self, began: float, ended: float) -> None:
        """Note that the master works from `began` to `ended`."""
        if ended > began:
            self._passes.extend((began, ended))

    def fit(self, seconds: float) -> None:
        """Note a refit."""
        self._fits.append(seconds)

    def incumbents(self, count: int) -> NDArray[np.float64]:
        """Lowest objective (count,) after 1, 2, ... trials; infinite before the first success."""
        found = np.full(count, np.inf)
        for _, ended, value in self.curve:
            found[ended - 1 :] = value
        return found

    def summary(self, proposal_seconds: list[float]) -> Summary:
        """The run in figures; `proposal_seconds` are the master's own records."""
        turns, passes = np.array(self._evaluations).reshape(-1, 3), np.array(self._passes).reshape(-1, 2)
        evaluations = turns[:, 1:]
        first = turns[:, 0] == 0.0
        end = float(turns[:, 2].max(initial=0.0))
        steady = (float(turns[first, 1].max(initial=0.0)), float(turns[:, 1].max(initial=0.0)))
        delays = 1e3 * (turns[~first, 1] - turns[~first, 0])
        proposals = 1e3 * np.array(proposal_seconds)
        fits = np.array(self._fits)
        return Summary(
            trials=self.ended,
            seconds=end,
            busy=share(evaluations, (0.0, end)) / self.workers,
            busy_open=share(evaluations, (0.0, steady[1])) / self.workers,
            busy_steady=share(evaluations, steady) / self.workers,
            load=share(passes, (0.0, end)),
            load_steady=share(passes, steady),
            master_ms_per_trial=1e3 * float((passes[:, 1] - passes[:, 0]).sum()) / max(1, self.ended),
            proposal_ms=_quantile(proposals, 0.5),
            proposal_p99_ms=_quantile(proposals, 0.99),
            wait_ms=_quantile(delays, 0.5),
            wait_p99_ms=_quantile(delays, 0.99),
            wait_max_ms=_quantile(delays, 1.0),
            fits=len(fits),
            fit_seconds=float(fits.sum()),
            fit_longest=float(fits.max(initial=0.0)),
            best=self.best,
        )


def share(intervals: NDArray[np.float64], span: tuple[float, float]) -> float:
    """Seconds of `intervals` (k, 2) within `span`, over its length; NaN where it has none."""
    low, high = span
    if high <= low:
        return math.nan
    inside = np.clip(intervals, low, high)
    return float((inside[:, 1] - inside[:, 0]).sum()) / (high - low)


def _quantile(values: NDArray[np.float64], q: float) -> float:
    return float(np.quantile(values, q)) if len(values) else math.nan

"""Rules by which a trial is ended early, told by what it and the others have reported. Standard library only.

A rule sees each trial's reports at rising steps; a value is to be minimised, and one that is NaN is the worst. It says
of each report whether its trial should stop. What it costs does not grow with the number of trials, but for the place
of one number in a sorted list. Where a model is to be asked besides, it says so later, see `EarlyStopping.judge`.

| rule | ends a trial |
|---|---|
| asha | whose value, where it reaches a rung, is not among the best 1/eta there so far (Li et al. 2020) |
| hyperband | likewise among those of its bracket; each bracket has another first rung (Li et al. 2018) |
| median | whose best value so far is worse than the completed trials' median there (Golovin et al. 2017) |
| patience | whose best value has not improved for so many steps |
| threshold | whose value leaves given bounds, or is NaN |
| model | whose objective will hardly beat the incumbent's, see `utilities.model_stopping`; whose value is NaN |
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol
from zlib import crc32

import msgspec

from utilities.model_stopping import Foresight, Judge, Rung

NAMES = ("asha", "hyperband", "median", "model", "patience", "threshold")

PROBABILITY = 0.1
"""Of rule ``model``, by default. On four tasks with learning curves 0.02 took more epochs, 0.2 hardly fewer."""

MOST_COMPARED = 100
"""Trials, the latest that reached a rung, among which one is ranked by what the model foresees."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule and its numbers.

    Attributes
    ----------
    rule
        One of NAMES.
    min_steps
        Step below which no trial is ended: the first rung of ``asha``, and of the first bracket of ``hyperband``.
    max_steps
        The step of a trial that runs to its end; ``hyperband`` needs it.
    probability
        Of beating the incumbent, below which a trial is ended: by default `PROBABILITY` of ``model``, none of others.
    guided
        Of ``asha`` and ``hyperband``: whether rungs are ranked by what a model foresees.
    eta
        Of ``asha`` and ``hyperband``: rungs are so many times as far apart each time, and one in so many goes on.
    min_trials
        Of ``median``: completed trials before it ends any.
    patience
        Of ``patience``: steps without an improvement.
    min_delta
        Of ``patience``: what counts as an improvement, in units of the objective.
    lower, upper
        Of ``threshold``: bounds in the user's own direction; None means no bound.
    """

    rule: str
    min_steps: int = 1
    max_steps: int | None = None
    probability: float | None = None
    guided: bool = False
    eta: int = 3
    min_trials: int = 5
    patience: int = 10
    min_delta: float = 0.0
    lower: float | None = None
    upper: float | None = None


class _Rule(Protocol):
    def report(self, number: int, step: int, value: float) -> bool:
        """Take a value at a step higher than any before of the trial; whether the trial should stop."""

    def end(self, number: int, *, complete: bool) -> None:
        """Take note that a trial ended."""


class _Verdict(NamedTuple):
    """The latest report of a running trial: where, what, and whether to stop; and the latest finite value."""

    step: int
    stop: bool
    value: float | None


class EarlyStopping:
    """Judges the trials of a study by a rule.

    A trial that is evaluated again, for it was cut off or its worker lost, reports steps again: at those that were
    judged before, the verdict stands and the value counts no second time.

    Parameters
    ----------
    settings
        The rule.
    direction
        ``minimize`` or ``maximize``.
    seed
        Of the study: from it ``hyperband`` takes the bracket of each trial.
    """

    def __init__(self, settings: Settings, direction: str, seed: int) -> None:
        self._sign = 1.0 if direction == "minimize" else -1.0
        self._rule = _make(settings, seed, self._sign)
        self._latest: dict[int, _Verdict] = {}
        self._guided = settings.guided
        self._judge: Judge | None = None
        probability = settings.probability
        if settings.rule == "model" and probability is None:
            probability = PROBABILITY
        if probability is not None or settings.guided:
            self._judge = Judge(probability, settings.min_steps)

    def report(self, number: int, step: int, value: float) -> bool:
        """Take an intermediate value, in the user's own direction; whether its trial should stop at once.

        Where a model is to be asked, that is said by `judge`. Of a trial that was told to stop and reports on, this
        says so no second time.
        """
        latest = self._latest.get(number)
        if latest is not None and (latest.stop or step <= latest.step):
            return latest.stop and step == latest.step
        stop = self._rule.report(number, step, math.inf if math.isnan(value) else self._sign * value)
        if self._judge is not None:
            rung = self._rule.rung(number, step) if self._guided and isinstance(self._rule, _Halving) else None
            self._judge.note(number, step, stop=stop, rung=rung)
            stop = False
        earlier = None if latest is None else latest.value
        self._latest[number] = _Verdict(step, stop, value if math.isfinite(value) else earlier)
        return stop

    def stopped(self, number: int) -> bool:
        """Whether a running trial was told to stop."""
        verdict = self._latest.get(number)
        return verdict is not None and verdict.stop

    def judge(self, foresight: Foresight, running: Iterable[int]) -> list[int]:
        """Numbers of the trials to stop, of the `running` ones, by all that was reported since the last call."""
        if self._judge is None:
            return []
        stopped = self._judge.judge(foresight, running)
        for number in stopped:
            self._latest[number] = self._latest[number]._replace(stop=True)
        return stopped

    def latest(self, number: int) -> float | None:
        """Latest finite value that a running trial reported; None where there is none."""
        verdict = self._latest.get(number)
        return None if verdict is None else verdict.value

    def end(self, number: int, *, complete: bool) -> None:
        """Take note that a trial ended; `complete` unless it was stopped or failed."""
        self._latest.pop(number, None)
        if self._judge is not None:
            self._judge.end(number)
        self._rule.end(number, complete=complete)


def _make(settings: Settings, seed: int, sign: float) -> _Rule:
    match settings.rule:
        case "asha":
            return _Halving(settings.min_steps, settings.eta, [1.0], seed)
        case "hyperband":
            return _Halving(settings.min_steps, settings.eta, _shares(settings), seed)
        case "median":
            return _Median(settings.min_steps, settings.min_trials)
        case "patience":
            return _Patience(settings.min_steps, settings.patience, settings.min_delta)
        case "model":
            return _Threshold(settings.min_steps, (-math.inf, math.inf))
        case _:
            low, high = settings.lower, settings.upper
            bounds = (-math.inf if low is None else low, math.inf if high is None else high)
            return _Threshold(settings.min_steps, sorted(sign * bound for bound in bounds))


def _shares(settings: Settings) -> list[float]:
    """Share of the trials in each bracket of Hyperband, the one of the earliest first rung first."""
    most, eta = settings.max_steps or settings.min_steps, settings.eta
    rungs = 0
    while settings.min_steps * eta ** (rungs + 1) <= most:
        rungs += 1
    sizes = [math.ceil((rungs + 1) / (s + 1) * eta**s) for s in range(rungs, -1, -1)]
    return [size / sum(sizes) for size in sizes]


class _Halving:
    """Successive halving without waiting: at each rung a trial is compared with those that were there before it.

    Bracket b has its rungs at first x eta^b, first x eta^(b + 1), ...
    """

    def __init__(self, first: int, eta: int, shares: Sequence[float], seed: int) -> None:
        self._first, self._eta, self._seed = first, eta, seed
        self._upto = list(accumulate(shares))
        self._reached: dict[int, int] = {}
        self._values: dict[tuple[int, int], list[float]] = {}
        self._there: dict[tuple[int, int], deque[int]] = {}
        self._at: dict[int, int] = {}

    def bracket(self, number: int) -> int:
        """Bracket of a trial, the same in every run of the study."""
        place = crc32(f"{self._seed}:{number}".encode()) / 2**32
        return min(sum(place >= upto for upto in self._upto), len(self._upto) - 1)

    def report(self, number: int, step: int, value: float) -> bool:
        bracket = self.bracket(number)
        rung = self._rung(step) - bracket
        if rung <= self._reached.get(number, -1):
            return False
        self._reached[number], self._at[number] = rung, step
        self._there.setdefault((bracket, rung), deque(maxlen=MOST_COMPARED)).append(number)
        values = self._values.setdefault((bracket, rung), [])
        insort(values, value)
        return value > values[max(1, len(values) // self._eta) - 1]

    def rung(self, number: int, step: int) -> Rung | None:
        """Rung that the latest report of a trial, at `step`, reached; None where it reached none."""
        if self._at.get(number) != step:
            return None
        there = list(self._there[self.bracket(number), self._reached[number]])
        return Rung(there, max(1, len(there) // self._eta))

    def _rung(self, step: int) -> int:
        """Number of the highest rung of the first bracket up to a step, -1 below the first."""
        rung, at = -1, self._first
        while at <= step:
            rung, at = rung + 1, at * self._eta
        return rung

    def end(self, number: int, *, complete: bool) -> None:
        self._reached.pop(number, None)
        self._at.pop(number, None)


class _Median:
    def __init__(self, first: int, trials: int) -> None:
        self._first, self._trials, self._completed = first, trials, 0
        self._curves: dict[int, dict[int, float]] = {}
        self._at: dict[int, list[float]] = {}

    def report(self, number: int, step: int, value: float) -> bool:
        curve = self._curves.setdefault(number, {})
        best = curve[step] = min(value, next(reversed(curve.values()), math.inf))
        others = self._at.get(step)
        if step < self._first or self._completed < self._trials or not others:
            return False
        return best > 0.5 * (others[(len(others) - 1) // 2] + others[len(others) // 2])

    def end(self, number: int, *, complete: bool) -> None:
        curve = self._curves.pop(number, {})
        if complete and curve:
            self._completed += 1
            for step, best in curve.items():
                insort(self._at.setdefault(step, []), best)


class _Patience:
    def __init__(self, first: int, patience: int, delta: float) -> None:
        self._first, self._patience, self._delta = first, patience, delta
        self._best: dict[int, tuple[int, float]] = {}

    def report(self, number: int, step: int, value: float) -> bool:
        at, best = self._best.get(number, (step, math.inf))
        if value < best - self._delta or (math.isinf(best) and value < best):
            at, best = step, value
        self._best[number] = at, best
        return step >= self._first and step - at >= self._patience

    def end(self, number: int, *, complete: bool) -> None:
        self._best.pop(number, None)


class _Threshold:
    def __init__(self, first: int, bounds: Sequence[float]) -> None:
        self._first, (self._low, self._high) = first, bounds

    def report(self, number: int, step: int, value: float) -> bool:
        return step >= self._first and not (self._low <= value <= self._high and value < math.inf)

    def end(self, number: int, *, complete: bool) -> None:
        return None

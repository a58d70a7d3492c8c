"""A race of configurations over instances: each goes on only while it may be among the best (F-Race, irace).

Symbols
-------
K        instances, in an order common to all configurations: whoever has n of them has the first n
y[c, i]  loss of configuration c on instance i, to be minimised; y[c, i] = mu[c] + b[i] + e[c, i]
b        effects (K,) of the instances, which sum to 0
stages   n_1 < n_2 < ... = K: numbers of instances at which a configuration is judged

Whoever has reached a stage is compared with the incumbents, the mean of the best `BEST` of those that have all
instances, on the instances that it has: a paired test, as in F-Race (Birattari et al. 2002; Lopez-Ibanez et al. 2016,
irace). It is a one-sided t-test of the differences d, whose variance is moderated by that of others (Smyth 2004,
equation 3):

    s~^2 = (nu_0 s_0^2 + (n - 1) s^2) / (nu_0 + n - 1)        t = mean(d) / (s~ / sqrt n) on nu_0 + n - 1 degrees

for s^2 of two or three differences is next to nothing to go by. Each comparison gives up a configuration that equals
given incumbents with probability `alpha`: that costs little, for it is no better, and saves the more the larger it is.

Instances differ in difficulty, and who was given up has seen some of them only. So its objective is the mean of
``y - b`` over these (two-way additive model), b being estimated from those that have all. The variance of e is
moderated likewise. It has to be: who is given up after two instances was given up for two differences that hardly
differ, so that they alone would have its objective known next to exactly.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

from utilities.surrogate import Array

FIRST, FIRST_OF_FEW, FEW = 3, 2, 5
"""Instances that every configuration gets by default: `FIRST`, or `FIRST_OF_FEW` where there are at most `FEW`."""

ALPHA, MOST_ALPHA = 0.25, 0.5
"""Error rate of each comparison by default: the former, rising to the latter as the `SHARE` is used up."""

SHARE = (0.58, 0.63)
"""Evaluations that configurations took until they ended, as a share of those on all instances. Some problems have many
configurations that are nearly as good as the best: they end sooner, rather than have a race that saves little."""

_BEFORE = 30
"""Configurations, all of which took `SHARE[0]`, that are counted before the first: it has all instances."""

BEST = 3
"""Complete configurations whose mean a configuration is compared with. The best one alone is the luckiest, too: against
it others are given up that are as good, and with as many evaluations the search ends worse."""

GROWTH = 1.5
"""Growth of the number of instances from stage to stage: those of a stage can be evaluated at the same time."""

PRIOR_DEGREES = 3.0
"""nu_0: degrees of freedom that the variances of others count for, at most as many as these have."""

NEIGHBOURS = 20
"""Configurations, the best, of which the variance and the effects are taken."""

LEAST_DIFFERENCES = 3
"""Configurations besides the incumbents from which on their differences from these moderate those of others."""


_LARGEST = 1e300
"""Size up to which losses are told apart: differences of larger ones overflow."""


class Verdict(Enum):
    """What becomes of a configuration that has reached a stage."""

    WAIT = "wait"
    GO_ON = "go on"
    GIVE_UP = "give up"
    COMPLETE = "complete"


class Estimate(NamedTuple):
    """Mean loss over all instances, and its standard error."""

    mean: float
    error: float


class _Variance(NamedTuple):
    """A variance, and the degrees of freedom that it is known with."""

    value: float
    degrees: float


_UNKNOWN = _Variance(0.0, 0.0)


@dataclass
class _Runner:
    """A configuration in the race: its losses by the place of the instance in the common order, and its stage."""

    losses: Array
    stage: int
    count: int = 0


def stages(first: int, count: int) -> list[int]:
    """Numbers of instances, of `count` in all, at which a configuration is judged, `first` the first of them."""
    sizes = [min(first, count)]
    while sizes[-1] < count:
        sizes.append(min(count, math.ceil(GROWTH * sizes[-1])))
    return sizes


class Race:
    """Who is in the race, how far, and what is known of it. Losses are to be minimised.

    Parameters
    ----------
    count
        Number K of instances.
    seed
        Of the order in which configurations get them.
    first
        How many of them every configuration gets.
    alpha
        Probability with which a comparison gives up a configuration that equals the incumbents; 0 gives none up. By
        default it goes by what the race has saved.

    Attributes
    ----------
    order
        Instances in the order in which every configuration gets them.
    """

    def __init__(self, count: int, seed: int, first: int | None = None, alpha: float | None = None) -> None:
        self._count = count
        self._stages = stages((FIRST_OF_FEW if count <= FEW else FIRST) if first is None else first, count)
        self._alpha = alpha
        self._ended = self._taken = 0
        self.order: list[int] = np.random.default_rng([seed, 8]).permutation(count).tolist()
        self._place = {part: place for place, part in enumerate(self.order)}
        self._runners: dict[int, _Runner] = {}
        self._live: dict[int, _Runner] = {}
        self._ranked: list[tuple[float, int]] = []
        self._known: tuple[Array, int] | None = None
        self._best: Array = np.empty(0)

    # --- what happens -----------------------------------------------------------------------------------------------

    def enter(self, number: int) -> None:
        """Let a configuration into the race."""
        runner = _Runner(np.full(self._count, np.nan), self._count if self._alpha == 0.0 else self._stages[0])
        self._runners[number] = self._live[number] = runner

    def take(self, number: int, part: int, loss: float) -> None:
        """Note the loss of a configuration on an instance."""
        runner = self._runners[number]
        runner.losses[self._place[part]] = min(max(loss, -_LARGEST), _LARGEST)
        runner.count += 1

    def leave(self, number: int) -> None:
        """Take a configuration that failed out of the race."""
        del self._runners[number], self._live[number]

    def resume(self, number: int, losses: Iterable[tuple[int, float]], *, ended: bool) -> None:
        """Let a configuration of an earlier run in: its losses by instance, and whether it has ended the race."""
        self.enter(number)
        runner = self._runners[number]
        for part, loss in losses:
            self.take(number, part, loss)
        if ended:
            self._end(number)
        else:
            runner.stage = max(runner.stage, next(size for size in self._stages if size >= runner.count))

    @property
    def alpha(self) -> float:
        """Probability with which a comparison gives up an equal now."""
        if self._alpha is not None:
            return self._alpha
        low, high = SHARE
        share = (self._taken / self._count + low * _BEFORE) / (self._ended + _BEFORE)
        return ALPHA + (MOST_ALPHA - ALPHA) * min(max((share - low) / (high - low), 0.0), 1.0)

    # --- who goes on ------------------------------------------------------------------------------------------------

    def wanted(self, number: int) -> list[int]:
        """Instances up to a configuration's present stage that it lacks, in their order."""
        runner = self._runners[number]
        return [self.order[place] for place in range(runner.stage) if np.isnan(runner.losses[place])]

    def judge(self, number: int) -> Verdict:
        """Decide about a configuration that lacks no instance of its stage; it goes on, has ended, or waits.

        Until one has all instances, only the foremost goes on, and all others wait for it: there is nothing to compare
        them with that has been seen on more than they have.
        """
        runner = self._live[number]
        if runner.stage == self._count:
            self._end(number)
            return Verdict.COMPLETE
        if self._ranked:
            if self._worse(runner, self._best):
                self._end(number)
                return Verdict.GIVE_UP
        elif number != self._foremost():
            return Verdict.WAIT
        runner.stage = next(size for size in self._stages if size > runner.stage)
        return Verdict.GO_ON

    def _end(self, number: int) -> None:
        runner = self._live.pop(number)
        self._ended, self._taken = self._ended + 1, self._taken + runner.count
        if runner.count == self._count:
            insort(self._ranked, (_mean(runner.losses), number))
            self._known = None
            best = [self._runners[other].losses for _, other in self._ranked[:BEST]]
            self._best = np.asarray(np.mean(best, axis=0))

    def _foremost(self) -> int:
        """Of those in the race, the one with the most instances; of equals the best of these, then the earliest."""

        def rank(number: int) -> tuple[int, float, int]:
            runner = self._live[number]
            return -runner.stage, self.promise(number), number

        return min(self._live, key=rank)

    def _worse(self, runner: _Runner, incumbent: Array) -> bool:
        """Whether a configuration is significantly worse than `incumbent` (K,) on the instances that it has."""
        difference = runner.losses[: runner.stage] - incumbent[: runner.stage]
        mean = _mean(difference)
        if mean <= 0.0:
            return False
        own = _Variance(_variance(difference), len(difference) - 1.0)
        variance = _moderated(own, self._difference_variance(incumbent))
        if variance.value == 0.0:
            return True
        t = mean / math.sqrt(variance.value / len(difference))
        return bool(stdtr(variance.degrees, -t) <= self.alpha)

    # --- what is known ----------------------------------------------------------------------------------------------

    def estimate(self, number: int) -> Estimate:
        """Mean loss over all instances, adjusted for those that were not seen, and its standard error.

        The error is that of a mean of n residuals, and where n < K that of the effects subtracted besides, which come
        from m configurations: ``s~^2 (1/n + (1/n - 1/K) / m)``. While m = 1, what is the instance's and what is noise
        cannot be told, and the variance is that of losses instead, which is larger by that of b.
        """
        runner = self._runners[number]
        seen = ~np.isnan(runner.losses)
        count = int(seen.sum())
        effects, others = self._effects()
        residual = (runner.losses - effects)[seen]
        own = _Variance(self._spread(runner.losses) * self._shrinkage(count == self._count), count - 1.0)
        variance = _moderated(own, self._residual_variance()).value
        share = 1.0 / count + (1.0 / count - 1.0 / self._count) / max(1, others)
        return Estimate(_mean(residual), math.sqrt(variance * share))

    def promise(self, number: int) -> float:
        """Mean loss so far, adjusted likewise: of several that may go on the lowest first; those without any last."""
        runner = self._runners[number]
        seen = ~np.isnan(runner.losses)
        if not seen.any():
            return math.inf
        return _mean((runner.losses - self._effects()[0])[seen])

    def _effects(self) -> tuple[Array, int]:
        """Effects (K,) of the instances, and of how many configurations they are the median: the best complete ones."""
        if self._known is None:
            self._known = np.zeros(self._count), 0
            best = [self._runners[number].losses for _, number in self._ranked[:NEIGHBOURS]]
            if best:
                effects = np.median([losses - _mean(losses) for losses in best], axis=0)
                self._known = effects - _mean(effects), len(best)
        return self._known

    def _spread(self, losses: Array) -> float:
        """Variance of a configuration's residuals; of its losses (K,), NaN where there are none, while m < 2."""
        effects, others = self._effects()
        seen = ~np.isnan(losses)
        return _variance(losses[seen] if others < 2 else (losses - effects)[seen])

    def _shrinkage(self, among: bool) -> float:
        """Factor of a `_spread`: of a configuration `among` those that the effects come from, or of another."""
        others = self._effects()[1]
        if others < 2:
            return 1.0
        return others / (others - 1) if among else others / (others + 1)

    def _residual_variance(self) -> _Variance:
        """Pooled variance of the neighbours' residuals; where there is but one, of its losses."""
        rows = [self._runners[number].losses for _, number in self._ranked[:NEIGHBOURS]]
        if not rows:
            return _UNKNOWN
        pooled = _mean(np.array([self._spread(row) for row in rows]))
        return _Variance(self._shrinkage(among=True) * pooled, max(1, len(rows) - 1) * (self._count - 1.0))

    def _difference_variance(self, incumbent: Array) -> _Variance:
        """Pooled variance of the neighbours' differences from `incumbent` (K,), of which it is not the mean."""
        rows = [self._runners[number].losses for _, number in self._ranked[BEST : BEST + NEIGHBOURS]]
        if len(rows) < LEAST_DIFFERENCES:
            return _UNKNOWN
        pooled = _mean(np.array([_variance(row - incumbent) for row in rows]))
        return _Variance(pooled, len(rows) * (self._count - 1.0))


def _moderated(own: _Variance, common: _Variance) -> _Variance:
    """Variance s~^2 of a configuration, moderated by that of others (Smyth 2004, equation 3)."""
    prior = min(PRIOR_DEGREES, common.degrees)
    total = prior + own.degrees  # 0 where there is a single instance
    return _Variance((prior * common.value + own.degrees * own.value) / max(1.0, total), total)


def _mean(values: Array) -> float:
    size = max(1.0, float(np.abs(values).max()))
    return float(np.mean(values / size)) * size  # divided first: the sum of values of 1e308 overflows


def _variance(values: Array) -> float:
    """Variance of at least one value, 0 of one alone; at most `_LARGEST`, for squares of 1e200 overflow."""
    if len(values) < 2:
        return 0.0
    size = max(1.0, float(np.abs(values).max()))
    return min(float(np.var(values / size, ddof=1)) * size * size, _LARGEST)

"""Whether the best configuration is better than others, or only luckier: paired tests over what all were evaluated on.

Symbols
-------
m   configurations compared, the best first      n   pairs: instances, or repeats, that all of them were evaluated on
y   values (m, n)      d = y[a] - y[b]   differences of two configurations; t = mean(d) / (sd(d) / sqrt n)

Two statements, both of which allow for the configurations' having been chosen, as the best of however many, by the very
values that are tested:

- The winner is better than the runner-up where the two-sided paired t-test says so at the level alpha. No correction
  for the number of candidates is needed: the more of them are equal, the closer the best two lie together. Hung and
  Fithian 2019, "Rank verification for exponential families" (Annals of Statistics 47), prove that of equally precise
  means; `benchmarks.significance` measures it, also of what a race leaves.
- Any two of the m differ where Holm's correction of the two-sided p values for all m (m - 1) / 2 pairs says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

from utilities.surrogate import Array

LEVEL = 0.05
"""Error rate of either statement."""

TOP = 5
"""Configurations that are compared."""

LEAST_INSTANCES = 5
"""Instances from which on they are the pairs, what is repeated on each being averaged: the statement is then one about
instances like these. With fewer, every evaluation is a pair, and the statement is about these very instances."""


class Compared(NamedTuple):
    """A configuration that is compared: its trial, its mean, and the standard error of that."""

    number: int
    objective: float
    standard_error: float


class Pair(NamedTuple):
    """Two of them, by their trials: mean of the first less the second, its error, p two-sided and after correction."""

    trials: tuple[int, int]
    difference: float
    standard_error: float
    p: float
    corrected_p: float


class Comparison(NamedTuple):
    """What is known of the best configurations.

    Attributes
    ----------
    trials
        The best first.
    pairs
        All pairs of them, the better one first.
    pair_count
        Number of values, in pairs, that each test rests on.
    p
        That the winner is no better than the runner-up.
    """

    trials: list[Compared]
    pairs: list[Pair]
    pair_count: int
    p: float

    @property
    def told_apart(self) -> bool:
        """Whether the winner is better than the runner-up, at the level `LEVEL`."""
        return self.p <= LEVEL


def compare(numbers: Sequence[int], values: Array, direction: str) -> Comparison | None:
    """Compare the best of some configurations; None where there are not two of them, or not two pairs.

    Parameters
    ----------
    numbers
        Of their trials.
    values : array (m, n)
        Objectives on what all were evaluated on.
    direction
        "minimize" or "maximize".
    """
    if len(values) < 2 or values.shape[1] < 2:
        return None
    size = max(1.0, float(np.abs(values).max()))  # squares of 1e200 would overflow
    scaled = values / size
    means = scaled.mean(axis=1)
    order = np.argsort(means if direction == "minimize" else -means, kind="stable")[:TOP]
    effects = scaled[order].mean(axis=0)
    residuals = scaled[order] - (effects - effects.mean())
    errors = np.sqrt(residuals.var(axis=1, ddof=1) / values.shape[1])
    trials = [
        Compared(numbers[i], float(means[i]) * size, float(error) * size)
        for i, error in zip(order.tolist(), errors.tolist(), strict=True)
    ]
    places = list(combinations(range(len(order)), 2))
    tests = [_paired(scaled[order[a]] - scaled[order[b]]) for a, b in places]
    corrected = holm([p for _, _, p in tests])
    pairs = [
        Pair((trials[a].number, trials[b].number), mean * size, error * size, p, adjusted)
        for (a, b), (mean, error, p), adjusted in zip(places, tests, corrected, strict=True)
    ]
    return Comparison(trials, pairs, values.shape[1], pairs[0].p)


def _paired(difference: Array) -> tuple[float, float, float]:
    """Mean of the differences (n,), its standard error, and the two-sided p value of the paired t-test."""
    mean = float(difference.mean())
    error = float(difference.std(ddof=1)) / math.sqrt(len(difference))
    if error <= 1e-12 * abs(mean) or error == 0.0:  # the same difference throughout, or none
        return mean, error, 1.0 if mean == 0.0 else 0.0
    return mean, error, float(2.0 * stdtr(len(difference) - 1, -abs(mean) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values after Holm's correction (1979) for their number, in their order."""
    order = np.argsort(p_values, kind="stable")
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order.tolist()):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def in_pairs(values: Array, instances: int) -> Array:
    """Values (m, n) to be compared in pairs, of evaluations (m, repeats x instances), the instances innermost."""
    if instances < LEAST_INSTANCES:
        return values
    return np.asarray(values.reshape(len(values), -1, instances).mean(axis=1))

"""Regrets of all records, and what is said of them: ranks, means, ratios with their intervals.

Symbols and shapes
------------------
n   pairs of a problem and a seed that all compared optimisers have
R (n, m)   normalised regret of m optimisers at some number of evaluations

Every problem has the same weight, whatever the number of its seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.regret.problem import Reference
from benchmarks.regret.records import Record

Array = NDArray[np.float64]
Pair = tuple[str, int]

FLOOR = 1e-4
"""Regret below which two runs count as equal in geometric means and lists."""

NOTHING_YET = 1.0
"""Regret of a run that had no success so far: that of a median random point."""

DRAWS = 4_000
_GROWTH = 1.5


def sharpened(references: Mapping[str, Reference], records: Mapping[str, Iterable[Record]]) -> dict[str, Reference]:
    """References whose best is the best of any record, where that is better."""
    best = {name: reference.best for name, reference in references.items()}
    for record in (record for several in records.values() for record in several):
        if record.problem in best:
            best[record.problem] = min([best[record.problem], *(value for _, value in record.improvements)])
    return {name: Reference(best[name], reference.median) for name, reference in references.items()}


def curve(record: Record, reference: Reference, evaluations: int) -> Array:
    """Normalised regret of a run after 1, 2, ... evaluations, (evaluations,)."""
    regrets = np.maximum(record.incumbents(evaluations) - reference.best, 0.0) / (reference.median - reference.best)
    return np.where(np.isnan(regrets), NOTHING_YET, regrets)


@dataclass(frozen=True)
class Regrets:
    """Regrets at one number of evaluations and of pending trials: optimiser, then (problem, seed)."""

    values: Mapping[str, Mapping[Pair, float]]

    @classmethod
    def at(
        cls,
        records: Mapping[str, Iterable[Record]],
        references: Mapping[str, Reference],
        pending: int,
        evaluations: int,
    ) -> Regrets:
        """Regrets of the runs that went as far, or ended by an error before: these count with what they have."""
        return cls(
            {
                name: {
                    (record.problem, record.seed): float(curve(record, references[record.problem], evaluations)[-1])
                    for record in several
                    if record.pending == pending
                    and record.problem in references
                    and (record.evaluations >= evaluations or record.error)
                }
                for name, several in records.items()
            }
        )

    def common(self, optimisers: Iterable[str]) -> list[Pair]:
        """Pairs that all of the optimisers have, sorted."""
        sets = [set(self.values.get(name, {})) for name in optimisers]
        return sorted(set.intersection(*sets)) if sets else []

    def table(self, optimisers: Sequence[str], pairs: Sequence[Pair]) -> Array:
        """R (n, m)."""
        return np.array([[self.values[name][pair] for name in optimisers] for pair in pairs])

    def groups(self) -> Iterator[tuple[list[str], list[Pair]]]:
        """Optimisers to be ranked together, and the pairs that all of them have.

        First all optimisers; then, the one with the fewest pairs left out again and again, whenever that makes half
        as many pairs more than the group before had.
        """
        names = [name for name, values in self.values.items() if values]
        names.sort(key=lambda name: (-len(self.values[name]), name))
        size = 0
        while len(names) > 1:
            pairs = self.common(names)
            if len(pairs) >= max(1.0, _GROWTH * size):
                yield list(names), pairs
                size = len(pairs)
            names.pop()


def weights(pairs: Sequence[Pair]) -> Array:
    """Weight of each pair, (n,): one over the seeds of its problem, adding up to 1."""
    problems = [problem for problem, _ in pairs]
    share = np.array([1.0 / problems.count(problem) for problem in problems])
    return share / share.sum()


@dataclass(frozen=True)
class Standing:
    """What one optimiser reaches among others."""

    optimiser: str
    rank: float
    mean: float
    geometric: float


def standings(regrets: Regrets, optimisers: Sequence[str], pairs: Sequence[Pair]) -> list[Standing]:
    """Average rank (ties share theirs), mean and geometric mean of the regret; best rank first."""
    table, weight = regrets.table(optimisers, pairs), weights(pairs)
    ranks = weight @ rankdata(np.maximum(table, FLOOR), axis=1)
    means, logs = weight @ table, weight @ np.log(np.maximum(table, FLOOR))
    rows = [
        Standing(name, float(rank), float(mean), float(np.exp(log)))
        for name, rank, mean, log in zip(optimisers, ranks, means, logs, strict=True)
    ]
    return sorted(rows, key=lambda row: row.rank)


@dataclass(frozen=True)
class Ratio:
    """Ours over theirs, of means and of geometric means, each with its 95 % interval; below 1 we are better."""

    problems: int
    pairs: int
    mean: float
    mean_interval: tuple[float, float]
    geometric: float
    geometric_interval: tuple[float, float]


def ratio(regrets: Regrets, ours: str, theirs: str, draws: int = DRAWS) -> Ratio | None:
    """Ratio on all pairs that both have, None where there are none.

    The interval is that of a paired bootstrap: problems are drawn with replacement, then seeds within each.
    """
    pairs = regrets.common([ours, theirs])
    if not pairs:
        return None
    table, names = regrets.table([ours, theirs], pairs), sorted({problem for problem, _ in pairs})
    rows = {name: table[[problem == name for problem, _ in pairs]] for name in names}
    logs = {name: np.log(np.maximum(found, FLOOR)) for name, found in rows.items()}

    def averages(several: Mapping[str, Array]) -> Array:
        return np.mean([several[name].mean(axis=0) for name in names], axis=0)

    mean, log = averages(rows), averages(logs)
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(names), size=(draws, len(names)))
    seeds = [rng.integers(len(rows[name]), size=(draws, len(rows[name]))) for name in names]
    resampled = [_resample(several, names, seeds, drawn) for several in (rows, logs)]
    return Ratio(
        problems=len(names),
        pairs=len(pairs),
        mean=_over(mean),
        mean_interval=_interval([_over(draw) for draw in resampled[0]]),
        geometric=float(np.exp(log[0] - log[1])),
        geometric_interval=_interval(np.exp(resampled[1][:, 0] - resampled[1][:, 1])),
    )


def _over(pair: Array) -> float:
    """Ratio of two means, 1 where both vanish."""
    ours, theirs = (max(float(value), 1e-12) for value in pair)
    return ours / theirs


def _interval(draws: Sequence[float] | Array) -> tuple[float, float]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _resample(rows: Mapping[str, Array], names: Sequence[str], seeds: Sequence[Array], drawn: Array) -> Array:
    """Means (draws, 2) of problems `drawn` (draws, problems), each over its `seeds` (draws, its seeds)."""
    by_problem = np.stack([rows[name][chosen].mean(axis=1) for name, chosen in zip(names, seeds, strict=True)], axis=1)
    return np.take_along_axis(by_problem, drawn[:, :, None], axis=1).mean(axis=1)


@dataclass(frozen=True)
class Loss:
    """A problem on which a peer has a lower mean regret than ours on the seeds that both have."""

    problem: str
    ours: float
    peer: str
    theirs: float
    seeds: int
    worse: int


def losses(regrets: Regrets, ours: str, peers: Iterable[str]) -> list[Loss]:
    """Every such problem and peer, those below FLOOR on both sides aside; `worse` seeds of `seeds` were lost."""
    found = []
    for peer in peers:
        pairs = regrets.common([ours, peer])
        table = np.maximum(regrets.table([ours, peer], pairs), FLOOR) if pairs else np.empty((0, 2))
        for problem in sorted({problem for problem, _ in pairs}):
            rows = table[[name == problem for name, _ in pairs]]
            mine, other = (float(value) for value in rows.mean(axis=0))
            if other < mine:
                found.append(Loss(problem, mine, peer, other, len(rows), int((rows[:, 1] < rows[:, 0]).sum())))
    return sorted(found, key=lambda loss: (loss.problem, loss.theirs))

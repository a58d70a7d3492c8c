"""Who runs what: one table of optimisers, with the problems, seeds and evaluations that their cost allows.

Peers that take seconds or more a proposal run fewer seeds, and the slowest on named problems only. A comparison is made
on the problems and seeds that both sides have, so a subset costs power, not fairness.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from benchmarks.regret.problem import Problem

CORE = (
    *("branin*", "hartmann*", "bbob-f0[38]-*", "bbob-f1[05]-*", "bbob-f21-*", "bbob-noisy-f107-*", "bbob-noisy-f128-*"),
    *("mixint-f0[38]-*", "mixint-f15-*", "svm", "logreg", "fcnet-*", "mlp-*", "nasbench201-*", "lcbench-*"),
)
"""Runs first; all that runs with 64 pending, and with 16 for the peers of middling cost."""

SOME = (
    *("branin-crash", "hartmann6*", "bbob-f03-d05", "bbob-f08-d05", "bbob-f08-d10", "bbob-f10-d10", "bbob-f15-d10"),
    *("bbob-f15-d20", "bbob-f21-d05", "bbob-noisy-f107-d05", "mixint-f03-d10", "mixint-f08-d10", "mixint-f15-d05"),
    *("logreg", "fcnet-protein", "mlp-vehicle", "nasbench201-*", "lcbench-3945", "lcbench-167168"),
)
"""What BoTorch runs, at more than a CPU second a proposal."""

FEW = (
    *("hartmann6", "hartmann6-crash", "bbob-f08-d05", "bbob-f15-d10", "bbob-noisy-f107-d05", "mixint-f08-d10"),
    *("fcnet-protein", "lcbench-3945"),
)
FEWEST = ("hartmann6", "bbob-f08-d05", "mixint-f08-d10", "lcbench-3945")

DEAR = 0.1
"""CPU seconds of a proposal from which an optimiser's runs come after those of the others."""

EVALUATIONS = {1: 100, 16: 100, 64: 200}
"""Evaluations of a run, by how many are pending at a time."""

TRAINING_EVALUATIONS, TRAINING_SEEDS = 50, 3


@dataclass(frozen=True)
class Optimiser:
    """How one optimiser is run.

    Attributes
    ----------
    environment
        The virtual environment of its driver: ``.venv-bench-<environment>``.
    driver
        Module of its driver in benchmarks.regret.peers, and the driver's arguments.
    cost
        Order of the CPU seconds of one proposal, by which runs are ordered.
    seeds
        Seeds at most.
    problems
        Patterns of the problems it runs, by how many evaluations are pending.
    evaluations
        At most so many in a run.
    training
        Whether it runs the training jobs.
    """

    environment: str
    driver: tuple[str, ...]
    cost: float
    seeds: int
    problems: Mapping[int, tuple[str, ...]]
    evaluations: int = 10_000
    training: bool = True


_ALL = {1: ("*",), 16: ("*",), 64: CORE}
_MIDDLING = {1: ("*",), 16: CORE, 64: FEW}

OPTIMISERS: Mapping[str, Optimiser] = {
    "random": Optimiser("main", ("designs", "random"), 0.0001, 10, _ALL),
    "sobol": Optimiser("main", ("designs", "sobol"), 0.0001, 10, _ALL),
    "hyperopt-tpe": Optimiser("main", ("hyperopt_tpe",), 0.01, 10, _ALL),
    "optuna-tpe": Optimiser("main", ("optuna_samplers", "tpe"), 0.02, 10, _ALL),
    "reverie-dngo": Optimiser("main", ("reverie_methods", "dngo"), 0.2, 10, _ALL),
    "reverie-dngo-paper": Optimiser("main", ("reverie_methods", "dngo-paper"), 0.2, 10, _ALL),
    "reverie-auto": Optimiser("main", ("reverie_methods", "auto"), 0.2, 10, _ALL),
    "reverie-gp": Optimiser("main", ("reverie_methods", "gp"), 0.2, 10, _ALL),
    "smac": Optimiser("main", ("smac_hpo",), 0.2, 3, _MIDDLING),
    "optuna-gp": Optimiser("main", ("optuna_samplers", "gp"), 0.5, 5, _MIDDLING),
    "botorch": Optimiser("main", ("botorch_qlogei",), 1.0, 3, {1: SOME, 16: FEW}),
    "hebo": Optimiser("hebo", ("hebo_gp", "gp"), 4.0, 3, {1: FEW, 16: FEWEST}, evaluations=50, training=False),
    "hebo-gpy": Optimiser("hebo", ("hebo_gp", "gpy"), 5.0, 3, {1: FEW}, evaluations=50, training=False),
    "vizier": Optimiser("vizier", ("vizier_gp",), 12.0, 1, {1: FEWEST}, evaluations=50, training=False),
}


class Run(NamedTuple):
    """One run of the plan."""

    optimiser: str
    problem: str
    pending: int
    seed: int
    evaluations: int


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits any of the patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def plan(
    problems: Iterable[Problem],
    optimisers: Iterable[str] = tuple(OPTIMISERS),
    pending: Iterable[int] = tuple(EVALUATIONS),
    seeds: int = 10_000,
    evaluations: int | None = None,
) -> list[Run]:
    """Every run of a selection, in an order that is balanced wherever it stops.

    By seed; then the core before the other problems and those before the training jobs; then by how many are pending;
    then cheap optimisers before dear ones, problem by problem.
    """
    problems, pending = list(problems), list(pending)
    place = {problem.name: i for i, problem in enumerate(problems)}
    training = {problem.name: problem.training for problem in problems}
    pairs = itertools.product(optimisers, problems)
    runs = [run for name, problem in pairs for run in _runs(name, problem, pending, seeds, evaluations)]

    def order(run: Run) -> tuple[int, int, int, bool, int, float, str]:
        rank = 2 if training[run.problem] else int(not matches(run.problem, CORE))
        cost, row = OPTIMISERS[run.optimiser].cost, place[run.problem]
        return run.seed, rank, pending.index(run.pending), cost >= DEAR, row, cost, run.optimiser

    return sorted(runs, key=order)


def _runs(name: str, problem: Problem, pending: list[int], seeds: int, evaluations: int | None) -> Iterator[Run]:
    optimiser = OPTIMISERS[name]
    for workers in pending:
        count = EVALUATIONS.get(workers, max(EVALUATIONS.values()))
        patterns, limit = optimiser.problems.get(workers, ()), optimiser.seeds
        if problem.training:
            patterns = ("*",) if optimiser.training and workers == 1 else ()
            count, limit = TRAINING_EVALUATIONS, min(limit, TRAINING_SEEDS)
        if matches(problem.name, patterns):
            count = evaluations or min(count, optimiser.evaluations)
            yield from (Run(name, problem.name, workers, seed, count) for seed in range(min(limit, seeds)))

"""What a race over instances saves, and whether it picks as well: raced searches against all instances for everyone.

    python -m benchmarks.racing [--seeds 100] [--start 200] [--problem NAME] [--alpha A] [--first N]

Each search is asked for so many configurations of a noisy problem with ten instances, one after the other, once with
the race of a study file and once without. A configuration's loss on instance i is
``f(x + shift_i) + effect_i + noise``: the instances differ in difficulty, and in what is good on them. Its truth is the
mean of ``f(x + shift_i)``, known exactly. Compared are the evaluations used and the truth of what each search picks,
seed by seed, for so many seeds from ``--start`` on. Writes ``data/racing/runs.csv``, whose rows are not made
again, and ``racing.md``; with an alpha or a first, only prints.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from benchmarks.scaling.results import append
from learning_objective.benchmarks import BENCHMARKS
from mpi.mpi_hands import Hands
from mpi.mpi_race import Parts
from utilities.designs import sobol_points
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.storage.study import Study
from utilities.surrogate import Array
from utilities.trial import Config, Outcome, TrialState

DATA = Path(__file__).resolve().parent.parent / "data" / "racing"
INSTANCES = 10
CHOSEN_BY = 500
"""Seeds below it are those by which the defaults of a race were chosen, and earlier ones found wanting."""

COLUMNS = ("problem", "seed", "all_evaluations", "raced_evaluations", "all_regret", "raced_regret")
RESAMPLES = 10_000


@dataclass(frozen=True)
class Problem:
    """A benchmark made noisy.

    Attributes
    ----------
    benchmark, method, budget
        Its function, by what it is searched, and how many configurations that proposes.
    shift
        Deviation of the instances' shifts, in shares of each parameter's range.
    effect
        Deviation of the instances' effects.
    noise
        Deviation of the noise of an evaluation.
    """

    benchmark: str
    method: str
    budget: int
    shift: float
    effect: float
    noise: float

    @cached_property
    def space(self) -> Space:
        """Where to search."""
        return Space.from_dict(BENCHMARKS[self.benchmark].space)

    @cached_property
    def shifts(self) -> Array:
        """Shifts (K, d) of the instances, which sum to 0."""
        table = BENCHMARKS[self.benchmark].space.values()
        ranges = np.array([parameter["high"] - parameter["low"] for parameter in table])
        drawn = np.random.default_rng(1).standard_normal((INSTANCES, len(ranges))) * ranges * self.shift
        return np.asarray(drawn - drawn.mean(axis=0))

    @cached_property
    def effects(self) -> Array:
        """Effects (K,) of the instances."""
        return np.random.default_rng(2).standard_normal(INSTANCES) * self.effect

    def on(self, config: Config, instance: int) -> float:
        """Loss on an instance, without its effect and without noise."""
        shifted = {
            name: float(value) + s for (name, value), s in zip(config.items(), self.shifts[instance], strict=True)
        }
        return float(BENCHMARKS[self.benchmark].function(shifted))

    def truth(self, config: Config) -> float:
        """Mean loss over the instances, without their effects and without noise."""
        return float(np.mean([self.on(config, instance) for instance in range(INSTANCES)]))

    @cached_property
    def least(self) -> float:
        """Lowest truth there is, by a search from the best of many points."""
        points = sobol_points(len(self.space), 2048, np.random.default_rng(3))
        at = partial(_truth_at, self)
        starts = points[np.argsort([at(point) for point in points])[:8]]
        box = [(0.0, 1.0)] * len(self.space)
        return min(float(minimize(at, start, bounds=box, method="L-BFGS-B").fun) for start in starts)


def _truth_at(problem: Problem, point: Array) -> float:
    table = BENCHMARKS[problem.benchmark].space.items()
    places = zip(table, point.tolist(), strict=True)
    return problem.truth({name: p["low"] + share * (p["high"] - p["low"]) for (name, p), share in places})


PROBLEMS = {
    "branin, random": Problem("branin", "random", 100, 0.03, 20.0, 3.0),
    "branin, gp": Problem("branin", "gp", 40, 0.03, 20.0, 1.0),
    "hartmann6, gp": Problem("hartmann6", "gp", 60, 0.03, 0.5, 0.2),
    "branin, gp, long converged": Problem("branin", "gp", 40, 0.03, 20.0, 3.0),
}


def search(problem: Problem, seed: int, **race: Any) -> tuple[int, float]:
    """Search once; returns the evaluations used and the regret of what was picked."""
    study = Study(
        name="s", objective="", space=problem.space, folder=Path(), source="", instances=list(range(INSTANCES)), **race
    )
    optimizer = Optimizer(problem.space, problem.method, seed)
    parts = Parts(list(range(INSTANCES)), study, seed, Hands())
    ended = evaluations = 0
    while ended < problem.budget:
        part = parts.next(0)
        if part is None:
            parts.enter(optimizer.ask())
            continue
        place = int(part.part or 0)
        noise = np.random.default_rng([seed, part.number, place]).standard_normal() * problem.noise
        loss = problem.on(part.config, place) + problem.effects[place] + noise
        evaluations += 1
        parts.take(part, Outcome(TrialState.COMPLETE, float(loss)))
        for trial, outcome in parts.settle():
            optimizer.tell_outcome(trial, outcome)
            ended += 1
    best = optimizer.best
    return evaluations, math.inf if best is None else problem.truth(best.config) - problem.least


def pair(name: str, race: dict[str, Any], seed: int) -> dict[str, Any]:
    """Row of a seed: both searches."""
    problem = PROBLEMS[name]
    whole, raced = search(problem, seed, race_alpha=0.0), search(problem, seed, **race)
    return dict(zip(COLUMNS, (name, seed, whole[0], raced[0], whole[1], raced[1]), strict=True))


def interval(values: Array, statistic: Callable[[Array], float]) -> tuple[float, float]:
    """Bootstrap interval of 95 %."""
    rng = np.random.default_rng(0)
    drawn = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(RESAMPLES)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def table(rows: list[dict[str, Any]]) -> str:
    """The table as Markdown."""
    lines = [
        "# What a race over instances saves",
        "",
        f"{INSTANCES} instances that differ in difficulty and in what is good on them, noise, known truth. Each seed",
        "is searched twice with as many configurations: all instances for everyone, and raced as by default. Regret is",
        "that of the configuration picked, by its truth; differences are paired by seed, intervals are 95 % bootstrap",
        f"intervals of the mean. The race's defaults were chosen by seeds below {CHOSEN_BY}; all others are new to",
        "them. Regenerate: `python -m benchmarks.racing`.",
        "",
        "| problem | configurations | seeds | evaluations, share | regret, all | regret, raced | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in (name for name in PROBLEMS if name in {row["problem"] for row in rows}):
        own = sorted((row for row in rows if row["problem"] == name), key=lambda row: int(row["seed"]))
        for new in (False, True):
            group = [row for row in own if (int(row["seed"]) >= CHOSEN_BY) is new]
            lines += [_line(name, group)] if group else []
    return "\n".join(lines) + "\n"


def _line(name: str, rows: list[dict[str, Any]]) -> str:
    """A line of the table."""
    share = np.array([float(row["raced_evaluations"]) / float(row["all_evaluations"]) for row in rows])
    whole, raced = (np.array([float(row[f"{arm}_regret"]) for row in rows]) for arm in ("all", "raced"))
    low, high = interval(raced - whole, np.mean)
    used = f"{share.mean():.1%} (largest {share.max():.1%})"
    change = f"{(raced - whole).mean():+.4g} [{low:+.4g}, {high:+.4g}]"
    seeds = f"{rows[0]['seed']} to {rows[-1]['seed']}"
    return (
        f"| {name} | {PROBLEMS[name].budget} | {seeds} | {used} | {whole.mean():.4g} | {raced.mean():.4g} | {change} |"
    )


def main() -> None:
    """Search, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--start", type=int, default=CHOSEN_BY)
    parser.add_argument("--problem", choices=list(PROBLEMS))
    parser.add_argument("--alpha", type=float)
    parser.add_argument("--first", type=int)
    options = parser.parse_args()
    names = [options.problem] if options.problem else list(PROBLEMS)
    race = {"race_alpha": options.alpha, "first_instances": options.first}
    seeds = range(options.start, options.start + options.seeds)
    if options.alpha is not None or options.first is not None:
        with ProcessPoolExecutor(2) as pool:
            print(table([row for name in names for row in pool.map(partial(pair, name, race), seeds)]))
        return
    runs = DATA / "runs.csv"
    rows: list[dict[str, Any]] = list(csv.DictReader(runs.open())) if runs.exists() else []
    known = {(row["problem"], int(row["seed"])) for row in rows}
    left = [(name, seed) for seed in seeds for name in names if (name, seed) not in known]
    with ProcessPoolExecutor(2) as pool:
        for future in as_completed([pool.submit(pair, name, race, seed) for name, seed in left]):
            append(runs, [future.result()])
            rows.append(future.result())
            (DATA / "racing.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()

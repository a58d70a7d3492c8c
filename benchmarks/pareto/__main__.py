"""Hypervolume against evaluations, over seeds: ours, Optuna's NSGA-II and TPE, and random search.

    python -m benchmarks.pareto run [--seeds 5] [--only OPTIMIZER ...] [--part K/N]
    python -m benchmarks.pareto report

``run`` makes the runs that are missing in ``data/pareto/runs.csv``, ``report`` writes ``data/pareto/pareto.md``. Needs
``pip install optuna``. Trials end in the order in which they began, so many at a time as are pending.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import deque
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.pareto.optimizers import OPTIMIZERS
from benchmarks.pareto.problems import PROBLEMS, Problem, largest
from utilities.pareto import hypervolume

FOLDER = Path(__file__).resolve().parents[2] / "data" / "pareto"
EVALUATIONS = 60
MARKS = (20, 40, 60)
PENDING = (1, 16)
_FEWEST = 3


class Run(NamedTuple):
    """What a run is of."""

    problem: str
    pending: int
    optimizer: str
    seed: int


def measure(problem: Problem, optimizer: str, pending: int, seed: int) -> list[float]:
    """What is found after each of `MARKS` evaluations: the hypervolume, or the lowest objective, of feasible trials."""
    asked = OPTIMIZERS[optimizer](problem, seed, pending)
    waiting: deque[tuple[object, dict[str, float]]] = deque()
    values: list[list[float]] = []
    found: list[float] = []
    for count in range(1, EVALUATIONS + 1):
        while len(waiting) < min(pending, EVALUATIONS - count + 1):
            waiting.append(asked.ask())
        trial, config = waiting.popleft()
        objectives, metrics = problem(config)
        asked.tell(trial, objectives, metrics)
        if all(metric <= 0.0 for metric in metrics):
            values.append(objectives)
        if count in MARKS:
            found.append(_quality(problem, np.array(values)))
    return found


def _quality(problem: Problem, values: np.ndarray) -> float:
    if not problem.reference:
        return float(values.min()) if len(values) else math.inf
    return hypervolume(values, np.array(problem.reference)) if len(values) else 0.0


def read(path: Path) -> dict[Run, list[float]]:
    """Runs that are in the table at `path`."""
    if not path.exists():
        return {}
    with open(path, newline="") as file:
        return {
            Run(row["problem"], int(row["pending"]), row["optimizer"], int(row["seed"])): [
                float(row[f"at_{mark}"]) for mark in MARKS
            ]
            for row in csv.DictReader(file)
        }


def run(seeds: int, only: list[str], part: tuple[int, int]) -> None:
    """Make the runs that are missing; of several parts that run side by side, one."""
    path = FOLDER / "runs.csv"
    FOLDER.mkdir(parents=True, exist_ok=True)
    known = read(path)
    wanted = [
        (Run(problem.name, pending, optimizer, seed), problem)
        for seed in range(seeds)
        for problem in PROBLEMS
        for pending in PENDING
        for optimizer in only
    ]
    for index, (one, problem) in enumerate(wanted):
        if one in known or index % part[1] != part[0]:
            continue
        found = measure(problem, one.optimizer, one.pending, one.seed)
        new = not path.exists()
        with open(path, "a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow([*Run._fields, *(f"at_{mark}" for mark in MARKS)])
            writer.writerow([*one, *(f"{value:.9g}" for value in found)])
        print(*one, *(f"{value:.5g}" for value in found), flush=True)


def report() -> str:
    """Table of what was missed of the largest hypervolume, or of the lowest objective, with 95 % intervals."""
    known = read(FOLDER / "runs.csv")
    lines = [
        "# Several objectives, and constraints on metrics",
        "",
        f"{EVALUATIONS} evaluations, one or 16 at a time. Given is the mean share of the largest hypervolume that was",
        "missed or, of the single objective of `gardner2`, how far the best feasible trial lies above the optimum;",
        "with a 95 % bootstrap interval over the seeds, where there are three or more. Regenerate:",
        "`python -m benchmarks.pareto run`, `report`.",
    ]
    for problem in PROBLEMS:
        best = largest(problem)
        for pending in PENDING:
            lines += ["", f"## {problem.name}, {pending} pending", ""]
            lines.append("| optimiser | seeds | " + " | ".join(f"at {mark}" for mark in MARKS) + " |")
            lines.append("|---|---|" + "---|" * len(MARKS))
            for name in OPTIMIZERS:
                rows = [found for one, found in known.items() if one[:3] == (problem.name, pending, name)]
                if rows:
                    table = np.array(rows)
                    missed = 1.0 - table / best if problem.reference else table - best
                    cells = " | ".join(_interval(column) for column in missed.T)
                    lines.append(f"| {name} | {len(rows)} | {cells} |")
    return "\n".join(lines) + "\n"


def _interval(values: np.ndarray) -> str:
    if not np.isfinite(values).all():
        return f"none feasible in {np.sum(~np.isfinite(values))} of {len(values)}"
    if len(values) < _FEWEST:
        return f"{values.mean():.4f}"
    means = np.random.default_rng(0).choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{values.mean():.4f} ({low:.4f} to {high:.4f})"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pareto", description=__doc__)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(OPTIMIZERS), default=list(OPTIMIZERS))
    parser.add_argument("--part", default="0/1", help="K/N: the K-th of N parts, counted from 0")
    options = parser.parse_args()
    if options.what == "run":
        place, _, parts = options.part.partition("/")
        run(options.seeds, options.only, (int(place), int(parts)))
    else:
        (FOLDER / "pareto.md").write_text(report(), encoding="utf-8")


if __name__ == "__main__":
    main()

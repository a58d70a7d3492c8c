"""``python -m benchmarks.learning_curves``: run what is missing, then write report and figures. See README.md."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.learning_curves.report import targets, write
from benchmarks.learning_curves.runner import append, read, remove, timed
from benchmarks.learning_curves.subjects import BASELINES, CHEAP, SUBJECTS
from benchmarks.learning_curves.tasks import EPOCHS, Surrogate

TASKS = ("3945", "126026", "167104", "167168", "167190", "168330", "168908", "189865")
"""Every fourth of the 34, by number."""

BUDGET = 50 * EPOCHS
FOLDER = Path("data/learning_curves")


def main() -> None:
    """Take the options, run, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning_curves", description=__doc__)
    parser.add_argument("--tables", type=Path, default=Path("../shared/tables"), help="folder with yahpo_lcbench/")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument("--subjects", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--hours", type=float, default=float("inf"), help="begin no run after so many")
    parser.add_argument("--share", type=int, nargs=2, default=(0, 1), metavar=("I", "N"), help="every N-th run, from I")
    parser.add_argument("--report", action="store_true", help="only write the report of the runs there are")
    options = parser.parse_args()
    if not options.report:
        _run(options)
    write(read(FOLDER / "runs.csv"), FOLDER, BUDGET)


def _run(options: argparse.Namespace) -> None:
    surrogate, end = Surrogate(options.tables / "yahpo_lcbench"), time.monotonic() + 3600.0 * options.hours
    place, shares = options.share
    for i, (subject, task, workers, seed) in enumerate(_order(options)):
        file = FOLDER / "runs.csv"
        runs, names = read(file), (subject, task, workers, seed)
        if i % shares != place:
            continue
        target, budget = float("-inf"), BUDGET
        if subject not in CHEAP:
            goals = targets(runs, workers, BUDGET)
            target, budget = min(goals[task][name] for name in BASELINES), BUDGET // 2
        kept = next((run for run in runs if run[:4] == names), None)
        if kept is not None and not kept.ended_before(target):
            continue
        if time.monotonic() > end:
            return
        if kept is not None:
            remove(file, kept)
        append(file, timed(names, SUBJECTS[subject](seed), partial(surrogate.curve, task), budget, target))


def _order(options: argparse.Namespace) -> Iterator[tuple[str, str, int, int]]:
    """Cheap subjects first, since theirs are the targets; then seed by seed, so that what is there is balanced."""
    cheap = [name for name in options.subjects if name in CHEAP]
    others = [name for name in options.subjects if name not in CHEAP]
    for names in (cheap, others):
        for workers in options.workers:
            for seed in range(options.seeds):
                for task in TASKS:
                    for name in names:
                        yield name, task, workers, seed


if __name__ == "__main__":
    main()

"""What regret is measured against: the best value known and the median of random points, from references.csv.

The median is that of the noise-free values of 1,000 random configurations (200 where each trains a model) without those
that crash. Where nobody knows the minimum, the best that a random descent finds from the best three of them stands in
for it, until a run finds better.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from benchmarks.regret.problem import Config, Crash, Problem, Reference
from reverie import Space

FILE = Path(__file__).parent / "references.csv"
SAMPLE = {False: 1_000, True: 200}
"""Random configurations, by whether an evaluation trains a model."""

COLUMNS = ("problem", "best", "median")

_DESCENT_STEPS = {False: 4_000, True: 60}
_STEP_SCALES = (0.3, 0.1, 0.03, 0.01)


def sample_values(problem: Problem, count: int | None = None) -> tuple[list[Config], list[float]]:
    """Random configurations that do not crash, of `count`, and their noise-free values."""
    count = count or SAMPLE[problem.training]
    space = Space.from_dict(problem.space)
    points = np.random.default_rng(0).random((count, len(space)))
    configs, values = [], []
    for config in space.from_unit(points):
        try:
            values.append(problem.true(config))
        except Crash:
            continue
        configs.append(config)
    return configs, values


def descend(problem: Problem, config: Config, value: float, seed: int = 0) -> float:
    """Best value of a random descent: steps of four scales in a few coordinates, taken when not worse."""
    space, rng = Space.from_dict(problem.space), np.random.default_rng(seed)
    place = space.to_unit([dict(config)])[0]
    for step in range(_DESCENT_STEPS[problem.training]):
        moved = rng.random(len(place)) < max(1.0 / len(place), rng.random() ** 2)
        proposal = place + moved * rng.normal(0.0, _STEP_SCALES[step % len(_STEP_SCALES)], len(place))
        proposal = np.abs(1.0 - np.abs(1.0 - proposal) % 2.0)
        found = problem.true(space.from_unit(proposal[None])[0])
        if found <= value:
            place, value = proposal, found
    return value


def measure(problem: Problem) -> Reference:
    """Compute a problem's reference anew."""
    configs, values = sample_values(problem)
    median = float(np.median(values))
    if problem.best is not None:
        return Reference(problem.best, median)
    first = np.argsort(values, kind="stable")[:3]
    return Reference(min(descend(problem, configs[i], values[i], seed=int(i)) for i in first), median)


def write(problems: Iterable[Problem], file: Path = FILE) -> None:
    """Measure every problem's reference and store them, keeping those of problems that are not given."""
    references = dict(read(file)) if file.exists() else {}
    for problem in problems:
        references[problem.name] = measure(problem)
        print(f"{problem.name}: {references[problem.name]}", flush=True)
    with open(file, "w", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((name, f"{ref.best:.17g}", f"{ref.median:.8g}") for name, ref in sorted(references.items()))


def read(file: Path = FILE) -> Mapping[str, Reference]:
    """References by problem."""
    with open(file, newline="") as opened:
        return {row["problem"]: Reference(float(row["best"]), float(row["median"])) for row in csv.DictReader(opened)}

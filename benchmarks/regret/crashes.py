"""What not knowing where evaluations crash costs: `auto` as it is, against `auto` that is told the region.

    python -m benchmarks.regret.crashes [--seeds 10]

Sequential, 100 evaluations, in this process, on `problems()`, about 30 % of whose boxes crash. The one that is told has
P[valid] of 0 or 1 in its acquisition and leaves out the crashing points of its initial design; all else is the same.
Finished runs are kept in ``data/regret_analysis/crash_runs/`` and not repeated; the table goes to
``data/regret_analysis/crashes.md``. Needs the environment ``.venv-bench-main`` (see README.md beside this file).
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.regret import records
from benchmarks.regret.in_process import InProcess
from benchmarks.regret.problem import Config, Crash, Problem
from benchmarks.regret.problems import synthetic
from benchmarks.regret.runner import execute
from benchmarks.regret.subsets import Run
from learning_objective.hartmann import HARTMANN6
from utilities.feasible import Constraint
from utilities.proposals import DesignProposer
from utilities.space import Space

FOLDER = records.ROOT / "data" / "regret_analysis" / "crash_runs"
TABLE = records.ROOT / "data" / "regret_analysis" / "crashes.md"
EVALUATIONS, LEARNING = 100, 30
FOUND = 0.01
"""Of the distance from a median random point to the optimum: at most so much regret counts as having found it."""

IMPOSSIBLE = -1e4
"""Log probability of a valid outcome where the region is known to crash."""

TITLES = {"learned": "learned from crashes", "known": "known beforehand"}


def problems() -> dict[str, Problem]:
    """Branin and Hartmann6 with crashing regions, and Hartmann6 with its minimum on the border of the region."""
    known = {problem.name: problem for problem in synthetic.problems() if problem.family == "crash"}
    border = dataclasses.replace(known["hartmann6-crash"], name="hartmann6-border", true=_beyond_the_border)
    return known | {border.name: border}


def _beyond_the_border(config: Config) -> float:
    """Hartmann6, of which x6 > 0.6573 crashes: 34 % of the cube, up to its minimum at x6 = 0.657301."""
    if config["x6"] > 0.6573:
        raise Crash
    return float(HARTMANN6.function(config))  # type: ignore[arg-type]


class KnownRegion:
    """A model of validity that knows: what `utilities.validity.Validity` is to an acquisition."""

    def __init__(self, crashes: Callable[[np.ndarray], np.ndarray]) -> None:
        self._crashes = crashes

    def log_probability(self, x: np.ndarray) -> np.ndarray:
        """0 (m,) at valid `x` (m, p), else `IMPOSSIBLE`."""
        return np.where(self._crashes(x), IMPOSSIBLE, 0.0)

    def log_probability_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`log_probability`, and its gradient (m, p), which is 0 almost everywhere."""
        return self.log_probability(x), np.zeros_like(x)

    def likely(self, x: np.ndarray) -> np.ndarray:
        """Whether each of `x` (m, p) is valid."""
        return ~self._crashes(x)

    def with_pending(self, x_pending: np.ndarray, rng: np.random.Generator) -> KnownRegion:
        """Itself: pending outcomes tell nothing."""
        return self


@contextmanager
def told(problem: Problem) -> Iterator[None]:
    """Within, every Optimizer of this problem knows where it crashes."""
    space = Space.from_dict(problem.space)

    def crashes(points: np.ndarray) -> np.ndarray:
        return np.array([_crashes(problem, config) for config in space.from_unit(points)], dtype=bool)

    original = DesignProposer.propose

    def propose(self: DesignProposer, *arguments: Any) -> Any:
        while True:
            proposal = original(self, *arguments)
            if not _crashes(problem, proposal.config):
                return proposal

    region = KnownRegion(crashes)
    with (
        mock.patch.object(Constraint, "validity", return_value=region),
        mock.patch.object(DesignProposer, "propose", propose),
    ):
        yield


def _crashes(problem: Problem, config: Config) -> bool:
    try:
        problem.true(config)
    except Crash:
        return True
    return False


def run(seeds: int) -> None:
    """Make the runs that are missing, seed by seed."""
    for seed in range(seeds):
        for name, problem in problems().items():
            for variant in TITLES:
                if not records.unfinished([(variant, (name, 1, seed))], FOLDER)[0]:
                    continue
                with told(problem) if variant == "known" else nullcontext():
                    record = execute(InProcess("auto"), problem, Run(variant, name, 1, seed, EVALUATIONS))
                records.append(variant, record, FOLDER)
                print(f"{variant} {name} seed {seed}: {len(record.failed)} crashed", flush=True)


def table() -> str:
    """The table as Markdown."""
    lines = [
        "# What not knowing the region costs",
        "",
        f"Sequential runs of `auto`, {EVALUATIONS} evaluations. A seed has found the optimum once its regret is at",
        f"most {FOUND:g} of that of a median random point. Regenerate: `python -m benchmarks.regret.crashes`.",
        "",
        "| problem | region | seeds | crashed of all | of those after the first 30: mean | worst seed | "
        "found after 50 | found after 100 | mean regret at 100 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, problem in problems().items():
        median = _median(problem)
        for variant, title in TITLES.items():
            runs = [record for record in records.read(variant, FOLDER) if record.problem == name]
            if runs:
                lines.append(f"| {name} | {title} | {_cells(runs, problem, median)} |")
    return "\n".join(lines) + "\n"


def _cells(runs: list[records.Record], problem: Problem, median: float) -> str:
    assert problem.best is not None
    late = [sum(number > LEARNING for number in run.failed) for run in runs]
    shares = np.array(late) / (EVALUATIONS - LEARNING)
    crashed = np.mean([len(run.failed) for run in runs]) / EVALUATIONS
    regret = np.array([(run.incumbents(EVALUATIONS) - problem.best) / (median - problem.best) for run in runs])
    found = [f"{np.sum(regret[:, at - 1] <= FOUND)} of {len(runs)}" for at in (EVALUATIONS // 2, EVALUATIONS)]
    cells = [str(len(runs)), f"{crashed:.1%}", f"{shares.mean():.1%}", f"{shares.max():.1%}", *found]
    return " | ".join([*cells, f"{regret[:, -1].mean():.4f}"])


def _median(problem: Problem) -> float:
    space = Space.from_dict(problem.space)
    points = np.random.default_rng(0).random((4000, len(space)))
    configs = [config for config in space.from_unit(points) if not _crashes(problem, config)]
    return float(np.median([problem.true(config) for config in configs]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regret.crashes", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    run(parser.parse_args().seeds)
    TABLE.write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    main()

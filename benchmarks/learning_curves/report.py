"""Table and figure of the runs: epochs to the baselines' final errors.

For each task a target is the median over seeds of a baseline's final error. A subject's cost is the median over seeds
of the epochs to that error, as a share of the baselines' budget; a seed that did not reach it within its own budget has
an infinite one. Shares are averaged over tasks by their geometric mean, with a bootstrap interval over the subject's
seeds. Targets are not drawn anew: runs end once they have reached them, and tell nothing of harder ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.learning_curves.runner import Run
from benchmarks.learning_curves.subjects import BASELINES, SUBJECTS

DRAWS = 2000
_COLOURS = dict(
    zip(
        SUBJECTS,
        ("#999999", "#E69F00", "#0072B2", "#56B4E9", "#CC79A7", "#009E73", "#D55E00", "#000000"),
        strict=True,
    )
)
"""Okabe and Ito (2008), Color universal design."""

MOST = 1.0
"""Share that counts where the median seed did not reach the target: more than all of the budget is not told apart."""


def targets(runs: Sequence[Run], workers: int, budget: int) -> dict[str, dict[str, float]]:
    """Median final error of each baseline (keys of the inner mapping) on each task (keys of the outer)."""
    found: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        if run.workers == workers and run.subject in BASELINES and run.budget == budget:
            found.setdefault(run.task, {}).setdefault(run.subject, []).append(run.error_at(budget))
    return {
        task: {name: float(np.median(errors)) for name, errors in own.items()}
        for task, own in found.items()
        if len(own) == len(BASELINES)
    }


class Comparison:
    """All runs with so many workers, by subject, task and seed."""

    def __init__(self, runs: Sequence[Run], workers: int, budget: int) -> None:
        self.budget = budget
        own = [run for run in runs if run.workers == workers]
        self.tasks = sorted(targets(own, workers, budget), key=int)
        self.subjects = [name for name in SUBJECTS if any(run.subject == name for run in own)]
        self.runs = {
            (name, task): [run for run in own if (run.subject, run.task) == (name, task)]
            for name in self.subjects
            for task in self.tasks
        }
        self.subjects = [name for name in self.subjects if all(self.runs[name, task] for task in self.tasks)]

    def share(self, subject: str, task: str, baseline: str, rng: np.random.Generator | None = None) -> float:
        """Median epochs to the baseline's final error as a share of the budget; of seeds drawn anew with `rng`."""
        target = float(np.median([run.error_at(self.budget) for run in self.runs[baseline, task]]))
        epochs = [run.epochs_to(target) for run in _drawn(self.runs[subject, task], rng)]
        return min(float(np.median(epochs)) / self.budget, MOST)

    def mean(self, subject: str, baseline: str, rng: np.random.Generator | None = None) -> float:
        """Geometric mean of the shares over tasks."""
        logs = [math.log(self.share(subject, task, baseline, rng)) for task in self.tasks]
        return math.exp(float(np.mean(logs)))

    def interval(self, subject: str, baseline: str) -> tuple[float, float]:
        """Bootstrap interval of 95 % of `mean` over seeds."""
        rng = np.random.default_rng(0)
        means = [self.mean(subject, baseline, rng) for _ in range(DRAWS)]
        low, high = np.quantile(means, [0.025, 0.975])
        return float(low), float(high)


def _drawn(runs: Sequence[Run], rng: np.random.Generator | None) -> list[Run]:
    return list(runs) if rng is None else [runs[i] for i in rng.integers(len(runs), size=len(runs))]


def write(runs: Sequence[Run], folder: Path, budget: int) -> None:
    """Write ``report.md`` and the figure of each number of workers."""
    lines = ["# Learning curves", ""]
    for workers in sorted({run.workers for run in runs}):
        comparison = Comparison(runs, workers, budget)
        lines += _section(comparison, workers)
        _draw(comparison, folder / f"workers_{workers}.png")
    (folder / "report.md").write_text("\n".join(lines).rstrip() + "\n")


def _section(comparison: Comparison, workers: int) -> list[str]:
    seeds = {name: min(len(comparison.runs[name, task]) for task in comparison.tasks) for name in comparison.subjects}
    lines = [
        f"## {workers} worker{'s' * (workers > 1)}, {len(comparison.tasks)} tasks",
        "",
        f"Epochs to a baseline's final error after {comparison.budget:,} epochs, as a share of these: geometric mean "
        "over tasks of the median over seeds, 95 % interval. Where the median seed did not reach an error, the share "
        "counts as 1: the baselines and random-asha had the whole budget for it, the others half of it.",
        "",
        "| subject | seeds | "
        + " | ".join(f"to {name}" for name in BASELINES)
        + " | tasks on which the median seed reached them |",
        "|---|---|" + "---|" * (len(BASELINES) + 1),
    ]
    for name in comparison.subjects:
        cells = []
        for baseline in BASELINES:
            low, high = comparison.interval(name, baseline)
            cells.append(f"{comparison.mean(name, baseline):.3f} ({low:.3f} to {high:.3f})")
        reached = [
            sum(comparison.share(name, task, baseline) < MOST for task in comparison.tasks) for baseline in BASELINES
        ]
        total = len(comparison.tasks)
        lines.append(f"| {name} | {seeds[name]} | {' | '.join(cells)} | {reached[0]}, {reached[1]} of {total} |")
    lines += ["", "Task by task, the share for each baseline in this order (1.00: not reached by the median seed):", ""]
    lines += ["| task | " + " | ".join(comparison.subjects) + " |", "|---|" + "---|" * len(comparison.subjects)]
    for task in comparison.tasks:
        cells = [
            ", ".join(f"{comparison.share(name, task, baseline):.2f}" for baseline in BASELINES)
            for name in comparison.subjects
        ]
        lines.append(f"| {task} | {' | '.join(cells)} |")
    return [*lines, ""]


def _draw(comparison: Comparison, file: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(comparison.tasks) // 4)
    figure = Figure(figsize=(13, 2.9 * rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 4, squeeze=False).ravel()
    epochs = np.arange(52, comparison.budget + 1, 13)
    for axis, task in zip(axes, comparison.tasks, strict=False):
        for name in comparison.subjects:
            errors = [[run.error_at(int(spent)) for spent in epochs] for run in comparison.runs[name, task]]
            middle = np.median(np.array(errors), axis=0)
            axis.plot(epochs, np.where(np.isfinite(middle), middle, np.nan), color=_COLOURS[name], label=name, lw=1.2)
        axis.set_title(f"task {task}", fontsize=9)
        axis.set_xscale("log")
        axis.tick_params(labelsize=7)
    for axis in axes[len(comparison.tasks) :]:
        axis.set_axis_off()
    axes[0].set_ylabel("median best error, %", fontsize=8)
    axes[0].set_xlabel("epochs", fontsize=8)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(file, dpi=80)

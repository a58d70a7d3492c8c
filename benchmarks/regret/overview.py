"""One figure of all problems: mean normalised regret against evaluations, a panel for each number of pending trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from benchmarks.regret.comparison import Array, Pair, Regrets, curve, weights
from benchmarks.regret.problem import Reference
from benchmarks.regret.records import Record
from benchmarks.regret.subsets import EVALUATIONS


def mean_curves(
    found: Mapping[str, Iterable[Record]], known: Mapping[str, Reference], pending: int
) -> tuple[int, dict[str, Array]]:
    """Mean regret of optimisers after 1, 2, ... evaluations, each problem with the same weight.

    They are those of the largest table of ranks.md, optimisers times problems, and what all of these ran.

    Returns
    -------
    problems, curves
        How many problems, and (evaluations,) for each optimiser.
    """
    evaluations = EVALUATIONS[pending]
    groups = Regrets.at(found, known, pending, evaluations).groups()
    names, pairs = max(groups, key=lambda group: len(group[0]) * _problems(group[1]))
    weight = weights(pairs)
    curves = {}
    for name in names:
        runs = {(run.problem, run.seed): run for run in found[name] if run.pending == pending}
        curves[name] = weight @ np.array([curve(runs[pair], known[pair[0]], evaluations) for pair in pairs])
    return _problems(pairs), curves


def _problems(pairs: Iterable[Pair]) -> int:
    return len({problem for problem, _ in pairs})


def draw_overview(found: Mapping[str, Iterable[Record]], known: Mapping[str, Reference], file: Path) -> None:
    """Write the figure as a PNG, which takes matplotlib."""
    from matplotlib.figure import Figure

    from benchmarks.regret.figures import STYLES

    figure = Figure(figsize=(10.0, 3.4), dpi=90, layout="constrained")
    panels = figure.subplots(1, len(EVALUATIONS), sharey=True)
    lines = {}
    for axes, pending in zip(panels, EVALUATIONS, strict=True):
        problems, curves = mean_curves(found, known, pending)
        for name in (name for name in STYLES if name in curves):
            colour, style = STYLES[name]
            places = np.arange(1, len(curves[name]) + 1)
            (lines[name],) = axes.plot(places, curves[name], style, color=colour, linewidth=1.3)
        told = "one at a time" if pending == 1 else f"{pending} pending"
        axes.set(yscale="log", xlabel="evaluations", title=f"{told}, {problems} problems")
        axes.grid(axis="y", linewidth=0.3)
    panels[0].set_ylabel("mean normalised regret")
    figure.legend(lines.values(), lines, loc="outside right center", frameon=False)
    figure.savefig(file)  # with all its colours: ten lines cross in each panel

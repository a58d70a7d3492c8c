"""A figure a problem: mean normalised regret against evaluations, a line an optimiser, 95 % intervals over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.regret.comparison import Array, curve
from benchmarks.regret.problem import Reference
from benchmarks.regret.records import Record

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
)
"""Okabe and Ito (2008), Color universal design: told apart with any colour vision."""

STYLES = {
    "reverie-auto": (BLACK, "-"),
    "reverie-gp": (BLACK, "--"),
    "reverie-dngo": (BLACK, "-."),
    "reverie-dngo-paper": (BLACK, ":"),
    "optuna-gp": (BLUE, "-"),
    "optuna-tpe": (BLUE, "--"),
    "botorch": (RED, "-"),
    "smac": (GREEN, "-"),
    "hebo": (PINK, "-"),
    "hebo-gpy": (PINK, "--"),
    "hyperopt-tpe": (ORANGE, "-"),
    "vizier": (SKY, "-"),
    "sobol": (SKY, ":"),
    "random": (ORANGE, ":"),
}
LOWEST = 1e-6
COLOURS = 48
_DRAWS = 300


def draw_all(found: Mapping[str, Sequence[Record]], known: Mapping[str, Reference], folder: Path) -> None:
    """One file for each problem and number of pending trials that have records."""
    matplotlib.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    folder.mkdir(parents=True, exist_ok=True)
    keys = sorted({(r.problem, r.pending) for several in found.values() for r in several if r.problem in known})
    for problem, pending in keys:
        runs = {
            name: [r for r in several if (r.problem, r.pending) == (problem, pending)]
            for name, several in found.items()
        }
        figure = draw(problem, pending, {name: several for name, several in runs.items() if several}, known[problem])
        save(figure, folder / f"{problem}-p{pending}.png")


def draw(problem: str, pending: int, runs: Mapping[str, Sequence[Record]], reference: Reference) -> Figure:
    """Figure of one problem; a line ends where the shortest of its runs does."""
    figure = Figure(figsize=(6.0, 3.4), dpi=80, layout="constrained")
    axes = figure.add_subplot()
    for name in (name for name in STYLES if name in runs):
        length = min(record.evaluations for record in runs[name])
        if length == 0:
            continue
        curves = np.array([curve(record, reference, length) for record in runs[name]])
        colour, line = STYLES[name]
        places, (low, high) = np.arange(1, length + 1), interval(curves)
        label = f"{name} ({len(curves)})"
        axes.plot(places, np.maximum(curves.mean(axis=0), LOWEST), line, color=colour, label=label, linewidth=1.3)
        axes.fill_between(places, np.maximum(low, LOWEST), np.maximum(high, LOWEST), color=colour, alpha=0.1, lw=0)
    axes.set(yscale="log", xlabel="evaluations", ylabel="normalised regret", title=f"{problem}, {pending} pending")
    axes.grid(axis="y", linewidth=0.3)
    figure.legend(loc="outside right center", frameon=False, title="optimiser (seeds)")
    return figure


def interval(curves: Array) -> tuple[Array, Array]:
    """95 % bootstrap interval of the mean of `curves` (seeds, evaluations), each (evaluations,)."""
    chosen = np.random.default_rng(0).integers(len(curves), size=(_DRAWS, len(curves)))
    low, high = np.quantile(curves[chosen].mean(axis=1), [0.025, 0.975], axis=0)
    return low, high


def save(figure: Figure, file: Path) -> None:
    """Write a figure as a PNG of few colours, a third of the size."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.quantize(COLOURS).save(file, optimize=True)

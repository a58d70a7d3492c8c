"""The three grids of Snoek et al. (2012), as csv: every parameter is an index into the values of its axis.

The files are not part of this repository (their source is under the GPL); a folder is given, and a missing one says so.
"""

from __future__ import annotations

import csv
import functools
from pathlib import Path

from benchmarks.regret.problem import Config, Problem

GRIDS = {
    "lda": ("lda_on_grid.csv", ("kappa", "tau", "s"), "perplexity"),
    "svm": ("svm_on_grid.csv", ("c", "alpha", "epsilon"), "error"),
    "logreg": ("logreg_on_grid.csv", ("lrate", "l2_reg", "batchsize", "n_epochs"), "valid_error"),
}
SOURCE = "Snoek, Larochelle, Adams (2012), Practical Bayesian optimization of machine learning algorithms; HPOlib"


def problems(folder: Path) -> list[Problem]:
    return [grid_problem(name, folder / file, axes, objective) for name, (file, axes, objective) in GRIDS.items()]


def grid_problem(name: str, file: Path, axes: tuple[str, ...], objective: str) -> Problem:
    """Problem of a csv whose rows are the points of a full grid.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    """
    with open(file, newline="") as opened:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(opened)]
    values = {axis: sorted({row[axis] for row in rows}) for axis in axes}
    places = {axis: {value: place for place, value in enumerate(values[axis])} for axis in axes}
    table = {tuple(places[axis][row[axis]] for axis in axes): row[objective] for row in rows}
    return Problem(
        name=name,
        family="grid",
        space={axis: {"type": "int", "low": 0, "high": len(values[axis]) - 1} for axis in axes},
        true=functools.partial(_value, axes, table),
        best=min(table.values()),
        source=SOURCE,
    )


def _value(axes: tuple[str, ...], table: dict[tuple[int, ...], float], config: Config) -> float:
    return table[tuple(int(config[axis]) for axis in axes)]

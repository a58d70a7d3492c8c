"""Rows in csv files, as they are made; tables of them; lines in figures."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DATA = Path(__file__).resolve().parents[2] / "data"
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#999999", "#F0E442")
"""Okabe and Ito (2008), Color universal design: told apart with any colour vision."""

P = ParamSpec("P")
R = TypeVar("R")


def append(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows to a csv file; the first ones make its header."""
    rows = list(rows)
    if rows:
        _put(file, rows, list(rows[0]), "a")


def write(file: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write rows to a csv file, in place of what it held; `columns` are all their keys, in the order of the file."""
    _put(file, rows, columns, "w")


def _put(file: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str], mode: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    has_header = mode == "a" and file.exists()
    with file.open(mode, newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        if not has_header:
            writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)


def read(file: Path) -> list[dict[str, str]]:
    """Rows of a csv file; none where there is no file."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table."""
    cells = [head, ["---"] * len(head), *([str(_cell(value)) for value in row] for row in rows)]
    return [f"| {' | '.join(row)} |" for row in cells]


def _cell(value: object) -> object:
    return f"{value:.5g}" if isinstance(value, float) else value


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of log seconds over log size, by least squares; NaN of fewer than two."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]) if len(sizes) > 1 else float("nan")


def interval(values: Sequence[float], statistic: Callable[..., NDArray[np.float64]] = np.mean) -> tuple[float, float]:
    """95 % bootstrap interval of a statistic of `values`."""
    drawn = np.random.default_rng(0).choice(np.asarray(values, dtype=float), (4000, len(values)))
    low, high = np.quantile(statistic(drawn, axis=1), [0.025, 0.975], method="inverted_cdf")  # also of infinite ones
    return float(low), float(high)


def alone(function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
    """Call a function in a new process with one thread, so that its memory and its CPU time are its own."""
    os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **keywords).result()


def versions() -> str:
    """Versions of Python and of the packages on which times depend, in one line."""
    import platform
    from importlib import metadata

    packages = [f"{name} {metadata.version(name)}" for name in ("numpy", "scipy")]
    return ", ".join([f"Python {platform.python_version()}", *packages])


def new_figure(columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Figure with axes side by side."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for one in axes:
        one.grid(linewidth=0.3)
    return figure, list(axes)

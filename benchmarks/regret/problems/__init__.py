"""Every problem by its name, one file a family."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.regret.problem import Problem
from benchmarks.regret.problems import bbob, grids, lcbench, mixint, synthetic, tables, training

TABLES = Path(__file__).resolve().parents[4] / "shared" / "tables"
"""Where measured tables are, unless the command says otherwise: beside the checkout."""


def all_problems(folder: Path = TABLES) -> dict[str, Problem]:
    """Every problem that this environment and this folder of tables allow; what is missing is said on stderr.

    Parameters
    ----------
    folder
        Folder of the tables that are no part of this repository.
    """
    families: list[tuple[str, str | None, Callable[[], list[Problem]]]] = [
        ("synthetic", None, synthetic.problems),
        ("bbob", "ioh", bbob.problems),
        ("mixint", "cocoex", mixint.problems),
        ("grids", None, lambda: grids.problems(folder)),
        ("tables", None, lambda: tables.problems(folder)),
        ("lcbench", "onnxruntime", lambda: lcbench.problems(folder)),
        ("training", "sklearn", training.problems),
    ]
    found: dict[str, Problem] = {}
    for family, package, build in families:
        if package is not None and importlib.util.find_spec(package) is None:
            print(f"problems of {family} are left out: they need the package {package}", file=sys.stderr)
            continue
        try:
            found |= {problem.name: problem for problem in build()}
        except FileNotFoundError as error:
            print(f"problems of {family} are left out: no file {error.filename}", file=sys.stderr)
    return found

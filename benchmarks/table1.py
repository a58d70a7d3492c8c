"""Table 1 of Snoek et al. 2015 (arXiv 1502.05700) with our methods beside its columns.

    python -m benchmarks.table1 [--methods dngo,auto] [--seeds 10] [--processes 2]

Runs each method with the paper's numbers of evaluations, seeds 0 to 9, one process a core, one thread each. Finished
runs are kept in ``data/regret_analysis/table1_runs/`` and not repeated; the table goes to
``data/regret_analysis/table1.md``. It needs the environment ``.venv-bench-main`` of `benchmarks.regret` and its folder
of tables.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.regret.problems import TABLES
from benchmarks.regret.records import ROOT, Record, read
from benchmarks.regret.runner import run_plan
from benchmarks.regret.subsets import Run

METHODS = ("auto", "dngo", "gp", "dngo-paper")
FOLDER = ROOT / "data" / "regret_analysis" / "table1_runs"
TABLE = ROOT / "data" / "regret_analysis" / "table1.md"
SEEDS = 10


class Case(NamedTuple):
    """A row of the paper's table: our name of the problem, its title, the unit of our value in the paper's."""

    problem: str
    title: str
    evaluations: int
    published: tuple[str, str, str, str]
    unit: float
    decimals: int


CASES = (
    Case("branin", "Branin (0.398)", 200, ("0.655 ± 0.27", "0.526 ± 0.13", "0.398 ± 0.00", "0.398 ± 0.00"), 1, 3),
    Case(
        "hartmann6",
        "Hartmann6 (-3.322)",
        200,
        ("-2.977 ± 0.11", "-2.823 ± 0.18", "-3.3166 ± 0.02", "-3.319 ± 0.00"),
        1,
        4,
    ),
    Case("logreg", "Logistic regression", 100, ("8.6 ± 0.9", "8.2 ± 0.6", "6.88 ± 0.0", "6.89 ± 0.04"), 100, 2),
    Case("lda", "LDA (on grid)", 50, ("1269.6 ± 2.9", "1271.5 ± 3.5", "1266.2 ± 0.1", "1266.2 ± 0.0"), 1, 1),
    Case("svm", "SVM (on grid)", 100, ("24.1 ± 0.1", "24.2 ± 0.0", "24.1 ± 0.1", "24.1 ± 0.1"), 100, 1),
)


def plan(methods: list[str], seeds: int) -> list[Run]:
    """All runs, in an order that is balanced over the methods wherever it stops."""
    return [
        Run(f"reverie-{method}", case.problem, 1, seed, case.evaluations)
        for seed in range(seeds)
        for case in CASES
        for method in methods
    ]


def ending(records: list[Record], case: Case, evaluations: int) -> np.ndarray:
    """Best value of each seed after so many evaluations, in the paper's unit."""
    mine = [record for record in records if record.problem == case.problem]
    return np.array([case.unit * record.incumbents(evaluations)[-1] for record in mine])


def table() -> str:
    """The table as Markdown."""
    runs = {method: read(f"reverie-{method}", FOLDER) for method in METHODS}
    heads = [f"`{method}`" for method in METHODS]
    lines = [
        "# Table 1 of Snoek et al. 2015, and ours",
        "",
        "Best value after the paper's number of evaluations, one at a time: mean ± standard deviation over seeds",
        "(their number in brackets). The columns SMAC to DNGO are second-hand: check them against the paper before",
        "citing them. Regenerate: `python -m benchmarks.table1`.",
        "",
        "| problem | evaluations | SMAC | TPE | Spearmint | DNGO | " + " | ".join(heads) + " |",
        "|---" * (6 + len(METHODS)) + "|",
    ]
    for case in CASES:
        ours = [_cell(ending(runs[method], case, case.evaluations), case.decimals) for method in METHODS]
        lines.append(f"| {case.title} | {case.evaluations} | {' | '.join((*case.published, *ours))} |")
    lines += [
        "",
        "## Sooner",
        "",
        "The same of `auto` after half of the evaluations, and the worst and median seed at the end.",
        "",
        "| problem | evaluations | `auto` | at the end: median | worst |",
        "|---|---|---|---|---|",
    ]
    for case in CASES:
        half, end = (ending(runs["auto"], case, count) for count in (case.evaluations // 2, case.evaluations))
        if len(end):
            places = case.decimals
            lines.append(
                f"| {case.title} | {case.evaluations // 2} | {_cell(half, places)} | {np.median(end):.{places}f} | "
                f"{end.max():.{places}f} |"
            )
    return "\n".join(lines) + "\n"


def _cell(values: np.ndarray, decimals: int) -> str:
    if not len(values):
        return ""
    return f"{values.mean():.{decimals}f} ± {values.std():.{min(decimals, 3)}f} ({len(values)})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table1", description=__doc__)
    parser.add_argument("--methods", default=",".join(METHODS), help="all by default")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--processes", type=int, default=2, help="one a core (2)")
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of the tables (../shared/tables)")
    options = parser.parse_args()
    methods = options.methods.split(",")
    if unknown := [method for method in methods if method not in METHODS]:
        raise SystemExit(f"--methods must be of {', '.join(METHODS)}; got {', '.join(unknown)}")
    run_plan(plan(methods, options.seeds), options.tables, ROOT, options.processes, 1e9, FOLDER)
    TABLE.write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    main()

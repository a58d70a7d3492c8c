"""What each ingredient of `auto` gives: runs with one of them replaced, against runs with all.

    python -m benchmarks.regret.ablation [--seeds 2] [--variants LIST]

Sequential, 60 evaluations, in this process, on `PROBLEMS`. Finished runs are kept in
``data/regret_analysis/ablation_runs/<variant>.csv`` and not repeated; the table goes to
``data/regret_analysis/ablation.md``. Needs the environment ``.venv-bench-main`` (see README.md beside this file).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.regret import records, references
from benchmarks.regret.in_process import InProcess
from benchmarks.regret.problems import TABLES, all_problems
from benchmarks.regret.runner import execute
from benchmarks.regret.subsets import Run
from utilities import designs, fitting, gaussian_process
from utilities.output_transform import identity_transform

FOLDER = records.ROOT / "data" / "regret_analysis" / "ablation_runs"
TABLE = records.ROOT / "data" / "regret_analysis" / "ablation.md"
PROBLEMS = (
    *("hartmann6", "branin-crash", "bbob-f06-d10", "bbob-f08-d05", "bbob-f10-d10", "bbob-f15-d05", "bbob-f17-d10"),
    *("bbob-f21-d05", "bbob-f08-d20", "mixint-f08-d05", "fcnet-protein", "mlp-vehicle"),
)
EVALUATIONS, AT = 60, (30, 60)
FLOOR = 1e-4
DRAWS = 4000


@contextmanager
def _plain_outputs() -> Iterator[None]:
    with mock.patch.object(fitting.OutputTransform, "fit", return_value=identity_transform()):
        yield


@contextmanager
def _mode_only() -> Iterator[None]:
    def draw(density: Any, mode: Any, root: Any, start: Any, rng: Any, **_: int) -> Any:
        return gaussian_process.find_mode(density, [start], gaussian_process.ITERATIONS)[None]

    with mock.patch.object(gaussian_process, "draw", draw):
        yield


@contextmanager
def _no_warping() -> Iterator[None]:
    whole = gaussian_process.GaussianProcess.__init__

    def start(self: Any, groups: Any, warped: Any, samples: int = 8) -> None:
        whole(self, groups, np.zeros_like(warped), samples)

    with mock.patch.object(gaussian_process.GaussianProcess, "__init__", start):
        yield


@contextmanager
def _no_companion() -> Iterator[None]:
    with mock.patch.object(fitting, "exhausted", lambda x, y, mean: np.zeros(len(y), dtype=bool)):
        yield


@contextmanager
def _short_design() -> Iterator[None]:
    with mock.patch.object(designs, "MOST_INITIAL", 10):
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield


VARIANTS: dict[str, tuple[str, Callable[[], Any], str]] = {
    "all": ("all ingredients", _nothing, "auto"),
    "plain-outputs": ("outputs standardised, not half-ranked and logged", _plain_outputs, "auto"),
    "mode-only": ("hyperparameters at their mode, not sampled", _mode_only, "auto"),
    "no-warping": ("no input warping", _no_warping, "auto"),
    "no-companion": ("no proposals outside exhausted basins", _no_companion, "auto"),
    "short-design": ("initial design of at most 10 points, not 20", _short_design, "auto"),
    "dngo": ("`dngo` in place of `gp`", _nothing, "dngo"),
    "dngo-paper": ("`dngo-paper` in place of `gp`", _nothing, "dngo-paper"),
}


def run(variants: list[str], seeds: int, tables: Path) -> None:
    """Make the runs that are missing, seed by seed."""
    problems = all_problems(tables)
    for seed in range(seeds):
        for name in PROBLEMS:
            for variant in variants:
                if not records.unfinished([(variant, (name, 1, seed))], FOLDER)[0]:
                    continue
                _, patched, method = VARIANTS[variant]
                with patched():
                    record = execute(InProcess(method), problems[name], Run(variant, name, 1, seed, EVALUATIONS))
                records.append(variant, record, FOLDER)
                print(f"{variant} {name} seed {seed}: {record.cpu_total:.1f} CPU s", flush=True)


def table() -> str:
    """The table as Markdown."""
    known = references.read()
    regrets = {
        variant: {
            record.key: [known[record.problem].regret(value) for value in record.incumbents(EVALUATIONS)]
            for record in records.read(variant, FOLDER)
        }
        for variant in VARIANTS
    }
    whole = regrets["all"]
    lines = [
        "# What each ingredient gives",
        "",
        f"Sequential runs of `auto` on {len(PROBLEMS)} problems with one ingredient replaced, against the same",
        "problems and seeds with all of them. Ratios above 1 speak for the ingredient: of the geometric means of the",
        f"normalised regret (floor {FLOOR:g}), with a 95 % bootstrap interval over problems; and of the plain means.",
        "Regenerate: `python -m benchmarks.regret.ablation`.",
        "",
        "| replaced | runs | " + " | ".join(f"geometric, {at} | plain, {at}" for at in AT) + " | CPU s a run |",
        "|---" * (3 + 2 * len(AT)) + "|",
    ]
    for variant, (title, _, _) in VARIANTS.items():
        shared = sorted(whole.keys() & regrets[variant].keys())
        if not shared:
            continue
        cells = [_cell(shared, regrets[variant], whole, at - 1) for at in AT]
        seconds = np.mean([record.cpu_total for record in records.read(variant, FOLDER)])
        lines.append(f"| {title} | {len(shared)} | {' | '.join(cells)} | {seconds:.1f} |")
    return "\n".join(lines) + "\n"


def _cell(shared: list[Any], one: dict[Any, Any], other: dict[Any, Any], place: int) -> str:
    mine = np.maximum([one[key][place] for key in shared], FLOOR)
    theirs = np.maximum([other[key][place] for key in shared], FLOOR)
    names = sorted({key[0] for key in shared})
    logs = np.log(mine / theirs)
    by_problem = np.array([logs[[key[0] == name for key in shared]].mean() for name in names])
    draws = np.random.default_rng(0).choice(by_problem, (DRAWS, len(names))).mean(axis=1)
    low, high = np.exp(np.quantile(draws, [0.025, 0.975]))
    return f"{np.exp(by_problem.mean()):.2f} ({low:.2f} to {high:.2f}) | {mine.mean() / theirs.mean():.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regret.ablation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--variants", default=",".join(VARIANTS), help="all by default")
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of the tables (../shared/tables)")
    options = parser.parse_args()
    chosen = options.variants.split(",")
    if unknown := [variant for variant in chosen if variant not in VARIANTS]:
        raise SystemExit(f"--variants must be of {', '.join(VARIANTS)}; got {', '.join(unknown)}")
    run(chosen, options.seeds, options.tables)
    TABLE.write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    main()

"""``python -m benchmarks.regret run | report | references``."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.regret import references
from benchmarks.regret.problems import TABLES, all_problems
from benchmarks.regret.records import ROOT
from benchmarks.regret.runner import run_plan
from benchmarks.regret.subsets import EVALUATIONS, OPTIMISERS, matches, plan


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    options.command(options)


def run(options: argparse.Namespace) -> None:
    unknown = [name for name in options.optimisers if name not in OPTIMISERS]
    if unknown:
        raise SystemExit(f"--optimisers must be of {', '.join(OPTIMISERS)}; got {', '.join(unknown)}")
    chosen = [problem for name, problem in all_problems(options.tables).items() if matches(name, options.problems)]
    runs = plan(chosen, options.optimisers, options.pending, options.seeds, options.evaluations)
    run_plan(runs, options.tables, options.environments, options.processes, options.hours * 3600.0)


def report(options: argparse.Namespace) -> None:
    from benchmarks.regret.report import write_report

    write_report(figures=options.figures)


def refer(options: argparse.Namespace) -> None:
    chosen = [problem for name, problem in all_problems(options.tables).items() if matches(name, options.problems)]
    references.write(chosen)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(text: str) -> list[int]:
    return [int(word) for word in _words(text)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regret", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    runs = commands.add_parser("run", help="run what has no record yet")
    runs.add_argument("--optimisers", type=_words, default=list(OPTIMISERS), metavar="LIST", help="all by default")
    runs.add_argument("--pending", type=_numbers, default=list(EVALUATIONS), metavar="LIST", help="1,16,64 by default")
    runs.add_argument("--seeds", type=int, default=10_000, help="at most so many; subsets.py has the limits")
    runs.add_argument("--evaluations", type=int, help="of each run, in place of the table's")
    runs.add_argument("--processes", type=int, default=2, help="one a core (2)")
    runs.add_argument("--hours", type=float, default=1e6, help="start no run after so many")
    runs.add_argument("--environments", type=Path, default=ROOT, help="folder of the .venv-bench-* (the repository)")
    runs.set_defaults(command=run)
    measure = commands.add_parser("references", help="measure the best known values and medians anew")
    measure.set_defaults(command=refer)
    for chosen in (runs, measure):
        chosen.add_argument("--problems", type=_words, default=["*"], metavar="GLOBS", help="all by default")
        chosen.add_argument("--tables", type=Path, default=TABLES, help="folder of the tables (../shared/tables)")
    reports = commands.add_parser("report", help="write ranks.md, ranks.csv and the figures from the records")
    reports.add_argument("--no-figures", dest="figures", action="store_false", help="tables only")
    reports.set_defaults(command=report)
    return parser

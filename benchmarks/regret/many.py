"""`dngo` and `auto` against `gp` where trials are many: 1,000 evaluations, 64 of them pending, in virtual time.

    python -m benchmarks.regret.many [--seeds 2] [--methods LIST] [--problems LIST]

In this process, on `PROBLEMS`, which are not solved by then. Finished runs are kept in
``data/regret_analysis/many_runs/`` and not repeated; the table goes to ``data/regret_analysis/many.md``. Needs the
environment ``.venv-bench-main`` (see README.md beside this file).
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.regret import records, references
from benchmarks.regret.in_process import InProcess
from benchmarks.regret.problems import TABLES, all_problems
from benchmarks.regret.runner import execute
from benchmarks.regret.subsets import Run

FOLDER = records.ROOT / "data" / "regret_analysis" / "many_runs"
TABLE = records.ROOT / "data" / "regret_analysis" / "many.md"
METHODS = ("gp", "dngo", "auto")
PROBLEMS = ("bbob-f15-d20", "bbob-f10-d10", "bbob-f08-d20", "bbob-f03-d10", "bbob-f21-d10")
EVALUATIONS, PENDING = 1000, 64
AT = (200, 500, 750, 1000)
FLOOR = 1e-4
DRAWS = 4000


def run(methods: list[str], problems: list[str], seeds: int) -> None:
    """Make the runs that are missing, seed by seed."""
    known = all_problems(TABLES)
    for seed in range(seeds):
        for name in problems:
            for method in methods:
                if not records.unfinished([(method, (name, PENDING, seed))], FOLDER)[0]:
                    continue
                record = execute(InProcess(method), known[name], Run(method, name, PENDING, seed, EVALUATIONS))
                records.append(method, record, FOLDER)
                print(f"{method} {name} seed {seed}: {record.cpu_total:.0f} CPU s", flush=True)


def table() -> str:
    """The table as Markdown."""
    known = references.read()
    runs = {method: {record.key: record for record in records.read(method, FOLDER)} for method in METHODS}
    lines = [
        "# Where trials are many",
        "",
        f"{EVALUATIONS} evaluations, {PENDING} pending in virtual time. Normalised regret (mean over seeds) after so",
        "many evaluations, and CPU seconds of a whole run. Regenerate: `python -m benchmarks.regret.many`.",
        "",
        "| problem | method | seeds | " + " | ".join(f"after {at}" for at in AT) + " | CPU s |",
        "|---" * (4 + len(AT)) + "|",
    ]
    for name in PROBLEMS:
        for method in METHODS:
            mine = [record for key, record in runs[method].items() if key[0] == name]
            if mine:
                regrets = np.array([[known[name].regret(r.incumbents(EVALUATIONS)[at - 1]) for at in AT] for r in mine])
                seconds = np.mean([record.cpu_total for record in mine])
                cells = " | ".join(f"{value:.4g}" for value in regrets.mean(axis=0))
                lines.append(f"| {name} | {method} | {len(mine)} | {cells} | {seconds:.0f} |")
    lines += ["", "Over that of `gp`, on shared problems and seeds: ratio of mean regrets, and of geometric means"]
    lines += [f"(floor {FLOOR:g}) with a 95 % bootstrap interval over runs.", ""]
    lines += ["| method | runs | " + " | ".join(f"after {at}" for at in AT) + " |", "|---" * (2 + len(AT)) + "|"]
    for method in METHODS[1:]:
        shared = sorted(runs["gp"].keys() & runs[method].keys())
        if shared:
            pairs = [(runs[method][key], runs["gp"][key]) for key in shared]
            lines.append(f"| {method} | {len(shared)} | {' | '.join(_ratio(pairs, at, known) for at in AT)} |")
    return "\n".join(lines) + "\n"


def _ratio(pairs: list[tuple[records.Record, records.Record]], at: int, known: dict[str, references.Reference]) -> str:
    both = np.array(
        [[known[run.problem].regret(run.incumbents(EVALUATIONS)[at - 1]) for run in pair] for pair in pairs]
    )
    logs = np.log(np.maximum(both, FLOOR))
    difference = logs[:, 0] - logs[:, 1]
    draws = np.random.default_rng(0).choice(difference, (DRAWS, len(pairs))).mean(axis=1)
    low, high = np.exp(np.quantile(draws, [0.025, 0.975]))
    mean = both[:, 0].mean() / both[:, 1].mean()
    return f"{mean:.2f}; {np.exp(difference.mean()):.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regret.many", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--methods", default=",".join(METHODS), help="all by default")
    parser.add_argument("--problems", default=",".join(PROBLEMS), help="all by default")
    options = parser.parse_args()
    run(options.methods.split(","), options.problems.split(","), options.seeds)
    TABLE.write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    main()

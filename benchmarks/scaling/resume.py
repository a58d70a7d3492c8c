"""How long a study of very many trials takes to go on, and what memory its master takes.

    python -m benchmarks.scaling.resume [--trials 100000] [--more 200] [--repeats 3]

A study of 20 parameters by `dngo` is left as a killed run would leave it, 64 trials pending, then continued on four
ranks, with its ``study.h5`` and after that file was deleted. Seconds are from the launch to the first trial that is
handed out, the master's CPU seconds those up to then; its memory is the peak of its resident set up to then, and once
so many more trials have ended as ``--more`` says. Writes ``data/resume/runs.csv`` and ``data/resume/resume.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults.scenario import Setting, settings
from benchmarks.launching import ROOT_MAY, Run, launchers
from benchmarks.scaling.long_study import leave_run, write_study
from benchmarks.scaling.results import write

DATA = Path(__file__).resolve().parents[2] / "data" / "resume"
RANKS, PENDING = 4, 64
CASES = ("with study.h5", "without study.h5")
FIELDS = ("launcher", "case", "trials", "more", "load", "seconds", "cpu_seconds", "start_mb", "peak_mb")
LONGEST = 1800.0
"""Seconds after which a run counts as hanging."""


def measure(setting: Setting, study: Path, case: str, trials: int, more: int) -> dict[str, Any]:
    """Continue a copy of the study's folder."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(study.parent, Path(scratch) / "study"))
        (left,) = (folder / "runs").iterdir()
        if case != CASES[0]:
            (left / "study.h5").unlink()
        journal = left / "journal.jsonl"
        size = journal.stat().st_size
        words = ["-m", "mpi.mpi_optimizer", study.name, "--budget", str(trials + PENDING + more)]
        command = [str(setting.launcher.mpiexec), "-np", str(RANKS), str(setting.launcher.programs / "python"), *words]
        load, began = os.getloadavg()[0], time.time()
        with Run(command, folder, {**os.environ, **ROOT_MAY, "OMP_NUM_THREADS": "1"}) as run:
            start = run.until(lambda: next(_news(journal, size, "started"), None), LONGEST)
            master = run.ranks()[0]
            row = {"cpu_seconds": _cpu_seconds(master), "start_mb": _peak(master)}
            run.until(lambda: len(list(_news(journal, size, "finished"))) >= more, LONGEST)
            row["peak_mb"] = _peak(master)
    row |= {"seconds": round(start["time"] - began, 2), "load": round(load, 2)}
    return {"launcher": str(setting), "case": case, "trials": trials, "more": more, **row}


def _news(journal: Path, size: int, kind: str) -> Iterator[dict[str, Any]]:
    """Whole records of that kind beyond the first `size` bytes."""
    with journal.open("rb") as file:
        file.seek(size)
        for line in file:
            if line.startswith(b'{"type":"%b"' % kind.encode()) and line.endswith(b"\n"):
                yield json.loads(line)


def _cpu_seconds(process: int) -> float:
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return round((int(user) + int(system)) / os.sysconf("SC_CLK_TCK"), 2)


def _peak(process: int) -> int:
    """Peak of the resident set, in megabytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // 1000


def table(rows: list[dict[str, Any]]) -> str:
    """The table as Markdown."""
    trials = int(rows[0]["trials"])
    lines = [
        f"# A study of {trials:,} trials, continued",
        "",
        f"20 parameters, method `dngo`, {PENDING} trials pending, {RANKS} ranks on {os.cpu_count()} shared cores,",
        "one thread a rank, one after the other; medians over repeats, ranges in brackets. Seconds are from the",
        "launch to the first trial handed out. Other work ran beside: the load before each run, in `runs.csv`, was",
        f"{min(float(row['load']) for row in rows):.1f} to {max(float(row['load']) for row in rows):.1f}. "
        "Regenerate: `python -m benchmarks.scaling.resume`.",
        "",
        "| launcher | folder | repeats | seconds | CPU s of the master | its peak MB then | after more trials |",
        "|---|---|---|---|---|---|---|",
    ]
    for launcher, case in dict.fromkeys((row["launcher"], row["case"]) for row in rows):
        own = [row for row in rows if (row["launcher"], row["case"]) == (launcher, case)]
        cells = [_cell([float(row[field]) for row in own]) for field in FIELDS[5:]]
        lines.append(f"| {launcher} | {case} | {len(own)} | {' | '.join(cells)} (+{own[0]['more']}) |")
    return "\n".join(lines) + "\n"


def _cell(values: list[float]) -> str:
    return f"{statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g})"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--more", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rows, tried = [], [setting for setting in settings(launchers()) if not setting.tolerant]
    with tempfile.TemporaryDirectory() as scratch:
        study = write_study(Path(scratch), options.trials)
        leave_run(study, options.trials, PENDING)
        for _ in range(options.repeats):
            for setting in tried:
                for case in CASES:
                    rows.append(measure(setting, study, case, options.trials, options.more))
                    print(rows[-1], file=sys.stderr, flush=True)
    write(DATA / "runs.csv", rows, FIELDS)
    (DATA / "resume.md").write_text(table(rows))


if __name__ == "__main__":
    main()

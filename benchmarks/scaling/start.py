"""How long a run takes from its launch to the first evaluation.

    python -m benchmarks.scaling.start [--repeats 9]

Each repeat launches ``branin --budget 20 --method dngo`` on four ranks, one thread a rank, and takes the time of the
first trial's start from the journal. The file cache is warm: the first launch does not count. While the last trials
run, the resident set of every rank is noted, and which of them have loaded torch. Writes ``data/start/runs.csv`` and
``data/start/start.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.faults.scenario import Setting, settings
from benchmarks.launching import ROOT_MAY, Run, launchers
from benchmarks.scaling.results import write

DATA = Path(__file__).resolve().parents[2] / "data" / "start"
RANKS = 4
STUDY = ("branin", "--budget", "20", "--method", "dngo")
FIELDS = ("launcher", "seconds", "load", *(f"mb_{rank}" for rank in range(RANKS)), "torch_on")


def measure(setting: Setting) -> dict[str, Any]:
    """Launch the study once."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        command = [str(setting.launcher.mpiexec), "-np", str(RANKS), str(setting.launcher.programs / "python"), "-m"]
        environment = {**os.environ, **ROOT_MAY, "OMP_NUM_THREADS": "1"}
        load, began = os.getloadavg()[0], time.time()
        with Run([*command, "mpi.mpi_optimizer", *STUDY], folder, environment) as run:
            first = run.until(lambda: _first_start(folder))
            run.until(lambda: any("libtorch" in _maps(process) for process in run.ranks().values()))
            ranks = run.ranks()
            row = {f"mb_{rank}": _resident(process) for rank, process in sorted(ranks.items())}
            loaded = [str(rank) for rank, process in sorted(ranks.items()) if "libtorch" in _maps(process)]
            row["torch_on"] = " ".join(loaded)
            if run.wait().status != 0:
                raise RuntimeError("the run failed")
    return {"launcher": str(setting), "seconds": round(first - began, 3), "load": round(load, 2), **row}


def _first_start(folder: Path) -> float | None:
    for journal in folder.glob("runs/*/journal.jsonl"):
        for line in journal.read_bytes().splitlines(keepends=True):
            if line.startswith(b'{"type":"started"') and line.endswith(b"\n"):
                return float(json.loads(line)["time"])
    return None


def _maps(process: int) -> str:
    return Path(f"/proc/{process}/maps").read_text()


def _resident(process: int) -> int:
    """Resident set, in megabytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1000


def table(rows: list[dict[str, Any]]) -> str:
    """The table as Markdown."""
    lines = [
        "# From the launch to the first evaluation",
        "",
        f"`mpiexec -np {RANKS} python -m mpi.mpi_optimizer {' '.join(STUDY)}`, one thread a rank,",
        f"{os.cpu_count()} cores shared with other work (load before a run {_span([row['load'] for row in rows])}), "
        "file cache warm. Rank 0 is the master, 1 the trainer;",
        "resident sets in MB, the trainer's as torch is being loaded.",
        "Regenerate: `python -m benchmarks.scaling.start`.",
        "",
        "| launcher | repeats | seconds, median | range | MB of rank 0, 1, 2, 3 | torch on rank |",
        "|---|---|---|---|---|---|",
    ]
    for launcher in dict.fromkeys(row["launcher"] for row in rows):
        own = [row for row in rows if row["launcher"] == launcher]
        seconds = [float(row["seconds"]) for row in own]
        sizes = ", ".join(str(max(int(row[f"mb_{rank}"]) for row in own)) for rank in range(RANKS))
        torch = ", ".join(sorted({row["torch_on"] for row in own}))
        lines.append(
            f"| {launcher} | {len(own)} | {statistics.median(seconds):.2f} | {_span(seconds)} | {sizes} | {torch} |"
        )
    return "\n".join(lines) + "\n"


def _span(values: list[Any]) -> str:
    return f"{min(map(float, values)):.2f} to {max(map(float, values)):.2f}"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    rows, tried = [], [setting for setting in settings(launchers()) if not setting.tolerant]
    for repeat in range(repeats + 1):
        for setting in tried:
            row = measure(setting)
            print(row, file=sys.stderr, flush=True)
            if repeat > 0:
                rows.append(row)
    write(DATA / "runs.csv", rows, FIELDS)
    (DATA / "start.md").write_text(table(rows))


if __name__ == "__main__":
    main()

"""How long a run takes from its launch to the first evaluation.

    python -m benchmarks.scaling.start [--repeats 9]

Each repeat launches ``branin --budget 60 --method dngo`` on four ranks, one thread a rank, and takes the time of the
first trial's start from the journal, and that of the first trial that the model proposed. The file cache is warm: the
first launch does not count. Then the resident set of every rank is noted, and which of them have loaded numpy. Writes
``data/start/runs.csv`` and ``data/start/start.md``.
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
STUDY = ("branin", "--budget", "60", "--method", "dngo")
FIELDS = ("launcher", "seconds", "model_seconds", "load", *(f"mb_{rank}" for rank in range(RANKS)), "numpy_on")


def measure(setting: Setting) -> dict[str, Any]:
    """Launch the study once."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        command = [str(setting.launcher.mpiexec), "-np", str(RANKS), str(setting.launcher.programs / "python"), "-m"]
        environment = {**os.environ, **ROOT_MAY, "OMP_NUM_THREADS": "1"}
        load, began = os.getloadavg()[0], time.time()
        with Run([*command, "mpi.mpi_optimizer", *STUDY], folder, environment) as run:
            first, by_model = run.until(lambda: _first_starts(folder))
            ranks = sorted(run.ranks().items())
            row = {f"mb_{rank}": _resident(process) for rank, process in ranks}
            row["numpy_on"] = " ".join(str(rank) for rank, process in ranks if "multiarray" in _maps(process))
            if run.wait().status != 0:
                raise RuntimeError("the run failed")
    times = {"seconds": round(first - began, 3), "model_seconds": round(by_model - began, 3)}
    return {"launcher": str(setting), **times, "load": round(load, 2), **row}


def _first_starts(folder: Path) -> tuple[float, float] | None:
    """When the first trial started, and the first that the model proposed; None before that."""
    lines = [line for path in folder.glob("runs/*/journal.jsonl") for line in path.read_bytes().splitlines(True)]
    records = [json.loads(line) for line in lines if line.endswith(b"\n")]
    modelled = {record["trial"]["number"] for record in records if record.get("origin") == "model"}
    starts = [(record["time"], record["number"]) for record in records if record["type"] == "started"]
    by_model = [time for time, number in starts if number in modelled]
    return (min(starts)[0], min(by_model)) if by_model else None


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
        "resident sets in MB once the model has proposed. Seconds from the launch to the start of the first trial, and",
        "of the first that the model proposed.",
        "Regenerate: `python -m benchmarks.scaling.start`.",
        "",
        "| launcher | repeats | seconds, median | range | by model | range | MB of rank 0, 1, 2, 3 | numpy on rank |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for launcher in dict.fromkeys(row["launcher"] for row in rows):
        own = [row for row in rows if row["launcher"] == launcher]
        seconds, modelled = ([float(row[key]) for row in own] for key in ("seconds", "model_seconds"))
        sizes = ", ".join(str(max(int(row[f"mb_{rank}"]) for row in own)) for rank in range(RANKS))
        loaded = ", ".join(sorted({row["numpy_on"] for row in own}))
        times = " | ".join(f"{statistics.median(some):.2f} | {_span(some)}" for some in (seconds, modelled))
        lines.append(f"| {launcher} | {len(own)} | {times} | {sizes} | {loaded} |")
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

"""What handing out costs with the journal, the checks and the isolation on: objectives that cost nothing.

    python -m benchmarks.hand_out [--repeats 5]

Each repeat runs, one after the other on four ranks, `mpi4py.futures` (no journal, no model: the floor), a study of a
benchmark inside the workers, and one of a function in child processes, both by random search. Milliseconds of an
evaluation are from the first start to the last outcome, over their number; of a worker's time, that times the workers.
Writes ``data/hand_out/runs.csv`` and ``data/hand_out/hand_out.md``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.launching import ROOT_MAY, Launcher, launchers

DATA = Path(__file__).resolve().parent.parent / "data" / "hand_out"
RANKS, WORKERS = 4, 3
COUNTS = {"mpi4py.futures": 2000, "in the worker": 2000, "in a child": 1000}
TITLES = {
    "mpi4py.futures": "`mpi4py.futures`, nothing kept",
    "in the worker": "benchmark inside the worker",
    "in a child": "function in a child process",
}
_FLOOR = """\
import time
from mpi4py.futures import MPIPoolExecutor
from learning_objective.benchmarks import BENCHMARKS

def evaluate(x):
    return BENCHMARKS["branin"].function({"x": x, "y": 5.0})

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        list(pool.map(evaluate, [0.0] * 12))
        began = time.perf_counter()
        list(pool.map(evaluate, [0.001 * i for i in range(COUNT)]))
        print(1e3 * (time.perf_counter() - began) / COUNT)
"""


def floor(launcher: Launcher, folder: Path) -> float:
    """Milliseconds per evaluation by mpi4py.futures on the same ranks."""
    (folder / "floor.py").write_text(_FLOOR.replace("COUNT", str(COUNTS["mpi4py.futures"])))
    return float(_start(launcher, folder, ["-m", "mpi4py.futures", "floor.py"]).split()[-1])


def study(launcher: Launcher, folder: Path, case: str) -> float:
    """Milliseconds per evaluation of a study."""
    count = COUNTS[case]
    words = ["branin"]
    if case == "in a child":
        (folder / "train.py").write_text("def objective(config): return config['x']\n")
        space = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
        table = {"study": {"objective": "train.py:objective"}, "space": space}
        (folder / "study.json").write_text(json.dumps(table))
        words = ["study.json"]
    output = folder / case.replace(" ", "-")
    limits = ["--method", "random", "--budget", str(count), "--output", str(output)]
    _start(launcher, folder, ["-m", "mpi.mpi_optimizer", *words, *limits])
    (journal,) = output.glob("*/journal.jsonl")
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    first = min(record["time"] for record in records if record["type"] == "started")
    last = max(record["completed"] for record in records if record["type"] == "finished")
    return float(1e3 * (last - first) / count)


def _start(launcher: Launcher, folder: Path, words: list[str]) -> str:
    command = [str(launcher.mpiexec), "-np", str(RANKS), sys.executable, *words]
    environment = {**os.environ, **ROOT_MAY, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def table(rows: list[dict[str, str]]) -> str:
    """The table as Markdown."""
    lines = [
        "# What handing out costs",
        "",
        f"Objectives that cost nothing, {RANKS} ranks ({WORKERS} workers) on {os.cpu_count()} shared cores, random",
        "search, journal on; medians over repeats, each of which has all cases. Regenerate:",
        "`python -m benchmarks.hand_out`.",
        "",
        "| case | evaluations | repeats | ms per evaluation | range | ms of a worker's time | over `mpi4py.futures` |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, count in COUNTS.items():
        times = [float(row[case]) for row in rows]
        ratio = statistics.median(float(row[case]) / float(row["mpi4py.futures"]) for row in rows)
        middle = statistics.median(times)
        cells = f"{middle:.3f} | {min(times):.3f} to {max(times):.3f} | {WORKERS * middle:.2f} | {ratio:.2f}"
        lines.append(f"| {TITLES[case]} | {count} | {len(times)} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    (launcher, *_) = launchers()
    rows = []
    for number in range(parser.parse_args().repeats):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            row = {"mpi4py.futures": f"{floor(launcher, path):.4f}"}
            row |= {case: f"{study(launcher, path, case):.4f}" for case in COUNTS if case != "mpi4py.futures"}
        rows.append(row)
        print(number, row, flush=True)
    DATA.mkdir(parents=True, exist_ok=True)
    with (DATA / "runs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COUNTS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (DATA / "hand_out.md").write_text(table(rows))


if __name__ == "__main__":
    main()

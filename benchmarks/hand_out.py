"""What handing out costs with the journal, the checks and the isolation on: objectives that cost nothing.

    python -m benchmarks.hand_out [--repeats 7] [--case CASE]

Each repeat runs, one after the other on four ranks under each launcher of `benchmarks.launching`, `mpi4py.futures` (no
journal, no model: the floor), a study of a benchmark inside the workers, and one of a function in child processes, both
by random search; then the benchmark by `dngo`, with a fifth rank to refit its surrogate. Milliseconds of an evaluation
are from the first start to the last outcome, over their number; of a worker's time, that times the workers. Writes
``data/hand_out/runs.csv`` and ``data/hand_out/hand_out.md``; with a case, only prints.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks.faults.scenario import settings
from benchmarks.launching import ROOT_MAY, Launcher, launchers
from benchmarks.scaling.results import write

DATA = Path(__file__).resolve().parent.parent / "data" / "hand_out"
RANKS, WORKERS = 4, 3
FLOOR = "mpi4py.futures"
COUNTS = {FLOOR: 2000, "in the worker": 2000, "in a child": 1000, "dngo": 2000}
TITLES = {
    FLOOR: "`mpi4py.futures`, nothing kept",
    "in the worker": "benchmark inside the worker",
    "in a child": "function in a child process",
    "dngo": "benchmark inside the worker, `dngo`",
}
COLUMNS = ("mpi", *COUNTS)
_FLOOR = """\
import random, time
from mpi4py.futures import MPIPoolExecutor
from learning_objective.benchmarks import BENCHMARKS

def evaluate(config):
    return BENCHMARKS["branin"].function(config)

if __name__ == "__main__":
    configs = [{"x1": random.uniform(-5, 10), "x2": random.uniform(0, 15)} for _ in range(COUNT)]
    with MPIPoolExecutor() as pool:
        list(pool.map(evaluate, configs[:12]))
        began = time.perf_counter()
        list(pool.map(evaluate, configs))
        print(1e3 * (time.perf_counter() - began) / COUNT)
"""


def measure(launcher: Launcher, folder: Path, case: str) -> float:
    """Milliseconds per evaluation."""
    if case == FLOOR:
        (folder / "floor.py").write_text(_FLOOR.replace("COUNT", str(COUNTS[case])))
        return float(_start(launcher, folder, ["-m", "mpi4py.futures", "floor.py"]).split()[-1])
    words = ["branin"]
    if case == "in a child":
        (folder / "train.py").write_text("def objective(config): return config['x']\n")
        space = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
        table = {"study": {"objective": "train.py:objective"}, "space": space}
        (folder / "study.json").write_text(json.dumps(table))
        words = ["study.json"]
    output = folder / case.replace(" ", "-")
    method, ranks = ("dngo", RANKS + 1) if case == "dngo" else ("random", RANKS)
    limits = ["--method", method, "--budget", str(COUNTS[case]), "--output", str(output)]
    _start(launcher, folder, ["-m", "mpi.mpi_optimizer", *words, *limits], ranks)
    (journal,) = output.glob("*/journal.jsonl")
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    first = min(record["time"] for record in records if record["type"] == "started")
    last = max(record["completed"] for record in records if record["type"] == "finished")
    return float(1e3 * (last - first) / COUNTS[case])


def _start(launcher: Launcher, folder: Path, words: list[str], ranks: int = RANKS) -> str:
    command = [str(launcher.mpiexec), "-np", str(ranks), str(launcher.programs / "python"), *words]
    environment = {**os.environ, **ROOT_MAY, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def table(rows: list[dict[str, str]]) -> str:
    """The table as Markdown."""
    lines = [
        "# What handing out costs",
        "",
        f"Objectives that cost nothing, {RANKS} ranks ({WORKERS} workers; `dngo` has a trainer besides) on",
        f"{os.cpu_count()} shared cores, random search where nothing else is said, journal on; medians over repeats,",
        "each of which has all cases one after the other. Regenerate: `python -m benchmarks.hand_out`.",
        "",
        "| MPI | case | evaluations | repeats | ms per evaluation | range | ms of a worker's time | over the floor |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for mpi in dict.fromkeys(row["mpi"] for row in rows):
        own = [row for row in rows if row["mpi"] == mpi]
        for case, count in COUNTS.items():
            times = [float(row[case]) for row in own]
            ratio = statistics.median(float(row[case]) / float(row[FLOOR]) for row in own)
            middle = statistics.median(times)
            cells = f"{middle:.3f} | {min(times):.3f} to {max(times):.3f} | {WORKERS * middle:.2f} | {ratio:.2f}"
            lines.append(f"| {mpi} | {TITLES[case]} | {count} | {len(times)} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--case", choices=list(COUNTS)[1:], help="only this case, beside the floor")
    options = parser.parse_args()
    cases = [FLOOR, options.case] if options.case else list(COUNTS)
    options_of = [setting for setting in settings(launchers()) if not setting.tolerant]
    rows = []
    for _ in range(options.repeats):
        for setting in options_of:
            with tempfile.TemporaryDirectory() as folder:
                row = {case: f"{measure(setting.launcher, Path(folder), case):.4f}" for case in cases}
            rows.append({"mpi": str(setting), **row})
            print(rows[-1], flush=True)
    if options.case:
        return
    write(DATA / "runs.csv", rows, COLUMNS)
    (DATA / "hand_out.md").write_text(table(rows))


if __name__ == "__main__":
    main()

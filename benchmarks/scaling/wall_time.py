"""Wall time to a target with a launcher's ranks: sequential against 2, 4 and 8, measured.

    python -m benchmarks.scaling.wall_time [--cases sleeping,digits] [--seeds 3]

``sleeping`` is Hartmann's function of six parameters in a child process that sleeps for two seconds on average
(log-normal, sigma 0.5): more of these run at once than a machine has cores. ``digits`` trains networks, of which only
as many run at once as there are cores. N ranks are a master, a trainer (from three on) and workers. Runs that are in
``data/mpi_v_seq_time_comparison/measured.csv`` are not repeated. Writes that file and ``measured.md`` there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.launching import ROOT_MAY, launchers
from benchmarks.scaling.results import DATA, append, read, table, versions

FOLDER = DATA / "mpi_v_seq_time_comparison"
RUNS = FOLDER / "measured.csv"
RANKS = (1, 2, 4, 8)
TARGETS = {"sleeping": -3.0, "digits": 0.025}
"""That of ``digits`` was reached after 6, 27, 34 and 57 trials in sequential runs of four other seeds, 10 to 13."""
BUDGETS = {"sleeping": 100, "digits": 60}
_OBJECTIVE = """\
import math
import random
import time

from learning_objective.hartmann import hartmann6


def objective(config, trial):
    time.sleep(2.0 * math.exp(0.5 * random.Random(trial.seed).gauss(0.0, 1.0) - 0.125))
    return hartmann6(config)
"""


def run(case: str, ranks: int, seed: int) -> dict[str, Any]:
    """One run of a command that a user would type: seconds to the target, and to the end of the budget."""
    launcher, *_ = launchers()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = "digits" if case == "digits" else str(_sleeping_study(folder))
        words = [study, "--budget", str(BUDGETS[case]), "--seed", str(seed), "--output", str(folder / "runs")]
        command = [sys.executable, "-m", "sequential.seq_optimizer", *words]
        if ranks > 1:
            command = [str(launcher.mpiexec), "-np", str(ranks), sys.executable, "-m", "mpi.mpi_optimizer", *words]
        environment = {**os.environ, **ROOT_MAY, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        (journal,) = (folder / "runs").glob("*/journal.jsonl")
        records = [json.loads(line) for line in journal.read_text().splitlines()]
        (summary,) = (folder / "runs").glob("*/summary.json")
        busy = json.loads(summary.read_text())["busy_fraction"]
    began = min(record["time"] for record in records if record["type"] == "session")
    ended = sorted(
        (record["completed"] - began, record["outcome"].get("objective"))
        for record in records
        if record["type"] == "finished"
    )
    hits = [place for place, (_, value) in enumerate(ended) if value is not None and value <= TARGETS[case]]
    return {
        "case": case,
        "ranks": ranks,
        "seed": seed,
        "reached": int(bool(hits)),
        "to_target": ended[hits[0]][0] if hits else ended[-1][0],
        "evaluations": hits[0] + 1 if hits else len(ended),
        "to_end": ended[-1][0],
        "busy": busy,
    }


def _sleeping_study(folder: Path) -> Path:
    (folder / "train.py").write_text(_OBJECTIVE)
    space = {f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(1, 7)}
    path = folder / "sleeping.json"
    path.write_text(json.dumps({"study": {"objective": "train.py:objective"}, "space": space}))
    return path


def workers_of(ranks: int) -> int:
    """Ranks that evaluate."""
    return max(1, ranks - 2) if ranks > 1 else 1


def report() -> None:
    """Write the table."""
    rows = read(RUNS)
    lines = [
        "# Sequential against MPI, measured",
        "",
        f"Wall seconds on {os.cpu_count()} shared cores, medians over seeds, from the start of the first trial; method",
        "`auto`. Eight ranks cannot train eight networks at once there, so `sleeping` shows what ranks give, and",
        "`digits` what these cores give. Targets: "
        + ", ".join(f"{value:g} ({case})" for case, value in TARGETS.items())
        + ".",
        "Regenerate: `python -m benchmarks.scaling.wall_time`.",
        "",
    ]
    head = ("objective", "ranks", "workers", "seeds", "reached", "s to the target", "evaluations to it", "speed-up")
    body = []
    for case in TARGETS:
        base: dict[str, float] = {}
        for ranks in RANKS:
            mine = [row for row in rows if row["case"] == case and int(row["ranks"]) == ranks]
            if not mine:
                continue
            middle = {key: statistics.median(float(row[key]) for row in mine) for key in ("to_target", "to_end")}
            evaluations = statistics.median(int(row["evaluations"]) for row in mine)
            busy = statistics.median(float(row["busy"]) for row in mine)
            base = base or middle
            reached = f"{sum(row['reached'] == '1' for row in mine)} of {len(mine)}"
            gains = [f"{base[key] / middle[key]:.2f}" for key in ("to_target", "to_end")]
            cells = (reached, f"{middle['to_target']:.1f}", f"{evaluations:g}", gains[0])
            body.append(
                (case, ranks, workers_of(ranks), len(mine), *cells, f"{middle['to_end']:.1f}", gains[1], f"{busy:.1%}")
            )
    head = (*head, "s to the end", "speed-up", "workers busy")
    (FOLDER / "measured.md").write_text("\n".join([*lines, *table(head, body), "", versions(), ""]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(TARGETS))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    for seed in range(options.seeds):
        for case in options.cases.split(","):
            for ranks in RANKS:
                named = {"case": case, "ranks": str(ranks), "seed": str(seed)}
                if any(all(row[key] == value for key, value in named.items()) for row in read(RUNS)):
                    continue
                row = run(case, ranks, seed)
                append(RUNS, [row])
                print(row, flush=True)
    report()


if __name__ == "__main__":
    main()

"""What runs find from end to end, over seeds: best of the initial design, best found, seconds.

    python benchmarks/best_found.py [digits] [branin] [hartmann6]

Each run is a command that a user would type, with one seed; runs that are finished are not repeated. Writes
``data/best_found/<case>.csv``, and prints the mean gain over the initial design with a 95 % bootstrap interval.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "runs" / "best_found"
PARALLEL = ["mpiexec", "-np", "4", sys.executable, "-m", "mpi.mpi_optimizer"]
SEQUENTIAL = [sys.executable, "-m", "sequential.seq_gaussian_process"]
CASES = {
    "digits": (PARALLEL, ["digits", "--budget", "60"], "digits-auto", 5),
    "branin": (PARALLEL, ["branin", "--budget", "60", "--method", "dngo"], "branin-dngo", 10),
    "hartmann6": (SEQUENTIAL, ["hartmann6", "--budget", "100"], "hartmann6-gp", 10),
}
COLUMNS = ("seed", "best_of_initial_design", "best", "wall_seconds", "workers_busy", "seconds_per_proposal")


def run(case: str, seed: int) -> dict[str, float]:
    """Run one seed of a case, or find it finished, and return its row."""
    entry, arguments, name, _ = CASES[case]
    summary = RUNS / f"{name}-seed{seed}" / "summary.json"
    if not summary.exists():
        command = [*entry, *arguments, "--seed", str(seed), "--output", str(RUNS)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = json.loads(summary.read_text())
    return {
        "seed": seed,
        "best_of_initial_design": found["initial_best"]["objective"],
        "best": found["best"]["objective"],
        "wall_seconds": round(found["wall_seconds"], 1),
        "workers_busy": round(found["busy_fraction"], 3),
        "seconds_per_proposal": round(found["seconds_per_proposal"]["median"], 3),
    }


def gain(rows: list[dict[str, float]]) -> str:
    """Mean difference between the initial design's best and the best, with its interval."""
    gains = np.array([row["best_of_initial_design"] - row["best"] for row in rows])
    draws = np.random.default_rng(0).choice(gains, (10_000, len(gains))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"mean gain over the initial design {gains.mean():.4g}, 95 % interval {low:.4g} to {high:.4g}"


def main(cases: list[str]) -> None:
    for case in cases:
        rows = [run(case, seed) for seed in range(CASES[case][3])]
        path = ROOT / "data" / "best_found" / f"{case}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        best = [row["best"] for row in rows]
        print(f"{case}: best {min(best):.5g}, median {np.median(best):.5g}, worst {max(best):.5g}; {gain(rows)}")


if __name__ == "__main__":
    main(sys.argv[1:] or list(CASES))

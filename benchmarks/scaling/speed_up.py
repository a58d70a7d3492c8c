"""Time to a target, sequential against many workers, in virtual time.

    python -m benchmarks.scaling.speed_up [--cases hartmann6:1,8,64,256,1024 ackley20:1,64] [--seeds 20]

Evaluations take a minute on average (log-normal, sigma 0.5). One worker is the sequential run, in which the optimiser
refits itself; all others have a master and a trainer. CPU time of the optimiser is charged in both. Runs that are in
``data/mpi_v_seq_time_comparison/simulated.csv`` are not repeated. Writes that file, ``simulated.md`` and
``simulated.png`` there.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.scaling.cluster import Cluster
from benchmarks.scaling.problems import RACES
from benchmarks.scaling.results import COLOURS, DATA, alone, append, interval, new_figure, read, table, versions
from benchmarks.scaling.workload import Workload

FOLDER = DATA / "mpi_v_seq_time_comparison"
RUNS = FOLDER / "simulated.csv"
CASES = ("hartmann6:1,8,64,256,1024", "ackley20:1,8,64,256,1024")
GOALS = {("hartmann6", 8): 5.0, ("ackley20", 64): 25.0}
MOST_ROUNDS = 10
"""Many workers may take so many evaluations each, where that is more than what one worker may take in all."""


def race(problem: str, workers: int, seed: int, method: str) -> dict[str, Any]:
    """Seconds to the target; those at the end of the budget, and ``reached`` 0, where it was not reached."""
    chosen = RACES[problem]
    alone_there = workers == 1
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(
            Path(folder),
            Workload(chosen.benchmark, seed=seed),
            workers=workers,
            trainers=0 if alone_there else 1,
            ahead=not alone_there,
            method=method,
            budget=max(chosen.most, MOST_ROUNDS * workers),
            seed=seed,
        )
        summary = cluster.run(chosen.target)
    reached = summary.best <= chosen.target
    return {
        "problem": problem,
        "method": method,
        "workers": workers,
        "seed": seed,
        "reached": int(reached),
        "seconds": cluster.measures.curve[-1][0] if reached else summary.seconds,
        "evaluations": summary.trials,
        "best": summary.best,
        "master_seconds": summary.load * summary.seconds,
    }


def times(rows: list[dict[str, str]]) -> dict[tuple[str, int], dict[int, float]]:
    """Seconds by seed, of each problem and number of workers; infinite where the target was not reached."""
    found: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    for row in rows:
        seconds = float(row["seconds"]) if row["reached"] == "1" else math.inf
        found[row["problem"], int(row["workers"])][int(row["seed"])] = seconds
    return found


def ratio(slow: dict[int, float], fast: dict[int, float]) -> tuple[float, float, float]:
    """Ratio of the medians over the seeds that both have, and its 95 % interval over these."""
    seeds = sorted(slow.keys() & fast.keys())
    pairs = [(slow[seed], fast[seed]) for seed in seeds]
    middle = statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)
    low, high = interval(range(len(pairs)), _ratio_of(pairs))
    return middle, low, high


def _ratio_of(pairs: list[tuple[float, float]]) -> Any:
    import numpy as np

    both = np.array(pairs)

    def statistic(drawn: Any, axis: int) -> Any:
        chosen = both[drawn.astype(int)]
        return np.median(chosen[..., 0], axis=axis) / np.median(chosen[..., 1], axis=axis)

    return statistic


def report() -> None:
    """Write the table and the figure."""
    rows = read(RUNS)
    found = times(rows)
    lines = [
        "# Time to a target, simulated",
        "",
        "Evaluations of 60 s on average (log-normal, sigma 0.5), messages of 1 ms, CPU time of master and trainer",
        "charged; one worker is the sequential run. Method `auto`. Speed-up: ratio of the medians over shared seeds,",
        "with a 95 % bootstrap interval; efficiency: over the number of workers.",
        "Targets: " + ", ".join(f"{race.target:g} on {name}" for name, race in RACES.items()) + ".",
        "Regenerate: `python -m benchmarks.scaling.speed_up`.",
        "",
    ]
    head = ("problem", "workers", "seeds", "reached", "median minutes", "median evaluations", "speed-up", "efficiency")
    body, points = [], defaultdict(list)
    for (problem, workers), seconds in sorted(found.items()):
        mine = [row for row in rows if (row["problem"], int(row["workers"])) == (problem, workers)]
        evaluations = statistics.median(int(row["evaluations"]) for row in mine)
        gain = efficiency = goal = ""
        if workers > 1 and (problem, 1) in found:
            middle, low, high = ratio(found[problem, 1], seconds)
            wanted = GOALS.get((problem, workers))
            goal = "" if wanted is None else f"; goal {wanted:g}"
            gain, efficiency = f"{middle:.1f} ({low:.1f} to {high:.1f}){goal}", f"{middle / workers:.0%}"
            points[problem].append((workers, middle, low, high))
        reached = sum(row["reached"] == "1" for row in mine)
        minutes = statistics.median(seconds.values()) / 60.0
        cells = (f"{reached} of {len(mine)}", f"{minutes:.1f}", f"{evaluations:g}", gain, efficiency)
        body.append((problem, f"{workers:,}", len(mine), *cells))
    lines += [*table(head, body), "", versions(), ""]
    (FOLDER / "simulated.md").write_text("\n".join(lines))
    figure, (axes,) = new_figure(1, (5.0, 3.4))
    most = max((workers for _, workers in found), default=1)
    axes.plot((1, most), (1, most), color="#999999", linewidth=0.8, label="as many times as workers")
    for (problem, several), colour in zip(points.items(), COLOURS, strict=False):
        workers, middle, low, high = (list(column) for column in zip(*several, strict=True))
        axes.plot([1, *workers], [1.0, *middle], "o-", color=colour, label=problem)
        spread = ([a - b for a, b in zip(middle, low, strict=True)], [b - a for a, b in zip(middle, high, strict=True)])
        axes.errorbar(workers, middle, spread, fmt="none", color=colour, capsize=2, linewidth=0.8)
    counts = sorted({workers for _, workers in found})
    axes.set(xscale="log", yscale="log", xlabel="workers", ylabel="speed-up to the target")
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.set_yticks(counts, [f"{count:,}" for count in counts])
    axes.minorticks_off()
    axes.legend(frameon=False)
    figure.savefig(FOLDER / "simulated.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=CASES, help="problem:workers,workers,...")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--method", default="auto")
    options = parser.parse_args()
    for seed in range(options.seeds):
        for case in options.cases:
            problem, _, several = case.partition(":")
            for workers in several.split(","):
                if any(
                    (row["problem"], row["workers"], row["seed"]) == (problem, workers, str(seed)) for row in read(RUNS)
                ):
                    continue
                row = alone(race, problem, int(workers), seed, options.method)
                append(RUNS, [row])
                print(row, flush=True)
    report()


if __name__ == "__main__":
    main()

"""Whether a model pays with 1,000 workers: regret at equal evaluations against Thompson samples alone, paired seeds.

    python -m benchmarks.scaling.thompson [--problems hartmann6,ackley20] [--methods dngo,auto] [--seeds 5]

`dngo` and `auto` by their portfolio, and `dngo` with ``acquisition = "thompson"`` alone, 1,000 workers with evaluations
of a minute (log-normal, sigma 0.5), 5,000 evaluations. Proposals are made as in such a run, their time charged.
Runs that are in ``data/utilisation/thompson.csv`` are not repeated. Writes that file and ``thompson.md`` there.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scaling.cluster import Cluster
from benchmarks.scaling.problems import RACES
from benchmarks.scaling.results import DATA, alone, append, interval, read, table
from benchmarks.scaling.workload import Workload

FOLDER = DATA / "utilisation"
RUNS = FOLDER / "thompson.csv"
WORKERS, EVALUATIONS = 1000, 5000
AT = (1500, 2000, 3000, 5000)
FLOOR = 1e-6
PEER = "thompson"


def run(problem: str, method: str, seed: int) -> dict[str, Any]:
    """Regret of one run after so many evaluations."""
    benchmark = RACES[problem].benchmark
    assert benchmark.minimum is not None
    settings = {"method": "dngo", "acquisition": "thompson"} if method == PEER else {"method": method}
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(
            Path(folder),
            Workload(benchmark, seed=seed),
            workers=WORKERS,
            budget=EVALUATIONS,
            seed=seed,
            **settings,
        )
        cluster.run()
    regrets = cluster.measures.incumbents(EVALUATIONS) - benchmark.minimum
    return {"problem": problem, "method": method, "seed": seed, **{f"after_{at}": regrets[at - 1] for at in AT}}


def report() -> None:
    """Write the table."""
    rows = read(RUNS)
    methods = [name for name in dict.fromkeys(row["method"] for row in rows) if name != PEER]
    lines = [
        "# A portfolio against Thompson samples alone, 1,000 workers",
        "",
        f"{EVALUATIONS:,} evaluations by {WORKERS:,} simulated workers. Mean regret after so many evaluations; below",
        f"it, its ratio over that of Thompson samples of `dngo`, as geometric means over seeds (floor {FLOOR:g}), with",
        "a 95 % bootstrap interval: below 1 is better. Regenerate: `python -m benchmarks.scaling.thompson`.",
        "",
    ]
    head = ("problem", "method", "seeds", *(f"after {at:,}" for at in AT))
    body: list[tuple[object, ...]] = []
    for problem in dict.fromkeys(row["problem"] for row in rows):
        peer = _regrets(rows, problem, PEER)
        body.append((problem, "thompson", len(peer), *_means(peer)))
        for method in methods:
            mine = _regrets(rows, problem, method)
            seeds = sorted(mine.keys() & peer.keys())
            if not seeds:
                continue
            body.append((problem, method, len(mine), *_means(mine)))
            logs = np.log(np.maximum([[mine[seed], peer[seed]] for seed in seeds], FLOOR))
            ratios = logs[:, 0] - logs[:, 1]
            body.append(("", "ratio", len(seeds), *(_ratio(ratios[:, column]) for column in range(len(AT)))))
    (FOLDER / "thompson.md").write_text("\n".join([*lines, *table(head, body), ""]))


def _regrets(rows: list[dict[str, str]], problem: str, method: str) -> dict[int, list[float]]:
    mine = [row for row in rows if (row["problem"], row["method"]) == (problem, method)]
    return {int(row["seed"]): [float(row[f"after_{at}"]) for at in AT] for row in mine}


def _means(regrets: dict[int, list[float]]) -> list[str]:
    return [f"{value:.3g}" for value in np.mean(list(regrets.values()), axis=0)]


def _ratio(logs: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    low, high = np.exp(interval(logs.tolist()))
    return f"{np.exp(logs.mean()):.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default=",".join(RACES))
    parser.add_argument("--methods", default="dngo,auto")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    for seed in range(options.seeds):
        for problem in options.problems.split(","):
            for method in (PEER, *options.methods.split(",")):
                case = {"problem": problem, "method": method, "seed": str(seed)}
                if not any(all(row[key] == value for key, value in case.items()) for row in read(RUNS)):
                    row = alone(run, problem, method, seed)
                    append(RUNS, [row])
                    print(row, flush=True)
    report()


if __name__ == "__main__":
    main()

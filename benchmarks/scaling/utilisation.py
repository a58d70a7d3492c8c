"""Whether one master keeps its workers busy: 100, 1,000 and 10,000 of them, in virtual time.

    python -m benchmarks.scaling.utilisation [--workers 100,1000,10000] [--methods random,dngo,auto] [--minutes 10]

Evaluations of Hartmann's function of six parameters take a minute on average (log-normal, sigma 0.5), one in 50 ten
times as long, one in 20 fails. Runs that are in ``data/utilisation/simulated.csv`` are not repeated. Writes that file,
``curves.csv``, ``simulated.md`` and ``simulated.png`` in the same folder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scaling.cluster import Cluster, Costs
from benchmarks.scaling.results import COLOURS, DATA, alone, append, new_figure, read, table, versions
from benchmarks.scaling.trainer_process import peak_megabytes
from benchmarks.scaling.workload import Workload
from learning_objective.benchmarks import BENCHMARKS
from utilities.methods import MODEL_METHODS

FOLDER = DATA / "utilisation"
RUNS, CURVES = FOLDER / "simulated.csv", FOLDER / "curves.csv"
WORKERS, METHODS = (100, 1000, 10_000), ("random", "dngo", "auto")
SIGMA, STRAGGLERS, FAILURES = 0.5, 0.02, 0.05
GOALS = {1000: 0.995, 10_000: 0.98}
POINTS = 60


def measure(method: str, workers: int, budget: int, seconds: float, costs: Costs, disk: str) -> dict[str, Any]:
    """One run: its figures, and its curve of evaluations and regret."""
    benchmark = BENCHMARKS["hartmann6"]
    workload = Workload(benchmark, seconds, SIGMA, STRAGGLERS, FAILURES)
    began = time.perf_counter()
    trainers = int(method in MODEL_METHODS)
    with tempfile.TemporaryDirectory(dir=disk or None) as folder:
        cluster = Cluster(
            Path(folder), workload, workers=workers, trainers=trainers, costs=costs, method=method, budget=budget
        )
        summary = cluster.run()
    incumbents = cluster.measures.incumbents(budget)
    assert benchmark.minimum is not None
    places = np.unique(np.geomspace(1, budget, POINTS).round().astype(int))
    return {
        "row": {
            **asdict(summary),
            "master_mb": peak_megabytes(),
            "trainer_mb": cluster.trainer_megabytes,
            "simulated_in": time.perf_counter() - began,
            "charge": costs.charge,
        },
        "curve": [(int(at), float(incumbents[at - 1] - benchmark.minimum)) for at in places],
    }


def report() -> None:
    """Write the table and the figure."""
    rows = sorted(read(RUNS), key=lambda row: (int(row["workers"]), (*METHODS, row["method"]).index(row["method"])))
    curves = read(CURVES)
    lines = [
        "# Utilisation, simulated",
        "",
        "Evaluations of 60 s on average (log-normal, sigma 0.5), 2 % of them ten times as long, 5 % failing; the real",
        "master and optimiser in virtual time, their CPU time charged, messages of 1 ms, 1 ms of disk for each pass",
        "that leaves records. Busy from the start, and steady: to the last hand-out, from when the first worker was",
        "ready and from when all had a trial; the whole run ends with the last straggler. Times of one shared core.",
        "Waits: from the end of a worker's trial to the beginning of its next. Regenerate:",
        "`python -m benchmarks.scaling.utilisation`.",
        "",
    ]
    lines += table(
        (
            "workers",
            "method",
            "trials",
            "busy, steady",
            "busy, from the start",
            "busy, whole run",
            "goal",
            "master's load",
            "ms per trial",
            "ms per proposal (p99)",
            "wait ms, median (p99, most)",
            "fits, s (longest)",
            "master MB",
            "trainer MB",
            "regret",
        ),
        [_row(row, _curve(curves, row["method"], int(row["workers"]))[-1][1]) for row in rows],
    )
    (FOLDER / "simulated.md").write_text("\n".join([*lines, "", versions(), ""]))
    figure, (left, right) = new_figure(2, (8.5, 3.2))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    styles = dict(zip(WORKERS, (":", "--", "-"), strict=True))
    for method, colour in zip(methods, COLOURS, strict=False):
        mine = sorted((int(row["workers"]), 1.0 - float(row["busy_steady"])) for row in rows if row["method"] == method)
        left.plot(*zip(*mine, strict=True), "o-", color=colour, label=method)
        for workers, style in styles.items():
            if curve := _curve(curves, method, workers):
                right.plot(*zip(*curve, strict=True), style, color=colour, label=f"{method}, {workers:,} workers")
    goals = sorted(GOALS.items())
    left.plot([at for at, _ in goals], [1.0 - goal for _, goal in goals], "kx", label="goal")
    left.set(xscale="log", yscale="log", xlabel="workers", ylabel="share of time not busy, steady part")
    right.set(xscale="log", yscale="log", xlabel="evaluations", ylabel="regret on Hartmann 6")
    left.legend(frameon=False)
    right.legend(frameon=False)
    figure.savefig(FOLDER / "simulated.png")


def _curve(rows: list[dict[str, str]], method: str, workers: int) -> list[tuple[int, float]]:
    """Evaluations and regret after them."""
    return [
        (int(row["evaluations"]), float(row["regret"]))
        for row in rows
        if row["method"] == method and int(row["workers"]) == workers
    ]


def _row(row: dict[str, str], regret: float) -> tuple[object, ...]:
    value = {key: float(cell) for key, cell in row.items() if key != "method"}
    goal = GOALS.get(int(value["workers"]))
    proposal = f"{value['proposal_ms']:.2f} ({value['proposal_p99_ms']:.2f})"
    return (
        f"{int(value['workers']):,}",
        row["method"],
        f"{int(value['trials']):,}",
        f"{value['busy_steady']:.2%}",
        f"{value['busy_open']:.2%}",
        f"{value['busy']:.2%}",
        "" if goal is None else f"{goal:.1%}",
        f"{value['load_steady']:.1%}",
        f"{value['master_ms_per_trial']:.2f}",
        "" if np.isnan(value["proposal_ms"]) else proposal,
        f"{value['wait_ms']:.1f} ({value['wait_p99_ms']:.1f}, {value['wait_max_ms']:.0f})",
        f"{int(value['fits'])}, {value['fit_seconds']:.0f} ({value['fit_longest']:.0f})",
        f"{value['master_mb']:.0f}",
        f"{value['trainer_mb']:.0f}",
        f"{regret:.2g}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default=",".join(map(str, WORKERS)))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--minutes", type=float, default=10.0, help="of virtual time, 10 by default")
    parser.add_argument("--seconds", type=float, default=60.0, help="mean of an evaluation, 60 by default")
    parser.add_argument("--charge", type=float, default=1.0, help="factor on CPU times, 1 by default")
    parser.add_argument("--disk", default="", help="where journals are written, the temporary folder by default")
    options = parser.parse_args()
    for workers in map(int, options.workers.split(",")):
        budget = round(workers * 60.0 * options.minutes / options.seconds)
        for method in options.methods.split(","):
            case = {"workers": workers, "method": method, "mean": options.seconds}
            if any(all(row[key] == str(value) for key, value in case.items()) for row in read(RUNS)):
                continue
            costs = Costs(charge=options.charge)
            found = alone(measure, method, workers, budget, options.seconds, costs, options.disk)
            append(RUNS, [{**case, **found["row"]}])
            curve = ({**case, "evaluations": at, "regret": regret} for at, regret in found["curve"])
            append(CURVES, curve)
            print(case, found["row"], flush=True)
    report()


if __name__ == "__main__":
    main()

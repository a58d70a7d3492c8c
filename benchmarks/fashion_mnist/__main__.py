"""How many epochs of training early stopping saves, on Fashion-MNIST, ours and others'.

    python -m benchmarks.fashion_mnist [--subjects LIST] [--seeds 5] [--epochs 360] [--processes 2] [--folder FOLDER]

Every subject tunes the network of ``examples/fashion_mnist`` with two workers in virtual time until so many epochs are
spent. A run's trials are rows of ``runs.csv`` in the folder, ``data/fashion_mnist`` by default, once it is over; the
same command makes the runs that are missing, and then ``fashion_mnist.md`` and ``fashion_mnist.png``. The names of
subjects, and what it needs, are in README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from benchmarks.fashion_mnist.report import FOLDER, report
from benchmarks.fashion_mnist.runs import EXAMPLE, example, run, space
from benchmarks.fashion_mnist.subjects import DEFAULT, OPTUNA, Ours
from benchmarks.scaling.results import append, read, write
from utilities.errors import StudyError


def refusal(names: Iterable[str]) -> str | None:
    """Why these subjects cannot be run here; None where they can."""
    for name in names:
        try:
            if name == OPTUNA:
                import optuna  # noqa: F401
            else:
                with tempfile.TemporaryDirectory() as folder:
                    Ours(name, 0, space(), f"{EXAMPLE / 'train.py'}:objective", Path(folder)).close()
        except (StudyError, ImportError) as error:
            return f"--subjects {name}: {error}"
    try:
        example()
    except FileNotFoundError as error:
        return str(error)
    return None


def whole_runs(file: Path) -> list[dict[str, str]]:
    """Rows of a file, from which those of a run are cut that a stopped process wrote in part."""
    rows = read(file)
    spent: Counter[tuple[str, str]] = Counter()
    for row in rows:
        spent[row["subject"], row["seed"]] += int(row["epochs"] or 0)
    kept = [row for row in rows if str(spent[row["subject"], row["seed"]]) == row["total"]]
    if len(kept) < len(rows):
        write(file, kept, list(rows[0]))
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", default=",".join(DEFAULT), help="%(default)s by default")
    parser.add_argument("--seeds", type=int, default=5, help="%(default)s by default")
    parser.add_argument("--epochs", type=int, default=360, help="of a run, %(default)s by default")
    parser.add_argument("--processes", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="%(default)s by default")
    options = parser.parse_args()
    os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})
    os.environ["REVERIE_PLAIN"] = "1"
    names = options.subjects.split(",")
    if (reason := refusal(names)) is not None:
        parser.error(reason)
    file = options.folder / "runs.csv"
    rows = whole_runs(file)
    if others := {row["total"] for row in rows} - {str(options.epochs)}:
        parser.error(f"{file} has runs of {', '.join(others)} epochs; --epochs the same, or another --folder")
    done = {(row["subject"], row["seed"]) for row in rows}
    cases = [(name, seed) for seed in range(options.seeds) for name in names if (name, str(seed)) not in done]
    failed = 0
    with ProcessPoolExecutor(
        options.processes,
        get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_DFL),  # Ctrl-C ends the runs at once
        max_tasks_per_child=1,
    ) as pool:
        runs = {pool.submit(run, name, seed, options.epochs): f"{name} seed {seed}" for name, seed in cases}
        for future in as_completed(runs):
            try:
                trials = future.result()
            except Exception as error:
                print(f"{runs[future]}, not kept: {error!r}", file=sys.stderr, flush=True)
                failed += 1
                continue
            append(file, trials)
            best = min((row["error"] for row in trials if row["state"] == "COMPLETE"), default=float("nan"))
            print(f"{runs[future]}: {len(trials)} trials, best {best:.4f}", flush=True)
    report(options.folder)
    if failed:
        sys.exit(f"{failed} runs failed; the same command repeats them")


if __name__ == "__main__":
    main()

"""What share of their time eight workers evaluate, ours and those of others, on real ranks.

    python -m benchmarks.scaling.busy [--subjects LIST] [--seconds 0.01,0.1,1] [--repeats 3] [--limit 60]

An evaluation sleeps, then is Hartmann's function of six parameters, and notes when it began and ended. Within a repeat
all subjects come one after the other, one thread a rank. One that takes longer than the limit, from its first
evaluation on, is ended, and what it did until then counts. Needs the environment that README.md beside this file names.
Runs that are in ``data/utilisation/measured.csv`` are not repeated. Writes that file, ``measured.md`` and
``measured.png`` in the same folder; with ``--evaluations``, for a first look, only prints.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.launching import ROOT_MAY, Run
from benchmarks.regret.driver import ONE_THREAD
from benchmarks.regret.records import ROOT
from benchmarks.scaling.busy_report import RUNS, report
from benchmarks.scaling.results import append, read
from benchmarks.scaling.runners.catalogue import SUBJECTS, WORKERS, missing
from benchmarks.scaling.runners.sleeping import RECORDS, SECONDS
from benchmarks.scaling.timeline import Timeline, read_spans, timeline

COUNTS = {0.01: 2000, 0.1: 1000, 1.0: 96}
"""Evaluations by their seconds: multiples of the workers, who then can all end together."""

LIMIT = 60.0
MEMORY = Path("/dev/shm")
"""Where records are kept, if it is there: a write to a disk that others use may take seconds."""

START_SECONDS = 180.0
"""A subject whose first evaluation has not begun by then hangs."""


class NoMeasurementError(Exception):
    """A run failed, or was disturbed, and tells nothing; the message says how."""


def measure(name: str, seconds: float, count: int, seed: int, limit: float) -> dict[str, Any]:
    """Run a subject once.

    Raises
    ------
    NoMeasurementError
        It failed, hung, did another number of evaluations than it was asked for, or left processes that would disturb
        the next; or an evaluation took much longer than it sleeps.
    """
    load = os.getloadavg()[0]
    in_memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory(dir=in_memory) as kept:
        folder, records = Path(scratch), Path(kept)
        own = {"PYTHONPATH": str(ROOT), RECORDS: str(records), SECONDS: str(seconds)}
        command = SUBJECTS[name].command(folder, count, seed)
        with Run(command, folder, {**os.environ, **ROOT_MAY, **ONE_THREAD, **own}) as run:
            try:
                run.until(lambda: any(records.iterdir()), START_SECONDS)
            except AssertionError as error:
                raise NoMeasurementError(f"no evaluation began: {error}") from None
            ended = run.wait() if run.pause(limit) else None
        if not run.vanishes():
            raise NoMeasurementError(f"it left processes: {run.processes()}")
        if ended is not None and ended.status != 0:
            raise NoMeasurementError(f"it ended with exit status {ended.status}\n{ended.out}\n{ended.err}")
        found = evaluations(records, count, limit, over=ended is not None)
        processes = len(list(records.iterdir()))
    if found.longest > 2.0 * seconds + 1.0:
        raise NoMeasurementError(f"an evaluation that sleeps for {seconds} s took {found.longest:.2f} s")
    return {
        "subject": name,
        "seconds": seconds,
        "seed": seed,
        "asked": count,
        "limit": limit,
        **asdict(found),
        "processes": processes,
        "load": round(load, 2),
        "version": SUBJECTS[name].version(),
    }


def evaluations(records: Path, count: int, limit: float, *, over: bool) -> Timeline:
    """What the records of a run say that is over, or was ended at the limit.

    Raises
    ------
    NoMeasurementError
        No evaluation ended, or the run came to its end by itself with another number of them than it was asked for.
    """
    spans = read_spans(records)
    ended = int(np.isfinite(spans[:, 1]).sum())
    if over and ended != count:
        raise NoMeasurementError(f"{count} evaluations were asked for; {ended} ended")
    try:
        return timeline(spans, WORKERS, math.inf if ended == count else limit)
    except ValueError as error:
        raise NoMeasurementError(str(error)) from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", default=",".join(SUBJECTS), help="all by default: %(default)s")
    parser.add_argument("--seconds", default=",".join(map(str, COUNTS)), help="that an evaluation sleeps: %(default)s")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of a run, %(default)s by default")
    parser.add_argument("--evaluations", type=int, help="so many in every run, and only print what comes of it")
    options = parser.parse_args()
    names, lengths = options.subjects.split(","), [float(text) for text in options.seconds.split(",")]
    if (reason := missing(names)) is not None:
        parser.error(reason)
    if options.evaluations is None and (unknown := set(lengths) - set(COUNTS)):
        parser.error(f"--seconds must be of {', '.join(map(str, COUNTS))}, or with --evaluations; got {unknown}")
    is_kept, failed = options.evaluations is None, 0
    for seed, seconds, name in itertools.product(range(options.repeats), lengths, names):
        case = {"subject": name, "seconds": f"{seconds:g}", "seed": str(seed)}
        if is_kept and any(case.items() <= row.items() for row in read(RUNS)):
            continue
        try:
            row = measure(name, seconds, options.evaluations or COUNTS[seconds], seed, options.limit)
        except NoMeasurementError as error:
            print(f"{name}, {seconds:g} s, not kept: {error}", file=sys.stderr, flush=True)
            failed += 1
            continue
        print(row, flush=True)
        if is_kept:
            append(RUNS, [row])
    if is_kept:
        report()
    if failed:
        sys.exit(f"{failed} runs told nothing; the same command repeats them")


if __name__ == "__main__":
    main()

"""What a proposal costs with 100 to 100,000 observations: our methods and other optimisers, each on one core.

    python -m benchmarks.scaling.proposals [--subjects LIST] [--cases 1x1,64x1,64x16,1000x64] [--limit 3600]

A case ``64x16`` is 64 pending trials, of which 16 end and are replaced at a time; other optimisers have only those that
replace one. A subject ends where a proposal or a refit takes a minute, or its case an hour. Needs the environments that
README.md beside this file names. Cases that ended are in ``data/gp_v_nn_time_comparison/proposals.csv``, and are not
measured again. Writes that file, ``refits.csv``, ``proposals.md`` and ``proposals.png`` there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

from benchmarks.regret.driver import ONE_THREAD
from benchmarks.regret.records import ROOT
from benchmarks.scaling.proposal_report import FITS, OURS, PROPOSALS, report
from benchmarks.scaling.results import append, read
from benchmarks.scaling.subjects.race import SUBJECTS

SIZES = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
CASES = ("1x1", "64x1", "64x16", "1000x64")
ENVIRONMENTS = {"optuna-tpe": "main", "optuna-gp": "main", "botorch": "main", "smac": "main", "deephyper": "deephyper"}
MOST_SECONDS, CASE_SECONDS = 60.0, 3600.0


def python_of(subject: str) -> str:
    """Python of the environment in which a subject lives: this one for ours."""
    environment = ENVIRONMENTS.get(subject)
    return str(ROOT / f".venv-bench-{environment}" / "bin" / "python") if environment else sys.executable


def race(subject: str, pending: int, batch: int, limit: float) -> Iterator[dict[str, Any]]:
    """Lines of one subject in one case, as they come; ended after `limit` seconds."""
    sizes = [str(size) for size in SIZES if size >= min(1000, pending)]
    words = [subject, str(pending), str(batch), ",".join(sizes), str(MOST_SECONDS)]
    command = [python_of(subject), "-m", "benchmarks.scaling.subjects.race", *words]
    log = ROOT / "runs" / "scaling" / f"{subject}-{pending}x{batch}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        watch = threading.Timer(limit, process.kill)
        watch.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
        finally:
            watch.cancel()
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", default=",".join(SUBJECTS), help="all by default")
    parser.add_argument("--cases", default=",".join(CASES), help="all by default")
    parser.add_argument("--limit", type=float, default=CASE_SECONDS, help="seconds of a subject in a case")
    options = parser.parse_args()
    for case in options.cases.split(","):
        pending, batch = map(int, case.split("x"))
        done = {row["subject"] for row in read(PROPOSALS) if [row["pending"], row["batch"]] == case.split("x")}
        for subject in options.subjects.split(","):
            if subject in done or (batch > 1 and subject not in OURS):
                continue
            named = {"subject": subject, "pending": pending, "batch": batch}
            lines = []
            for line in race(subject, pending, batch, options.limit):
                lines.append({**named, **line})
                print(lines[-1], flush=True)
            append(FITS, [line for line in lines if "fit" in line])
            append(PROPOSALS, [line for line in lines if "fit" not in line])
    report()


if __name__ == "__main__":
    main()

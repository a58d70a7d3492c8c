"""The example under a real Slurm: stopped by its time limit and by an operator, queued again, nothing repeated."""

import json
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from mpi_runs import Launcher, launchers
from slurm_lab import Lab, cluster, missing

pytestmark = pytest.mark.mpi
EXAMPLE = Path(__file__).parent.parent / "examples" / "slurm"
BUDGET = 80

TRAIN = """
import os, time

LOG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "evaluations.log")

def objective(config, trial):
    time.sleep(1.0)
    line = f"{trial.number} {config['x']!r}\\n"
    log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(log, line.encode())
    os.close(log)
    return config["x"]
"""


@pytest.fixture
def lab(tmp_path: Path):
    if why := missing():
        pytest.skip(why)
    with cluster(tmp_path / "slurm") as lab:
        yield lab


def mpich() -> Launcher:
    """The launcher beside this Python, whose ranks `srun --mpi=pmi2` can start."""
    (own, *_) = launchers()
    assert own.programs == Path(sys.executable).parent
    return own


def restarted(lab: Lab, job: str, times: int) -> None:
    """Wait until the job was queued again so often, and have it started without Slurm's pause of two minutes."""
    lab.until(lambda: lab.job(job)["Restarts"] == str(times), f"restart {times}", 90.0)
    lab.until(lambda: lab.job(job)["JobState"] == "PENDING", "the queue")
    time.sleep(3.0)  # the nodes refuse what was queued again within the same seconds
    lab.call("scontrol", "update", f"JobId={job}", "StartTime=now")


def test_a_job_is_stopped_queued_again_and_finishes_with_nothing_repeated(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    shutil.copy(EXAMPLE / "study.sbatch", folder)
    (folder / "train.py").write_text(TRAIN)
    settings = {"objective": "train.py:objective", "budget": BUDGET, "method": "random", "grace": 10}
    space = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
    (folder / "study.json").write_text(json.dumps({"study": settings, "space": space}))
    path = f"{mpich().programs}:{lab.environment['PATH']}"
    lab.environment.update(PATH=path, OMP_NUM_THREADS="1")

    # The signal comes 15 seconds after the start, give or take how often Slurm looks.
    limits = ["--time=1", "--signal=USR1@45", "--nodes=2"]
    told = lab.call("sbatch", *limits, "study.sbatch", "study.json", cwd=folder)
    job = told.split()[-1]
    log = folder / f"spirals-{job}.log"
    restarted(lab, job, 1)
    first = log.read_text()
    assert "SIGUSR1: no new trials; waiting for the running ones" in first
    assert "Stopped: signal SIGUSR1" in first
    assert "To continue:\n  srun -n 4 --mpi=pmi2 python -m mpi.mpi_optimizer study.json\n" in first
    done = finished(folder)
    assert 0 < len(done) < BUDGET
    assert done.keys() == logged(folder).keys()

    lab.until(lambda: len(finished(folder)) > len(done) + 2, "the second life")
    lab.call("scontrol", "requeue", job)  # as an operator, or a job of higher priority, would
    restarted(lab, job, 2)
    kept = finished(folder)
    assert done.items() <= kept.items()

    while lab.job(job)["JobState"] in ("PENDING", "RUNNING", "COMPLETING"):
        restarts = int(lab.job(job)["Restarts"])  # by its time limit once more, on a slow machine
        if restarts > 2 and lab.job(job)["JobState"] == "PENDING":
            restarted(lab, job, restarts)
        time.sleep(0.5)
    assert lab.job(job)["JobState"] == "COMPLETED", log.read_text()
    records = journal(folder)
    count = Counter(record["number"] for record in records if record["type"] == "finished")
    assert count == Counter(range(BUDGET))
    assert kept.items() <= finished(folder).items()
    assert all(value in logged(folder)[number] for number, value in finished(folder).items())
    assert len([record for record in records if record["type"] == "session"]) >= 3


def journal(folder: Path) -> list[dict]:
    path = folder / "runs" / "study" / "journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def finished(folder: Path) -> dict[int, float]:
    return {r["number"]: r["outcome"]["objective"] for r in journal(folder) if r["type"] == "finished"}


def logged(folder: Path) -> dict[int, set[float]]:
    found: dict[int, set[float]] = {}
    for line in (folder / "evaluations.log").read_text().splitlines():
        number, value = line.split()
        found.setdefault(int(number), set()).add(float(value))
    return found

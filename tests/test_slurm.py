"""The example under a real Slurm: stopped by time limit, operator and a node's death, queued again, none repeated."""

import csv
import json
import os
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from mpi_runs import Launcher, launchers
from slurm_lab import Lab, cluster, missing

pytestmark = [pytest.mark.mpi, pytest.mark.slow]
EXAMPLE = Path(__file__).parent.parent / "examples" / "slurm"
BUDGET = 20
WORKERS = 3

TRAIN = """
import os, pathlib, time

HERE = pathlib.Path(__file__).absolute().parent

def objective(config, trial):
    time.sleep(1.0)
    while trial.number >= len((HERE / "allowed").read_bytes()):
        time.sleep(0.05)
    log = os.open(HERE / "evaluations.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(log, f"{trial.number} {config['x']!r}\\n".encode())
    os.close(log)
    return config["x"]
"""
"""Trials wait until the test allows them; each that ends says so itself. A hundredth of the shortest is longer than a
message takes (`mpi.mpi_ahead`): no worker holds a next one, and trials begin in the order of their numbers."""


class Story:
    """A study in a job, whose trials end when they may."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        folder.mkdir()
        shutil.copy(EXAMPLE / "study.sbatch", folder)
        (folder / "train.py").write_text(TRAIN)
        settings = {"objective": "train.py:objective", "budget": BUDGET, "method": "random", "grace": 10, "retries": 0}
        space = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
        (folder / "study.json").write_text(json.dumps({"study": settings, "space": space}))
        self.allow(0)

    def submit(self, *limits: str) -> None:
        self.job = self.lab.call("sbatch", "--parsable", *limits, "study.sbatch", "study.json", cwd=self.folder).strip()
        self.log = self.folder / f"spirals-{self.job}.log"

    def allow(self, count: int) -> None:
        """Let so many trials of the study end."""
        with (self.folder / "allowed").open("ab") as file:
            file.write(b"." * (count - file.tell()))

    def evaluate(self, count: int, life: int) -> None:
        """Have so many trials in all ended by the job's so-manieth life, and the next ones running."""
        self.allow(count)
        started = min(count + WORKERS, BUDGET)
        self.lab.until(
            lambda: (
                len(self.records("session")) == life
                and len(self.finished()) == count
                and len({record["number"] for record in self.records("started", life)} | set(self.finished()))
                == started
            ),
            f"trial {count} in life {life}",
        )

    def restarted(self, times: int) -> None:
        self.lab.until(lambda: self.lab.job(self.job)["Restarts"] == str(times), f"restart {times}", 90.0)

    def records(self, kind: str, life: int = 1) -> list[dict]:
        """Whole records of a kind in the journal, of the so-manieth life and later ones."""
        path = self.folder / "runs" / "study" / "journal.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        begins = [index for index, record in enumerate(found) if record["type"] == "session"][life - 1 : life]
        return [record for record in found[begins[0] :] if record["type"] == kind] if begins else []

    def finished(self) -> dict[int, float]:
        return {record["number"]: record["outcome"]["objective"] for record in self.records("finished")}

    def logged(self) -> list[tuple[int, float]]:
        lines = (self.folder / "evaluations.log").read_text().splitlines()
        return [(int(number), float(value)) for number, value in map(str.split, lines)]


@pytest.fixture
def story(tmp_path: Path):
    if why := missing():
        pytest.skip(why)
    with cluster(tmp_path / "slurm") as lab:
        path = f"{mpich().programs}:{lab.environment['PATH']}"
        lab.environment.update(PATH=path, OMP_NUM_THREADS="1")
        yield Story(lab, tmp_path / "study")


def mpich() -> Launcher:
    """The launcher beside this Python, whose ranks `srun --mpi=pmi2` can start."""
    (own, *_) = launchers()
    assert own.programs == Path(sys.executable).parent
    return own


def test_a_job_is_stopped_queued_again_and_finishes_with_nothing_repeated(story: Story) -> None:
    lab = story.lab
    # The signal comes 15 seconds after the start or, as often as Slurm looks, up to 30 later.
    story.submit("--time=1", "--signal=USR1@45", "--nodes=2", "--ntasks-per-node=2")
    story.evaluate(6, life=1)
    lab.until(lambda: "SIGUSR1: no new trials; waiting for the running ones" in story.log.read_text(), "SIGUSR1")
    story.allow(8)
    story.restarted(1)
    first = story.log.read_text()
    assert "Stopped: signal SIGUSR1" in first
    assert "To continue:\n  srun -n 4 --mpi=pmi2 python -m mpi.mpi_optimizer study.json\n" in first
    assert "run 1 of this job stopped early; it is queued again" in first
    assert story.finished().keys() == set(range(8)), "of three running trials two end within the grace"
    lab.call("scontrol", "update", f"JobId={story.job}", "TimeLimit=60")

    story.evaluate(10, life=2)
    lab.call("scontrol", "requeue", story.job)  # as an operator, or a job of higher priority, would
    story.restarted(2)

    story.evaluate(12, life=3)
    lab.kill_node("t2")
    lab.call("scontrol", "update", "NodeName=t2", "State=DOWN", "Reason=dead")  # as SlurmdTimeout would
    story.restarted(3)
    lab.start("t2")
    lab.call("scontrol", "update", "NodeName=t2", "State=RESUME")

    story.evaluate(BUDGET, life=4)
    lab.until(lambda: lab.job(story.job)["JobState"] not in ("RUNNING", "COMPLETING"), "the end of the job")
    assert lab.job(story.job)["JobState"] == "COMPLETED", story.log.read_text()
    assert lab.job(story.job)["Restarts"] == "3"
    assert Counter(record["number"] for record in story.records("finished")) == Counter(range(BUDGET))
    assert sorted(story.logged()) == sorted(story.finished().items())
    assert not story.records("lost")
    with (story.folder / "runs" / "study" / "trials.csv").open() as file:
        rows = [(int(row["number"]), row["state"]) for row in csv.DictReader(file)]
    assert sorted(rows) == [(number, "COMPLETE") for number in range(BUDGET)]
    assert not lab.processes(SLURM_JOB_ID=story.job)


def test_a_rank_that_dies_ends_its_job_and_leaves_nothing(story: Story) -> None:
    lab = story.lab
    script = story.folder / "study.sbatch"
    script.write_text(script.read_text().replace("--wait=60", "--wait=2"))
    story.submit("--time=10", "--nodes=2", "--ntasks-per-node=2")
    story.evaluate(2, life=1)
    (victim,) = lab.processes(SLURM_JOB_ID=story.job, PMI_RANK="3")
    os.kill(victim, signal.SIGKILL)
    lab.until(lambda: lab.job(story.job)["JobState"] == "FAILED", "the end of the job")
    assert (lab.job(story.job)["ExitCode"], lab.job(story.job)["Restarts"]) == ("137:0", "0")
    assert story.finished().keys() == {0, 1}
    lab.until(lambda: not lab.processes(SLURM_JOB_ID=story.job), "the end of its processes", 10.0)

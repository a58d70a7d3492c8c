"""The verbs beside runs on real ranks: watched, stopped and continued by other processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mpi_runs import Launcher, Studio, launchers

pytestmark = [pytest.mark.mpi, pytest.mark.slow]
SLOW = """
    import time
    def objective(config, trial):
        trial.report(1, 0.5)
        time.sleep(0.3)
        return config["x"]
    """
RUN = ("reverie", "run")


@pytest.fixture(params=launchers(), ids=str)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    launcher: Launcher = request.param
    return Studio(launcher, tmp_path / "study")


def reverie(studio: Studio, *words: str, status: int = 0) -> str:
    """Run the command in a process of its own; returns what it printed."""
    own = [sys.executable, "-m", "reverie", *words]
    done = subprocess.run(own, capture_output=True, text=True, timeout=120, cwd=studio.folder)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def status(studio: Studio) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(reverie(studio, "status", "--json"))
    return table


def until(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_a_run_is_watched_stopped_and_continued(studio: Studio, ranks: int) -> None:
    studio.study(SLOW, budget=200, method="random", grace=20)
    with studio.start(ranks, entry=RUN) as run:
        until(lambda: len(studio.records("finished")) >= 3 if (studio.folder / "runs").exists() else False)
        now = status(studio)
        assert (now["state"], now["ranks"], now["budget"]) == ("running", ranks, 200)
        assert 3 <= now["ended"] < 200
        # A random design needs no trainer: all but the master work, and each has a trial but for a moment.
        assert len(now["running"]) <= max(1, ranks - 1)
        assert now["seconds_left"] > 0
        watch = [sys.executable, "-m", "reverie", "status", "--watch", "0.2", "--json"]
        with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True, cwd=studio.folder) as watching:
            time.sleep(2.0)
            told = reverie(studio, "stop")
            assert watching.stdout is not None
            seen = [json.loads(line) for line in watching.stdout]
            assert watching.wait() == 0
        finished = run.wait()
    assert finished.status == 75
    assert told.splitlines()[1] == "runs/study: stopped: by `reverie stop`"
    assert "Stopped: by `reverie stop`" in finished.out
    assert f"{'mpiexec -np ' + str(ranks) + ' '}reverie run study.json" in finished.out
    assert [table["state"] for table in seen] == [*["running"] * (len(seen) - 1), "stopped"]
    counts = [table["ended"] for table in seen]
    assert counts == sorted(counts)
    assert counts[-1] == len(studio.records("finished"))
    assert not (studio.left / "stop.json").exists()
    assert not (studio.left / "journal.lock").exists()
    ended = {record["number"] for record in studio.records("finished")}
    (studio.folder / "study.json").unlink()
    entry = ("reverie", "resume")
    again = studio.run(ranks, "--budget", str(len(ended) + 4), study="runs/study", entry=entry)
    assert again.status == 0, again.err
    assert f"runs/study: continues study, {len(ended)} of 200 trials ended" in again.out
    assert again.out.count("continues study") == 1, "one rank alone says so"
    numbers = [record["number"] for record in studio.records("finished")]
    assert sorted(numbers) == list(range(len(ended) + 4)), "none is evaluated twice"


def test_stop_now_cuts_trials_off(studio: Studio) -> None:
    studio.study("import time\ndef objective(config): time.sleep(60)", budget=9, grace=100)
    with studio.start(4, entry=RUN) as run:
        until(lambda: len(studio.records("started")) >= 3 if (studio.folder / "runs").exists() else False)
        reverie(studio, "stop", "--no-wait")
        began = time.monotonic()
        assert "asked pid" in reverie(studio, "stop", "--now")
        assert run.wait().status == 75
    assert time.monotonic() - began < 30.0
    table = status(studio)
    assert (table["state"], table["ended"], table["waiting"]) == ("stopped", 0, 3)


def test_a_run_that_was_killed_is_told_and_its_request_stops_no_other(studio: Studio) -> None:
    studio.study(SLOW, budget=12, method="random")
    with studio.start(2, entry=RUN) as run:
        until(lambda: len(studio.records("finished")) >= 2 if (studio.folder / "runs").exists() else False)
        pid = json.loads((studio.left / "journal.lock").read_text())["pid"]
        os.kill(pid, signal.SIGSTOP)  # it can take no request any more
        reverie(studio, "stop", "--no-wait")
        os.kill(pid, signal.SIGKILL)
        run.wait()
    assert status(studio)["state"] == "killed"
    assert (studio.left / "stop.json").exists()
    assert reverie(studio, "stop").startswith("runs/study: nothing to stop: killed: pid")
    finished = studio.run(2, study="runs/study", entry=("reverie", "resume"))
    assert finished.status == 0, finished.err
    assert status(studio) | {"seconds_since_last_record": 0} == {
        **status(studio), "state": "finished", "ended": 12, "seconds_since_last_record": 0,
    }  # fmt: skip
    assert not (studio.left / "stop.json").exists()


def test_mistakes_on_ranks_are_told_once(studio: Studio) -> None:
    studio.folder.mkdir(exist_ok=True)
    for words, message in ((["runs/nowhere"], "RUN must be a run folder"), (["--budgt", "3"], "--budget")):
        finished = studio.run(3, *words[1:], study=words[0], entry=("reverie", "resume"))
        assert finished.status == 2
        assert finished.err.count("error: ") == 1
        assert message in finished.err

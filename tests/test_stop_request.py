"""Requests to stop: they reach the run that is meant, once, and no other."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from run_folders import opened, play
from virtual_cluster import Cluster

from mpi.mpi_session import Session
from reverie.cli import main
from utilities.display.progress import PlainDisplay
from utilities.storage import lock
from utilities.storage.run_state import State, run_state
from utilities.storage.stop_request import StopRequest, StopRequests, ask, withdraw


def request_to(folder: Path, *, at_once: bool = False) -> StopRequest:
    run = lock.holder(folder / "journal.jsonl")
    assert run is not None
    return StopRequest(run, "anna@node7", at_once)


def test_a_request_is_taken_once_and_removed(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        requests = StopRequests(run.folder)
        assert requests.take(0.0) is None
        request = request_to(run.folder)
        ask(run.folder, request)
        assert requests.take(0.5) is None, "it looks once a second"
        assert requests.take(1.0) == request
        assert not (run.folder / "stop.json").exists()
        assert requests.take(2.5) is None


def test_a_request_that_comes_too_late_does_not_stop_the_next_run(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        late = request_to(run.folder)
    ask(run.folder, late)
    with opened(tmp_path) as run:
        assert StopRequests(run.folder).take(0.0) is None
        assert not (run.folder / "stop.json").exists(), "nor any run after it"


@pytest.mark.parametrize("content", [b"", b"{", b'{"run": 3}', b"\xff"])
def test_what_is_no_request_is_removed(tmp_path: Path, content: bytes) -> None:
    with opened(tmp_path) as run:
        (run.folder / "stop.json").write_bytes(content)
        assert StopRequests(run.folder).take(0.0) is None
        assert not (run.folder / "stop.json").exists()


def test_only_ones_own_request_is_withdrawn(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        mine, other = request_to(run.folder), request_to(run.folder, at_once=True)
        ask(run.folder, other)
        withdraw(run.folder, mine)
        assert (run.folder / "stop.json").exists()
        withdraw(run.folder, other)
        assert not (run.folder / "stop.json").exists()


def session_of(cluster: Cluster) -> Session:
    """Session around the master of a cluster in virtual time."""
    session = object.__new__(Session)
    session._run, session.master, session._told = cluster.run, cluster.master, 0
    session._display = PlainDisplay(io.StringIO())
    session._requests = StopRequests(cluster.run.folder)
    return session


def test_a_run_ends_as_on_a_signal(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=2, seconds=4.0, budget=12)
    session = session_of(cluster)
    ask(cluster.run.folder, request_to(cluster.run.folder))
    session.tick(5.0)
    assert cluster.master.ending.stopped == "by `reverie stop`"
    assert cluster.master.ending.closing
    stop_at = cluster.master.ending._stop_at
    ask(cluster.run.folder, msgspec.structs.replace(request_to(cluster.run.folder), by="bert@node8"))
    session.tick(7.0)
    assert cluster.master.ending._stop_at == stop_at, "asked twice, it still waits for what runs"
    ask(cluster.run.folder, request_to(cluster.run.folder, at_once=True))
    session.tick(9.0)
    assert cluster.master.ending.out_of_grace(9.0)


# --- how it stands with a run -----------------------------------------------------------------------------------------


def holder(**changes: object) -> bytes:
    own = {"host": "elsewhere", "pid": 1, "since": 0.0, "born": 1, **changes}
    return msgspec.json.encode(own)


def test_standing(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        play(run)
        assert run_state(run.folder, time.time()).state is State.RUNNING
        assert f"pid {os.getpid()} on" in str(run_state(run.folder, time.time()))
    assert run_state(run.folder, time.time()).state is State.UNKNOWN, "a run that leaves no summary"
    run.write_summary({"status": "stopped: signal SIGTERM"})
    assert str(run_state(run.folder, time.time())) == "stopped: signal SIGTERM"
    run.write_summary({"status": "finished: every configuration of the space was evaluated"})
    assert run_state(run.folder, time.time()).state is State.FINISHED
    long_ago = time.time() - 1000.0
    os.utime(run.folder / "summary.json", (long_ago, long_ago))
    assert run_state(run.folder, time.time()).state is State.UNKNOWN, "a summary of an earlier run"


def test_standing_of_a_run_that_was_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; sys.path[:0] = ['tests', '.']; from run_folders import *; "
        f"run = RunFolder.open(pathlib.Path({str(tmp_path)!r}), study()); play(run); print('there', flush=True); "
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        folder = tmp_path / "digits"
        assert run_state(folder, time.time()).state is State.RUNNING
        process.send_signal(signal.SIGKILL)
    seen = run_state(folder, time.time())
    assert seen.state is State.KILLED
    assert "did not end orderly; last record" in seen.detail
    assert main(["stop", str(folder)]) == 0


def test_standing_of_a_run_elsewhere_that_is_silent(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        play(run)
    (run.folder / "journal.lock").write_bytes(holder())
    now = os.stat(run.folder / "journal.jsonl").st_mtime
    assert run_state(run.folder, now + 800.0).state is State.RUNNING
    silent = run_state(run.folder, now + 1000.0)
    assert silent.state is State.SEEMS_DEAD
    assert "last record 16:40 ago; its process cannot be seen from this host" in silent.detail
    assert run_state(run.folder, now + 1000.0, patience=500.0).state is State.RUNNING, "a trial may take that long"


def test_stop_gives_up_waiting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(tmp_path) as run:
        assert main(["stop", str(run.folder), "--timeout", "0.3"]) == 1
        printed = capsys.readouterr()
        assert f"asked pid {os.getpid()} on" in printed.out
        assert "still runs after" in printed.err
        assert StopRequests(run.folder).take(0.0) is not None, "the request stands"
        assert main(["stop", str(run.folder), "--no-wait", "--now"]) == 0
        taken = StopRequests(run.folder).take(0.0)
        assert taken is not None
        assert taken.at_once


def test_stop_where_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(tmp_path) as run:
        play(run)
    assert main(["stop", str(run.folder)]) == 0
    assert "nothing to stop: not running" in capsys.readouterr().out
    assert not (run.folder / "stop.json").exists()

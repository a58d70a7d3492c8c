"""Whole runs whose master gets no more room for its files, by a limit to their size that is lifted later."""

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mpi_runs import Launcher, Run, Studio, launchers

pytestmark = pytest.mark.mpi

SLEEPY = "import time\ndef objective(config): time.sleep(0.1); return config['x']"
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
Start = Callable[[Studio], Run]


def parallel(studio: Studio) -> Run:
    return studio.start(3)


def sequential(studio: Studio) -> Run:
    return studio.start_command([sys.executable, "-m", "sequential.seq_optimizer", "study.json"])


CASES = [*((launcher, parallel) for launcher in launchers()), *((launcher, sequential) for launcher in launchers()[:1])]


@pytest.fixture(params=CASES or [None], ids=lambda case: f"{case[1].__name__}-{case[0]}" if case else "none")
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Studio, Start]:
    found: tuple[Launcher, Start] | None = request.param
    assert found is not None, "there is no mpiexec: pip install reverie[mpich]"
    return Studio(found[0], tmp_path / "project"), found[1]


def master(run: Run) -> int:
    """Process of the rank that leads."""
    return run.ranks().get(0) or run.process


def printed(studio: Studio) -> str:
    return "".join(path.read_text() for path in studio.folder.glob("*.out"))


def test_a_run_waits_for_room_and_goes_on(case: tuple[Studio, Start]) -> None:
    studio, start = case
    studio.study(SLEEPY, budget=20)
    with start(studio) as run:
        run.until(lambda: len(studio.rows()) >= 3)
        journal = studio.left / "journal.jsonl"
        resource.prlimit(master(run), resource.RLIMIT_FSIZE, (journal.stat().st_size + 50, resource.RLIM_INFINITY))
        run.until(lambda: "no new trials until there is room" in printed(studio))
        started = len(studio.records("started"))
        with pytest.raises(AssertionError, match="the run hangs"):
            run.wait(1.8)
        assert len(studio.records("started")) == started
        assert journal.read_bytes().endswith(b'"}\n')
        resource.prlimit(master(run), resource.RLIMIT_FSIZE, UNLIMITED)
        ended = run.wait()
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.count("no new trials until there is room") == 1
    assert ended.out.count("the disk takes records again; the run goes on") == 1
    assert sorted(int(row["number"]) for row in studio.rows()) == list(range(20))
    assert sorted(record["number"] for record in studio.records("finished")) == list(range(20))


def test_a_signal_ends_a_run_that_waits_for_room(case: tuple[Studio, Start]) -> None:
    studio, start = case
    studio.study(SLEEPY, budget=20, grace=1)
    with start(studio) as run:
        run.until(lambda: len(studio.rows()) >= 3)
        leader = master(run)
        size = (studio.left / "journal.jsonl").stat().st_size
        resource.prlimit(leader, resource.RLIMIT_FSIZE, (size + 50, resource.RLIM_INFINITY))
        run.until(lambda: "no new trials until there is room" in printed(studio))
        os.kill(leader, signal.SIGTERM)
        ended = run.wait(20.0)
        assert run.vanishes()
    assert ended.status == 75
    assert "To continue:" in ended.out
    assert "journal.jsonl: cannot write the journal: File too large" in ended.err
    assert "not on disk: the next run evaluates" in ended.err
    before = studio.rows()
    assert start(studio).wait().status == 0
    assert studio.rows()[: len(before)] == before
    assert sorted(int(row["number"]) for row in studio.rows()) == list(range(20))


def test_the_exit_status_is_kept_where_not_even_output_finds_room(tmp_path: Path) -> None:
    studio = Studio(launchers()[0], tmp_path / "project")
    studio.study(SLEEPY, budget=20, grace=0)
    with sequential(studio) as run:
        run.until(lambda: len(studio.rows()) >= 3)
        resource.prlimit(run.process, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        with pytest.raises(AssertionError, match="the run hangs"):
            run.wait(1.5)
        os.kill(run.process, signal.SIGTERM)
        assert run.wait(20.0).status == 75
    assert sequential(studio).wait().status == 0
    assert sorted(int(row["number"]) for row in studio.rows()) == list(range(20))

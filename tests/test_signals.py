"""Signals from a run's first moment on."""

import signal
from pathlib import Path

import pytest
from mpi_runs import Launcher, Studio, launchers

pytestmark = pytest.mark.mpi


@pytest.fixture(params=launchers() or [None], ids=str)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    launcher: Launcher | None = request.param
    assert launcher is not None, "there is no mpiexec: pip install reverie[mpich]"
    return Studio(launcher, tmp_path / "project")


def test_a_signal_while_the_run_starts_ends_it_orderly_once_it_has(studio: Studio) -> None:
    studio.study(budget=6, method="gp")
    with studio.start(4) as run:
        run.until(lambda: len(run.ranks()) == 4)
        run.until(lambda: all(handles(process, signal.SIGUSR1) for process in run.ranks().values()))
        run.pause(0.3)
        run.send(signal.SIGUSR1)
        ended = run.wait()
        assert run.vanishes()
    assert ended.status in (0, 75)
    if ended.status == 75:
        assert "Stopped: signal SIGUSR1" in ended.out
    assert studio.run(4).status == 0
    assert len(studio.rows()) == 6


def handles(process: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for a signal: SigCgt in proc(5)."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1)

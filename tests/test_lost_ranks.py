"""Ranks that are killed in whole runs: under Open MPI's fault tolerance the others go on without them."""

import os
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from mpi_runs import Launcher, Run, Studio, launchers

pytestmark = pytest.mark.mpi

SLEEPY = """
    import os, time

    def objective(config, trial):
        time.sleep(0.2)
        with open(os.path.join(os.path.dirname(__file__), "log"), "a") as log:
            log.write(f"{trial.number} {config['x']!r}\\n")
        return config["x"]
    """


GATED = """
    import os, time

    HERE = os.path.dirname(os.path.abspath(__file__))

    def objective(config, trial):
        while trial.number >= 6 and not os.path.exists(os.path.join(HERE, "gate")):
            time.sleep(0.05)
        with open(os.path.join(HERE, "log"), "a") as log:
            log.write(f"{trial.number} {config['x']!r}\\n")
        return config["x"]
    """
"""From the seventh trial on all wait for the test, so that whoever is killed holds one."""


def tolerant(launcher: Launcher) -> bool:
    version = subprocess.run([launcher.mpiexec, "--version"], capture_output=True, text=True).stdout
    return "Open MPI" in version or "prrte" in version.lower()


def studios(wanted: Iterable[Launcher]) -> list[Launcher | None]:
    return [*wanted] or [None]


@pytest.fixture(params=studios(filter(tolerant, launchers())), ids=str)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    if request.param is None:
        pytest.skip("no launcher that keeps the other ranks alive: REVERIE_TEST_MPIEXEC may name Open MPI's")
    return Studio(request.param, tmp_path / "project")


def start(studio: Studio, ranks: int) -> Run:
    entry = [str(studio.launcher.programs / "python"), "-m", "mpi.mpi_optimizer", "study.json"]
    return studio.start_command([str(studio.launcher.mpiexec), "--with-ft", "ulfm", "-np", str(ranks), *entry])


def kill(run: Run, *ranks: int) -> None:
    for rank in ranks:
        os.kill(run.ranks()[rank], signal.SIGKILL)


def finished(studio: Studio) -> list[int]:
    return sorted(record["number"] for record in studio.records("finished"))


def logged(studio: Studio) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for line in (studio.folder / "log").read_text().splitlines():
        number, _, value = line.partition(" ")
        found.setdefault(int(number), set()).add(value)
    return found


def test_two_lost_workers_cost_two_retries(studio: Studio) -> None:
    studio.study(GATED, method="gp", budget=40)
    with start(studio, 6) as run:
        run.until(lambda: len(studio.records("started")) == 10)
        kill(run, 3)
        run.until(lambda: len(studio.records("lost")) == 1)
        kill(run, 5)
        run.until(lambda: len(studio.records("lost")) == 2)
        studio.write("gate", "")
        ended = run.wait()
        assert run.vanishes()
    assert ended.status == 0
    assert finished(studio) == list(range(40))
    assert logged(studio).keys() == set(range(40))
    for rank in (3, 5):
        assert f"rank {rank} on " in ended.out.split("Finished")[0]
    assert "Lost           rank 3 on " in ended.out
    assert [loss["worker"].partition("@")[0] for loss in studio.records("lost")] == ["3", "5"]
    assert studio.summary()["retries"] == 2
    assert studio.summary()["states"] == {"COMPLETE": 40}


def test_a_lost_trainer_is_replaced(studio: Studio) -> None:
    studio.study(SLEEPY, method="gp", budget=40)
    with start(studio, 4) as run:
        run.until(lambda: len(studio.rows()) >= 4)
        kill(run, 1)
        ended = run.wait()
        assert run.vanishes()
    assert ended.status == 0
    assert finished(studio) == list(range(40))
    assert "refits the surrogate from now on" in ended.out
    assert studio.records("asked")[-1]["origin"] == "model"


def test_the_trainer_evaluates_once_all_workers_are_lost(studio: Studio) -> None:
    studio.study(SLEEPY, method="gp", budget=12)
    with start(studio, 4) as run:
        run.until(lambda: len(studio.rows()) >= 2)
        kill(run, 2, 3)
        ended = run.wait()
        assert run.vanishes()
    assert ended.status == 0
    assert finished(studio) == list(range(12))
    assert "evaluates from now on, and the master refits the surrogate" in ended.out


def test_a_lost_master_ends_the_run_and_the_same_command_continues(studio: Studio) -> None:
    studio.study(SLEEPY, method="gp", budget=20)
    with start(studio, 4) as run:
        run.until(lambda: len(studio.rows()) >= 4)
        kill(run, 0)
        ended = run.wait()
        assert run.vanishes()
    assert ended.status == 75
    assert "rank 0, the master, was lost" in ended.err
    before = studio.records("finished")
    with start(studio, 4) as run:
        assert run.wait().status == 0
    assert studio.records("finished")[: len(before)] == before
    assert finished(studio) == list(range(20))
    assert all(len(values) == 1 for values in logged(studio).values())


def test_all_other_ranks_lost_is_an_early_end(studio: Studio) -> None:
    studio.study(SLEEPY, budget=100)
    with start(studio, 3) as run:
        run.until(lambda: len(studio.rows()) >= 2)
        kill(run, 1, 2)
        ended = run.wait()
        assert run.vanishes()
    assert ended.status == 75
    assert "Stopped: every other rank was lost" in ended.out
    assert studio.run(3, "--budget", "12").status == 0
    assert len(finished(studio)) >= 12

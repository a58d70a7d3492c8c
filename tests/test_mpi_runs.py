"""Whole runs on real MPI ranks: what they leave, what ends them, what they survive."""

import os
import re
import shlex
import signal
import socket
import time
from pathlib import Path

import pytest
from mpi_runs import ENTRY, SQUARE, Launcher, Studio, launchers, sabotage

pytestmark = pytest.mark.mpi

WORKING_SECONDS = 3.0
"""How long ranks are watched while their objectives sleep."""


@pytest.fixture(params=launchers() or [None], ids=str)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    launcher: Launcher | None = request.param
    assert launcher is not None, "there is no mpiexec: pip install reverie[mpich]"
    return Studio(launcher, tmp_path / "project")


def numbers(studio: Studio) -> list[int]:
    return sorted(int(row["number"]) for row in studio.rows())


def error_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("error:")]


# --- budgets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_a_budget_is_spent_once_and_a_larger_one_extends_it(studio: Studio, ranks: int) -> None:
    studio.study(method="gp", budget=8)
    run = studio.run(ranks)
    assert (run.status, run.err) == (0, "")
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", run.out) is None
    assert "1.000 completion...  best " in run.out
    assert ("One rank: the study runs in this process" in run.out) == (ranks == 1)
    assert numbers(studio) == list(range(8))
    assert ranks > 3 or "model" in {record["origin"] for record in studio.records("asked")}
    assert studio.summary()["workers"] == (1 if ranks < 3 else ranks - 2)

    table, journal = (studio.left / "trials.csv").read_bytes(), studio.journal()
    assert studio.run(ranks).status == 0
    assert (studio.left / "trials.csv").read_bytes() == table
    assert [record["type"] for record in studio.journal()[len(journal) :]] == ["session"]
    assert studio.journal()[: len(journal)] == journal

    run = studio.run(ranks, "--budget", "11")
    assert run.status == 0, (print(run.out), print(run.err))
    assert numbers(studio) == list(range(11))
    assert studio.journal()[: len(journal)] == journal


def test_a_time_limit_ends_a_run_and_the_printed_command_continues_it(studio: Studio) -> None:
    studio.study("import time\ndef objective(config): time.sleep(0.3); return config['x']", budget=10)
    run = studio.run(4, "--time-limit", "0.5s")
    assert run.status == 75
    before = studio.rows()
    assert 2 <= len(before) < 10
    for _ in range(5):
        command = shlex.split(run.out.split("To continue:\n")[1])
        assert command == ["mpiexec", "-np", "4", *ENTRY, "study.json", "--time-limit", "0.5s"]
        with studio.start_command(command) as again:
            run = again.wait()
        if run.status != 75:
            break
    assert run.status == 0
    assert studio.rows()[: len(before)] == before
    assert numbers(studio) == list(range(10))


# --- objectives -------------------------------------------------------------------------------------------------------

FAILURES = {
    1: ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
    2: ("return float('nan')", "objective returned nan"),
    3: ("os._exit(1)", "the objective's process ended with exit status 1"),
    4: ("os.kill(os.getpid(), signal.SIGSEGV)", "the objective's process was killed by signal SIGSEGV"),
    5: ("time.sleep(600)", "exceeded trial_timeout of 0.5 s"),
    6: ("return 'high'", "objective returned a str ('high'); a number or a dict with \"objective\" is needed"),
    7: ("return -float('inf')", "objective returned -inf"),
    8: ("sys.exit(3)", "SystemExit: 3"),
}


def test_failures_of_every_kind_are_recorded_and_the_budget_is_spent(studio: Studio) -> None:
    body = "".join(f"    if trial.number % 10 == {number}: {what}\n" for number, (what, _) in FAILURES.items())
    source = f"import os, random, signal, sys, time\n\ndef objective(config, trial):\n{body}    return config['x']\n"
    studio.study(source, budget=20, trial_timeout=0.5)
    run = studio.run(4)
    assert (run.status, run.err) == (0, "")
    assert numbers(studio) == list(range(20))
    for row in studio.rows():
        failure = FAILURES.get(int(row["number"]) % 10)
        assert row["state"] == ("COMPLETE" if failure is None else "FAIL")
        assert row["user_attrs_failure"] == ("" if failure is None else failure[1])
    assert studio.summary()["states"] == {"COMPLETE": 4, "FAIL": 16}


def test_the_users_code_is_imported_by_children_only(studio: Studio) -> None:
    """No rank runs it: what it does to its process, it does to nobody else's."""
    source = "with open('importers', 'a') as file: file.write(open('/proc/self/cmdline').read().replace(chr(0), ' '))"
    studio.study(f"{source}\n{SQUARE}")
    assert studio.run(4).status == 0
    importers = (studio.folder / "importers").read_text()
    assert "child" in importers
    assert "mpi_optimizer" not in importers


def test_no_success_at_all_has_a_status_of_its_own(studio: Studio) -> None:
    studio.study("def objective(config): return 1 / 0", budget=3)
    run = studio.run(3)
    assert run.status == 3
    assert "No trial succeeded" in run.out
    assert "3 x ZeroDivisionError: division by zero" in run.out


def own_utilities(studio: Studio, **settings: object) -> None:
    """A project with packages that have the names of ours."""
    studio.study("from utilities.data import scale\ndef objective(config): return scale(config['x'])", **settings)
    studio.write("utilities/__init__.py", "")
    studio.write("utilities/data.py", "from sequential import shift\ndef scale(x): return shift + x")
    studio.write("sequential.py", "shift = 100.0")


@pytest.mark.parametrize("entry", [("reverie", "run"), ENTRY], ids=["reverie run", "python -m"])
def test_an_objective_may_have_packages_named_like_ours(studio: Studio, entry: tuple[str, ...]) -> None:
    own_utilities(studio)
    assert studio.run(3, entry=entry).status == 0
    assert [float(row["value"]) for row in studio.rows()] == [100.0 + float(row["params_x"]) for row in studio.rows()]


def test_a_command_is_tuned(studio: Studio) -> None:
    own_utilities(studio, command=["python", "run.py", "--x={x}"])
    studio.write(
        "run.py",
        """
        import json, os, sys
        import train
        x = float(sys.argv[1].removeprefix("--x="))
        print("seed", os.environ["REVERIE_SEED"])
        print(json.dumps({"objective": train.objective({"x": x}), "twice": 2 * x}))
        """,
    )
    assert studio.run(3, entry=("reverie", "run")).status == 0
    seeds = {record["trial"]["number"]: record["trial"]["seed"] for record in studio.records("asked")}
    for row in studio.rows():
        assert float(row["value"]) == pytest.approx(100.0 + float(row["params_x"]))
        assert float(row["user_attrs_twice"]) == 2.0 * float(row["params_x"])
        log = (studio.left / "trials" / row["number"] / "output.log").read_text()
        assert log.splitlines()[0] == f"seed {seeds[int(row['number'])]}"


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "settings", "message"),
    [
        (["--bugdet", "3"], {}, 'unrecognized arguments: --bugdet 3. Did you mean "--budget"?'),
        (["--budget", "0"], {}, "--budget must be at least 1; got 0"),
        ([], {"metod": "gp"}, "study.json: [study] metod is not a known key;"),
        ([], {"objective": "train.py:objectiv"}, "defines no 'objectiv'. Did you mean \"objective\"?"),
        (["--output", "train.py"], {}, "train.py/study: cannot write the study's folder: Not a directory"),
    ],
    ids=["flag", "budget", "key", "function", "output"],
)
def test_a_mistake_is_one_line_before_anything_starts(
    studio: Studio, words: list[str], settings: dict[str, str], message: str
) -> None:
    studio.study(**settings)
    run = studio.run(3, *words)
    assert run.status == 2
    (line,) = error_lines(run.err)
    assert message in line
    assert "Traceback" not in run.out + run.err
    assert not (studio.folder / "runs").exists()


def test_an_objective_that_cannot_be_imported_ends_the_run(studio: Studio) -> None:
    studio.study("import no_such_package\ndef objective(config): return 0.0")
    run = studio.run(4)
    assert run.status == 2
    (line,) = error_lines(run.err)
    assert line.endswith("ModuleNotFoundError: No module named 'no_such_package'")
    assert "Workers busy" not in run.out
    assert studio.rows() == []
    studio.write("train.py", "def objective(config): return 0.0")
    assert studio.run(4).status == 0
    assert numbers(studio) == list(range(6))


# --- the unexpected ---------------------------------------------------------------------------------------------------

FAULTS = {
    "worker": (
        "mpi.mpi_worker",
        """
        def poll(self, seconds, poll=Worker.poll):
            if self.trial is not None and self.trial.number == 3:
                raise RuntimeError("injected")
            return poll(self, seconds)

        Worker.poll = poll
        """,
        ["rank 2", "while trial 3 was evaluated: {'x': "],
    ),
    "trainer": (
        "mpi.mpi_trainer",
        """
        def fit(self, request):
            raise RuntimeError("injected")

        Trainer.fit = fit
        """,
        ["rank 1"],
    ),
    "master": (
        "mpi.mpi_master",
        """
        def idle(self, now, idle=Master.idle):
            if self.ledger.ended >= 3:
                raise RuntimeError("injected")
            return idle(self, now)

        Master.idle = idle
        """,
        ["rank 0"],
    ),
}


@pytest.mark.parametrize("role", FAULTS)
def test_an_exception_on_any_rank_ends_all_and_says_where(studio: Studio, tmp_path: Path, role: str) -> None:
    module, patch, (place, *words) = FAULTS[role]
    studio.study("import time\ndef objective(config): time.sleep(0.05); return config['x']", method="gp", budget=200)
    with studio.start(3, **sabotage(tmp_path / "sabotage", module, patch)) as run:
        ended = run.wait()
        assert run.vanishes()
    assert ended.status not in (0, 2, 3, 75)
    assert (
        f"{place} on {socket.gethostname()} failed, which ends all ranks:\nTraceback (most recent call last)"
        in ended.err
    )
    for word in [*words, "RuntimeError: injected"]:
        assert word in ended.err
    before = studio.rows()
    assert studio.run(3, "--budget", "40").status == 0
    assert studio.rows()[: len(before)] == before
    assert numbers(studio) == list(range(40))


def test_a_rank_that_is_killed_ends_all(studio: Studio) -> None:
    studio.study("import time\ndef objective(config): time.sleep(0.1); return config['x']", budget=500)
    with studio.start(3) as run:
        run.until(lambda: len(studio.rows()) >= 2)
        os.kill(run.ranks()[2], signal.SIGKILL)
        assert run.wait().status != 0
        assert run.vanishes()


def test_a_rank_that_starts_later_than_the_run_ends_holds_up_nothing(studio: Studio, tmp_path: Path) -> None:
    studio.study(budget=2)
    assert studio.run(2).status == 0
    late = sabotage(tmp_path / "sabotage", "mpi.mpi_signals", "import time\ndef note_signals(): time.sleep(2.0)")
    run = studio.run(4, **late)
    assert (run.status, run.err) == (0, "")
    assert "Finished" in run.out


BROOD = """
    import subprocess, sys, time

    def objective(config):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "brood"])
        time.sleep(0.25)
        return config["x"]
    """


SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGKILL]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_loses_nothing_and_leaves_nothing_running(studio: Studio, number: signal.Signals) -> None:
    studio.study(BROOD, budget=12)
    with studio.start(4) as run:
        run.until(lambda: len(studio.rows()) >= 4)
        before = studio.rows()
        run.send(number)
        status = run.wait().status
        assert status != 0
        assert run.vanishes()
    assert studio.rows()[: len(before)] == before
    before = studio.rows()
    assert status == 75 or number is not signal.SIGUSR1
    if status == 75:
        assert studio.summary()["status"] == f"stopped: signal {number.name}"
        assert not [r for r in studio.records("started") if str(r["number"]) not in {row["number"] for row in before}]
    assert studio.run(4).status == 0
    assert studio.rows()[: len(before)] == before
    assert numbers(studio) == list(range(12))


def test_a_second_signal_stops_at_once(studio: Studio) -> None:
    studio.study("import time\ndef objective(config): time.sleep(120.0); return config['x']", budget=4)
    with studio.start(3) as run:
        run.until(lambda: studio.records("started"))
        run.send(signal.SIGUSR1)
        with pytest.raises(AssertionError, match="the run hangs"):
            run.wait(1.5)
        run.send(signal.SIGUSR1)
        ended = run.wait(15.0)
        assert ended.status == 75
        assert run.vanishes()
    assert "SIGUSR1: no new trials; waiting for the running ones" in ended.out
    assert "SIGUSR1: stops at once" in ended.out


def test_two_runs_of_a_study_at_once_are_refused(studio: Studio) -> None:
    studio.study("import time\ndef objective(config): time.sleep(0.1); return config['x']", budget=500)
    with studio.start(2) as run:
        run.until(lambda: len(studio.rows()) >= 1)
        second = studio.run(2)
        assert second.status == 2
        assert "is running this study; wait for its end" in error_lines(second.err)[0]
        count = len(studio.rows())
        run.until(lambda: len(studio.rows()) > count)


# --- what ranks take --------------------------------------------------------------------------------------------------


def cpu_seconds(process: int) -> float:
    """User and system time of a process: fields 14 and 15 of stat, proc(5)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def taken_by(ranks: dict[int, int]) -> dict[int, float]:
    """CPU seconds that each rank takes in the next `WORKING_SECONDS`: the first may see the end of a refit."""
    before = {rank: cpu_seconds(process) for rank, process in ranks.items()}
    time.sleep(WORKING_SECONDS)
    return {rank: cpu_seconds(process) - before[rank] for rank, process in ranks.items()}


def test_idle_ranks_take_no_time_and_workers_load_no_numerics(studio: Studio) -> None:
    source = (
        "import time\ndef objective(config, trial): time.sleep(60.0 if trial.number > 5 else 0.0); return config['x']"
    )
    studio.study(source, method="gp", budget=20)
    with studio.start(4) as run:
        run.until(lambda: len(studio.rows()) >= 6)
        ranks = run.ranks()
        assert sorted(ranks) == [0, 1, 2, 3]
        run.until(lambda: all(taken < 0.05 * WORKING_SECONDS for taken in taken_by(ranks).values()))
        loaded = {rank: Path(f"/proc/{process}/maps").read_text() for rank, process in ranks.items()}
        for rank in (0, 1):
            assert "multiarray" in loaded[rank]
        for rank, library in [(rank, name) for rank in (2, 3) for name in ("multiarray", "scipy", "libtorch")]:
            assert library not in loaded[rank]
        for rank in (2, 3):
            status = Path(f"/proc/{ranks[rank]}/status").read_text()
            resident = re.search(r"VmRSS:\s*(\d+) kB", status)
            assert resident is not None
            assert int(resident[1]) < 60_000  # there may be thousands of them

"""Whatever an objective starts, and whoever dies first: nothing outlives a run."""

import os
import statistics
import subprocess
import sys
import time

import pytest
from children import PATIENCE, PROJECT, alive, evaluate, output, vanishes, write

from learning_objective.child_process import child_environment
from learning_objective.evaluation import Report
from learning_objective.resources import Resources
from utilities.trial import Trial

LEAVES_A_GRANDCHILD = """
import atexit, os, subprocess, sys, time
def objective(config, trial):
    print(subprocess.Popen(["sleep", "600"]).pid, os.getpid())
    if config["then"] == "die":
        os._exit(1)
    if config["then"] == "stall":
        atexit.register(time.sleep, 600)
    if config["then"] == "hang":
        trial.report(0, 0)
        time.sleep(600)
    return 1.0
"""


@pytest.mark.parametrize("then", ["die", "hang", "return"])
def test_grandchild_does_not_outlive_the_child(study, tmp_path, then):
    evaluator = study(LEAVES_A_GRANDCHILD, timeout=0.2)
    evaluate(evaluator, {"then": then})
    grandchild, child = map(int, output(tmp_path).split())
    if then == "return":
        assert alive(grandchild)
        evaluator.close()
    assert vanishes(grandchild)
    assert vanishes(child)


def test_kill_abandons_the_trial_at_once(study, tmp_path):
    evaluator = study(LEAVES_A_GRANDCHILD)
    evaluator.start(Trial(0, {"then": "hang"}))
    assert isinstance(evaluator.poll(PATIENCE), Report)
    evaluator.kill()
    assert all(vanishes(int(process)) for process in output(tmp_path).split())
    assert evaluator.poll(0.0) is None
    assert evaluate(evaluator, {"then": "return"}, number=1).objective == 1.0


def test_forks_that_hold_the_pipes_delay_nothing(study):
    evaluator = study(
        """
        import os, time
        def objective(config):
            if os.fork() == 0:
                time.sleep(600)
            os._exit(7)
        """
    )
    begun = time.monotonic()
    assert evaluate(evaluator).reason == "the objective's process ended with exit status 7"
    assert time.monotonic() - begun < 5.0


def test_fork_that_returns_does_not_answer(study):
    evaluator = study("import os\ndef objective(config):\n    os.fork()\n    return os.getpid()")
    outcomes = [evaluate(evaluator, number=number).objective for number in range(3)]
    assert len(set(outcomes)) == 1


def test_idle_child_runs_its_exit_handlers(study, tmp_path):
    evaluator = study(
        """
        import atexit, pathlib
        atexit.register(lambda: pathlib.Path("bye").write_text("bye"))
        def objective(config): return 1.0
        """
    )
    evaluate(evaluator)
    evaluator.close()
    assert (tmp_path / "study" / "bye").read_text() == "bye"


def test_child_that_will_not_exit_is_killed(study, monkeypatch):
    monkeypatch.setattr("learning_objective.evaluation._DISMISSAL_SECONDS", 0.2)
    evaluator = study("import atexit, os, time\natexit.register(time.sleep, 600)\ndef objective(c): return os.getpid()")
    child = int(evaluate(evaluator).objective)
    evaluator.close()
    assert not alive(child)


WORKER = """
import sys, time
from pathlib import Path
from learning_objective.evaluation import Evaluator
from learning_objective.objective_spec import ObjectiveSpec
from utilities.trial import Trial
evaluator = Evaluator(ObjectiveSpec("train.py:objective", None, sys.argv[1]), Path(sys.argv[2]))
evaluator.start(Trial(0, {"then": sys.argv[3]}))
evaluator.poll(60)
print("polled", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("then", ["hang", "return", "stall"])
def test_nothing_outlives_a_killed_worker(tmp_path, then):
    write(tmp_path / "train.py", LEAVES_A_GRANDCHILD)
    arguments = [sys.executable, "-c", WORKER, str(tmp_path), str(tmp_path / "trials"), then]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout.readline() == "polled\n"
        processes = [int(process) for process in output(tmp_path).split()]
        assert all(map(alive, processes))
        worker.kill()
        assert all(map(vanishes, processes))


def test_environment_of_the_child(study, monkeypatch):
    for name in ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "PRTE_X", "MPI_LOCALRANKID", "MPIR_X", "HYDI_X"):
        monkeypatch.setenv(name, "1")
    for name in ("SLURM_JOB_ID", "MPLBACKEND", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    evaluator = study(
        """
        import os
        PREFIXES = ("PMI", "PMIX", "OMPI", "PRTE", "MPI", "MPIR", "MPICH", "HYD")
        def objective(config):
            kept = [os.environ[name] for name in ("SLURM_JOB_ID", "MPLBACKEND", "MKL_NUM_THREADS", "OMP_NUM_THREADS")]
            assert kept == ["7", "7", "7", "3"], kept
            return sum(name.startswith(PREFIXES) for name in os.environ)
        """,
        resources=Resources(threads=3),
    )
    outcome = evaluate(evaluator)
    assert outcome.message == ""
    assert outcome.objective == 0.0


def test_threads_are_left_alone_where_nothing_is_asked():
    assert child_environment(Resources(), {"PATH": "x", "MPICH_Y": "1"}) == {"PATH": "x"}


def test_system_without_process_handles(study, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    evaluator = study(
        """
        import os, time
        def objective(config):
            if config["die"]:
                if os.fork() == 0:
                    time.sleep(600)
                os._exit(2)
            return 1.0
        """
    )
    evaluator.start(Trial(0, {"die": True}))
    begun = time.monotonic()
    assert evaluator.poll(PATIENCE).reason == "the objective's process ended with exit status 2"
    assert time.monotonic() - begun < PATIENCE / 2
    assert evaluate(evaluator, {"die": False}).objective == 1.0


def test_messages_that_arrived_together_are_all_taken(study):
    evaluator = study("def objective(config): return 1.0")
    evaluator.start(Trial(0, {}))
    time.sleep(1.0)  # loaded and done lie in the pipe by now
    begun = time.monotonic()
    assert evaluator.poll(PATIENCE) is not None
    assert time.monotonic() - begun < PATIENCE / 2


def test_round_trip_takes_milliseconds_and_leaks_no_descriptors(study):
    evaluator = study("def objective(config): return config['x']")
    evaluate(evaluator, {"x": 1.0})
    open_before = len(os.listdir("/proc/self/fd"))
    seconds = []
    for number in range(100):
        begun = time.perf_counter()
        assert evaluate(evaluator, {"x": number}, number).objective == number
        seconds.append(time.perf_counter() - begun)
    assert statistics.median(seconds) < 0.01
    assert len(os.listdir("/proc/self/fd")) == open_before
    evaluator.close()
    assert len(os.listdir("/proc/self/fd")) < open_before

"""What bounds a trial from outside: its memory, its output, and whoever kills it."""

import random
import re
import sys
import time

import pytest
from children import evaluate, output, vanishes

from learning_objective import memory, output_log
from learning_objective.memory import format_bytes
from learning_objective.output_log import KEPT, MOST, trim
from utilities.trial import TrialState

MIB = 1 << 20


# --- memory -----------------------------------------------------------------------------------------------------------

GREEDY = """
    import subprocess, sys, time

    def objective(config, trial):
        take = "import time; held = bytearray(b'x') * (300 << 20); print('took it', flush=True); time.sleep(60)"
        if config["where"] == "here":
            exec(take)
        elif config["where"] == "grandchild":
            subprocess.run([sys.executable, "-c", take])
        time.sleep(0.3)
        return 1.0
    """


@pytest.mark.parametrize("where", ["here", "grandchild"])
def test_a_trial_that_takes_too_much_memory_fails_alone(study, tmp_path, where):
    evaluator = study(GREEDY, memory=200 * MIB)
    assert evaluate(evaluator, {"where": "nowhere"}).objective == 1.0
    begun = time.monotonic()
    outcome = evaluate(evaluator, {"where": where}, number=1)
    assert time.monotonic() - begun < 20.0
    assert outcome.state is TrialState.FAIL
    found = re.fullmatch(r"exceeded trial_memory of 200 MiB \(it had (\d+) MiB\)", outcome.reason)
    assert found
    assert int(found[1]) >= 200  # rounded
    assert not evaluator.killed
    assert evaluate(evaluator, {"where": "nowhere"}, number=2).objective == 1.0


def test_pages_that_processes_share_count_once(study):
    evaluator = study(
        """
        import os, time
        held = bytearray(b"x") * (60 << 20)
        def objective(config):
            children = []
            for _ in range(6):
                if (child := os.fork()) == 0:
                    time.sleep(1.0)
                    os._exit(0)
                children.append(child)
            for child in children:
                os.waitpid(child, 0)
            return 1.0
        """,
        memory=200 * MIB,
    )
    assert evaluate(evaluator).objective == 1.0


def test_looking_takes_a_small_share_of_the_time(monkeypatch):
    looks: list[float] = []

    def slow(group: int) -> int:
        looks.append(time.monotonic())
        time.sleep(0.02)
        return 0

    monkeypatch.setattr(memory, "_resident", slow)
    watch = memory.MemoryWatch(1)
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        watch.excess(1)
        time.sleep(0.001)
    assert 1 <= len(looks) <= 4


def test_this_process_has_what_the_kernel_says():
    held = bytearray(b"x") * (64 * MIB)
    group = __import__("os").getpgrp()
    assert memory._resident(group) > len(held)
    assert 64 * MIB < memory._proportional(group) <= memory._resident(group) * 1.2


@pytest.mark.parametrize(
    ("count", "text"), [(4 << 30, "4 GiB"), (3 << 29, "1.5 GiB"), (700, "700 bytes"), (200 * MIB, "200 MiB")]
)
def test_amounts(count, text):
    assert format_bytes(count) == text


# --- whoever kills it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP"])
def test_a_process_killed_from_outside_is_told_apart(study, name):
    evaluator = study(
        f"""
        import os, signal
        def objective(config):
            if config["die"]:
                os.kill(os.getpid(), signal.{name})
            return 1.0
        """
    )
    assert evaluate(evaluator, {"die": True}).state is TrialState.FAIL
    assert evaluator.killed
    assert evaluate(evaluator, {"die": False}).objective == 1.0
    assert not evaluator.killed


@pytest.mark.parametrize("fault", ["os._exit(9)", "1 / 0", "os.kill(os.getpid(), signal.SIGSEGV)", "os.abort()"])
def test_faults_of_its_own_are_no_kills(study, fault):
    evaluator = study(f"import os, signal\ndef objective(config): {fault}")
    assert evaluate(evaluator).state is TrialState.FAIL
    assert not evaluator.killed


def test_a_command_that_was_killed_is_told_apart(command):
    evaluator = command(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert evaluate(evaluator).reason == "the command was killed by signal SIGKILL (out of memory?)"
    assert evaluator.killed


def test_killed_while_it_is_imported_is_no_reason_to_end_the_run(study, tmp_path):
    evaluator = study(
        """
        import os, signal
        if not os.path.exists("again"):
            open("again", "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        def objective(config): return 1.0
        """
    )
    outcome = evaluate(evaluator)
    assert outcome.reason.startswith("while it was imported, the objective's process was killed by signal SIGKILL")
    assert evaluator.killed
    assert evaluator.load_error is None
    assert evaluate(evaluator).objective == 1.0


def test_signals_of_a_batch_system_that_tell_the_run_to_end_leave_the_trial_alone(study, command):
    source = "import os, signal; [os.kill(os.getpid(), s) for s in (signal.SIGUSR1, signal.SIGUSR2)]; print(1.0)"
    assert evaluate(command(sys.executable, "-c", source)).objective == 1.0


def test_the_kernel_takes_the_trial_rather_than_a_rank(study):
    evaluator = study("def objective(config): return int(open('/proc/self/oom_score_adj').read())")
    assert evaluate(evaluator).objective == 1000


# --- output -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_beginning_and_end_of_a_long_output_stay(tmp_path, monkeypatch, seed):
    """Whatever is appended between cuts, what stays is a prefix, the true number of bytes left out, and a suffix."""
    monkeypatch.setattr(output_log, "MOST", 1000)
    monkeypatch.setattr(output_log, "KEPT", 100)
    rng, path, whole = random.Random(seed), tmp_path / "output.log", b""
    for _ in range(rng.randrange(1, 12)):
        piece = bytes(rng.choices(b"abcdefgh\n", k=rng.choice([1, 50, 900, 2500])))
        whole += piece
        with path.open("ab") as file:
            file.write(piece)
        trim(path)
        assert path.stat().st_size <= 1000
    text = path.read_bytes()
    if len(whole) <= 1000:
        assert text == whole
        return
    found = re.search(rb"\n\[\.\.\. (\d+) bytes left out \.\.\.\]\n", text)
    assert found
    assert text[: found.start()] == whole[:100]
    assert whole.endswith(text[found.end() :])
    assert int(found[1]) == len(whole) - 100 - len(text[found.end() :])


def test_a_file_that_is_not_there_is_left_alone(tmp_path):
    trim(tmp_path / "nothing")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("writer", ["os.write(1, b'flood! ' * 9363)", "print('flood! ' * 9363)"])
def test_a_flood_fills_no_disk_and_hides_no_timeout(study, tmp_path, writer):
    evaluator = study(f"import os\ndef objective(config):\n    while True: {writer}", timeout=2.0, grace=0.5)
    evaluator.load()
    begun = time.monotonic()
    outcome = evaluate(evaluator)
    assert time.monotonic() - begun < 10.0
    assert outcome.reason == "exceeded trial_timeout of 2 s"
    assert "flood! flood!" in outcome.message
    assert len(outcome.message) < 10_000
    log = tmp_path / "trials" / "0" / "output.log"
    assert 2 * KEPT < log.stat().st_size <= MOST
    assert "bytes left out" in output(tmp_path)


def test_output_before_the_first_trial_is_bounded_too(study):
    evaluator = study("import os\nfor _ in range(3000): os.write(1, b'flood! ' * 9363)\nraise OSError('no')")
    outcome = evaluate(evaluator)
    assert "OSError: no" in outcome.message
    assert len(outcome.message) < 20_000


# --- what else an objective may do ------------------------------------------------------------------------------------

CLOSED = "the objective's process closed its connection to the worker"
ODD = {
    "endless text": ("raise ValueError('x' * 10 ** 8)", "ValueError: xxx"),
    "silent error": ("class E(Exception):\n        def __str__(self): raise RuntimeError\n    raise E()", "E"),
    "recursion": ("f = lambda: f()\n    f()", "RecursionError: "),
    "no memory": ("raise MemoryError", "MemoryError"),
    "garbage to the worker": (
        "write_to_worker(b'garbage\\n')\n    time.sleep(60)",
        "the objective's process closed its",
    ),
    "endless line to the worker": (
        "write_to_worker(b'x' * (70 << 20))\n    time.sleep(60)",
        "the objective's process closed",
    ),
    "kill the group": ("import os, signal\n    os.killpg(0, signal.SIGKILL)", "the objective's process was killed"),
    "no environment": ("import os\n    os.environ.clear()\n    raise OSError('bare')", "OSError: bare"),
    "another folder": ("import os\n    os.chdir('/')\n    raise OSError('root')", "OSError: root"),
}


ODD_BEGINNING = """
import fcntl, os, stat, time

def write_to_worker(data):
    for descriptor in range(3, 4096):
        try:
            pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        except OSError:
            continue
        if pipe and (fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE) == os.O_WRONLY:
            while data:
                data = data[os.write(descriptor, data):]

def objective(config):
    if config["fault"] >= 0:
        globals()["fault%d" % config["fault"]]()
    return 1
"""


def test_odd_things_fail_one_trial_each(study, tmp_path):
    parts = [f"def fault{index}():\n    {statement}\n" for index, (statement, _) in enumerate(ODD.values())]
    source = ODD_BEGINNING + "\n".join(parts)
    evaluator = study(source)
    for index, (name, (_, reason)) in enumerate(ODD.items()):
        outcome = evaluate(evaluator, {"fault": index}, number=2 * index)
        assert (name, outcome.state) == (name, TrialState.FAIL)
        assert outcome.reason.startswith(reason), (name, outcome.reason)
        assert len(outcome.message) < 20_000
        assert evaluate(evaluator, {"fault": -1}, number=2 * index + 1).objective == 1.0, name


def test_a_stopped_process_ends_at_its_timeout(study):
    evaluator = study(
        "import os, signal\ndef objective(config): os.kill(os.getpid(), signal.SIGSTOP)", timeout=0.5, grace=0.5
    )
    assert evaluate(evaluator).reason == "exceeded trial_timeout of 0.5 s"


def test_everything_that_it_started_ends_with_it(study, tmp_path):
    evaluator = study(
        """
        import os, signal, subprocess, time
        def objective(config, trial):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            process = subprocess.Popen(["sleep", "600"])
            print(process.pid, flush=True)
            time.sleep(600)
        """,
        timeout=0.5,
        grace=0.5,
    )
    assert evaluate(evaluator).reason == "exceeded trial_timeout of 0.5 s"
    assert vanishes(int(output(tmp_path)))

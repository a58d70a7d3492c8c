"""Objectives that crash the process around them, confuse the worker, or are too much for it: one trial each is lost."""

import array
import fcntl
import json
import termios
import time

import pytest
from children import PATIENCE, evaluate, events, output
from hypothesis import given
from hypothesis import strategies as st

from learning_objective.command import _Lines
from learning_objective.evaluation import Report
from learning_objective.results import ResultError, describe, read_result
from mpi.mpi_definitions import Report as ReportMessage
from mpi.mpi_definitions import decode, encode
from utilities.trial import Outcome, Trial, TrialState

MIB = 1 << 20


# --- crashes of its own are no kills from outside ---------------------------------------------------------------------

CLOSED = "the objective's process closed its connection to the worker"
CRASHES = {
    "closes its pipes and returns": ("import os\n        os.closerange(3, 256)", CLOSED),
    "breaks the library": (
        "import json\n        json.dumps = None",
        "the objective's process ended with exit status 1",
    ),
    "has no files left": (
        "import resource\n        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
        "the trial's output cannot be written: [Errno 24]",
    ),
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_of_its_own_is_no_kill_and_the_next_trial_is_evaluated(study, name):
    statement, reason = CRASHES[name]
    evaluator = study(f"def objective(config):\n    if config['crash']:\n        {statement}\n    return 1.0")
    outcome = evaluate(evaluator, {"crash": True})
    assert (outcome.state, evaluator.killed) == (TrialState.FAIL, False)
    assert outcome.reason.startswith(reason)
    assert evaluate(evaluator, {"crash": False}, number=1).objective == 1.0
    assert evaluator.load_error is None


@pytest.mark.parametrize("status", [129, 130, 137, 143])
def test_a_shell_tells_that_what_it_ran_was_killed(command, status):
    evaluator = command("sh", "-c", f"sh -c 'kill -{status - 128} $$'; exit $?")
    reason = evaluate(evaluator).reason
    assert reason.startswith(f"the command ended with exit status {status}: what it ran was killed by signal SIG")
    assert evaluator.killed


@pytest.mark.parametrize("status", [1, 127, 128, 139, 255])
def test_other_statuses_of_a_shell_are_faults(command, status):
    evaluator = command("sh", "-c", f"exit {status}")
    assert evaluate(evaluator).reason == f"the command ended with exit status {status}"
    assert not evaluator.killed


def test_a_fork_that_fails_while_importing_does_not_make_the_objective_unloadable(study):
    evaluator = study(
        """
        import os
        if os.fork() == 0:
            raise ValueError("in the fork")
        os.wait()
        def objective(config): return 1.0
        """
    )
    assert evaluate(evaluator).objective == 1.0
    assert evaluator.load_error is None


# --- what it says -----------------------------------------------------------------------------------------------------


class _Unnameable(type):
    @property
    def __name__(cls):
        raise ValueError("no name")


class _Text(str):
    def strip(self, *_):
        return 5


def _exception(text: object) -> Exception:
    def said(self):
        if isinstance(text, BaseException):
            raise text
        return text

    return type("Odd", (Exception,), {"__str__": said})()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (_exception(KeyboardInterrupt()), "Odd"),
        (_exception(SystemExit(3)), "Odd"),
        (_exception(_Text(" x ")), "Odd: x"),
        (_exception(None), "Odd"),
        (_Unnameable("Odd", (Exception,), {})("x"), "Odd: x"),
        (type("Odd\n" + "d" * 100_000, (Exception,), {})("x"), "Odd: x"),
        (type("O" * 100_000, (Exception,), {})("x"), "O" * 200 + " [...]: x"),
    ],
)
def test_every_exception_can_be_described(error, reason):
    text = describe(error)
    assert text.partition("\n")[0] == reason
    assert len(text) < 10_000


def test_metrics_are_bounded_in_number_and_in_name(capsys):
    value, metrics = read_result({"objective": 2, "a" * 200: 1, "b" * 201: 1, **{f"m{i}": i for i in range(5000)}})
    assert value == 2.0
    assert metrics == {"a" * 200: 1.0, **{f"m{i}": float(i) for i in range(998)}}
    printed = capsys.readouterr().out
    assert "metrics left out, more than 1000: 4002\n" in printed
    assert "metrics left out, names of more than 200 characters: bbb" in printed
    assert len(printed) < 1000


def test_a_thousand_metrics_are_all_kept(capsys):
    given_ = {f"m{i}": float(i) for i in range(1000)}
    assert read_result({**given_, "objective": 1})[1] == given_
    assert capsys.readouterr().out == ""


def test_names_in_a_reason_are_few():
    with pytest.raises(ResultError, match=r"it has 'm0', .*'m9', and 99990 more\)") as caught:
        read_result({f"m{i}": i for i in range(100_000)})
    assert len(str(caught.value)) < 300


# --- what it reports --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-(1 << 63), 0, (1 << 63) - 1])
def test_every_step_that_is_taken_reaches_the_master(study, step):
    evaluator = study(f"def objective(config, trial):\n    trial.report({step}, 1.0)\n    return 1.0")
    evaluator.start(Trial(0, {}))
    report, _ = events(evaluator)
    message = ReportMessage(report.number, report.step, report.value)
    assert decode(message.tag, encode(message)) == message
    assert report.step == step


@pytest.mark.parametrize("step", ["2 ** 63", "-(2 ** 63) - 1", "10 ** 5000"])
def test_steps_beyond_64_bits_fail_the_trial(study, step):
    evaluator = study(f"def objective(config, trial): trial.report({step}, 1.0)")
    evaluator.start(Trial(0, {}))
    (outcome,) = events(evaluator)
    assert outcome.reason.startswith("ValueError: step must be an integer of 64 bits; report got one of ")


@pytest.mark.parametrize(
    "line",
    [
        '{"type": "report", "number": 0, "step": 18446744073709551616, "value": 1}',
        '{"type": "done", "number": 0, "state": "WELL", "objective": 1, "metrics": {}, "message": ""}',
    ],
)
def test_messages_that_no_child_of_ours_writes_end_its_connection(study, line):
    evaluator = study(
        f"""
        import sys, time
        def objective(config):
            frame = sys._getframe()
            while "connection" not in frame.f_locals:
                frame = frame.f_back
            import os
            os.write(frame.f_locals["connection"]._replies, {line!r}.encode() + b"\\n")
            time.sleep(60)
        """
    )
    evaluator.start(Trial(0, {}))
    (outcome,) = events(evaluator)
    assert outcome.reason == CLOSED


def test_a_thread_left_behind_reports_to_no_other_trial(study):
    evaluator = study(
        """
        import threading
        go, said = threading.Event(), threading.Event()
        def late(trial):
            go.wait()
            trial.report(0, 1.0)
            said.set()
        def objective(config, trial):
            if trial.number == 0:
                threading.Thread(target=late, args=[trial]).start()
            else:
                go.set()
                said.wait()
            return 1.0
        """
    )
    for number in (0, 1):
        evaluator.start(Trial(number, {}))
        assert [type(event) for event in events(evaluator)] == [Outcome]


def test_endless_reports_hide_no_timeout_from_a_busy_worker(study, monkeypatch):
    monkeypatch.setattr("learning_objective.time_limit.MOST_WAITING", 100)
    evaluator = study("def objective(config, trial):\n    while True: trial.report(0, 1.0)", timeout=0.3, grace=0.3)
    evaluator.load()
    evaluator.start(Trial(0, {}))
    until = time.monotonic() + PATIENCE
    while not isinstance(event := evaluator.poll(1.0), Outcome):
        assert time.monotonic() < until, "the limit was never kept"
        time.sleep(0.002)  # longer than the child needs for the next report
    assert event.reason == "exceeded trial_timeout of 0.3 s"


def _waiting_in(pipe: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def test_an_outcome_in_time_counts_though_the_worker_comes_to_it_late(study):
    evaluator = study(
        """
        def objective(config, trial):
            for step in range(300):
                trial.report(step, 1.0)
            return 1.0
        """,
        timeout=60.0,
    )
    evaluator.load()
    evaluator.start(Trial(0, {}))
    lines = [json.dumps({"type": "report", "number": 0, "step": step, "value": 1.0}) + "\n" for step in range(300)]
    until = time.monotonic() + PATIENCE
    while _waiting_in(evaluator._child._replies) <= sum(map(len, lines)):
        assert time.monotonic() < until, "the trial did not end"
        time.sleep(0.01)
    evaluator._limit.deadline = 0.0
    *reports, outcome = events(evaluator)
    assert reports == [Report(0, step, 1.0) for step in range(300)]
    assert outcome.objective == 1.0


# --- memory that it holds from before ---------------------------------------------------------------------------------


def test_memory_is_bounded_while_the_objective_is_imported(study):
    evaluator = study(
        """
        import time
        print("importing", flush=True)
        held = bytearray(b"x") * (300 << 20)
        time.sleep(600)
        def objective(config): return 1.0
        """,
        memory=200 * MIB,
    )
    outcome = evaluate(evaluator)
    assert outcome.reason.startswith("while it was imported, it exceeded trial_memory of 200 MiB (it had ")
    assert outcome.message.endswith("\nimporting")
    assert (evaluator.killed, evaluator.load_error) == (False, None)


def test_memory_that_quick_trials_leave_behind_is_found(study):
    evaluator = study(
        "held = []\ndef objective(config):\n    held.append(bytearray(b'x') * (5 << 20))\n    return 1.0",
        memory=200 * MIB,
    )
    until, number = time.monotonic() + PATIENCE, 0
    while (outcome := evaluate(evaluator, number=number)).state is TrialState.COMPLETE:
        assert time.monotonic() < until, "the limit was never kept"
        number += 1
    assert outcome.reason.startswith("exceeded trial_memory of 200 MiB (it had ")


# --- the output of commands -------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"\r", b" \n", b"0.5", b"\n\n"]), max_size=12))
def test_the_last_line_is_that_of_the_whole_output(chunks):
    read = _Lines()
    for chunk in chunks:
        read.feed(chunk)
    lines = [line.strip() for line in b"".join(chunks).replace(b"\r", b"\n").split(b"\n")]
    assert read.last() == next((line for line in reversed(lines) if line), b"").decode("utf-8", "replace")


def test_a_line_without_end_is_kept_in_part():
    read = _Lines()
    for _ in range(200):
        read.feed(b"x" * 65536)
        assert len(read._open) <= 2 * MIB + 65536
    assert read.last() == "x" * MIB


def test_a_command_that_floods_ends_at_its_timeout(command, tmp_path):
    evaluator = command("yes", "0.5", timeout=1.0, grace=0.3)
    assert evaluate(evaluator).reason == "exceeded trial_timeout of 1 s"
    assert "bytes left out" in output(tmp_path)

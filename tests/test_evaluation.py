"""Every way in which an objective can end, with real child processes."""

import os
import signal
import subprocess
import sys
import time

import pytest
from children import PATIENCE, PROJECT, evaluate, events, output, vanishes

from learning_objective.evaluation import Report
from utilities.trial import Trial, TrialState


@pytest.mark.parametrize(
    ("signature", "value"),
    [
        ("config", "config['x']"),
        ("config, trial", "config['x'] + 0 * trial.number"),
        ("config, trial=None", "config['x'] + 0 * trial.number"),
        ("config, *, trial", "config['x'] + 0 * trial.number"),
        ("config, verbose=False", "config['x'] if verbose is False else 0"),
        ("*arguments", "arguments[0]['x']"),
        ("config", "{'objective': config['x']}"),
        ("config", "__import__('numpy').float32(config['x'])"),
        ("config", "__import__('numpy').array(config['x'])"),
        ("config", "__import__('fractions').Fraction(5, 2)"),
    ],
)
def test_value(study, signature, value):
    outcome = evaluate(study(f"def objective({signature}):\n    return {value}\n"), {"x": 2.5})
    assert (outcome.state, outcome.objective, outcome.message) == (TrialState.COMPLETE, 2.5, "")
    assert 0.0 < outcome.seconds < PATIENCE


def test_metrics_that_are_no_numbers_are_left_out_and_named(study, tmp_path):
    outcome = evaluate(
        study("def objective(config): return {'objective': 1, 'epochs': 3, 'loss': float('nan'), 'name': 'mlp'}")
    )
    assert (outcome.objective, outcome.metrics) == (1.0, {"epochs": 3.0})
    assert "loss, name" in output(tmp_path)


STOPPABLE = """
import time
def objective(config, trial):
    trial.report(0, 0.0)
    while not trial.should_stop():
        time.sleep(0.001)
    return config["x"]
"""


def test_stop_ends_a_trial_early(study):
    evaluator = study(STOPPABLE)
    evaluator.start(Trial(1, {"x": 2.0}))
    evaluator.request_stop()  # long before it is imported
    pruned = events(evaluator)[-1]
    assert (pruned.state, pruned.objective) == (TrialState.PRUNED, 2.0)
    evaluator.start(Trial(2, {"x": None}))
    assert isinstance(evaluator.poll(PATIENCE), Report)
    assert evaluator.poll(0.05) is None
    evaluator.request_stop()
    pruned = events(evaluator)[-1]
    assert (pruned.state, pruned.objective, pruned.message) == (TrialState.PRUNED, None, "")


def test_trial_that_was_asked_to_stop_and_did_not_look_is_complete(study):
    evaluator = study("def objective(config, trial): return 1.0")
    evaluator.start(Trial(0, {}))
    evaluator.request_stop()
    assert events(evaluator)[-1].state == TrialState.COMPLETE


FAULTS = {
    "raise": ("raise ValueError('no such\\nthing')", "ValueError: no such"),
    "raise nothing": ("raise KeyError", "KeyError"),
    "exception that cannot be shown": (
        "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})",
        "Odd",
    ),
    "recursion": ("return objective(config)", "RecursionError: maximum recursion depth exceeded"),
    "exit": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "nan": ("return float('nan')", "objective returned nan"),
    "infinite": ("return -float('inf')", "objective returned -inf"),
    "nan in a dict": ("return {'objective': float('nan')}", "objective returned nan"),
    "nothing": ("pass", 'objective returned None; a number or a dict with "objective" is needed'),
    "text": ("return '0.5'", "objective returned a str ('0.5'); a number or a dict with \"objective\" is needed"),
    "truth": ("return config is None", "objective returned a bool (False); a number or"),
    "array": ("import numpy; return numpy.zeros(2)", "objective returned a ndarray (array([0., 0.])); a number or"),
    "complex": ("return 1j", "objective returned a complex (1j); a number or"),
    "too large": ("return 10 ** 400", "objective returned a int; a number or"),
    "no objective": ("return {'loss': 1}", "objective returned a dict without \"objective\" (it has 'loss')"),
    "os._exit": ("import os; os._exit(1)", "the objective's process ended with exit status 1"),
    "quiet os._exit": ("import os; os._exit(0)", "the objective's process ended with exit status 0"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "the objective's process was killed by signal SIGSEGV"),
    "abort": ("import os; os.abort()", "the objective's process was killed by signal SIGABRT"),
    "kill": (
        "import os; os.kill(os.getpid(), 9)",
        "the objective's process was killed by signal SIGKILL (out of memory?)",
    ),
    "close every file": (
        "import os, time; os.closerange(0, 256); time.sleep(60)",
        "the objective's process closed its connection to the worker",
    ),
}


def test_every_fault_fails_one_trial_with_its_reason(study, tmp_path):
    """One evaluator lives through all of them, and goes on after each."""
    source = ["def objective(config):", "    print('hello', flush=True)", "    if config['fault'] == 'none': return 1"]
    for name, (statement, _) in FAULTS.items():
        source += [f"    if config['fault'] == {name!r}:", *(f"        {part}" for part in statement.split("; "))]
    evaluator = study("\n".join(source))
    for number, (name, (_, reason)) in enumerate(FAULTS.items()):
        outcome = evaluate(evaluator, {"fault": name}, number=2 * number)
        assert outcome.state == TrialState.FAIL, name
        assert outcome.objective is None
        assert outcome.reason.startswith(reason), name
        assert output(tmp_path, 2 * number).startswith("hello\n")
        if name in ("os._exit", "segfault", "kill"):
            assert "hello" in outcome.message
        assert evaluate(evaluator, {"fault": "none"}, number=2 * number + 1).objective == 1.0, name
    assert evaluator.load_error is None


def test_traceback_shows_the_users_frames_only(study, tmp_path):
    evaluator = study(
        """
        def deep(x):
            raise RuntimeError("too deep")
        def objective(config):
            try:
                deep(1)
            except RuntimeError as error:
                raise ValueError("seen") from error
        """
    )
    message = evaluate(evaluator).message
    assert message.startswith("ValueError: seen\n")
    assert "RuntimeError: too deep" in message
    assert message.count("  File ") == 3
    assert message.count(str(tmp_path / "study" / "train.py")) == 3


def test_child_is_kept_between_trials_and_replaced_after_its_death(study):
    evaluator = study(
        """
        import os
        def objective(config):
            if config["die"]:
                os._exit(1)
            return os.getpid()
        """
    )
    first = [evaluate(evaluator, {"die": False}, number).objective for number in range(3)]
    assert len(set(first)) == 1
    assert evaluate(evaluator, {"die": True}).state == TrialState.FAIL
    second = evaluate(evaluator, {"die": False}).objective
    assert second not in (first[0], os.getpid())
    os.kill(int(second), signal.SIGKILL)  # while it is idle
    assert vanishes(int(second))
    assert evaluate(evaluator, {"die": False}).objective not in (first[0], second)


def test_trial_beyond_its_limit_fails(study):
    evaluator = study(
        """
        import time
        def objective(config):
            print("begun")
            time.sleep(config["seconds"])
            return 1.0
        """,
        timeout=0.2,
    )
    begun = time.monotonic()
    outcome = evaluate(evaluator, {"seconds": 60})
    assert time.monotonic() - begun < 5.0
    assert outcome.reason == "exceeded trial_timeout of 0.2 s"
    assert outcome.message.endswith("\nbegun")
    assert 0.2 <= outcome.seconds < 3.0
    assert evaluate(evaluator, {"seconds": 0}).objective == 1.0


def test_limit_is_on_the_trial_alone(study, tmp_path):
    """Neither importing nor idling counts, before the first trial or after it."""
    evaluator = study(
        """
        import time
        print("imported", file=open("imports", "a"))
        time.sleep(0.5)
        def objective(config): return 1.0
        """,
        timeout=0.3,
    )
    assert evaluator.load() is None
    for _ in range(2):
        assert evaluator.poll(0.5) is None
        outcome = evaluate(evaluator)
        assert outcome.objective == 1.0
        assert outcome.seconds < 0.3
    assert (tmp_path / "study" / "imports").read_text() == "imported\n"


def test_objective_that_ignores_sigterm_is_killed(study):
    evaluator = study(
        """
        import signal, time
        def objective(config):
            signal.signal(signal.SIGTERM, lambda *_: print("not yet"))
            while True:
                time.sleep(1)
        """,
        timeout=0.1,
        grace=0.3,
    )
    outcome = evaluate(evaluator)
    assert outcome.reason == "exceeded trial_timeout of 0.1 s"
    assert "not yet" in outcome.message
    assert outcome.seconds >= 0.4


def test_objective_may_use_its_grace_but_is_still_too_late(study, tmp_path):
    evaluator = study(
        """
        import signal, time
        class Late(Exception): pass
        def late(*_): raise Late
        def objective(config, trial):
            signal.signal(signal.SIGTERM, late)
            try:
                time.sleep(60)
            except Late:
                (trial.folder / "checkpoint").write_text("saved")
            return 1.0
        """,
        timeout=0.1,
    )
    assert evaluate(evaluator).reason == "exceeded trial_timeout of 0.1 s"
    assert (tmp_path / "trials" / "0" / "checkpoint").read_text() == "saved"


def test_only_one_trial_at_a_time(study):
    evaluator = study(STOPPABLE)
    evaluator.start(Trial(0, {"x": 1}))
    with pytest.raises(RuntimeError, match="trial 1 was started before trial 0 ended"):
        evaluator.start(Trial(1, {"x": 1}))
    evaluator.kill()


def test_poll_waits_as_long_as_it_is_told_without_spinning(study):
    evaluator = study(STOPPABLE)
    evaluator.start(Trial(0, {"x": 1.0}))
    assert isinstance(evaluator.poll(PATIENCE), Report)
    begun, used = time.monotonic(), time.process_time()
    assert evaluator.poll(0.5) is None
    assert 0.5 <= time.monotonic() - begun < 1.0
    assert time.process_time() - used < 0.05
    assert evaluator.poll(0.0) is None


def test_nothing_runs_and_nothing_is_waited_for(study):
    assert study("").poll(10.0) is None


def test_worker_needs_neither_numpy_nor_torch():
    program = "import sys, learning_objective.evaluation, mpi\nprint({'numpy', 'torch', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"

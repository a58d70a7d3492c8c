"""What passes between a worker and its child, and where the output goes."""

import math
import resource

import pytest
from children import evaluate, events, output, write

from learning_objective.evaluation import Report
from learning_objective.output_log import MOST
from learning_objective.trial_handle import TrialHandle
from utilities.trial import Trial, TrialState


def test_output_goes_to_the_trials_own_file(study, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # C holds its output back only then
    evaluator = study(
        """
        import ctypes, os, subprocess, sys
        libc = ctypes.CDLL(None)
        print("while importing")
        def objective(config):
            print("python", config["x"])
            print("error", config["x"], file=sys.stderr)
            os.write(1, b"descriptor %d\\n" % config["x"])
            libc.printf(b"C %d\\n", config["x"])
            subprocess.run(["sh", "-c", f"echo program {config['x']}; echo program error {config['x']} >&2"])
            return 1.0
        """
    )
    for number in (0, 1):
        evaluate(evaluator, {"x": number}, number=number)
        kinds = ("python", "error", "descriptor", "C", "program", "program error")
        assert sorted(output(tmp_path, number).splitlines()) == sorted(f"{kind} {number}" for kind in kinds)


def test_evaluating_again_replaces_the_output(study, tmp_path):
    evaluator = study("def objective(config):\n    print(config['x'])\n    return 1.0")
    for x in (1, 2):
        evaluate(evaluator, {"x": x})
    assert output(tmp_path) == "2\n"


def test_silent_trial_leaves_no_folder_unless_it_asked_for_one(study, tmp_path):
    evaluator = study(
        "def objective(config, trial):\n    return trial.number if trial.number else len(str(trial.folder))"
    )
    for number in (0, 1):
        assert evaluate(evaluator, number=number).state == TrialState.COMPLETE
    assert [path.name for path in (tmp_path / "trials").iterdir()] == ["0"]
    assert not list((tmp_path / "trials" / "0").iterdir())


def test_trial_whose_output_cannot_be_written_fails(study, tmp_path):
    write(tmp_path / "trials", "in the way")
    evaluator = study("def objective(config): return 1.0")
    for number in (0, 1):
        assert evaluate(evaluator, number=number).reason.startswith("the trial's output cannot be written: ")


def test_flood_of_output_neither_blocks_nor_fills_memory_or_disk(study, tmp_path):
    evaluator = study(
        """
        import os
        def objective(config):
            for _ in range(800):
                os.write(2, b"flood! " * 9363)
            os._exit(5)
        """
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = evaluate(evaluator)
    assert (tmp_path / "trials" / "0" / "output.log").stat().st_size <= MOST < 800 * 9363 * 7
    assert outcome.reason == "the objective's process ended with exit status 5"
    assert len(outcome.message) < 10_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def test_trial_as_the_objective_sees_it(study, tmp_path):
    evaluator = study(
        """
        import os
        def objective(config, trial):
            assert trial.folder.is_dir() and trial.comm is None and not trial.should_stop()
            (trial.folder / "weights").write_text(os.getcwd())
            return {"objective": trial.seed, "number": trial.number, "budget": trial.budget}
        """
    )
    outcome = evaluate(evaluator, number=7, seed=2**63 + 1, budget=0.5)
    assert outcome.objective == float(2**63 + 1)
    assert outcome.metrics == {"number": 7.0, "budget": 0.5}
    assert (tmp_path / "trials" / "7" / "weights").read_text() == str(tmp_path / "study")


def test_configuration_arrives_as_it_was_sent(study):
    config = {"a": True, "b": -3, "c": 0.1 + 0.2, "d": 'naïve "quote"\n', "e": 1e-300}
    assert evaluate(study(f"def objective(config): return float(config == {config!r})"), config).objective == 1.0


def test_reports_arrive_in_order(study):
    evaluator = study(
        """
        def objective(config, trial):
            for step in range(500):
                trial.report(step, step / 2)
            trial.report(500, float("inf"))
            return 0
        """
    )
    evaluator.start(Trial(3, {}))
    *reports, diverged, outcome = events(evaluator)
    assert reports == [Report(3, step, step / 2) for step in range(500)]
    assert math.isnan(diverged.value)
    assert outcome.objective == 0.0


def test_report_of_something_else_than_a_number(tmp_path):
    trial = TrialHandle(0, 0, None, tmp_path)
    trial.report(1, 2)
    with pytest.raises(TypeError):
        trial.report(0.5, 1.0)
    with pytest.raises(TypeError):
        trial.report(0, None)

"""Where an objective is imported from, and why it cannot be."""

import math

import pytest
from children import evaluate, open_studies, write

from learning_objective.evaluation import Evaluator
from learning_objective.objective_spec import ObjectiveSpec
from utilities.trial import TrialState


@pytest.fixture
def study(tmp_path):
    with open_studies(tmp_path) as make:
        yield make


def test_users_packages_come_before_ours(study, tmp_path):
    for package in ("utilities", "learning_objective", "mpi"):
        write(tmp_path / "study" / package / "__init__.py", f"NAME = 'the user's {package}'\n".replace("'s", "s"))
    evaluator = study(
        """
        import utilities, learning_objective, mpi
        def objective(config):
            assert [p.NAME for p in (utilities, learning_objective, mpi)] == [
                "the users utilities", "the users learning_objective", "the users mpi"]
            return 1.0
        """
    )
    assert evaluate(evaluator).message == ""


def test_objective_may_import_this_project(study):
    evaluator = study(
        """
        import sys
        from pathlib import Path
        assert str(Path(__file__).parent) == sys.path[0]
        import reverie
        from reverie import Space
        def objective(config): return float(callable(Space.from_dict))
        """
    )
    assert evaluate(evaluator).message == ""


def test_file_in_a_folder_of_the_study(study, tmp_path):
    write(tmp_path / "study" / "inner" / "fit.py", "import beside, above\ndef run(c): return beside.X + above.Y")
    write(tmp_path / "study" / "inner" / "beside.py", "X = 1")
    write(tmp_path / "study" / "above.py", "Y = 2")
    assert evaluate(study("", objective="inner/fit.py:run")).objective == 3.0


def test_module_and_attribute_of_it(study, tmp_path):
    write(tmp_path / "study" / "package" / "fit.py", "class Fit:\n    @staticmethod\n    def run(c): return 4")
    write(tmp_path / "study" / "package" / "__init__.py", "")
    assert evaluate(study("", objective="package.fit:Fit.run")).objective == 4.0


def test_functions_of_the_file_can_be_pickled(study):
    evaluator = study(
        """
        import multiprocessing
        def square(x): return x * x
        def objective(config):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                return pool.map(square, [3])[0]
        """
    )
    assert evaluate(evaluator).objective == 9.0


def test_file_named_as_a_loaded_module(study, tmp_path):
    write(tmp_path / "study" / "queue.py", "import threading\ndef objective(c): return 5.0")
    assert evaluate(study("", objective="queue.py:objective")).objective == 5.0


def test_benchmark_is_ours_whatever_lies_in_the_folder(tmp_path):
    write(tmp_path / "learning_objective" / "__init__.py", "raise RuntimeError('not this one')")
    spec = ObjectiveSpec("branin", None, str(tmp_path))
    for isolation in ("none", "process"):
        with Evaluator(spec, tmp_path / "trials", isolation=isolation) as evaluator:
            outcome = evaluate(evaluator, {"x1": math.pi, "x2": 2.275})
            assert outcome.objective == pytest.approx(0.397887, abs=1e-6)
            assert (evaluator._child is None) == (isolation == "none")
            failed = evaluate(evaluator, {"x1": 0.0})
            assert failed.reason == "KeyError: 'x2'"
    assert not list((tmp_path / "trials").glob("*"))


UNLOADABLE = {
    "raises": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "missing import": ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
    "syntax": ("def objective(:", "SyntaxError: invalid syntax"),
    "no function": ("def objectives(c): ...", "train.py has no 'objective'"),
    "constant": ("objective = 3", "train.py:objective is not callable: it is a int"),
    "arguments": ("def objective(a, b, c): ...", "train.py:objective(a, b, c) cannot be called: missing a required"),
    "no argument": ("def objective(): ...", "train.py:objective() cannot be called: too many positional arguments"),
    "exits": ("import sys\nsys.exit('bye')", "SystemExit: bye"),
    "crashes": ("import os\nprint('so far')\nos._exit(4)", "the objective's process ended with exit status 4"),
}


@pytest.mark.parametrize(("source", "reason"), UNLOADABLE.values(), ids=UNLOADABLE)
def test_objective_that_cannot_be_loaded(study, source, reason):
    evaluator = study(source)
    outcome = evaluate(evaluator)
    assert outcome.state == TrialState.FAIL
    assert outcome.reason.startswith(f"the objective cannot be loaded: {reason}")
    assert evaluator.load_error is not None
    assert evaluator.load_error.startswith(reason)
    if "so far" in source:
        assert "so far" in evaluator.load_error


def test_missing_file_missing_module_and_recovery(study, tmp_path):
    evaluator = study("", objective="late.py:objective")
    assert evaluator.load() == f"there is no file {tmp_path / 'study' / 'late.py'}"
    write(tmp_path / "study" / "late.py", "def objective(config): return 1.0")
    assert evaluator.load() is None
    assert evaluate(evaluator).objective == 1.0
    error = study("", objective="late.package:objective").load()
    assert error is not None
    assert error.startswith("there is no module 'late.package' on the path: ")


def test_import_that_hangs_is_ended(study, monkeypatch):
    monkeypatch.setattr("learning_objective.evaluation.LOAD_SECONDS", 0.3)
    evaluator = study("import time\ntime.sleep(600)\ndef objective(config): return 1.0")
    assert evaluate(evaluator).reason == "the objective cannot be loaded: importing it took more than 0.3 s"

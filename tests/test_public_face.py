"""What `import reverie` gives: the names, `minimize`, and a word where a user's package hides one of ours."""

import doctest
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import reverie
from reverie import Optimizer, Space, SpaceExhaustedError, StudyError, TrialState, minimize

SPACE = {"x": {"type": "float", "low": -5.0, "high": 5.0}}
CHOICES = {"x": {"type": "categorical", "choices": [1, 2, 3]}}


def bowl(config):
    return (config["x"] - 1.0) ** 2


# --- names ------------------------------------------------------------------------------------------------------------


def test_every_public_name_is_there():
    for name in reverie.__all__:
        assert getattr(reverie, name).__module__.split(".")[0] in ("reverie", "utilities")
    assert set(reverie.__all__) <= set(dir(reverie))
    with pytest.raises(AttributeError, match=r"module 'reverie' has no attribute 'Optimiser'; it has FrontTrial, Inc"):
        reverie.Optimiser  # noqa: B018


def test_importing_loads_no_numerics():
    source = "import sys, reverie; print(*{'numpy', 'scipy', 'torch'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, "\n", "")


@pytest.mark.parametrize("module", ["reverie", "utilities.optimizer", "utilities.space"])
def test_examples_in_docstrings(module):
    failed, tried = doctest.testmod(sys.modules[module])
    assert (failed, tried > 0) == (0, True)


# --- ask and tell -----------------------------------------------------------------------------------------------------


def test_ask_and_tell_with_several_pending():
    optimizer = Optimizer(SPACE, method="gp", seed=1)
    pending = [optimizer.ask() for _ in range(6)]
    for trial in pending[::-1]:
        optimizer.tell(trial, bowl(trial.config))
    pending = optimizer.ask_batch(3)
    assert len({trial.config["x"] for trial in pending}) == 3
    optimizer.tell(pending[1], failed="out of memory")
    optimizer.tell(pending[0], bowl(pending[0].config))
    assert optimizer.best.objective == min(optimizer.data.y)
    with pytest.raises(ValueError, match="told"):
        optimizer.tell(pending[0], 1.0)


def test_space_in_and_out():
    space = Space.from_dict(SPACE)
    assert Optimizer(space).space is space
    assert Space.from_dict(space.to_dict()) == space
    with pytest.raises(StudyError, match=r"\[space.x\] low must be below high"):
        Space.from_dict({"x": {"type": "int", "low": 3, "high": 2}})


# --- minimize ---------------------------------------------------------------------------------------------------------


def test_minimize_finds_the_minimum():
    result = minimize(bowl, SPACE, budget=9, method="gp", seed=2)
    assert result.best.objective == min(record.outcome.objective for record in result.records) < 0.1
    assert result.best.config == result.records[result.best.number].trial.config
    assert abs(result.predicted_best.config["x"] - 1.0) < 0.5
    assert [record.trial.number for record in result.records] == list(range(9))
    assert {record.origin for record in result.records} == {"initial", "model"}


def test_minimize_is_reproducible():
    runs = [minimize(bowl, SPACE, 6, method, 3).records for method in ("gp", "random") for _ in range(2)]
    configs = [[record.trial.config for record in run] for run in runs]
    assert configs[0] == configs[1] != configs[2] == configs[3]


def test_minimize_passes_on_what_it_is_not_told_to_catch():
    def objective(config):
        raise KeyError("lr")

    with pytest.raises(KeyError, match="lr"):
        minimize(objective, SPACE, budget=3)
    with pytest.raises(KeyError, match="lr"):
        minimize(objective, SPACE, budget=3, catch=(ValueError, ZeroDivisionError))


def test_minimize_goes_on_after_what_it_is_told_to_catch():
    def objective(config):
        if config["x"] < 0.0:
            raise ArithmeticError(f"x is {config['x']}")
        return math.nan if config["x"] > 3.0 else bowl(config)

    seen = []
    result = minimize(objective, SPACE, 25, "random", catch=(ArithmeticError,), callback=seen.append)
    assert seen == result.records
    for record in result.records:
        x, outcome = record.trial.config["x"], record.outcome
        if x < 0.0:
            assert (outcome.state, outcome.message) == (TrialState.FAIL, f"ArithmeticError: x is {x}")
        elif x > 3.0:
            assert (outcome.state, outcome.message) == (TrialState.FAIL, "objective returned nan")
        else:
            assert (outcome.state, outcome.objective) == (TrialState.COMPLETE, bowl(record.trial.config))
    assert {record.state for record in result.records} == {TrialState.FAIL, TrialState.COMPLETE}
    assert result.best.objective == min(r.outcome.objective for r in result.records if r.outcome.objective is not None)


def test_minimize_where_nothing_succeeds():
    result = minimize(lambda config: math.inf, SPACE, 9, "gp")
    assert (result.best, result.predicted_best, len(result.records)) == (None, None, 9)


def test_an_objective_may_change_its_config():
    result = minimize(lambda config: config.pop("x"), SPACE, 3, "random")
    assert all("x" in record.trial.config for record in result.records)


@pytest.mark.parametrize("budget", [0, -1])
def test_minimize_needs_a_budget(budget):
    with pytest.raises(ValueError, match=f"budget must be above 0; got {budget}"):
        minimize(bowl, SPACE, budget)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "pg"}, 'method must be one of .*; got .pg.. Did you mean "gp"'),
        ({"seed": -1}, "seed must not be negative; got -1"),
        ({"space": {"x": {"type": "flaot"}}}, r"\[space.x\] type must be one of .* Did you mean .float"),
    ],
)
def test_minimize_says_what_is_wrong(arguments, message):
    with pytest.raises(StudyError, match=message):
        minimize(bowl, **{"space": SPACE, "budget": 2, **arguments})


@pytest.mark.parametrize("method", ["random", "sobol", "grid", "gp"])
def test_minimize_ends_when_every_configuration_was_tried(method):
    result = minimize(lambda config: float(config["x"]), CHOICES, 10, method)
    assert sorted(record.trial.config["x"] for record in result.records) == [1, 2, 3]
    assert result.best.config == {"x": 1}
    optimizer = Optimizer(CHOICES, method)
    optimizer.ask_batch(3)
    with pytest.raises(SpaceExhaustedError):
        optimizer.ask()


# --- packages of the same name ----------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    """A folder with a package of a name that is also one of ours, and a script that imports reverie."""
    (tmp_path / "utilities").mkdir()
    (tmp_path / "utilities" / "__init__.py").write_text("")
    (tmp_path / "tune.py").write_text("from reverie import minimize\nprint('imported')\n")
    return tmp_path


def run_in(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def test_a_script_beside_a_package_of_our_name_is_told(project):
    run = run_in(project, "tune.py")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        f"ImportError: reverie needs its own package 'utilities', but {project / 'utilities' / '__init__.py'} comes "
        "first on the path: rename that one, or start the script from another folder"
    )


def test_a_folder_of_our_name_hides_nothing_or_is_told(project):
    (project / "utilities" / "__init__.py").unlink()
    run = run_in(project, "tune.py")
    told = f"reverie needs its own package 'utilities', but {project / 'utilities'} comes first on the path"
    assert run.stdout == "imported\n" or told in run.stderr.splitlines()[-1]


def test_a_script_that_loaded_its_own_package_first_is_told(project):
    (project / "tune.py").write_text("import utilities\nimport sys\nsys.path.pop(0)\nimport reverie\n")
    assert "comes first on the path" in run_in(project, "tune.py").stderr.splitlines()[-1]


@pytest.mark.parametrize("module", ["mpi.mpi_optimizer", "sequential.seq_optimizer", "reverie"])
def test_entries_work_from_a_folder_with_such_a_package(project, module):
    words = ["run"] if module == "reverie" else []
    run = run_in(project, "-m", module, *words, "branin", "--budget", "2", "--method", "random")
    assert (run.returncode, run.stderr) == (0, "")
    assert (project / "runs" / "branin-random-seed0" / "trials.csv").read_text().count("\n") == 3

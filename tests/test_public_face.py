"""What ``import reverie`` gives, and what happens where its packages' names are taken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import reverie
from reverie import Space, StudyError, TrialState, minimize

LINE = {"x": {"type": "float", "low": -5.0, "high": 5.0}}


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120)


def test_every_public_name_is_there() -> None:
    for name in reverie.__all__:
        assert getattr(reverie, name).__doc__
    assert set(reverie.__all__) <= set(dir(reverie))
    with pytest.raises(AttributeError, match="no attribute 'Optimiser'; it has Incumbent, Optimizer"):
        _ = reverie.Optimiser


def test_minimize_finds_the_bottom_and_keeps_the_record() -> None:
    seen = []
    result = minimize(lambda config: (config["x"] - 1.0) ** 2, LINE, 12, "gp", seed=2, callback=seen.append)
    assert result.best is not None
    assert result.best.objective < 0.05
    assert result.predicted_best is not None
    assert abs(result.predicted_best.config["x"] - 1.0) < 0.5
    assert [record.trial.number for record in result.records] == list(range(12))
    assert seen == result.records


def test_minimize_counts_caught_exceptions_and_nan_as_failures() -> None:
    def objective(config: dict[str, float]) -> float:
        if config["x"] < -2.0:
            raise OverflowError("too small")
        return float("nan") if config["x"] > 2.0 else config["x"]

    result = minimize(objective, LINE, 16, "random", catch=(OverflowError,))
    reasons = {record.outcome.reason for record in result.records if record.state is TrialState.FAIL}
    assert reasons == {"OverflowError: too small", "objective returned nan"}
    with pytest.raises(OverflowError):
        minimize(objective, LINE, 16, "random")


def test_minimize_ends_with_the_space() -> None:
    space = Space.from_dict({"n": {"type": "int", "low": 1, "high": 3}})
    assert len(minimize(lambda config: config["n"], space, 50).records) == 3


def test_minimize_names_mistakes() -> None:
    with pytest.raises(ValueError, match="budget must be above 0; got 0"):
        minimize(lambda config: 0.0, LINE, 0)
    with pytest.raises(StudyError, match="low must be below high"):
        minimize(lambda config: 0.0, {"x": {"type": "float", "low": 1.0, "high": 0.0}}, 3)


def test_the_command_line_loads_no_numerics(tmp_path: Path) -> None:
    code = "import sys; from reverie.cli import main; main(['run', '--help']); print(sorted(sys.modules))"
    loaded = python("-c", code, cwd=tmp_path)
    assert "--budget" in loaded.stdout
    for heavy in ("'numpy'", "'torch'", "'scipy'", "'h5py'", "'mpi4py'"):
        assert heavy not in loaded.stdout


def foreign_utilities(folder: Path) -> None:
    (folder / "utilities").mkdir()
    (folder / "utilities" / "__init__.py").write_text("")


def test_a_script_beside_a_foreign_package_is_told_so(tmp_path: Path) -> None:
    foreign_utilities(tmp_path)
    (tmp_path / "script.py").write_text("import reverie\n")
    failed = python("script.py", cwd=tmp_path)
    last = failed.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: reverie needs its own package 'utilities', but ")
    assert str(tmp_path / "utilities") in last


@pytest.mark.parametrize("module", ["mpi.mpi_optimizer", "sequential.seq_optimizer", "sequential.seq_gaussian_process"])
def test_modules_run_beside_a_foreign_package(tmp_path: Path, module: str) -> None:
    foreign_utilities(tmp_path)
    done = python("-m", module, "branin", "--budget", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Best evaluated point" in done.stdout

"""The comparison of learned and known regions of crashes: its baseline, its table, its resumption."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.regret import crashes, records
from benchmarks.regret.in_process import InProcess
from benchmarks.regret.problem import Crash
from benchmarks.regret.runner import execute
from benchmarks.regret.subsets import Run
from reverie import Space

PROBLEMS = crashes.problems()


def record(seed: int, failed: tuple[int, ...], *improvements: tuple[int, float]) -> records.Record:
    return records.Record("branin-crash", 1, seed, 100, improvements, failed, 1.0, 0.01, "1.0", "")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(crashes, "FOLDER", tmp_path)
    monkeypatch.setattr(crashes, "problems", lambda: {"branin-crash": PROBLEMS["branin-crash"]})
    monkeypatch.setattr(crashes, "EVALUATIONS", 16)
    return tmp_path


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_about_a_third_of_each_box_crashes_and_its_optimum_does_not(name: str) -> None:
    problem = PROBLEMS[name]
    space = Space.from_dict(problem.space)
    points = space.from_unit(np.random.default_rng(0).random((2000, len(space))))
    crashed = 0
    for config in points:
        try:
            assert problem.true(config) >= problem.best
        except Crash:
            crashed += 1
    assert 0.2 < crashed / 2000 < 0.4


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_who_knows_the_region_never_crashes(name: str) -> None:
    """Neither in the initial design nor after; the seed crashes when it has to learn."""
    run = Run("x", name, 1, 0, 16)
    with crashes.told(PROBLEMS[name]):
        assert execute(InProcess("auto"), PROBLEMS[name], run).failed == ()
    assert execute(InProcess("auto"), PROBLEMS[name], run).failed != ()


def test_runs_are_made_once(folder: Path) -> None:
    crashes.run(1)
    files = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(files) == {"learned.csv", "known.csv"}
    crashes.run(1)
    assert {path.name: path.read_text() for path in folder.iterdir()} == files


def test_the_table_counts_crashes_and_finds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand, of three seeds: 3, 0, 8 crashes, 1, 0, 7 of these among the last 70; the optimum at 10, 70, never."""
    monkeypatch.setattr(crashes, "EVALUATIONS", 100)
    best = PROBLEMS["branin-crash"].best
    assert best is not None
    records.append("learned", record(0, (1, 2, 31), (10, best)), folder)
    records.append("learned", record(1, (), (5, best + 3.0), (70, best)), folder)
    records.append("learned", record(2, (30, *range(40, 47)), (5, best + 1e6)), folder)
    row = next(line for line in crashes.table().splitlines() if line.startswith("| branin-crash"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:8] == ["learned from crashes", "3", "3.7%", "3.8%", "10.0%", "1 of 3", "2 of 3"]
    median = crashes._median(PROBLEMS["branin-crash"])
    assert float(cells[8]) == pytest.approx(1e6 / (median - best) / 3, rel=1e-3)

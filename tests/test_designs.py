"""Designs: the same point for the same index, grids that list each configuration once and spread."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

from learning_objective.command_line import Options
from learning_objective.studies import open_study
from mpi.mpi_session import cut_off_grid
from sequential.seq_optimizer import main
from utilities.designs import SobolSequence, sobol_points
from utilities.grid import Grid
from utilities.space import Space


def test_sobol_points_do_not_depend_on_how_many_were_drawn() -> None:
    few, many = SobolSequence(3, seed=1), SobolSequence(3, seed=1)
    last = many[700]
    np.testing.assert_array_equal(np.array([few[i] for i in range(200)]), np.array([many[i] for i in range(200)]))
    assert np.all((last >= 0) & (last <= 1))
    assert not np.array_equal(SobolSequence(3, seed=2)[0], few[0])


def test_sobol_points_fill_the_cube_evenly() -> None:
    points = sobol_points(2, 256, np.random.default_rng(0))
    counts, *_ = np.histogram2d(*points.T, bins=4, range=[[0, 1], [0, 1]])
    assert np.all(counts == 16)


MIXED = {
    "x": {"type": "float", "low": 1e-4, "high": 1.0, "log": True, "grid": 5},
    "n": {"type": "int", "low": 1, "high": 3},
    "c": {"type": "categorical", "choices": ["a", "b"]},
    "m": {"type": "int", "low": 0, "high": 100, "grid": 3, "when": {"c": "a"}},
}


def test_grid_lists_each_configuration_once() -> None:
    space = Space.from_dict(MIXED)
    configs = [space.from_unit(point[None])[0] for point in Grid(space)]
    expected = []
    for x, n in itertools.product([1e-4, 1e-3, 1e-2, 1e-1, 1.0], [1, 2, 3]):
        expected += [{"x": x, "n": n, "c": "a", "m": m} for m in (0, 50, 100)] + [{"x": x, "n": n, "c": "b"}]
    assert len(configs) == len(expected)
    assert {space.key(config) for config in configs} == {space.key(config) for config in expected}


@pytest.mark.parametrize("part", [0.2, 0.25, 0.5])
def test_grid_order_spreads(part: float) -> None:
    space = Space.from_dict({name: {"type": "float", "low": 0.0, "high": 1.0, "grid": 11} for name in "xy"})
    grid = Grid(space)
    first = np.array(list(itertools.islice(grid, int(part * grid.size))))
    for column in first.T:
        assert len(np.unique(column)) == 11
        assert abs(column.mean() - 0.5) < 0.1


def test_grid_takes_all_values_of_what_has_finitely_many() -> None:
    table = {
        "n": {"type": "int", "low": 1, "high": 9},
        "s": {"type": "int", "low": 10, "high": 30, "step": 10},
        "q": {"type": "float", "low": 0.0, "high": 0.3, "step": 0.1},
        "o": {"type": "ordinal", "choices": ["s", "m", "l"]},
        "b": {"type": "bool"},
        "k": {"type": "constant", "value": 3},
    }
    configs = Space.from_dict(table).from_unit(np.array(list(Grid(Space.from_dict(table)))))
    assert len(configs) == 9 * 3 * 4 * 3 * 2
    assert {config["q"] for config in configs} == {0.0, 0.1, 0.2, 0.3}
    assert {config["s"] for config in configs} == {10, 20, 30}


@pytest.mark.parametrize("levels", [(5, 5, 5), (2, 7, 3, 4), (3, 3, 3, 3, 3)])
def test_every_axis_of_a_grid_and_any_two_are_covered_early(levels: tuple[int, ...]) -> None:
    """The first points, as many as an axis or two have places, meet most of these; strides of a flat index do not."""
    table = {f"x{i}": {"type": "int", "low": 1, "high": count} for i, count in enumerate(levels)}
    points = np.array(list(Grid(Space.from_dict(table))))
    assert len(points) == np.prod(levels)
    for column, count in enumerate(levels):
        assert len(np.unique(points[:count, column])) >= count * 2 / 3
    met = []
    for a, b in itertools.combinations(range(len(levels)), 2):
        pairs = levels[a] * levels[b]
        met.append(len(np.unique(points[:pairs, [a, b]], axis=0)) / pairs)
    assert np.mean(met) > 0.7


def test_grid_counts_what_it_lists() -> None:
    table = {
        "c": {"type": "categorical", "choices": ["a", "b", "c"]},
        "n": {"type": "int", "low": 1, "high": 4, "when": {"c": ["a", "b"]}},
        "m": {"type": "int", "low": 1, "high": 5, "when": [{"n": ">= 3"}, {"c": "c"}]},
        "x": {"type": "float", "low": 0.0, "high": 1.0},
    }
    grid = Grid(Space.from_dict(table))
    points = list(grid)
    assert len(points) == grid.size == (2 * (2 + 2 * 5) + 5) * 5
    assert len({point.tobytes() for point in points}) == len(points)


def test_a_grid_beyond_all_memory_begins_at_once() -> None:
    space = Space.from_dict({f"n{i}": {"type": "int", "low": 1, "high": 10**9} for i in range(40)})
    grid = Grid(space)
    assert grid.size == 10**360
    first = np.array(list(itertools.islice(grid, 100)))
    assert len(np.unique(first, axis=0)) == 100
    assert np.abs(first.mean(axis=0) - 0.5).max() < 0.05


STUDY = """
[study]
objective = "branin"
method = "grid"
{keys}
[space]
a = {{ type = "int", low = 1, high = {high} }}
b = {{ type = "int", low = 1, high = 9, when = {{ a = "> 1" }} }}
"""


@pytest.mark.parametrize(
    ("keys", "high", "note"),
    [
        ("", 3, ""),
        ("budget = 19", 3, ""),
        ("budget = 18", 3, "the grid has 19 points, and the budget is 18: it is cut off there"),
        ('budget = 18\nconstraints = ["a < b"]', 3, "the grid has at most 19 points"),
        ("budget = 1000", 10**12, "the grid has at most|the grid has 8,999,999,999,992 points|the grid has 9,000,000"),
    ],
)
def test_a_grid_that_is_cut_off_is_told(tmp_path: Path, keys: str, high: int, note: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(keys=keys, high=high))
    study = open_study(Options(study=str(path)))
    assert study.budget == (19 if not keys else int(keys.split()[2]))
    assert re.match(note, cut_off_grid(study)) if note else not cut_off_grid(study)


def run_grid(folder: Path, budget: int) -> list[dict[str, int]]:
    path = folder / "study.toml"
    path.write_text(STUDY.format(keys=f"budget = {budget}", high=3).replace('"branin"', '"f.py:f"'))
    (folder / "f.py").write_text("def f(config): return config['a']")
    assert main([str(path), "--output", str(folder)]) == 0
    lines = (folder / "study" / "journal.jsonl").read_text().splitlines()
    return [record["trial"]["config"] for record in map(json.loads, lines) if record["type"] == "asked"]


def test_a_grid_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = run_grid(tmp_path / "whole", 100)
    assert len(whole) == 19
    run_grid(tmp_path, 7)
    assert run_grid(tmp_path, 100) == whole

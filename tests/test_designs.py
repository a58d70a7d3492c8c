"""Designs: the same point for the same index, grids that list each configuration once and spread."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from utilities.designs import Grid, SobolSequence, sobol_points
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

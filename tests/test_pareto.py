"""Fronts and volumes against brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from utilities.pareto import crowding, fronts, hypervolume, non_dominated, open_boxes, preference
from utilities.surrogate import Array


def points(most: int = 7, least: int = 1) -> st.SearchStrategy[Array]:
    """Points with ties: few different values."""
    values = st.integers(0, 5).map(lambda value: value / 4.0)
    shape = st.tuples(st.integers(least, most), st.integers(1, 4))
    return shape.flatmap(lambda size: arrays(np.float64, size, elements=values))


def dominates(one: Array, other: Array) -> bool:
    return bool(np.all(one <= other) and np.any(one < other))


def volume_by_inclusion(rows: Array, reference: Array) -> float:
    """Volume of a union of boxes: alternating sum over all subsets."""
    inside = [row for row in rows if np.all(row < reference)]
    total = 0.0
    for size in range(1, len(inside) + 1):
        for subset in itertools.combinations(inside, size):
            total -= (-1) ** size * float(np.prod(reference - np.max(subset, axis=0)))
    return total


@settings(deadline=None)
@given(points(20))
def test_the_front_is_what_none_dominates(rows: Array) -> None:
    assert non_dominated(rows).tolist() == [not any(dominates(other, row) for other in rows) for row in rows]


@settings(deadline=None)
@given(points(20))
def test_every_point_of_a_later_front_is_dominated_by_one_of_the_front_before(rows: Array) -> None:
    rank = fronts(rows)
    for row, level in zip(rows, rank, strict=True):
        assert not any(dominates(other, row) for other in rows[rank >= level])
        assert level == 0 or any(dominates(other, row) for other in rows[rank == level - 1])


@settings(deadline=None)
@given(points())
def test_hypervolume_is_that_of_the_union_of_boxes(rows: Array) -> None:
    reference = np.full(rows.shape[1], 1.1)
    assert hypervolume(rows, reference) == pytest.approx(volume_by_inclusion(rows, reference), abs=1e-12)


@settings(deadline=None)
@given(points(8), st.integers(0, 10**6))
def test_open_boxes_hold_every_open_point_once_and_no_other(rows: Array, seed: int) -> None:
    reference = np.full(rows.shape[1], 1.1)
    lower, upper = open_boxes(rows, reference)
    for place in np.random.default_rng(seed).uniform(-0.5, 1.2, (50, rows.shape[1])):
        is_open = np.all(place < reference) and not any(np.all(row <= place) for row in rows)
        held = np.sum(np.all((lower <= place) & (place < upper), axis=1))
        assert held == int(is_open)


@pytest.mark.parametrize("objectives", [2, 3])
def test_the_number_of_boxes_grows_with_the_front_not_faster(objectives: int) -> None:
    rows = np.abs(np.random.default_rng(0).standard_normal((60, objectives)))
    rows = 1.0 - rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert len(open_boxes(rows, np.full(objectives, 1.1)).lower) == (objectives - 1) * len(rows) + 1


def test_hypervolume_of_an_eighth_of_a_sphere_approaches_its_own() -> None:
    rows = np.abs(np.random.default_rng(0).standard_normal((400, 3)))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    whole = 1.1**3 - math.pi / 6.0
    assert 0.93 * whole < hypervolume(rows, np.full(3, 1.1)) < whole


def test_nothing_below_the_reference_point_has_no_volume() -> None:
    assert hypervolume(np.array([[1.0, 0.0]]), np.array([1.0, 1.0])) == 0.0
    assert hypervolume(np.empty((0, 2)), np.array([1.0, 1.0])) == 0.0


def test_crowding_by_hand() -> None:
    rows = np.array([[0.0, 4.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]])
    assert crowding(rows).tolist() == [math.inf, 3.0 / 4.0 + 3.0 / 4.0, 3.0 / 4.0 + 2.0 / 4.0, math.inf]


@settings(deadline=None)
@given(points(12))
def test_preference_has_fronts_in_order(rows: Array) -> None:
    order = preference(rows)
    assert sorted(order.tolist()) == list(range(len(rows)))
    assert np.all(np.diff(fronts(rows)[order]) >= 0)

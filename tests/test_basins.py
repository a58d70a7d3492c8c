"""Basins: divided where the mean rises, exhausted by observations as good as the best, left by the search."""

from __future__ import annotations

import numpy as np
import pytest

from utilities.basins import Closed, Outside, divide, exhausted
from utilities.surrogate import Array


def double_well(x: Array) -> Array:
    """Bottoms at -1 (value 0) and +1 (value 0.5), a barrier of about 1 between them."""
    return (x[:, 0] ** 2 - 1.0) ** 2 + 0.25 * (1.0 + x[:, 0])


def test_two_wells_are_two_basins() -> None:
    x = np.linspace(-1.3, 1.3, 27)[:, None]
    owner = divide(x, double_well)
    assert set(owner) == {0, 1}
    top = x[np.argmax(np.where(np.abs(x[:, 0]) < 0.7, double_well(x), -np.inf)), 0]
    assert np.all(owner[x[:, 0] < top] == 0)
    assert np.all(owner[x[:, 0] > top + 0.01] == 1)


def test_a_slope_is_one_basin() -> None:
    x = np.random.default_rng(0).random((40, 3))
    assert np.all(divide(x, lambda z: np.sum(z**2, axis=1)) == 0)


@pytest.mark.parametrize(("visits", "closed"), [(3, False), (4, True), (9, True)])
def test_a_basin_is_exhausted_by_visits_as_good_as_its_best(visits: int, closed: bool) -> None:
    spread = np.linspace(-1.5, 1.5, 16)
    spread = spread[np.abs(spread + 1.0) > 0.15]
    x = np.concatenate([spread, -1.0 + 1e-3 * np.arange(visits)])[:, None]
    inside = exhausted(x, double_well(x), double_well)
    assert inside[-1] == closed
    assert not inside[np.abs(x[:, 0] - 1.0) < 0.2].any()


def closed_region() -> Closed:
    places = np.array([[0.2, 0.2], [0.3, 0.25], [0.8, 0.7], [0.9, 0.9]])
    return Closed(places, np.array([True, True, False, False]), np.array([0.5, 2.0]))


def test_depth_tells_inside_from_outside() -> None:
    depth = closed_region().depth(np.array([[0.2, 0.2], [0.9, 0.9], [0.25, 0.9], [0.85, 0.1]]))[0]
    assert np.array_equal(depth > 0, [True, False, True, False])


class Flat:
    def value(self, x: Array) -> Array:
        return np.sum(x, axis=1)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        return self.value(x), np.ones_like(x)


def test_the_search_is_kept_outside_with_the_right_slope() -> None:
    outside = Outside(Flat(), closed_region())
    x = np.random.default_rng(1).random((20, 2))
    value, gradient = outside.value_and_gradient(x)
    np.testing.assert_allclose(value, outside.value(x))
    for column in range(2):
        shift = 1e-6 * np.eye(2)[column]
        numeric = (outside.value(x + shift) - outside.value(x - shift)) / 2e-6
        np.testing.assert_allclose(gradient[:, column], numeric, atol=1e-4)
    depth = closed_region().depth(x)[0]
    np.testing.assert_allclose(value[depth <= 0], Flat().value(x)[depth <= 0])
    assert np.all(value[depth > 0] < Flat().value(x)[depth > 0])

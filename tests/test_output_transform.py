"""Output transform: order kept, invertible, outliers tamed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import norm

from utilities.output_transform import OutputTransform, identity_transform

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@given(VALUES)
def test_order_is_kept(values: list[float]) -> None:
    y = np.array(values)
    z = OutputTransform.fit(y).apply(y)
    order = np.argsort(y, kind="stable")
    assert np.all(np.isfinite(z))
    assert np.all(np.diff(z[order]) >= 0)


@given(VALUES, st.floats(-2.0, 3.0))
@example([0.0, 2.2250738585e-313, -1.0], 0.0)
@example([0.0, 2.2250738585e-313, -1.0], 3.0)
def test_inverse_undoes_it(values: list[float], share: float) -> None:
    y = np.array(values)
    transform = OutputTransform.fit(y)
    low, high = transform.images[0], transform.images[-1]
    z = np.array([low + share * (high - low)])
    np.testing.assert_allclose(transform.apply(transform.invert(z)), z, atol=1e-6 * (1.0 + abs(share)))


def test_an_outlier_moves_to_the_end_of_the_bulk() -> None:
    y = np.concatenate([np.linspace(0.0, 1.0, 30), [1e9]])
    z = OutputTransform.fit(y).apply(y)
    assert z[-1] - z[-2] < 0.3 * (z[-2] - z[0])


def test_bad_half_sits_at_normal_quantiles_before_the_log() -> None:
    y = np.array([0.0, 1.0, 2.0, 3.0, 50.0, 600.0, 7000.0])
    z = OutputTransform.fit(y).apply(y)
    spread = np.sqrt(np.mean(np.array([3.0, 2.0, 1.0, 0.0]) ** 2))
    ranks = (np.arange(7) + 0.5) / 7
    halved = np.where(y <= 3.0, y, 3.0 + spread * norm.ppf(ranks))
    share = (halved - halved.min()) / (halved.max() - halved.min())
    np.testing.assert_allclose(z, np.log1p(0.5 * share) / np.log(1.5), rtol=1e-12)


@pytest.mark.parametrize("values", [[2.0], [2.0, 2.0], [1.0, 2.0], [3.0] * 5])
def test_few_or_equal_values(values: list[float]) -> None:
    y = np.array(values)
    transform = OutputTransform.fit(y)
    np.testing.assert_allclose(transform.invert(transform.apply(y)), y)


def test_huge_objectives_do_not_overflow() -> None:
    y = np.array([1e200, -1e200, 3.0, 5e299, 2.0, 1.0])
    z = OutputTransform.fit(y).apply(y)
    assert np.all(np.isfinite(z))
    assert np.all(np.diff(z[np.argsort(y)]) >= 0)


def test_identity() -> None:
    y = np.array([-3.0, 0.25, 0.5, 9.0])
    np.testing.assert_array_equal(identity_transform().apply(y), y)


def test_without_outliers_nothing_changes() -> None:
    y = np.random.default_rng(0).random(40)
    np.testing.assert_array_equal(OutputTransform.without_outliers(y).apply(y), y)
    np.testing.assert_array_equal(OutputTransform.without_outliers(np.full(5, 2.0)).apply(np.array([3.0])), [3.0])


def test_a_catastrophe_is_taken_in_and_the_rest_keeps_its_distances() -> None:
    y = np.append(np.random.default_rng(0).random(40), [1e9, 1e12])
    z = OutputTransform.without_outliers(y).apply(y)
    np.testing.assert_allclose(np.diff(z[:40]) / np.diff(y[:40]), (z[1] - z[0]) / (y[1] - y[0]), rtol=1e-6)
    assert np.all(np.argsort(z) == np.argsort(y))
    spread = z[:40].max() - z[:40].min()
    assert z.max() - z[:40].max() < 10.0 * spread

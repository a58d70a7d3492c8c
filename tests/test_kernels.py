"""Kernel, input warp and Cholesky extension against textbook formulas, SciPy and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.spatial.distance import cdist

from utilities.cholesky import (
    FIRST_JITTER,
    NotPositiveDefiniteError,
    cholesky,
    extended_inverse_factors,
    inverse_of_triangle,
    jittered_cholesky,
)
from utilities.input_warp import EDGE, LogCoordinates
from utilities.kernels import (
    MEAN_VARIANCE,
    Kernel,
    distance_pullback,
    matern52,
    matern52_and_slope,
    squared_distances,
)

ROOT5 = np.sqrt(5.0)


def kernel_of(rng, samples=3, columns=4, warped=(0, 2)):
    shape = (samples, len(warped))
    return Kernel(
        inverse_lengthscale=rng.uniform(0.5, 3.0, (samples, columns)),
        outputscale=rng.uniform(0.5, 2.0, samples),
        warped=np.array(warped, dtype=np.intp),
        log_a=0.7 * rng.standard_normal(shape),
        log_b=0.7 * rng.standard_normal(shape),
    )


def central_difference(function, x, step=1e-6):
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        shift = np.zeros(x.shape)
        shift[index] = step
        gradient[index] = (function(x + shift) - function(x - shift)) / (2.0 * step)
    return gradient


def kumaraswamy_density(t, a, b):
    return a * b * t ** (a - 1.0) * (1.0 - t**a) ** (b - 1.0)


@pytest.mark.parametrize("batch", [(), (1,), (3,)])
@pytest.mark.parametrize(("m", "n", "p"), [(1, 1, 1), (5, 3, 2), (4, 0, 3), (0, 4, 3)])
def test_squared_distances_are_those_of_scipy(batch, m, n, p):
    rng = np.random.default_rng(0)
    a, b = rng.random((*batch, m, p)), rng.random((*batch, n, p))
    distances = squared_distances(a, b)
    assert distances.shape == (*batch, m, n)
    for index in np.ndindex(batch):
        np.testing.assert_allclose(distances[index], cdist(a[index], b[index], "sqeuclidean"), atol=1e-14)


def test_equal_points_are_never_at_negative_distance():
    x = np.random.default_rng(0).random((50, 6)) * 1e3
    assert squared_distances(x, x).min() >= 0.0


@given(st.floats(0.0, 50.0))
def test_matern_is_the_textbook_formula(r):
    expected = (1.0 + ROOT5 * r + 5.0 / 3.0 * r**2) * np.exp(-ROOT5 * r)
    value, _ = matern52_and_slope(np.array([r * r]))
    np.testing.assert_allclose(matern52(np.array([r * r])), expected, rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-300)


def test_matern_is_the_bessel_form_of_order_five_halves():
    from scipy.special import gamma, kv

    r, order = np.linspace(0.01, 6.0, 40), 2.5
    t = np.sqrt(2.0 * order) * r
    np.testing.assert_allclose(
        matern52(r**2), 2.0 ** (1.0 - order) / gamma(order) * t**order * kv(order, t), rtol=1e-10
    )


def test_matern_slope_is_the_finite_difference():
    d2 = np.linspace(0.05, 9.0, 30)
    step = 1e-6
    _, slope = matern52_and_slope(d2.copy())
    np.testing.assert_allclose(slope, (matern52(d2 + step) - matern52(d2 - step)) / (2 * step), rtol=1e-7, atol=1e-10)
    assert matern52_and_slope(np.zeros(1))[1] == pytest.approx(-5.0 / 6.0)


def test_matern_uses_the_buffers_given():
    d2, slope, scratch = np.full((3, 3), 2.0), np.empty((3, 3)), np.empty((3, 3))
    value, returned = matern52_and_slope(d2, slope, scratch)
    assert value is d2
    assert returned is slope
    again = np.full((3, 3), 2.0)
    assert matern52(again, scratch) is again
    np.testing.assert_allclose(again, value, rtol=1e-15)


def test_categories_in_one_group_are_a_hamming_term():
    one_hot = np.eye(4) / np.sqrt(2.0)
    np.testing.assert_allclose(squared_distances(one_hot, one_hot), 1.0 - np.eye(4), atol=1e-15)


def test_kernel_between_points_is_the_formula_for_every_setting():
    rng = np.random.default_rng(1)
    kernel, x, other = kernel_of(rng, warped=()), rng.random((5, 4)), rng.random((6, 4))
    values = kernel.between(kernel.embed(x), kernel.embed(other))
    assert values.shape == (3, 5, 6)
    for s in range(3):
        r = cdist(x * kernel.inverse_lengthscale[s], other * kernel.inverse_lengthscale[s])
        matern = (1.0 + ROOT5 * r + 5.0 / 3.0 * r**2) * np.exp(-ROOT5 * r)
        np.testing.assert_allclose(values[s], kernel.outputscale[s] * matern + MEAN_VARIANCE, rtol=1e-12)


def test_kernel_at_the_same_point_is_its_variance():
    rng = np.random.default_rng(2)
    kernel = kernel_of(rng)
    z = kernel.embed(rng.random((7, 4)))
    np.testing.assert_allclose(
        np.diagonal(kernel.between(z, z), axis1=1, axis2=2), np.tile(kernel.variance[:, None], 7), rtol=1e-7
    )


def test_value_beside_the_slope_is_the_value_alone():
    rng = np.random.default_rng(3)
    kernel = kernel_of(rng)
    z, other = kernel.embed(rng.random((5, 4))), kernel.embed(rng.random((6, 4)))
    np.testing.assert_allclose(kernel.between_and_slope(z, other)[0], kernel.between(z, other), rtol=1e-13)


def test_component_is_that_setting():
    rng = np.random.default_rng(4)
    kernel, x = kernel_of(rng), rng.random((5, 4))
    z, one = kernel.embed(x), kernel.component(slice(1, 2))
    np.testing.assert_array_equal(one.embed(x), z[1:2])
    np.testing.assert_array_equal(one.between(z[1:2], z[1:2]), kernel.between(z, z)[1:2])


def test_pullback_through_embedding_and_distance_is_the_finite_difference():
    rng = np.random.default_rng(5)
    kernel, other, weights = kernel_of(rng), None, rng.standard_normal((3, 4, 6))
    other = kernel.embed(rng.random((6, 4)))
    x = rng.uniform(0.05, 0.95, (4, 4))

    def total(points):
        return float(np.sum(weights * kernel.between(kernel.embed(points), other)))

    z = kernel.embed(x)
    slope = kernel.between_and_slope(z, other)[1]
    gradient = kernel.pullback(x, distance_pullback(z, other, weights * slope))
    np.testing.assert_allclose(gradient, central_difference(total, x), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.5, 0.5), (3.0, 0.7), (0.4, 4.0), (2.0, 2.0)])
def test_warp_integrates_the_kumaraswamy_density(a, b):
    for x in (0.03, 0.3, 0.72, 0.97):
        area, _ = integrate.quad(kumaraswamy_density, 0.0, x, args=(a, b), limit=200)
        warped = LogCoordinates.of(np.array(x)).warp(np.log(a), np.log(b))
        assert float(warped) == pytest.approx(area, rel=1e-6)


def test_warp_of_beta_kind_agrees_with_scipy():
    x = np.linspace(0.01, 0.99, 30)
    log_x = LogCoordinates.of(x)
    np.testing.assert_allclose(log_x.warp(np.log(2.5), np.float64(0.0)), stats.beta(2.5, 1.0).cdf(x), rtol=1e-10)
    np.testing.assert_allclose(log_x.warp(np.float64(0.0), np.log(0.4)), stats.beta(1.0, 0.4).cdf(x), rtol=1e-10)


@given(st.floats(0.0, 1.0))
def test_unit_shapes_leave_the_coordinate_alone(x):
    warped = LogCoordinates.of(np.array(x)).warp(np.float64(0.0), np.float64(0.0))
    assert float(warped) == pytest.approx(np.clip(x, EDGE, 1.0 - EDGE), rel=1e-9)


@given(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0))
def test_warp_increases_within_the_unit_interval(log_a, log_b):
    warped = LogCoordinates.of(np.linspace(0.0, 1.0, 50)).warp(np.float64(log_a), np.float64(log_b))
    assert (np.diff(warped) >= 0.0).all()
    assert warped[0] >= 0.0
    assert warped[-1] <= 1.0


@given(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0))
def test_warp_slopes_are_finite_on_the_whole_interval(log_a, log_b):
    log_x = LogCoordinates.of(np.array([0.0, 1e-9, 0.5, 1.0]))
    shapes = np.float64(log_a), np.float64(log_b)
    assert np.isfinite(log_x.slope(*shapes)).all()
    assert np.isfinite(log_x.shape_slopes(*shapes)).all()


@given(st.floats(0.02, 0.98), st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
def test_warp_slopes_are_finite_differences(x, log_a, log_b):
    step = 1e-6

    def warp(v):
        return float(LogCoordinates.of(np.array(v[0])).warp(v[1], v[2]))

    expected = central_difference(warp, np.array([x, log_a, log_b]), step)
    log_x = LogCoordinates.of(np.array(x))
    found = [
        log_x.slope(np.float64(log_a), np.float64(log_b)),
        *log_x.shape_slopes(np.float64(log_a), np.float64(log_b)),
    ]
    np.testing.assert_allclose(np.array(found, dtype=float), expected, rtol=1e-5, atol=1e-8)


def covariances(rng, samples, size):
    roots = rng.standard_normal((samples, size, size + 2))
    return roots @ np.swapaxes(roots, 1, 2) / size + 0.1 * np.eye(size)


@pytest.mark.parametrize(("old", "new"), [(0, 4), (5, 1), (5, 3), (4, 0)])
def test_extension_is_refactorisation(old, new):
    matrix = covariances(np.random.default_rng(6), 3, old + new)
    whole = np.stack([inverse_of_triangle(cholesky(c)) for c in matrix])
    inverse = whole[:, :old, :old]
    known = np.stack([np.linalg.inv(np.linalg.cholesky(c[:old, :old])) for c in matrix])
    np.testing.assert_allclose(inverse, known, atol=1e-8)
    whitened = matrix[:, old:, :old] @ np.swapaxes(known, 1, 2)
    np.testing.assert_allclose(extended_inverse_factors(known, whitened, matrix[:, old:, old:]), whole, atol=1e-8)


def test_a_sound_matrix_is_not_jittered():
    matrix = covariances(np.random.default_rng(7), 1, 6)[0]
    np.testing.assert_allclose(jittered_cholesky(matrix), np.linalg.cholesky(matrix), rtol=1e-12)
    assert np.array_equal(np.triu(jittered_cholesky(matrix), 1), np.zeros((6, 6)))


def test_a_singular_matrix_gets_the_first_jitter_that_works():
    factor = jittered_cholesky(np.ones((3, 3)))
    assert np.abs(factor @ factor.T - np.ones((3, 3))).max() == pytest.approx(FIRST_JITTER, rel=0.1)


def test_cholesky_keeps_its_input_unless_told():
    matrix = covariances(np.random.default_rng(8), 1, 4)[0]
    kept = matrix.copy()
    cholesky(matrix)
    np.testing.assert_array_equal(matrix, kept)
    factor = cholesky(matrix, overwrite=True)
    assert np.shares_memory(factor, matrix)


@pytest.mark.parametrize("matrix", [-np.eye(3), np.full((3, 3), np.nan), np.diag([1.0, 1.0, -1.0])])
def test_what_is_no_covariance_is_refused(matrix):
    with pytest.raises(NotPositiveDefiniteError, match="positive definite"):
        jittered_cholesky(matrix)

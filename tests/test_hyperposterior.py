"""Density of the hyperparameters, and its search, against SciPy, finite differences and quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from utilities.hyper_search import draw, find_mode, laplace_covariance, warp_evidence
from utilities.hyperposterior import NOISE_FLOOR, NOISE_PRIOR, OUTPUTSCALE_PRIOR, WARP_PRIOR, Hyperposterior, Layout
from utilities.kernels import MEAN_VARIANCE

LAYOUT = Layout(np.array([0, 1, 1, 1, 2, 3]), np.array([0, 4]))
PLAIN = Layout(LAYOUT.groups, np.array([], dtype=np.intp))


def make_density(rng, count=10, layout=LAYOUT):
    x = rng.random((count, 6))
    y = np.sin(4.0 * x[:, 0]) - x[:, -1] ** 2 + 0.1 * rng.standard_normal(count)
    y = (y - y.mean()) / y.std()
    return Hyperposterior(x, y, layout), x, y


def textbook_covariance(x, theta):
    """Covariance (n, n) of y for `LAYOUT`, by the formulas as printed."""
    x = x.copy()
    a, b = np.exp(theta[6:8]), np.exp(theta[8:10])
    x[:, [0, 4]] = 1.0 - (1.0 - x[:, [0, 4]] ** a) ** b
    t = math.sqrt(5.0) * np.linalg.norm((x[:, None] - x[None]) / np.exp(theta[:4])[LAYOUT.groups], axis=-1)
    signal = np.exp(theta[4]) * (1.0 + t + t * t / 3.0) * np.exp(-t)
    return signal + MEAN_VARIANCE + (NOISE_FLOOR + np.exp(theta[5])) * np.eye(len(x))


def test_log_prior_is_that_of_log_normals():
    density, *_ = make_density(np.random.default_rng(0))
    theta = density.prior_mean + np.random.default_rng(1).standard_normal(density.layout.size)
    lengthscale = stats.lognorm(0.75, scale=0.2 * math.sqrt(4.0))
    priors = [lengthscale] * 4 + [
        stats.lognorm(deviation, scale=math.exp(mean))
        for mean, deviation in [OUTPUTSCALE_PRIOR, NOISE_PRIOR] + [WARP_PRIOR] * 4
    ]
    expected = sum(prior.logpdf(np.exp(value)) + value for prior, value in zip(priors, theta, strict=True))
    assert density.log_prior(theta) == pytest.approx(expected, rel=1e-12)


def test_log_evidence_is_the_multivariate_normal_density():
    rng = np.random.default_rng(2)
    density, x, y = make_density(rng)
    for _ in range(3):
        theta = 0.7 * rng.standard_normal(LAYOUT.size)
        expected = stats.multivariate_normal(cov=textbook_covariance(x, theta)).logpdf(y)
        assert density.log_evidence(theta) == pytest.approx(expected, rel=1e-9)
        assert density(theta) == pytest.approx(expected + density.log_prior(theta), rel=1e-9)


@pytest.mark.parametrize("layout", [LAYOUT, PLAIN], ids=["warped", "plain"])
def test_gradient_of_the_log_density_is_the_finite_difference(layout):
    rng = np.random.default_rng(3)
    density, *_ = make_density(rng, layout=layout)
    for _ in range(3):
        theta = 0.5 * rng.standard_normal(layout.size)
        value, gradient = density.value_and_gradient(theta)
        step = 1e-5
        expected = [(density(theta + v) - density(theta - v)) / (2 * step) for v in step * np.eye(theta.size)]
        assert value == pytest.approx(density(theta), rel=1e-12)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-6)


def test_density_vanishes_where_the_covariance_has_no_factor():
    density, *_ = make_density(np.random.default_rng(4))
    assert density(np.full(density.layout.size, np.nan)) == -math.inf
    repeated = Hyperposterior(np.full((4, 6), 0.5), np.arange(4.0), density.layout)
    theta = density.prior_mean.copy()
    theta[4:6] = 60.0, -60.0
    assert repeated(theta) == -math.inf


def test_a_layout_stands_within_one_that_warps_more():
    full, part = Layout(LAYOUT.groups, np.array([0, 4, 5])), Layout(LAYOUT.groups, np.array([0, 5]))
    theta = np.arange(full.size, dtype=float)
    for kept, whole in zip(part.split(theta[part.within(full)])[3:], full.split(theta)[3:], strict=True):
        np.testing.assert_array_equal(kept, whole[[0, 2]])
    np.testing.assert_array_equal(theta[part.within(full)][:6], theta[:6])


def test_mode_has_no_gradient_and_no_start_beats_it():
    rng = np.random.default_rng(5)
    density, *_ = make_density(rng, 30)
    starts = [density.prior_mean, density.prior_mean - 1.0]
    mode = find_mode(density, starts, 200)
    value, gradient = density.value_and_gradient(mode)
    assert np.abs(gradient).max() < 0.05
    assert all(value >= density(start) for start in starts)


def test_laplace_covariance_is_minus_the_inverse_hessian():
    density, *_ = make_density(np.random.default_rng(9), 30)
    mode = find_mode(density, [density.prior_mean], 500)
    step = 1e-3

    def second(i, j):
        a, b = step * np.eye(mode.size)[[i, j]]
        corners = density(mode + a + b) - density(mode + a - b) - density(mode - a + b) + density(mode - a - b)
        return corners / (4.0 * step * step)

    hessian = np.array([[second(i, j) for j in range(mode.size)] for i in range(mode.size)])
    np.testing.assert_allclose(laplace_covariance(density, mode) @ -hessian, np.eye(mode.size), atol=0.02)


def test_sampled_hyperparameters_follow_their_posterior():
    """Means and spreads against quadrature over a grid of the three hyperparameters of a one-dimensional problem."""
    rng = np.random.default_rng(7)
    x = rng.random((8, 1))
    y = np.sin(6.0 * x[:, 0])
    density = Hyperposterior(x, (y - y.mean()) / y.std(), Layout(np.array([0]), np.array([], dtype=np.intp)))
    axes = [np.linspace(-2.5, 2.5, 31), np.linspace(-2.0, 2.5, 19), np.linspace(-19.0, 0.0, 31)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    weight = np.array([density(theta) for theta in grid])
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    mean = weight @ grid
    deviation = np.sqrt(weight @ (grid - mean) ** 2)

    mode = find_mode(density, [density.prior_mean], 200)
    count = 600
    root = np.linalg.cholesky(laplace_covariance(density, mode))
    theta = draw(density, mode, root, mode, rng, count=count, burn_in=10)
    standard = (theta - mean) / deviation
    # Means of 30 successive draws are nearly independent, so their spread gives the error of the overall mean.
    batches = standard.reshape(20, 30, 3).mean(axis=1)
    error = batches.std(axis=0, ddof=1) / math.sqrt(20)
    assert error.max() < 0.2
    assert (np.abs(standard.mean(axis=0)) < 4.0 * error + 0.02).all()
    squares = (standard**2).reshape(20, 30, 3).mean(axis=1)
    assert (np.abs(squares.mean(axis=0) - 1.0) < 4.0 * squares.std(axis=0, ddof=1) / math.sqrt(20) + 0.02).all()


def test_warp_evidence_tells_a_warped_column_from_a_plain_one():
    rng = np.random.default_rng(8)
    x = rng.random((40, 2))
    y = np.sin(8.0 * x[:, 0] ** 3) + np.sin(3.0 * x[:, 1])
    density = Hyperposterior(x, (y - y.mean()) / y.std(), Layout(np.arange(2), np.arange(2)))
    mode = find_mode(density, [density.prior_mean], 200)
    bends, straight = warp_evidence(density, mode, laplace_covariance(density, mode))
    assert bends > 1.0
    assert straight < bends


def test_warp_evidence_is_the_savage_dickey_ratio():
    density, *_ = make_density(np.random.default_rng(9))
    rng = np.random.default_rng(10)
    root = rng.standard_normal((10, 10))
    covariance, mode = root @ root.T + np.eye(10), rng.standard_normal(10)
    for w, factor in enumerate(warp_evidence(density, mode, covariance)):
        pair = [6 + w, 8 + w]
        posterior = stats.multivariate_normal(mode[pair], covariance[np.ix_(pair, pair)])
        prior = stats.multivariate_normal(np.zeros(2), WARP_PRIOR[1] ** 2 * np.eye(2))
        assert factor == pytest.approx(prior.logpdf(np.zeros(2)) - posterior.logpdf(np.zeros(2)), rel=1e-10)

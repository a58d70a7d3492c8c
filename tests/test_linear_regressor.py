"""Bayesian linear regression against brute force: the N x N Gaussian, and textbook weight-space algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from utilities import linear_regressor
from utilities.linear_regressor import (
    Gram,
    log_evidence,
    log_horseshoe,
    log_prior,
    mean_coefficients,
    quadratic_basis,
    sample_hyperparameters,
    squared_misfits,
)


def problem(n: int, features: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.tanh(rng.standard_normal((n, features))), rng.random((n, columns)), rng.standard_normal(n)


def hyperparameters(columns: int, seed: int = 0, log_alpha: float = 0.5, log_beta: float = 1.5) -> np.ndarray:
    rng = np.random.default_rng([seed, columns])
    bowl = [rng.standard_normal(1), rng.normal(0.5, 0.25, columns), rng.normal(-1.0, 1.0, columns)]
    return np.concatenate([[log_alpha, log_beta], *bowl])


def gram(phi: np.ndarray, x: np.ndarray, y: np.ndarray) -> Gram:
    return Gram.empty(phi.shape[1], x.shape[1]).add(phi, x, y)


def bowl(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The prior mean of [P] eq 8, written out."""
    p = x.shape[1]
    return z[2] + ((x - z[3 : 3 + p]) ** 2) @ np.exp(z[3 + p :])


SHAPES = [(1, 1, 1), (2, 5, 1), (4, 10, 3), (10, 4, 2), (30, 7, 0), (60, 50, 6)]


@pytest.mark.parametrize(("n", "features", "columns"), SHAPES)
def test_the_quadratic_mean_is_linear_in_its_basis(n: int, features: int, columns: int) -> None:
    _, x, _ = problem(n, features, columns)
    z = hyperparameters(columns)
    np.testing.assert_allclose(quadratic_basis(x) @ mean_coefficients(z), bowl(x, z), rtol=1e-12)


def test_coefficients_of_a_stack_are_those_of_each() -> None:
    stack = np.array([[hyperparameters(3, seed=4 * i + j) for j in range(4)] for i in range(2)])
    np.testing.assert_array_equal(mean_coefficients(stack)[1, 2], mean_coefficients(stack[1, 2]))


@pytest.mark.parametrize("log_alpha", [-2.0, 0.5, 6.0])
@pytest.mark.parametrize("log_beta", [-1.0, 4.0])
@pytest.mark.parametrize(("n", "features", "columns"), SHAPES)
def test_evidence_is_the_density_of_the_brute_force_gaussian(
    n: int, features: int, columns: int, log_alpha: float, log_beta: float
) -> None:
    """y ~ Normal(eta(X), Phi Phi^T / alpha + I / beta), by scipy."""
    phi, x, y = problem(n, features, columns)
    z = hyperparameters(columns, log_alpha=log_alpha, log_beta=log_beta)
    covariance = phi @ phi.T / np.exp(log_alpha) + np.eye(n) / np.exp(log_beta)
    expected = stats.multivariate_normal(bowl(x, z), covariance).logpdf(y)
    assert log_evidence(gram(phi, x, y).spectrum, z) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.integers(1, 8), st.integers(0, 3), st.floats(-3, 5), st.floats(-2, 8), st.integers(0, 99))
def test_evidence_holds_for_any_shape(
    n: int, features: int, columns: int, log_alpha: float, log_beta: float, seed: int
) -> None:
    phi, x, y = problem(n, features, columns, seed)
    z = hyperparameters(columns, seed, log_alpha, log_beta)
    covariance = phi @ phi.T / np.exp(log_alpha) + np.eye(n) / np.exp(log_beta)
    expected = stats.multivariate_normal(bowl(x, z), covariance).logpdf(y)
    assert log_evidence(gram(phi, x, y).spectrum, z) == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_evidence_is_accurate_at_the_noise_floor_with_many_observations() -> None:
    """Weights and bowl fit y to the last digit: the square completed in the Gram form cancels all but five digits.

    The reference solves for the residual itself, which does not cancel.
    """
    phi, x, _ = problem(20_000, 50, 4)
    z = hyperparameters(4, log_alpha=3.0, log_beta=-np.log(linear_regressor.NOISE_FLOOR))
    weights = np.random.default_rng(1).standard_normal(50)
    y = phi @ weights + bowl(x, z) + 1e-3 * np.random.default_rng(2).standard_normal(len(x))
    alpha, beta = np.exp(z[:2])
    precision = beta * phi.T @ phi + alpha * np.eye(50)
    r = y - bowl(x, z)
    m = np.linalg.solve(precision, beta * phi.T @ r)
    normaliser = 50 * z[0] + len(y) * (z[1] - np.log(2 * np.pi)) - np.linalg.slogdet(precision)[1]
    expected = 0.5 * (normaliser - beta * np.sum((r - phi @ m) ** 2) - alpha * m @ m)
    assert log_evidence(gram(phi, x, y).spectrum, z) == pytest.approx(expected, abs=0.05)


def test_rank_one_updates_give_the_gram_matrix_of_all() -> None:
    phi, x, y = problem(9, 4, 2)
    whole = gram(phi, x, y)
    rows = Gram.empty(4, 2)
    for i in range(9):
        rows = rows.add(phi[i : i + 1], x[i : i + 1], y[i : i + 1])
    np.testing.assert_allclose(rows.matrix, whole.matrix, rtol=1e-13)
    assert rows.count == whole.count == 9


def test_adding_leaves_the_original_alone() -> None:
    phi, x, y = problem(3, 4, 2)
    first = gram(phi, x, y)
    before = first.matrix.copy()
    first.add(phi, x, y)
    np.testing.assert_array_equal(first.matrix, before)


def test_the_spectrum_rebuilds_the_gram_matrix() -> None:
    phi, x, y = problem(5, 8, 2)
    s = gram(phi, x, y).spectrum
    np.testing.assert_allclose((s.vectors * s.values) @ s.vectors.T, phi.T @ phi, atol=1e-12)
    rest = np.column_stack([quadratic_basis(x), y])
    np.testing.assert_allclose(s.vectors @ s.cross, phi.T @ rest, atol=1e-12)
    assert np.all(s.values >= 0.0)


def test_the_order_of_observations_does_not_matter() -> None:
    phi, x, y = problem(20, 6, 3)
    order = np.random.default_rng(1).permutation(20)
    z = hyperparameters(3)
    shuffled = log_evidence(gram(phi[order], x[order], y[order]).spectrum, z)
    assert shuffled == pytest.approx(log_evidence(gram(phi, x, y).spectrum, z), rel=1e-12)


def test_misfits_are_those_of_the_brute_force_prediction() -> None:
    """Conditioning the joint Gaussian of old and new observations."""
    phi, x, y = problem(30, 8, 2)
    z, old, new = hyperparameters(2), slice(0, 25), slice(25, 30)
    joint = phi @ phi.T / np.exp(z[0]) + np.eye(30) / np.exp(z[1])
    gain = np.linalg.solve(joint[old, old], joint[old, new]).T
    mean = bowl(x[new], z) + gain @ (y[old] - bowl(x[old], z))
    variance = np.diag(joint[new, new] - gain @ joint[old, new])
    misfits = squared_misfits(gram(phi[old], x[old], y[old]).spectrum, z, phi[new], x[new], y[new])
    np.testing.assert_allclose(misfits, (y[new] - mean) ** 2 / variance, rtol=1e-8)


# --- priors ---------------------------------------------------------------------------------------------------------


def test_the_prior_is_the_product_of_its_factors() -> None:
    """Differences of the log prior equal those of scipy's normal densities and of the horseshoe written out."""

    def expected(z: np.ndarray) -> float:
        curvature = np.exp(z[5:])
        horseshoe = np.log(np.log(1.0 + 2.0 * (0.1 / curvature) ** 2)) + z[5:]
        means, deviations = [np.log(50) - 1.0, 7.0, 0.0, 0.5, 0.5], [2.0, 2.0, 2.0, 0.25, 0.25]
        return float(stats.norm(means, deviations).logpdf(z[:5]).sum() + horseshoe.sum())

    a, b = hyperparameters(2, seed=1), hyperparameters(2, seed=2, log_alpha=5.0, log_beta=9.0)
    assert log_prior(a, 50) - log_prior(b, 50) == pytest.approx(expected(a) - expected(b), rel=1e-12)


def test_the_horseshoe_is_proper_and_has_a_spike_and_a_tail() -> None:
    total, _ = integrate.quad(lambda u: np.exp(log_horseshoe(np.exp(u))), -40.0, 60.0, limit=200)
    spike, _ = integrate.quad(lambda u: np.exp(log_horseshoe(np.exp(u))), -40.0, np.log(0.1), limit=200)
    tail, _ = integrate.quad(lambda u: np.exp(log_horseshoe(np.exp(u))), np.log(1.0), 60.0, limit=200)
    assert 0.3 < spike / total < 0.7
    assert 0.03 < tail / total < 0.2


@pytest.mark.parametrize(
    ("index", "value"), [(0, 20.0), (0, -20.0), (1, 14.0), (1, -2.4), (-1, 7.0), (-1, -14.0), (-2, 7.0)]
)
def test_the_prior_vanishes_outside_its_support(index: int, value: float) -> None:
    z = hyperparameters(2)
    assert np.isfinite(log_prior(z, 50))
    z[index] = value
    assert log_prior(z, 50) == -np.inf


# --- sampling -------------------------------------------------------------------------------------------------------


def data_from(z: np.ndarray, n: int, seed: int) -> Gram:
    """Observations drawn from the model itself."""
    rng = np.random.default_rng(seed)
    phi, x = np.tanh(rng.standard_normal((n, 10))), rng.random((n, (len(z) - 3) // 2))
    weights = rng.standard_normal(10) / np.exp(0.5 * z[0])
    y = phi @ weights + bowl(x, z) + rng.standard_normal(n) / np.exp(0.5 * z[1])
    return gram(phi, x, y)


@pytest.mark.parametrize("log_beta", [1.0, 5.0, 13.0])
def test_samples_find_the_noise_of_many_data(log_beta: float) -> None:
    """log beta has standard error sqrt(2 / N): 0.07 for 400 data; 4 of them and that of 40 samples."""
    z = hyperparameters(2, log_alpha=1.0, log_beta=log_beta)
    samples = sample_hyperparameters(data_from(z, 400, 3).spectrum, np.random.default_rng(0), count=40)
    assert samples.shape == (40, 7)
    assert samples[:, 1].mean() == pytest.approx(log_beta, abs=0.3)
    assert samples[:, 1].std() < 0.15


@pytest.mark.parametrize("noise", [1e-3, 0.1])
def test_samples_of_a_bowl_find_it(noise: float) -> None:
    """An objective that is a bowl, of a flat third column: within 5 standard errors of ordinary least squares."""
    rng = np.random.default_rng(4)
    phi, x, _ = problem(200, 10, 3)
    y = -1.0 + 8.0 * (x[:, 0] - 0.3) ** 2 + 4.0 * (x[:, 1] - 0.8) ** 2 + noise * rng.standard_normal(200)
    samples = sample_hyperparameters(gram(phi, x, y).spectrum, np.random.default_rng(1), count=20)
    basis = quadratic_basis(x)
    errors = noise * np.sqrt(np.diag(np.linalg.inv(basis.T @ basis)))
    theta = mean_coefficients(samples).mean(axis=0)
    assert np.all(np.abs(theta[1:3] - [-4.8, -6.4]) < 5.0 * errors[1:3])
    assert np.all(np.abs(theta[4:] - [8.0, 4.0, 0.0]) < 5.0 * errors[4:])


def test_two_equal_observations_are_enough() -> None:
    phi, x, _ = problem(1, 50, 3)
    twice = gram(np.tile(phi, (2, 1)), np.tile(x, (2, 1)), np.zeros(2))
    samples = sample_hyperparameters(twice.spectrum, np.random.default_rng(2), count=10)
    assert np.all(np.isfinite(samples))


def test_a_chain_goes_on_from_an_earlier_sample() -> None:
    z = hyperparameters(2)
    spectrum = data_from(z, 50, 5).spectrum
    warm = [sample_hyperparameters(spectrum, np.random.default_rng(3), count=2, previous=z) for _ in range(2)]
    np.testing.assert_array_equal(warm[0], warm[1])
    cold = sample_hyperparameters(spectrum, np.random.default_rng(3), count=2)
    assert not np.array_equal(warm[0], cold)


@pytest.mark.parametrize("outside", [np.full(7, 100.0), hyperparameters(2, log_beta=-2.0)])
def test_an_earlier_sample_that_the_data_rule_out_is_passed_over(outside: np.ndarray) -> None:
    spectrum = data_from(hyperparameters(2), 50, 5).spectrum
    cold = sample_hyperparameters(spectrum, np.random.default_rng(3), count=2)
    np.testing.assert_array_equal(
        sample_hyperparameters(spectrum, np.random.default_rng(3), count=2, previous=outside), cold
    )

"""DNGO against textbook algebra in function space and in weight space, and against itself by longer ways round."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from utilities.basis import Basis
from utilities.dngo import DNGO
from utilities.dngo_posterior import RECENT, DNGOPosterior
from utilities.fourier_features import FourierFeatures
from utilities.linear_regressor import mean_coefficients, quadratic_basis
from utilities.neural_net import WIDTH, Network
from utilities.surrogate import Dataset, Parameters

COLUMNS = 3


def random_parameters(members: int = 2, samples: int = 3, frequencies: int = 7) -> Parameters:
    """Parameters as a fit might give them, without the fit."""
    rng = np.random.default_rng(0)
    factors = [(2.0, 0.5, 1), (4.0, 1.0, 1), (0.0, 1.0, 1), (0.5, 0.2, COLUMNS), (-1.0, 1.0, COLUMNS)]
    draws = [rng.normal(mean, deviation, (members, samples, width)) for mean, deviation, width in factors]
    hyperparameters = np.concatenate(draws, axis=2)
    network = Network.initial(COLUMNS, members, rng)
    fourier = FourierFeatures.draw(np.full(COLUMNS, 0.5), members, frequencies, rng) if frequencies else None
    return {
        **Basis(network, fourier).to_arrays(),
        "hyperparameters": hyperparameters,
        "offset": np.array(10.0),
        "scale": np.array(2.5),
    }


def data(n: int) -> Dataset:
    rng = np.random.default_rng([1, n])
    x = rng.random((n, COLUMNS))
    return Dataset(x, 10.0 + 2.5 * np.sin(4.0 * x.sum(axis=1)) + 0.1 * rng.standard_normal(n))


def posterior(n: int = 20, members: int = 2, samples: int = 3) -> DNGOPosterior:
    return DNGO(COLUMNS, members, samples).condition(random_parameters(members, samples), data(n))


def function_space(parameters: Parameters, observed: Dataset, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (S, m) and covariance (S, m, m) of the process with kernel phi phi' / alpha with the quadratic mean."""
    basis = Basis.from_arrays(parameters)
    y = (observed.y - parameters["offset"]) / parameters["scale"]
    hyperparameters = parameters["hyperparameters"]
    means, covariances = [], []
    for member, sample in product(*map(range, hyperparameters.shape[:2])):
        z = hyperparameters[member, sample]
        alpha, beta, theta = np.exp(z[0]), np.exp(z[1]), mean_coefficients(z)
        seen, new = basis.phi(observed.x)[member], basis.phi(x)[member]
        k = seen @ seen.T / alpha + np.eye(len(y)) / beta
        cross = new @ seen.T / alpha
        residual = y - quadratic_basis(observed.x) @ theta
        means.append(quadratic_basis(x) @ theta + cross @ np.linalg.solve(k, residual))
        covariances.append(new @ new.T / alpha - cross @ np.linalg.solve(k, cross.T))
    return np.array(means), np.array(covariances)


# --- prediction -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("members", "frequencies"), [(1, 0), (1, 7), (3, 7)])
@pytest.mark.parametrize("n", [0, 1, 20, 120])
@pytest.mark.parametrize("points", [0, 1, 7])
def test_prediction_is_that_of_the_gaussian_process(members: int, frequencies: int, n: int, points: int) -> None:
    """Fewer observations than basis functions, and more; none gives the prior."""
    parameters, observed = random_parameters(members, frequencies=frequencies), data(n)
    x = np.random.default_rng(2).random((points, COLUMNS))
    mean, variance = DNGO(COLUMNS, members, 3).condition(parameters, observed).predict(x)
    expected_mean, expected_covariance = function_space(parameters, observed, x)
    assert mean.shape == (3 * members, 1, points)
    assert variance.shape == (3 * members, points)
    np.testing.assert_allclose(mean[:, 0], expected_mean, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(variance, expected_covariance.diagonal(axis1=1, axis2=2), rtol=1e-6, atol=1e-9)


def test_prediction_is_equations_3_to_6_of_the_paper() -> None:
    """The weight-space form of [P], eq 4 without its 1/beta, which is the noise."""
    parameters, observed, x = (
        random_parameters(1, 1, frequencies=0),
        data(30),
        np.random.default_rng(2).random((5, COLUMNS)),
    )
    z = parameters["hyperparameters"][0, 0]
    alpha, beta, theta = np.exp(z[0]), np.exp(z[1]), mean_coefficients(z)
    network = Network.from_arrays(parameters)
    phi, new = network.phi(observed.x)[0], network.phi(x)[0]
    y = (observed.y - 10.0) / 2.5
    k = beta * phi.T @ phi + alpha * np.eye(WIDTH)
    m = beta * np.linalg.solve(k, phi.T @ (y - quadratic_basis(observed.x) @ theta))
    p = DNGO(COLUMNS, 1, 1).condition(parameters, observed)
    mean, variance = p.predict(x)
    np.testing.assert_allclose(p.noise(), [1.0 / beta])
    np.testing.assert_allclose(mean[0, 0], new @ m + quadratic_basis(x) @ theta, rtol=1e-8)
    np.testing.assert_allclose(variance[0], np.sum(new * np.linalg.solve(k, new.T).T, axis=1), rtol=1e-8)


def test_the_order_of_observations_does_not_matter() -> None:
    parameters, observed = random_parameters(), data(40)
    order = np.random.default_rng(3).permutation(40)
    surrogate, x = DNGO(COLUMNS, 2, 3), np.random.default_rng(4).random((5, COLUMNS))
    a = surrogate.condition(parameters, observed).predict(x)
    b = surrogate.condition(parameters, Dataset(observed.x[order], observed.y[order])).predict(x)
    np.testing.assert_allclose(a[0], b[0], rtol=1e-8)
    np.testing.assert_allclose(a[1], b[1], rtol=1e-8)


def test_variance_never_vanishes() -> None:
    """A basis that is zero everywhere: all weights and biases zero."""
    parameters = dict(random_parameters())
    for name in [name for name in parameters if name.startswith(("weight", "bias"))]:
        parameters[name] = np.zeros_like(parameters[name])
    _, variance = DNGO(COLUMNS, 2, 3).condition(parameters, data(5)).predict(np.zeros((2, COLUMNS)))
    assert np.all(variance > 0.0)


def test_blocks_of_observations_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(5).random((4, COLUMNS))
    whole = posterior(20).predict(x)
    monkeypatch.setattr("utilities.dngo.BLOCK", 7)
    for got, expected in zip(posterior(20).predict(x), whole, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-8)


# --- more data, and fantasies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "steps"), [(0, [1]), (5, [1]), (60, [7]), (60, [40]), (10, [0]), (10, [1] * 37)])
def test_extending_is_conditioning_on_everything(before: int, steps: list[int]) -> None:
    """At once or one by one, and beyond what is kept apart from a decomposition."""
    parameters, everything, surrogate = random_parameters(), data(before + sum(steps)), DNGO(COLUMNS, 2, 3)
    extended = surrogate.condition(parameters, Dataset(everything.x[:before], everything.y[:before]))
    for end, step in zip(before + np.cumsum(steps), steps, strict=True):
        extended = extended.extend(everything.x[end - step : end], everything.y[end - step : end])
        assert extended.narrowing.shape[3] <= RECENT
    x = np.random.default_rng(5).random((6, COLUMNS))
    for got, expected in zip(extended.predict(x), surrogate.condition(parameters, everything).predict(x), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_new_observations_are_kept_apart_until_there_are_many() -> None:
    everything = data(20 + RECENT + 1)
    p = posterior(20).extend(everything.x[20:-1], everything.y[20:-1])
    assert p.narrowing.shape[3] == RECENT
    assert p.extend(everything.x[-1:], everything.y[-1:]).narrowing.shape[3] == 0


@pytest.fixture(params=["apart", "decomposed"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether pending points are kept apart or decomposed with the rest."""
    if request.param == "decomposed":
        monkeypatch.setattr("utilities.dngo_posterior.FEW", 0)
    return str(request.param)


@pytest.mark.parametrize("recent", [0, 5])
@pytest.mark.parametrize("n", [0, 10, 80])
def test_fantasies_are_conditioning_on_outcomes_drawn_from_the_prediction(path: str, n: int, recent: int) -> None:
    """Variances are those of a refit; means vary as C_xq (C_qq + noise)^-1 C_qx around the plain ones.

    Over 4000 fantasies, within five standard errors: those of a mean and of a Gaussian's covariance.
    """
    parameters, observed, surrogate = random_parameters(), data(n + recent), DNGO(COLUMNS, 2, 3)
    plain = surrogate.condition(parameters, Dataset(observed.x[:n], observed.y[:n]))
    plain = plain.extend(observed.x[n:], observed.y[n:])
    rng = np.random.default_rng(6)
    pending, x = rng.random((3, COLUMNS)), rng.random((4, COLUMNS))
    fantasised = plain.fantasize(pending, 4000, rng)
    assert fantasised.narrowing.shape[3] == (recent + 3 if path == "apart" else 0)
    drawn, variance = fantasised.predict(x)
    refit = Dataset(np.vstack([observed.x, pending]), np.append(observed.y, np.zeros(3)))
    np.testing.assert_allclose(variance, surrogate.condition(parameters, refit).predict(x)[1], rtol=1e-6)
    means, covariances = function_space(parameters, observed, np.vstack([x, pending]))
    for draws, mean, joint, noise in zip(drawn, means, covariances, plain.noise(), strict=True):
        cross = joint[:4, 4:]
        expected = cross @ np.linalg.solve(joint[4:, 4:] + noise * np.eye(3), cross.T)
        spread = np.diag(expected)
        assert np.all(np.abs(draws.mean(axis=0) - mean[:4]) < 5.0 * np.sqrt(spread / 4000) + 1e-9)
        error = np.sqrt((expected**2 + np.outer(spread, spread)) / 4000)
        assert np.all(np.abs(np.cov(draws.T) - expected) < 5.0 * error + 1e-12)


@pytest.mark.usefixtures("path")
def test_fantasies_without_pending_points_change_nothing() -> None:
    x = np.random.default_rng(10).random((4, COLUMNS))
    mean, variance = posterior().predict(x)
    same_mean, same_variance = posterior().fantasize(np.empty((0, COLUMNS)), 2, np.random.default_rng(0)).predict(x)
    np.testing.assert_allclose(same_mean, np.repeat(mean, 2, axis=1), rtol=1e-9)
    np.testing.assert_allclose(same_variance, variance, rtol=1e-9)


def test_a_posterior_with_fantasies_is_neither_extended_nor_given_more() -> None:
    rng = np.random.default_rng(12)
    fantasised = posterior().fantasize(rng.random((2, COLUMNS)), 1, rng)
    with pytest.raises(ValueError, match="cannot be extended"):
        fantasised.extend(rng.random((1, COLUMNS)), np.zeros(1))
    with pytest.raises(ValueError, match="holds some already"):
        fantasised.fantasize(rng.random((2, COLUMNS)), 1, rng)


@pytest.mark.parametrize(("samples", "most", "kept"), [(4, 3, [0, 2]), (1, 3, [0]), (3, 3, [0, 1, 2])])
def test_thin_is_some_components_of_one_network(samples: int, most: int, kept: list[int]) -> None:
    """In single precision: six digits, less what cancels."""
    rng = np.random.default_rng(25)
    whole = posterior(samples=samples).fantasize(rng.random((3, COLUMNS)), 2, rng)
    x = rng.random((5, COLUMNS))
    mean, variance = whole.predict(x)
    rough_mean, rough_variance = whole.thin(most).predict(x)
    averaged = mean[kept].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(rough_mean, averaged, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(rough_variance, variance[kept], rtol=1e-3, atol=1e-6)


# --- gradients and draws --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("recent", [0, 5])
@pytest.mark.parametrize("fantasies", [0, 4])
@pytest.mark.parametrize("members", [1, 3])
def test_derivatives_are_finite_differences(members: int, fantasies: int, recent: int) -> None:
    rng = np.random.default_rng(13)
    p = posterior(members=members).extend(rng.random((recent, COLUMNS)), rng.standard_normal(recent))
    if fantasies:
        p = p.fantasize(rng.random((3, COLUMNS)), fantasies, rng)
    x = rng.random((5, COLUMNS))
    mean, variance, pullback = p.differentiate(x)
    np.testing.assert_allclose(mean, p.predict(x)[0], rtol=1e-9)
    np.testing.assert_allclose(variance, p.predict(x)[1], rtol=1e-9)
    by_mean, by_variance = rng.standard_normal(mean.shape), rng.standard_normal(variance.shape)
    expected = np.empty_like(x)
    for column in range(COLUMNS):
        step = np.zeros(COLUMNS)
        step[column] = 1e-5
        (up_mean, up_variance), (down_mean, down_variance) = p.predict(x + step), p.predict(x - step)
        rise = (by_mean * (up_mean - down_mean)).sum(axis=(0, 1)) + (by_variance * (up_variance - down_variance)).sum(0)
        expected[:, column] = rise / 2e-5
    for _ in range(2):  # a pullback serves more than once
        np.testing.assert_allclose(pullback(by_mean, by_variance), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("recent", [0, 6])
def test_draws_are_functions_not_independent_values(recent: int) -> None:
    """One component's draws have its covariance: whitened, they are standard normal (Kolmogorov-Smirnov)."""
    parameters, observed, rng = random_parameters(1, 1), data(10), np.random.default_rng(15)
    x = rng.random((3, COLUMNS))
    known = Dataset(observed.x[recent:], observed.y[recent:])
    p = DNGO(COLUMNS, 1, 1).condition(parameters, known).extend(observed.x[:recent], observed.y[:recent])
    draws = np.array([p.draw(rng).value(x) for _ in range(2000)])
    mean, covariance = function_space(parameters, observed, x)
    white = np.linalg.solve(np.linalg.cholesky(covariance[0]), (draws - mean[0]).T)
    assert min(stats.kstest(row, "norm").pvalue for row in white) > 1e-4
    assert np.all(np.abs(np.corrcoef(white) - np.eye(3)) < 5.0 / np.sqrt(2000))

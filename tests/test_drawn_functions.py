"""Functions drawn from posteriors: moments against the posterior's own, gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from utilities.dngo import DNGO
from utilities.dngo_posterior import DNGOPosterior
from utilities.drawn_functions import PriorDraw
from utilities.gaussian_posterior import GaussianPosterior
from utilities.gaussian_process import GaussianProcess
from utilities.kernels import Kernel
from utilities.surrogate import Array, Dataset, Posterior

COLUMNS = 3
DRAWS = 2000


def data() -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.random((12, COLUMNS))
    return Dataset(x, np.sin(5.0 * x[:, 0]) + x[:, 1] ** 2 + 0.1 * rng.standard_normal(12))


def gp() -> GaussianPosterior:
    warped = np.array([True, False, True])
    parameters = {
        "log_lengthscale": np.log([[0.4, 0.5, 1.0], [0.3, 0.8, 2.0]]),
        "log_outputscale": np.log([1.0, 0.6]),
        "log_noise": np.log([1e-2, 1e-3]),
        "log_a": np.array([[0.2, -0.3], [0.0, 0.1]]),
        "log_b": np.array([[0.1, 0.4], [0.0, -0.1]]),
        "offset": np.array(0.3),
        "scale": np.array(0.8),
    }
    return GaussianProcess(np.arange(COLUMNS), warped).condition(parameters, data())


def dngo() -> DNGOPosterior:
    surrogate = DNGO(COLUMNS, members=2, samples=3)
    return surrogate.condition(surrogate.fit(data(), np.random.default_rng(1)), data())


def extended_dngo() -> DNGOPosterior:
    """The same with five observations kept apart from its decomposition."""
    surrogate, known = DNGO(COLUMNS, members=2, samples=3), data()
    parameters = surrogate.fit(known, np.random.default_rng(1))
    return surrogate.condition(parameters, Dataset(known.x[:7], known.y[:7])).extend(known.x[7:], known.y[7:])


def priors(posterior: GaussianPosterior | DNGOPosterior, a: Array, b: Array) -> Array:
    """Covariance (S, m, n) of each component's prior between points a (m, p) and b (n, p)."""
    if isinstance(posterior, GaussianPosterior):
        return posterior.kernel.between(posterior.kernel.embed(a), posterior.kernel.embed(b))
    phi = posterior.basis.phi(a) @ posterior.basis.phi(b).transpose(0, 2, 1)
    return (phi[:, None] / np.exp(posterior.hyperparameters[:, :, 0])[..., None, None]).reshape(-1, len(a), len(b))


def mixture(posterior: GaussianPosterior | DNGOPosterior, x: Array) -> tuple[Array, Array]:
    """Mean (m,) and covariance (m, m) over components: textbook conditioning, and the law of total variance."""
    known = data().x
    gram = priors(posterior, known, known) + posterior.noise()[:, None, None] * np.eye(len(known))
    cross = priors(posterior, x, known)
    within = priors(posterior, x, x) - cross @ np.linalg.inv(gram) @ cross.transpose(0, 2, 1)
    means = posterior.predict(x)[0][:, 0]
    return means.mean(axis=0), within.mean(axis=0) + np.cov(means.T, bias=True)


@pytest.mark.parametrize("build", [gp, dngo, extended_dngo])
def test_draws_have_the_posteriors_mean_and_covariance(
    build: Callable[[], GaussianPosterior | DNGOPosterior],
) -> None:
    posterior = build()
    x = np.vstack([data().x[:2], np.random.default_rng(2).random((5, COLUMNS))])
    rng = np.random.default_rng(3)
    draws = np.array([posterior.draw(rng).value(x) for _ in range(DRAWS)])
    mean, covariance = mixture(posterior, x)
    spread = np.sqrt(np.diag(covariance))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - mean), 4.5 * spread / np.sqrt(DRAWS))
    # The variance of an estimated covariance of Gaussians is (c_ij^2 + c_ii c_jj) / N; a mixture's tails are heavier.
    deviation = np.sqrt((covariance**2 + np.outer(spread, spread) ** 2) / DRAWS)
    assert np.all(np.abs(np.cov(draws.T) - covariance) < 7.0 * deviation)


@pytest.mark.parametrize("build", [gp, dngo, extended_dngo])
def test_a_draw_given_fantasies_is_one_of_them(build: Callable[[], Posterior]) -> None:
    pending = np.random.default_rng(4).random((2, COLUMNS))
    posterior = build().fantasize(pending, 3, np.random.default_rng(5))
    draws = np.array([posterior.draw(np.random.default_rng(i)).value(pending) for i in range(DRAWS)])
    mean, variance = posterior.predict(pending)
    total = (variance[:, None] + mean**2).mean(axis=(0, 1)) - mean.mean(axis=(0, 1)) ** 2
    expected = mean.mean(axis=(0, 1))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - expected), 4.5 * np.sqrt(total / DRAWS))
    np.testing.assert_allclose(draws.var(axis=0), total, rtol=0.2)


@pytest.mark.parametrize("build", [gp, dngo, extended_dngo])
def test_gradients_agree_with_finite_differences(build: Callable[[], Posterior]) -> None:
    function = build().draw(np.random.default_rng(6))
    x = 0.1 + 0.8 * np.random.default_rng(7).random((6, COLUMNS))
    value, gradient = function.value_and_gradient(x)
    np.testing.assert_allclose(value, function.value(x), rtol=1e-10, atol=1e-10)
    for column in range(COLUMNS):
        shift = 1e-5 * np.eye(COLUMNS)[column]
        numeric = (function.value(x + shift) - function.value(x - shift)) / 2e-5
        np.testing.assert_allclose(gradient[:, column], numeric, rtol=1e-4, atol=1e-6)


def test_prior_draws_have_the_kernel_as_covariance() -> None:
    nothing = np.empty((1, 0))
    kernel = Kernel(np.array([[2.0, 0.5]]), np.array([0.7]), np.empty(0, dtype=np.intp), nothing, nothing)
    z = kernel.embed(np.random.default_rng(8).random((5, 2)))
    rng = np.random.default_rng(9)
    draws = np.array([PriorDraw.of(kernel, rng).value(z[0]) for _ in range(DRAWS)])
    exact = kernel.between(z, z)[0]
    deviation = np.sqrt((exact**2 + exact[0, 0] ** 2) / DRAWS)
    assert np.all(np.abs(draws.T @ draws / DRAWS - exact) < 5.0 * deviation)

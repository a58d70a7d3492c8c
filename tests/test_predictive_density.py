"""The log predictive density against scipy's normal mixture, and its sum over a run against brute-force evidence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from utilities.gaussian_posterior import GaussianPosterior
from utilities.kernels import Kernel
from utilities.predictive_density import log_density

X = np.random.default_rng(0).random((12, 2))
Y = 10.0 + 2.5 * np.sin(4.0 * X.sum(axis=1))


def prior(samples: int) -> GaussianPosterior:
    nothing = np.empty((samples, 0))
    scales = np.full((samples, 2), 2.0) + np.arange(samples)[:, None]
    kernel = Kernel(scales, np.ones(samples), np.empty(0, dtype=np.intp), nothing, nothing)
    return GaussianPosterior.prior(kernel, np.full(samples, 1e-2), offset=10.0, scale=2.5)


def test_density_is_that_of_the_mixture() -> None:
    posterior = prior(3).extend(X, Y)
    x, y = np.random.default_rng(1).random((5, 2)), np.linspace(5.0, 15.0, 5)
    mean, variance = posterior.predict(x)
    density = stats.norm(mean[:, 0], np.sqrt(variance + 1e-2)).pdf((y - 10.0) / 2.5).mean(axis=0)
    np.testing.assert_allclose(log_density(posterior, x, y), np.log(density))


def test_steps_ahead_add_up_to_the_evidence() -> None:
    """The chain rule: density of all outcomes jointly, by the N x N Gaussian, told one at a time."""
    posterior, total = prior(1), 0.0
    z = posterior.kernel.embed(X)
    covariance = posterior.kernel.between(z, z)[0] + 1e-2 * np.eye(len(X))
    for i in range(len(X)):
        total += log_density(posterior, X[i : i + 1], Y[i : i + 1]).item()
        posterior = posterior.extend(X[i : i + 1], Y[i : i + 1])
    expected = stats.multivariate_normal(np.zeros(len(X)), covariance).logpdf((Y - 10.0) / 2.5)
    assert total == pytest.approx(expected, rel=1e-9)


def test_outcomes_far_off_have_a_finite_density() -> None:
    assert np.all(np.isfinite(log_density(prior(3).extend(X, Y), X[:2], np.array([1e6, -1e6]))))

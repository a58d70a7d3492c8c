"""Hamiltonian Monte Carlo against densities whose moments are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import digamma, polygamma

from utilities.hamiltonian import hmc_samples

COUNT = 4000


@pytest.mark.parametrize("dimension", [1, 5, 30])
def test_moments_of_a_normal(dimension: int) -> None:
    """With an acceptance of 0.8 or more and little correlation, a mean of 4,000 draws is within 5 / sqrt(2,000)."""
    scale = np.linspace(0.7, 1.3, dimension)

    def log_density(u: np.ndarray) -> tuple[float, np.ndarray]:
        return -0.5 * float(np.sum((u / scale) ** 2)), -u / scale**2

    start = np.zeros(dimension)
    draws = hmc_samples(log_density, start, np.random.default_rng(0), count=COUNT, burn_in=5)
    bound = 5.0 / math.sqrt(COUNT / 2)
    assert np.abs(draws.mean(axis=0) / scale).max() < bound
    assert np.abs(draws.var(axis=0) / scale**2 - 1.0).max() < bound * math.sqrt(2.0)
    correlation = np.corrcoef(draws[1:, 0], draws[:-1, 0])[0, 1]
    assert abs(correlation) < 0.5


def test_a_skewed_density() -> None:
    """A draw u with exp(u) ~ Gamma(4): its mean is digamma(4), its variance trigamma(4)."""

    def log_density(u: np.ndarray) -> tuple[float, np.ndarray]:
        return float(4.0 * u[0] - math.exp(u[0])), 4.0 - np.exp(u)

    draws = hmc_samples(log_density, np.ones(1), np.random.default_rng(1), count=2 * COUNT, burn_in=10)[:, 0]
    variance = float(polygamma(1, 4))
    assert draws.mean() == pytest.approx(float(digamma(4)), abs=5.0 * math.sqrt(variance / COUNT))
    assert draws.var() == pytest.approx(variance, rel=0.15)


def test_the_support_is_never_left() -> None:
    def half_normal(u: np.ndarray) -> tuple[float, np.ndarray]:
        return (-0.5 * float(u @ u) if u[0] > 0.0 else -math.inf), -u

    draws = hmc_samples(half_normal, np.array([1.0, 0.0]), np.random.default_rng(2), count=COUNT, burn_in=5)
    assert draws[:, 0].min() > 0.0
    assert draws[:, 0].mean() == pytest.approx(math.sqrt(2.0 / math.pi), abs=0.06)


def test_a_start_outside_of_the_support_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        hmc_samples(lambda u: (-math.inf, u), np.zeros(2), np.random.default_rng(0), count=1, burn_in=0)

"""Slice sampling against densities whose exact draws are known.

Two kinds of check. Invariance: chains that start at exact draws end at exact draws, so that each chain's end is an
independent sample and the tolerances are those of textbook tests. Convergence: chains that all start at one bad point
forget it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from utilities.slice_sampling import slice_sample, slice_samples

MEAN = np.array([1.0, -2.0])
COVARIANCE = np.array([[1.0, 0.9 * 3.0], [0.9 * 3.0, 9.0]])
PRECISION = np.linalg.inv(COVARIANCE)
SIGNIFICANCE = 1e-4  # of each test; a seed is fixed, so a pass stays a pass


def normal_log_density(z: np.ndarray) -> float:
    r = z - MEAN
    return float(-0.5 * r @ PRECISION @ r)


def wedge_log_density(z: np.ndarray) -> float:
    """Exp(-x) on 0 < y < x, which makes x ~ Gamma(2) and y/x uniform; -inf elsewhere."""
    return float(-z[0]) if 0.0 < z[1] < z[0] else -np.inf


def normal_p_values(ends: np.ndarray) -> list[float]:
    """P values of: each whitened coordinate is N(0, 1), they are independent, the squared radius is chi2(2)."""
    white = (ends - MEAN) @ np.linalg.inv(np.linalg.cholesky(COVARIANCE)).T
    return [
        stats.kstest(white[:, 0], "norm").pvalue,
        stats.kstest(white[:, 1], "norm").pvalue,
        stats.pearsonr(white[:, 0], white[:, 1]).pvalue,
        stats.kstest((white**2).sum(axis=1), stats.chi2(2).cdf).pvalue,
    ]


def wedge_p_values(ends: np.ndarray) -> list[float]:
    return [
        stats.kstest(ends[:, 0], stats.gamma(2).cdf).pvalue,
        stats.kstest(ends[:, 1] / ends[:, 0], "uniform").pvalue,
    ]


def chain_ends(log_density: Callable[[np.ndarray], float], starts: np.ndarray, **options: object) -> np.ndarray:
    rng = np.random.default_rng(7)
    return np.array([slice_sample(log_density, start, rng, **options) for start in starts])  # type: ignore[arg-type]


OPTIONS = [
    {"sweeps": 3, "width": 1.0},
    {"sweeps": 3, "width": np.array([0.2, 5.0]), "step_out": 3},
    {"sweeps": 3, "width": 0.5, "step_out": 0},
    {"sweeps": 2, "width": 2.0, "coordinates": True},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_correlated_normal_is_left_invariant(options: dict[str, object]) -> None:
    starts = np.random.default_rng(1).multivariate_normal(MEAN, COVARIANCE, size=1000)
    assert min(normal_p_values(chain_ends(normal_log_density, starts, **options))) > SIGNIFICANCE


@pytest.mark.parametrize("options", OPTIONS)
def test_a_bounded_region_is_left_invariant(options: dict[str, object]) -> None:
    rng = np.random.default_rng(2)
    x = rng.gamma(2.0, size=1000)
    starts = np.column_stack([x, x * rng.random(1000)])
    ends = chain_ends(wedge_log_density, starts, **options)
    assert np.all((ends[:, 1] > 0.0) & (ends[:, 1] < ends[:, 0]))
    assert min(wedge_p_values(ends)) > SIGNIFICANCE


def test_the_check_can_fail() -> None:
    """A chain for a density 30 % wider is told from the right one, so the invariance tests have power."""
    starts = np.random.default_rng(1).multivariate_normal(MEAN, COVARIANCE, size=1000)
    ends = chain_ends(lambda z: normal_log_density(z) / 1.3**2, starts, sweeps=6, width=2.0)
    assert min(normal_p_values(ends)) < SIGNIFICANCE


@pytest.mark.parametrize("coordinates", [False, True])
def test_a_bad_start_is_forgotten(coordinates: bool) -> None:
    starts = np.tile([8.0, -15.0], (400, 1))
    ends = chain_ends(normal_log_density, starts, sweeps=40, width=2.0, coordinates=coordinates)
    assert min(normal_p_values(ends)) > SIGNIFICANCE


def test_samples_of_one_chain_have_the_right_moments() -> None:
    """Batch means give the standard error of the mean of a correlated chain; 4 of them is the tolerance."""
    samples = slice_samples(
        normal_log_density, np.array([8.0, -15.0]), np.random.default_rng(3), count=2000, burn_in=100, thin=2, width=2.0
    )
    assert samples.shape == (2000, 2)
    batches = samples.reshape(20, 100, 2).mean(axis=1)
    error = batches.std(axis=0, ddof=1) / np.sqrt(20)
    assert np.all(np.abs(samples.mean(axis=0) - MEAN) < 4.0 * error)
    assert np.all(error < 0.2 * np.sqrt(np.diag(COVARIANCE)))


def test_samples_follow_the_single_chain() -> None:
    start = np.zeros(2)
    samples = slice_samples(normal_log_density, start, np.random.default_rng(4), count=3, burn_in=5, thin=2)
    rng = np.random.default_rng(4)
    expected = [slice_sample(normal_log_density, start, rng, sweeps=7)]
    for _ in range(2):
        expected.append(slice_sample(normal_log_density, expected[-1], rng, sweeps=2))
    np.testing.assert_array_equal(samples, expected)


def test_the_start_is_not_written_to() -> None:
    start = np.zeros(2)
    slice_sample(normal_log_density, start, np.random.default_rng(0), sweeps=3)
    np.testing.assert_array_equal(start, 0.0)


def test_no_sweeps_return_the_start() -> None:
    np.testing.assert_array_equal(
        slice_sample(normal_log_density, np.ones(2), np.random.default_rng(0), sweeps=0), np.ones(2)
    )


def test_a_slice_of_one_point_ends() -> None:
    """A density that only its start has: the interval shrinks to nothing and the chain stays."""
    assert slice_sample(lambda z: 0.0 if z[0] == 1.0 else np.nan, np.ones(1), np.random.default_rng(0), sweeps=2) == 1.0


@pytest.mark.parametrize("value", [-np.inf, np.nan, np.inf])
def test_a_start_without_density_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="must start where the log density is finite"):
        slice_sample(lambda z: value, np.zeros(1), np.random.default_rng(0), sweeps=1)

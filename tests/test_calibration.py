"""One-step-ahead records: densities, coverage, and the shares that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import norm

from utilities.calibration import WINDOW, Scores, foresee, weights
from utilities.output_transform import OutputTransform


@dataclass
class Fixed:
    """A posterior of two components that predicts the same everywhere."""

    means: tuple[float, float]
    variances: tuple[float, float]

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ones = np.ones(len(x))
        return np.array([[m * ones] for m in self.means]), np.array([v * ones for v in self.variances])

    def noise(self) -> np.ndarray:
        return np.array([0.5, 0.25])

    def noise_of(self, variance: np.ndarray | None) -> np.ndarray:
        return self.noise()[:, None] + (0.0 if variance is None else variance)


def test_foresight_is_that_of_the_mixture() -> None:
    y = np.array([-1.0, 0.3, 2.0])
    density, place = foresee(Fixed((0.0, 1.0), (0.5, 0.75)), np.zeros((3, 2)), y)  # type: ignore[arg-type]
    one, two = norm(0.0, 1.0), norm(1.0, 1.0)
    np.testing.assert_allclose(density, np.log(0.5 * (one.pdf(y) + two.pdf(y))))
    np.testing.assert_allclose(place, 0.5 * (one.cdf(y) + two.cdf(y)))


def test_coverage_of_honest_and_of_overconfident_predictions() -> None:
    draws = np.random.default_rng(0).standard_normal(WINDOW)
    honest, cocky = Scores(), Scores()
    honest.add(norm.logpdf(draws), norm.cdf(draws))
    cocky.add(norm(scale=0.2).logpdf(draws), norm(scale=0.2).cdf(draws))
    deviation = np.sqrt(0.9 * 0.1 / WINDOW)
    assert abs(honest.coverage(0.9) - 0.9) < 3.0 * deviation
    assert cocky.coverage(0.9) < 0.9 - 5.0 * deviation
    assert weights([honest, cocky])[0] > 0.999


def test_only_the_window_counts() -> None:
    scores = Scores()
    scores.add(np.full(WINDOW, -9.0), np.zeros(WINDOW))
    scores.add(np.full(WINDOW, 1.0), np.full(WINDOW, 0.5))
    assert scores.recent.tolist() == [1.0] * WINDOW
    assert scores.coverage(0.5) == 1.0


def test_shares_are_equal_until_enough_was_foreseen_and_then_follow_the_odds() -> None:
    better, worse = Scores(), Scores()
    better.add(np.full(9, 5.0), np.full(9, 0.5))
    worse.add(np.full(30, 0.0), np.full(30, 0.5))
    assert weights([better, worse]).tolist() == [0.5, 0.5]
    better.add(np.array([5.0]), np.array([0.5]))
    assert weights([better, worse])[0] > 0.99
    tied = Scores()
    tied.add(np.full(30, 5.0 - 0.1), np.full(30, 0.5))
    assert weights([better, tied])[0] == pytest.approx(np.e / (1.0 + np.e))


def test_one_surprise_is_no_verdict() -> None:
    steady, surprised = Scores(), Scores()
    steady.add(np.zeros(50), np.full(50, 0.5))
    surprised.add(np.append(np.full(49, 0.3), -1e6), np.full(50, 0.5))
    assert weights([steady, surprised])[1] > 0.5


def test_a_fall_of_the_density_is_noticed() -> None:
    scores = Scores()
    scores.add(np.full(20, 1.0), np.full(20, 0.5))
    assert not scores.fallen
    scores.add(np.full(5, -0.5), np.full(5, 0.5))
    assert scores.fallen


def test_log_slope_is_the_jacobian_of_the_transform() -> None:
    rng = np.random.default_rng(3)
    y = rng.standard_normal(30) ** 3
    transform = OutputTransform.fit(y)
    at = np.concatenate([0.5 * (transform.knots[1:] + transform.knots[:-1]), [y.min() - 1.0, y.max() + 1.0]])
    step = 1e-7
    numeric = (transform.apply(at + step) - transform.apply(at - step)) / (2.0 * step)
    np.testing.assert_allclose(np.exp(transform.log_slope(at)), numeric, rtol=1e-5)

"""Log EI against numerical integration far into the tail; gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp, mpf, ncdf, npdf

from utilities.acquisition import (
    ConfidenceBound,
    LogExpectedImprovement,
    NegativeDraw,
    NegativeMean,
    log_expected_improvement,
    log_h,
    log_worth,
)
from utilities.surrogate import Array, Pullback


def exact_log_ei(mean: float, sd: float, best: float) -> float:
    """Integrate (best - y)+ against the normal density with 60 digits."""
    mp.dps = 60
    spread, centre, goal = mpf(sd), mpf(mean), mpf(best)
    reach = spread / (1 + abs(goal - centre) / spread)  # the length over which the density falls by a factor e
    steps = [goal - reach * width for width in (0, 0.1, 1, 3, 10, 30, 100, 300)]
    total = mp.quad(lambda y: (goal - y) * npdf(y, centre, spread), list(reversed(steps)))
    return float(mp.log(total))


@pytest.mark.parametrize(
    ("mean", "sd", "best"),
    [(0.0, 1.0, 0.0), (0.0, 1.0, 3.0), (1.0, 0.5, 0.9), (0.0, 0.1, -1.0), (2.0, 1.0, -20.0), (0.0, 1e-3, -0.03)],
)
def test_log_ei_agrees_with_integration(mean: float, sd: float, best: float) -> None:
    value = log_expected_improvement(np.full((1, 1, 1), mean), np.full((1, 1), sd**2), np.full((1, 1), best))[0]
    assert value.item() == pytest.approx(exact_log_ei(mean, sd, best), rel=1e-9)


@pytest.mark.parametrize("z", [5.0, 0.0, -0.999, -1.0, -1.001, -30.0, -99.9, -100.1, -1e3, -1e6])
def test_log_h_and_its_ratios(z: float) -> None:
    mp.dps = 80
    h = npdf(z) + mpf(z) * ncdf(z)
    value, cdf_ratio, pdf_ratio = log_h(np.array([z]))
    assert value.item() == pytest.approx(float(mp.log(h)), rel=1e-10)
    assert cdf_ratio.item() == pytest.approx(float(ncdf(z) / h), rel=1e-7)
    assert pdf_ratio.item() == pytest.approx(float(npdf(z) / h), rel=1e-7)


def test_log_h_is_finite_where_ei_underflows() -> None:
    for values in log_h(np.array([-1e8, -1e12])):
        assert np.all(np.isfinite(values))


class Toy:
    """A posterior in closed form: mean a.x + b |x|^2 for each component and fantasy, variance c exp(-|x|^2)."""

    offset, scale = 0.0, 1.0

    def __init__(self, components: int, fantasies: int, columns: int) -> None:
        rng = np.random.default_rng(0)
        self.a = rng.normal(size=(components, fantasies, columns))
        self.b = rng.random(size=(components, fantasies))
        self.c = 0.1 + rng.random(components)

    def predict(self, x: Array) -> tuple[Array, Array]:
        square = np.sum(x**2, axis=1)
        return self.a @ x.T + self.b[..., None] * square, self.c[:, None] * np.exp(-square)

    def noise(self) -> Array:
        return 0.5 * self.c

    def noise_of(self, variance: Array | None) -> Array:
        return self.noise()[:, None] + (0.0 if variance is None else variance)

    def differentiate(self, x: Array) -> tuple[Array, Array, Pullback]:
        def pullback(grad_mean: Array, grad_variance: Array) -> Array:
            square = np.sum(x**2, axis=1)
            slope = np.einsum("sfm,sfp->mp", grad_mean, self.a)
            slope += 2.0 * np.einsum("sfm,sf->m", grad_mean, self.b)[:, None] * x
            return slope - 2.0 * (np.einsum("sm,s->m", grad_variance, self.c) * np.exp(-square))[:, None] * x

        return *self.predict(x), pullback


@pytest.mark.parametrize(("components", "fantasies"), [(1, 1), (3, 1), (2, 4)])
@pytest.mark.parametrize("kind", ["ei", "noisy ei", "noisier ei", "ucb", "mean"])
def test_gradients_agree_with_finite_differences(components: int, fantasies: int, kind: str) -> None:
    posterior = Toy(components, fantasies, 3)
    known = np.random.default_rng(1).random((5, 3))
    acquisition = {
        "ei": lambda: LogExpectedImprovement(posterior, known),
        "noisy ei": lambda: LogExpectedImprovement(posterior, known, noise=0.0),
        "noisier ei": lambda: LogExpectedImprovement(posterior, known, noise=0.4),
        "ucb": lambda: ConfidenceBound(posterior, 1.8),
        "mean": lambda: NegativeMean(posterior),
    }[kind]()
    x = np.random.default_rng(2).random((7, 3)) * 3.0
    value, gradient = acquisition.value_and_gradient(x)
    np.testing.assert_allclose(value, acquisition.value(x))
    step = 1e-6
    for column in range(3):
        shift = np.zeros(3)
        shift[column] = step
        numeric = (acquisition.value(x + shift) - acquisition.value(x - shift)) / (2 * step)
        np.testing.assert_allclose(gradient[:, column], numeric, rtol=1e-5, atol=1e-7)


def test_ei_is_averaged_over_components_and_fantasies() -> None:
    posterior = Toy(2, 3, 2)
    known, x = np.zeros((1, 2)), np.random.default_rng(3).random((4, 2))
    mean, variance = posterior.predict(x)
    best = posterior.predict(known)[0].min(axis=2)
    each = np.exp(log_expected_improvement(mean, variance, best)[0])
    np.testing.assert_allclose(LogExpectedImprovement(posterior, known).value(x), np.log(each.mean(axis=(0, 1))))


def test_each_component_and_fantasy_has_its_confidence_bound() -> None:
    posterior = Toy(2, 3, 2)
    x = np.random.default_rng(3).random((4, 2))
    mean, variance = posterior.predict(x)
    bounds = [mean[s, f] - 2.5 * np.sqrt(variance[s]) for s in range(2) for f in range(3)]
    np.testing.assert_allclose(ConfidenceBound(posterior, 2.5).value(x), -np.mean(bounds, axis=0))


def test_a_draw_is_to_be_minimised() -> None:
    class Slope:
        def value(self, x: Array) -> Array:
            return x[:, 0]

        def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
            return x[:, 0], np.eye(2)[[0] * len(x)]

    x = np.random.default_rng(3).random((4, 2))
    value, gradient = NegativeDraw(Slope()).value_and_gradient(x)
    np.testing.assert_array_equal(value, -x[:, 0])
    np.testing.assert_array_equal(NegativeDraw(Slope()).value(x), value)
    np.testing.assert_array_equal(gradient, np.tile([-1.0, 0.0], (4, 1)))


def test_the_incumbent_is_the_lowest_mean_per_component_and_fantasy() -> None:
    posterior = Toy(2, 3, 2)
    known = np.random.default_rng(4).random((6, 2))
    np.testing.assert_array_equal(
        LogExpectedImprovement(posterior, known).best, posterior.predict(known)[0].min(axis=2)
    )


def test_what_an_outcome_is_worth_falls_with_its_share_of_noise() -> None:
    variance, noise = np.array([[1.0, 1e-2, 1e-6], [1.0, 1e-2, 1e-6]]), np.array([1e-14, 0.25])
    value, slope = log_worth(variance, noise)
    np.testing.assert_allclose(np.exp(value), 1.0 - np.sqrt(noise[:, None] / (variance + noise[:, None])), rtol=1e-6)
    np.testing.assert_allclose(value[0], 0.0, atol=1e-3)
    step = 1e-6 * variance
    numeric = (log_worth(variance + step, noise)[0] - log_worth(variance - step, noise)[0]) / (2.0 * step)
    np.testing.assert_allclose(slope, numeric, rtol=1e-4, atol=1e-6)

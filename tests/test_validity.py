"""Validity: against integration and conditions of optimality; gradients; what failures and wrong labels do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.special import expit
from scipy.stats import norm

from utilities import laplace
from utilities.laplace import evidence_gradient, find_mode, targets
from utilities.surrogate import Array
from utilities.validity import COMPARED, KEPT, PENDING, Labels, Validity, _Evidence, condition, fit, informative

GROUPS = np.arange(2)


def disk(x: Array) -> Labels:
    return np.asarray(np.sum((x - 0.5) ** 2, axis=1) > 0.1)


def learned(count: int = 60, seed: int = 0, flipped: float = 0.0) -> Validity:
    rng = np.random.default_rng(seed)
    x = rng.random((count, 2))
    valid = disk(x) ^ (rng.random(count) < flipped)
    return condition(fit(x, valid, GROUPS), x, valid, GROUPS)


# --- the Laplace approximation --------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("labels", [[True], [True, True, False], [True] * 8 + [False] * 4])
def test_one_latent_value_agrees_with_integration(power: float, labels: list[bool]) -> None:
    target = targets(np.array(labels))
    mode = find_mode(np.full((len(target), len(target)), power), target)

    def density(f: float) -> float:
        return float(np.exp(np.sum(target * f - np.logaddexp(0.0, f))) * norm.pdf(f, scale=np.sqrt(power)))

    evidence = quad(density, -40, 40, points=[0.0])[0]
    mean = quad(lambda f: f * density(f), -40, 40, points=[0.0])[0] / evidence
    # Laplace's relative error is of order (third derivative)^2 / curvature^3: below 0.2 here, where it is largest.
    assert mode.log_evidence == pytest.approx(np.log(evidence), abs=0.2)
    assert mode.latent[0] == pytest.approx(mean, abs=0.25 * np.sqrt(power) + 0.05)
    grid = np.linspace(-20, 20, 400_001)
    exact = grid[np.argmax(np.sum(target[:, None] * grid - np.logaddexp(0.0, grid), axis=0) - grid**2 / (2 * power))]
    assert mode.latent[0] == pytest.approx(exact, abs=2e-3)


def test_the_mode_is_that_of_penalised_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    phi, valid = rng.standard_normal((40, 3)), rng.random(40) < 0.5
    mode = find_mode(phi @ phi.T, targets(valid))
    weights = phi.T @ mode.dual
    gradient = phi.T @ (targets(valid) - expit(phi @ weights)) - weights
    assert np.abs(gradient).max() < 1e-3


def test_gradient_of_the_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laplace, "_TOLERANCE", 1e-13)
    rng = np.random.default_rng(1)
    x = rng.random((30, 3))
    evidence = _Evidence(x, x.sum(axis=1) > 1.2, np.array([0, 1, 1]))
    theta = evidence.mean + 0.3 * rng.standard_normal(3)
    steps = 1e-4 * np.eye(3)
    numeric = [(evidence.negative(theta + h)[0] - evidence.negative(theta - h)[0]) / 2e-4 for h in steps]
    # Newton's last step is off by up to 1e-7 in the density, which the division by 2e-4 makes 1e-3.
    np.testing.assert_allclose(evidence.negative(theta)[1], numeric, rtol=1e-3, atol=2e-3)


def test_a_start_that_belongs_to_another_covariance_is_passed_over() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((50, 2))
    squares, target = np.sum((x[:, None] - x) ** 2, axis=2), targets(x[:, 0] > rng.random(50))
    ragged, smooth = 4.0 + 25.0 * np.exp(-squares / 0.02), 4.0 + 1400.0 * np.exp(-squares / 18.0)
    found = find_mode(smooth, target, find_mode(ragged, target).dual)
    assert found.height == pytest.approx(find_mode(smooth, target).height)
    assert np.isfinite(found.log_evidence)


def test_gradient_of_the_evidence_by_the_covariance_is_symmetric() -> None:
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    gradient = evidence_gradient(covariance, find_mode(covariance, targets(np.array([True, False]))))
    np.testing.assert_allclose(gradient, gradient.T)


# --- the posterior --------------------------------------------------------------------------------


@pytest.mark.parametrize("fantasies", [0, 7])
def test_gradients(fantasies: int) -> None:
    rng = np.random.default_rng(2)
    validity = learned()
    if fantasies:
        validity = validity.fantasize(rng.random((3, 2)), fantasies, rng)
    x = rng.random((6, 2))
    value, gradient = validity.log_probability_and_gradient(x)
    np.testing.assert_allclose(value, validity.log_probability(x))
    numeric = [approx_fprime(row, lambda a: validity.log_probability(a[None])[0], 1e-6) for row in x]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(2, 40))
def test_probabilities_are_probabilities(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    x, valid = rng.random((count, 2)), rng.random(count) < 0.7
    logs = condition(fit(x, valid, GROUPS), x, valid, GROUPS).log_probability(rng.random((50, 2)))
    assert np.all(np.isfinite(logs))
    assert np.all(logs < 0.0)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_another_failure_never_raises_the_probability_there(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.random((20, 2))
    valid, place = disk(x), rng.random((1, 2))
    parameters = fit(x, valid, GROUPS)
    before = condition(parameters, x, valid, GROUPS)
    after = condition(parameters, np.vstack([x, place]), np.append(valid, False), GROUPS)
    assert after.latent(place)[0].item() < before.latent(place)[0].item()
    assert after.log_probability(place).item() < before.log_probability(place).item() + 1e-9


@pytest.mark.parametrize(("flipped", "wrong"), [(0.0, 0.10), (0.05, 0.16)])
def test_a_disk_is_learned_in_spite_of_wrong_labels(flipped: float, wrong: float) -> None:
    # 100 points are 0.1 apart, which leaves a band of about a quarter of that around a circle of length 2: 0.05. Twice
    # that is allowed; five wrong labels may each spoil another cell of 0.01.
    x = np.random.default_rng(9).random((2000, 2))
    shares = [np.mean(learned(100, seed, flipped).likely(x) != disk(x)) for seed in range(3)]
    assert np.median(shares) < wrong


def test_fantasies_average_to_the_prediction() -> None:
    rng = np.random.default_rng(3)
    validity, x = learned(), rng.random((500, 2))
    pending = rng.random((6, 2))
    fantasised = validity.fantasize(pending, 1000, rng)
    gap = np.exp(fantasised.log_probability(x)) - np.exp(validity.log_probability(x))
    # Monte Carlo alone gives 0.5 / sqrt(1000) = 0.016 at a point; the rest is that fantasies share one variance.
    assert np.abs(gap).max() < 0.1
    assert abs(gap.mean()) < 0.01
    assert np.all(fantasised.latent(x)[1] <= validity.latent(x)[1] + 1e-9)


def test_many_outcomes_are_thinned_towards_the_border() -> None:
    rng = np.random.default_rng(4)
    x = rng.random((5000, 2))
    rows = informative(x, disk(x), KEPT)
    assert len(np.unique(rows)) == KEPT
    distance = np.abs(np.sqrt(np.sum((x - 0.5) ** 2, axis=1)) - np.sqrt(0.1))
    assert np.median(distance[rows]) < 0.2 * np.median(distance)
    validity = condition(fit(x, disk(x), GROUPS), x, disk(x), GROUPS)
    other = rng.random((1000, 2))
    assert np.mean(validity.likely(other) != disk(other)) < 0.03


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match="as long as valid"):
        fit(np.zeros((3, 2)), np.ones(2, dtype=bool), GROUPS)


def test_of_many_outcomes_in_many_columns_only_some_are_compared() -> None:
    """The rest costs no more than a look at each: a tree of 100,000 points in 20 dimensions would take a minute."""
    rng = np.random.default_rng(7)
    x = rng.random((3 * COMPARED, 3))
    valid = x[:, 0] > 0.1
    rows = informative(x, valid, KEPT)
    assert len(np.unique(rows)) == KEPT
    near = np.abs(x[rows, 0] - 0.1)
    assert np.sum(near < 0.1) > KEPT // 3
    assert abs(np.mean(valid[rows[near > 0.2]]) - 1.0) < 0.1


def test_of_very_many_pending_trials_the_least_certain_count() -> None:
    validity, rng = learned(), np.random.default_rng(8)
    pending = rng.random((3 * PENDING, 2))
    kept = validity.relevant(pending)
    assert len(kept) == PENDING
    doubt = np.abs(np.exp(validity.log_probability(pending)) - 0.5)
    assert np.abs(np.exp(validity.log_probability(kept)) - 0.5).max() <= np.sort(doubt)[PENDING]
    assert validity.relevant(kept) is kept

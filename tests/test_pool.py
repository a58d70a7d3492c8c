"""The pool of candidates: its moments and its conditioning against the posterior's own, and what it chooses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from test_drawn_functions import COLUMNS, dngo, gp

from utilities.acquisition import LogExpectedImprovement
from utilities.pool import LEADERS, Pool
from utilities.surrogate import Posterior

X = np.random.default_rng(0).random((2 * LEADERS, COLUMNS))
PENDING = np.random.default_rng(1).random((4, COLUMNS))
Build = Callable[[], Posterior]


def batched(build: Build, fantasies: int = 2) -> Posterior:
    posterior = build().for_batch(1, len(PENDING))
    return posterior.fantasize(PENDING, fantasies, np.random.default_rng(2))


def pool_of(posterior: Posterior, most: int = 20, weight: np.ndarray | None = None) -> Pool:
    best = posterior.predict(PENDING)[0].min(axis=2)
    weight = np.zeros(len(X)) if weight is None else weight
    return Pool(posterior, X, best, weight, most, np.random.default_rng(3))


@pytest.mark.parametrize("build", [dngo, gp])
@pytest.mark.parametrize("told", [0, 3])
def test_a_root_gives_the_variances(build: Build, told: int) -> None:
    """Also with observations and pending points that are kept apart from a decomposition."""
    posterior = build()
    if told:
        posterior = posterior.extend(PENDING[:told], np.linspace(0.0, 1.0, told))
    for each in (posterior, posterior.fantasize(PENDING, 2, np.random.default_rng(0))):
        root = each.root(X[:9])
        np.testing.assert_allclose((root**2).sum(axis=2), each.predict(X[:9])[1], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("build", [dngo, gp])
def test_choices_narrow_as_pending_points_do(build: Build) -> None:
    """The variances after a few choices are those of the posterior with these pending, too."""
    posterior = build().for_batch(0, 0)
    pool = pool_of(posterior)
    chosen = [pool.choose(pool.uncertainty()) for _ in range(5)]
    assert len(set(chosen)) == 5
    fantasised = posterior.fantasize(X[chosen], 2, np.random.default_rng(0))
    rest = np.setdiff1d(np.arange(len(X)), chosen)
    np.testing.assert_allclose(pool.variance[:, rest], fantasised.predict(X[rest])[1], rtol=2e-2, atol=2e-4)
    assert (pool.variance[:, rest] < posterior.predict(X[rest])[1] + 1e-6).all()


@pytest.mark.parametrize("build", [dngo, gp])
def test_outcomes_of_choices_have_the_moments_of_the_prediction(build: Build) -> None:
    """Means move by what is learned of them: over many pools their variance is what the variance lost."""
    posterior = build().for_batch(0, 0)
    mean, variance = posterior.predict(X)
    moved = []
    for seed in range(400):
        best = np.zeros((len(variance), 1))
        pool = Pool(posterior, X, best, np.zeros(len(X)), 3, np.random.default_rng(seed))
        for score in (X[:, 0], X[:, 1], -X[:, 0]):
            pool.choose(score)
        moved.append(pool.mean[:, 0] - mean[:, 0])
    lost = variance - pool.variance
    held = np.array(moved)
    assert np.abs(held.mean(axis=0)).max() < 5.0 * np.sqrt(lost.max() / 400)
    np.testing.assert_allclose(held.var(axis=0), lost, rtol=0.5, atol=0.02 * lost.max())


@pytest.mark.parametrize("build", [dngo, gp])
@pytest.mark.parametrize("noise", [None, 0.0, 0.3])
def test_improvement_is_that_of_the_acquisition(build: Build, noise: float | None) -> None:
    posterior = batched(build)
    acquisition = LogExpectedImprovement(posterior, PENDING, noise=noise)
    pool = pool_of(posterior)
    np.testing.assert_allclose(pool.log_improvement(noise=noise), acquisition.value(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("build", [dngo, gp])
def test_scoring_the_leaders_again_chooses_nearly_the_best(build: Build) -> None:
    lazy, thorough = pool_of(batched(build)), pool_of(batched(build))
    for _ in range(12):
        thorough._improvement = None
        scores = thorough.log_improvement()
        score = lazy.log_improvement()
        best = np.where(lazy._open, scores, -np.inf).max()
        j = lazy.choose(score)
        assert j is not None
        assert scores[j] > best - 0.05
        thorough.choose(np.where(np.arange(len(X)) == j, 1.0, 0.0))


def test_a_weight_keeps_candidates_out_and_the_pool_ends() -> None:
    weight = np.where(np.arange(len(X)) < 5, 0.0, -1e6)
    pool = pool_of(batched(gp), most=len(X), weight=weight)
    assert {pool.choose(pool.log_improvement()) for _ in range(5)} == set(range(5))
    assert all(pool.take(np.zeros(len(X))) is not None for _ in range(len(X) - 5))
    assert pool.take(np.zeros(len(X))) is None
    assert pool.choose(np.zeros(len(X))) is None


def test_no_more_choices_than_announced() -> None:
    pool = pool_of(batched(dngo), most=2)
    assert None not in [pool.choose(pool.bound(2.0)) for _ in range(2)]
    assert pool.choose(pool.bound(2.0)) is None


@pytest.mark.parametrize("build", [dngo, gp])
def test_draws_have_the_moments_of_the_posterior(build: Build) -> None:
    posterior = build().for_batch(0, 0)
    pool = pool_of(posterior)
    draws = np.array([-pool.draw() for _ in range(4000)])
    mean, variance = posterior.predict(X)
    spread = np.sqrt(variance.mean(axis=0) + mean[:, 0].var(axis=0))
    assert np.abs(draws.mean(axis=0) - mean.mean(axis=(0, 1))).max() < 6.0 * (spread / np.sqrt(4000)).max()
    np.testing.assert_allclose(draws.std(axis=0), spread, rtol=0.1)

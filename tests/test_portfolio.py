"""The portfolio for many pending trials: its shares, its exploration, and that few pending trials change nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from utilities import portfolio
from utilities.optimizer import Optimizer
from utilities.portfolio import BEGIN, EXPLORING, SPARSE, PureExploration, choose
from utilities.surrogate import Array, Pullback

CUBE = {f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(4)}


def bowl(config: dict[str, Any]) -> float:
    return float(sum((value - 0.3) ** 2 for value in config.values()))


@pytest.mark.parametrize(("completed", "pending"), [(10, 64), (64, 64), (500, 64), (5, 1000), (300, 1000)])
@pytest.mark.parametrize("first", [0, 12_345])
def test_shares_are_exact_over_a_long_sequence(completed: int, pending: int, first: int) -> None:
    count = 10_000
    chosen = Counter(choose(completed, pending, turn) for turn in range(first, first + count))
    share = completed / (completed + pending)
    exploration = "design" if pending > SPARSE * completed else "explore"
    expected = {
        "ei": share,
        "thompson": (1.0 - share) * (1.0 - EXPLORING),
        exploration: (1.0 - share) * EXPLORING,
    }
    for name, part in expected.items():
        assert abs(chosen[name] - part * count) < 6
    assert sum(chosen.values()) == sum(chosen[name] for name in expected)


def test_few_pending_trials_are_left_to_expected_improvement() -> None:
    assert {choose(n, p, turn) for n in (2, 100) for p in (0, 1, BEGIN - 1) for turn in range(200)} == {"ei"}
    assert len({choose(20, BEGIN, turn) for turn in range(200)}) == 3


def test_one_worker_gets_the_proposals_of_pure_expected_improvement(monkeypatch: pytest.MonkeyPatch) -> None:
    def proposals() -> list[dict[str, Any]]:
        optimizer, configs = Optimizer(CUBE, "gp", seed=3, initial=6), []
        for _ in range(8):
            trial = optimizer.ask()
            optimizer.tell(trial, bowl(trial.config))
            configs.append(trial.config)
        return configs

    usual = proposals()
    monkeypatch.setattr(portfolio, "choose", lambda *_: "ei")
    assert proposals() == usual


@pytest.mark.parametrize("method", ["gp", "dngo"])
def test_no_duplicates_among_a_thousand_pending(method: str) -> None:
    optimizer = Optimizer(CUBE, method, seed=1, initial=10)
    for _ in range(12):
        trial = optimizer.ask()
        optimizer.tell(trial, bowl(trial.config))
    for point in np.random.default_rng(0).random((990, 4)):
        optimizer.enqueue(dict(zip(CUBE, point.tolist(), strict=True)))
    trials = optimizer.ask_batch(1010)
    assert len({optimizer.space.key(trial.config) for trial in trials}) == 1010
    assert {optimizer.origins[trial.number] for trial in trials[990:]} == {"model", "initial"}


class Waves:
    """A posterior in closed form, with S components: mean sin(a . x), variance b + c |x|^2."""

    def __init__(self, seed: int, fantasies: int) -> None:
        rng = np.random.default_rng(seed)
        self.a = rng.normal(size=(3, fantasies, 2))
        self.b, self.c = rng.uniform(1e-4, 1e-3, size=(2, 3))

    def predict(self, x: Array) -> tuple[Array, Array]:
        return np.sin(self.a @ x.T), self.b[:, None] + np.outer(self.c, np.sum(x**2, axis=1))

    def differentiate(self, x: Array) -> tuple[Array, Array, Pullback]:
        def pullback(grad_mean: Array, grad_variance: Array) -> Array:
            by_mean = np.einsum("sfm,sfp->mp", grad_mean * np.cos(self.a @ x.T), self.a)
            return by_mean + 2.0 * (self.c @ grad_variance)[:, None] * x

        return *self.predict(x), pullback


def test_exploration_is_sigma_where_the_minimum_may_be() -> None:
    posterior, fantasised = Waves(0, 1), Waves(1, 2)
    known, x = np.random.default_rng(2).normal(size=(2, 12, 2))
    x *= 2.0
    score = PureExploration(posterior, fantasised, known, 1.8).value(x)
    mean, sigma = posterior.predict(x)[0][:, 0], np.sqrt(posterior.predict(x)[1])
    upper = posterior.predict(known)[0][:, 0] + 1.8 * np.sqrt(posterior.predict(known)[1])
    excess = np.mean(mean - 1.8 * sigma, axis=0) - np.mean([bounds.min() for bounds in upper])
    plain = np.log(np.mean(np.sqrt(fantasised.predict(x)[1]), axis=0))
    assert 0 < np.sum(excess <= 0) < len(x)
    np.testing.assert_allclose(score, np.where(excess <= 0, plain, plain - 10.0 * excess))


def test_the_gradient_of_exploration_agrees_with_finite_differences() -> None:
    known, x = np.random.default_rng(3).normal(size=(2, 9, 2))
    acquisition = PureExploration(Waves(0, 1), Waves(1, 2), known, 1.8)
    value, gradient = acquisition.value_and_gradient(x)
    np.testing.assert_allclose(value, acquisition.value(x))
    for column in range(2):
        shift = 1e-6 * np.eye(2)[column]
        numeric = (acquisition.value(x + shift) - acquisition.value(x - shift)) / 2e-6
        np.testing.assert_allclose(gradient[:, column], numeric, rtol=1e-5, atol=1e-7)

"""Fitting DNGO: functions that it must learn, honest intervals, warm starts, extreme and unusable data."""

from __future__ import annotations

import numpy as np
import pytest

from utilities.dngo import DNGO, HELD_OUT_FROM
from utilities.dngo_posterior import DNGOPosterior
from utilities.fourier_features import FourierFeatures
from utilities.surrogate import Dataset

COLUMNS = 3


def data(n: int) -> Dataset:
    rng = np.random.default_rng([1, n])
    x = rng.random((n, COLUMNS))
    return Dataset(x, 10.0 + 2.5 * np.sin(4.0 * x.sum(axis=1)) + 0.1 * rng.standard_normal(n))


def rmse(p: DNGOPosterior, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sqrt(np.mean((p.offset + p.scale * p.predict(x)[0].mean(axis=(0, 1)) - y) ** 2)))


@pytest.mark.parametrize("members", [1, 3])
def test_a_linear_function_is_learned(members: int) -> None:
    rng = np.random.default_rng(16)
    x, unseen = rng.random((40, 4)), rng.random((200, 4))
    slope = np.array([300.0, -200.0, 0.0, 100.0])
    surrogate, observed = DNGO(4, members, 4), Dataset(x, x @ slope)
    parameters = surrogate.fit(observed, rng)
    assert rmse(surrogate.condition(parameters, observed), unseen, unseen @ slope) < 0.05 * np.std(x @ slope)


def test_a_bowl_is_learned_to_the_last_digits() -> None:
    """The quadratic prior mean has it exactly, down to the floor of the noise."""
    rng = np.random.default_rng(17)
    x, unseen = rng.random((40, 3)), rng.random((200, 3))

    def bowl(points: np.ndarray) -> np.ndarray:
        return np.asarray(((points - [0.3, 0.5, 0.9]) ** 2) @ [5.0, 1.0, 20.0])

    surrogate, observed = DNGO(3, 2, 4), Dataset(x, bowl(x))
    parameters = surrogate.fit(observed, rng)
    assert rmse(surrogate.condition(parameters, observed), unseen, bowl(unseen)) < 2e-3 * np.std(bowl(x))


def wave(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(5.0 * points[:, 0]) * points[:, 1])


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_smooth_function_is_predicted_with_sensible_uncertainty(noise: float) -> None:
    """The 90 % interval of the mixture holds at least 70 % of unseen points, and is not wide."""
    rng = np.random.default_rng(18)
    x, unseen = rng.random((120, 2)), rng.random((400, 2))
    observed, surrogate = Dataset(x, wave(x) + noise * rng.standard_normal(120)), DNGO(2)
    p = surrogate.condition(surrogate.fit(observed, rng), observed)
    mean, variance = p.predict(unseen)
    spread = p.scale * np.sqrt(variance.mean(axis=0) + mean.var(axis=(0, 1)))
    error = np.abs(p.offset + p.scale * mean.mean(axis=(0, 1)) - wave(unseen))
    assert np.mean(error < 1.645 * spread) > 0.7
    assert np.median(spread) < 0.02 + noise


def test_intervals_hold_what_they_promise_with_few_observations() -> None:
    """Five draws of a Matern process of lengthscale 0.4, 30 observations each: 90 % intervals hold about 90 %.

    The square holds some ten independent places (the lengthscale covers a tenth of it), so that coverage over five
    draws has a standard error of sqrt(0.9 x 0.1 / 50) = 0.042: three of them below.
    """
    rng = np.random.default_rng(26)
    inside = []
    for _ in range(5):
        features = FourierFeatures.draw(np.full(2, 0.4), 1, 200, rng)
        weights = rng.standard_normal(features.size)
        x, unseen = rng.random((30, 2)), rng.random((200, 2))
        observed, surrogate = Dataset(x, features.phi(x)[0] @ weights), DNGO(2)
        p = surrogate.condition(surrogate.fit(observed, rng), observed)
        mean, variance = p.predict(unseen)
        spread = p.scale * np.sqrt(variance.mean(axis=0) + mean.var(axis=(0, 1)))
        error = p.offset + p.scale * mean.mean(axis=(0, 1)) - features.phi(unseen)[0] @ weights
        inside.append(np.mean(np.abs(error) < 1.645 * spread))
    assert np.mean(inside) > 0.9 - 3.0 * 0.042


def test_an_ensemble_inflates_its_variances_by_what_it_did_not_learn_from() -> None:
    """Pure noise: a network learns it by heart, and only what is held out tells. Its variance is 1, standardised."""
    rng = np.random.default_rng(24)
    observed = Dataset(rng.random((120, 3)), rng.standard_normal(120))
    surrogate = DNGO(3)
    parameters = surrogate.fit(observed, rng)
    mean, variance = surrogate.condition(parameters, observed).predict(rng.random((200, 3)))
    predictive = variance.mean(axis=0) + mean.var(axis=(0, 1)) + np.exp(-parameters["hyperparameters"][..., 1]).mean()
    assert float(parameters["inflation"]) > 1.5
    assert 0.5 < np.median(predictive) < 4.0


@pytest.mark.parametrize(("members", "n"), [(1, 120), (3, HELD_OUT_FROM - 1)])
def test_one_network_and_few_data_hold_nothing_out(members: int, n: int) -> None:
    parameters = DNGO(COLUMNS, members, 2).fit(data(n), np.random.default_rng(0))
    assert parameters["inflation"] == 1.0
    assert parameters["folds"] == 0.0


def test_a_fit_that_holds_out_more_than_the_last_starts_afresh() -> None:
    """Else its networks would have seen what is held out."""
    surrogate, grown, few = DNGO(COLUMNS, 2, 2), data(2 * HELD_OUT_FROM), slice(0, HELD_OUT_FROM - 1)
    before = surrogate.fit(Dataset(grown.x[few], grown.y[few]), np.random.default_rng(0))
    cold = surrogate.fit(grown, np.random.default_rng(1))
    after = surrogate.fit(grown, np.random.default_rng(1), before)
    np.testing.assert_array_equal(after["weight_1"], cold["weight_1"])
    warm = surrogate.fit(grown, np.random.default_rng(1), cold)
    assert not np.array_equal(warm["weight_1"], cold["weight_1"])


def test_units_of_the_objective_do_not_matter() -> None:
    x = np.random.default_rng(19).random((20, 2))
    y = np.sin(5.0 * x[:, 0])
    surrogate = DNGO(2, 2, 3)
    plain, scaled = Dataset(x, y), Dataset(x, 1e6 * y - 3e7)
    a = surrogate.condition(surrogate.fit(plain, np.random.default_rng(0)), plain).predict(x)
    b = surrogate.condition(surrogate.fit(scaled, np.random.default_rng(0)), scaled).predict(x)
    np.testing.assert_allclose(a[0], b[0], atol=1e-3)


@pytest.mark.parametrize("y", [[1.0, 1.0], [0.0, 1e-300], [-1e12, 1e12], [0.0, 0.0, 0.0, 1e9]])
def test_few_and_extreme_objectives_are_fitted(y: list[float]) -> None:
    x = np.random.default_rng(20).random((len(y), 2))
    surrogate, observed = DNGO(2, 2, 3), Dataset(x, np.array(y))
    p = surrogate.condition(surrogate.fit(observed, np.random.default_rng(0)), observed)
    mean, variance = p.predict(np.random.default_rng(21).random((50, 2)))
    assert np.all(np.isfinite(mean))
    assert np.all(variance > 0.0)


def test_a_point_seen_many_times_is_fitted() -> None:
    surrogate, observed = DNGO(2, 2, 3), Dataset(np.tile([0.3, 0.7], (30, 1)), np.arange(30.0))
    p = surrogate.condition(surrogate.fit(observed, np.random.default_rng(0)), observed)
    assert abs(p.predict(observed.x[:1])[0].mean()) < 5.0 / np.sqrt(30)


def test_fits_are_deterministic_plain_arrays() -> None:
    observed, surrogate = data(15), DNGO(COLUMNS, 2, 3)
    first = surrogate.fit(observed, np.random.default_rng(0))
    again = surrogate.fit(observed, np.random.default_rng(0))
    assert first.keys() == again.keys()
    for name, array in first.items():
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, again[name])
    assert first["hyperparameters"].shape == (2, 3, 3 + 2 * COLUMNS)


@pytest.mark.parametrize(("n", "frequencies"), [(30, 64), (257, 128)])
def test_more_observations_carry_more_frequencies(n: int, frequencies: int) -> None:
    observed, surrogate = data(n), DNGO(COLUMNS, 2, 1)
    parameters = surrogate.fit(observed, np.random.default_rng(0))
    assert parameters["frequencies"].shape == (2, COLUMNS, frequencies)
    few = surrogate.fit(Dataset(observed.x[:20], observed.y[:20]), np.random.default_rng(0))
    assert surrogate.fit(observed, np.random.default_rng(0), few)["frequencies"].shape == (2, COLUMNS, frequencies)


def test_one_network_has_no_fourier_features() -> None:
    parameters = DNGO(COLUMNS, 1).fit(data(30), np.random.default_rng(0))
    assert "frequencies" not in parameters
    assert parameters["hyperparameters"].shape == (1, 10, 3 + 2 * COLUMNS)


@pytest.mark.parametrize("n", [60, 300])
def test_a_warm_start_keeps_what_was_learned(n: int) -> None:
    """Twenty more observations, of another mean and scale: the warm fit is as good as a cold one, or within 2 %."""
    rng = np.random.default_rng(23)
    x, unseen = rng.random((n + 20, 2)), rng.random((300, 2))
    y = 100.0 * wave(x) + 7.0
    surrogate, few, everything = DNGO(2, 2, 4), Dataset(x[:n], y[:n]), Dataset(x, y)
    cold = surrogate.fit(everything, rng)
    warm = surrogate.fit(everything, rng, surrogate.fit(few, rng))
    errors = [
        rmse(surrogate.condition(parameters, everything), unseen, 100.0 * wave(unseen) + 7.0)
        for parameters in (warm, cold)
    ]
    assert errors[0] < max(2.0 * errors[1], 0.02 * np.std(y))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((1, 2)), np.zeros(1), "at least 2 observations"),
        (np.zeros((5, 3)), np.zeros(5), "of 2 columns"),
        (np.full((5, 2), np.nan), np.zeros(5), "finite"),
        (np.zeros((5, 2)), np.full(5, np.inf), "finite"),
    ],
)
def test_unusable_data_are_refused(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DNGO(2).fit(Dataset(x, y), np.random.default_rng(0))


@pytest.mark.parametrize("numbers", [(0, 3, 10, 5), (2, 0, 10, 5), (2, 3, 0, 5), (2, 3, 10, -1)])
def test_numbers_too_low_are_refused(numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        DNGO(*numbers)


@pytest.mark.parametrize("members", [1, 3])
def test_sums_of_the_fit_stand_for_its_observations(members: int) -> None:
    """With them or without, the posterior is the same; for other observations they are not used."""
    observed, unseen = data(60), np.random.default_rng(3).random((20, COLUMNS))
    fitted_to = Dataset(observed.x[:40], observed.y[:40])
    surrogate = DNGO(COLUMNS, members, 4)
    parameters = surrogate.fit(fitted_to, np.random.default_rng(4))
    bare = {name: array for name, array in parameters.items() if name != "gram"}
    replaced = Dataset(np.vstack([observed.x[1:], observed.x[:1]]), np.append(observed.y[1:], observed.y[0]))
    for known in (observed, fitted_to, replaced, Dataset(observed.x[:39], observed.y[:39])):
        quick, slow = surrogate.condition(parameters, known), surrogate.condition(bare, known)
        for one, other in zip(quick.predict(unseen), slow.predict(unseen), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
    doctored = {**parameters, "gram": 2.0 * parameters["gram"]}
    assert surrogate.condition(doctored, replaced).predict(unseen)[0] == pytest.approx(
        surrogate.condition(bare, replaced).predict(unseen)[0], rel=1e-6
    )

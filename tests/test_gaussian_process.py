"""The Gaussian process against scikit-learn and textbook algebra with an explicit inverse."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from utilities.gaussian_process import SAMPLED_POINTS, GaussianProcess
from utilities.hyperposterior import NOISE_FLOOR
from utilities.kernels import MEAN_VARIANCE
from utilities.surrogate import Dataset

GROUPS = np.array([0, 1, 1, 1, 2, 3])
WARPED = np.array([True, False, False, False, True, False])


def make_data(rng, count=12, columns=6):
    x = rng.random((count, columns))
    return Dataset(x, 3.0 + 5.0 * np.sin(4.0 * x[:, 0]) - x[:, -1] ** 2 + 0.1 * rng.standard_normal(count))


def make_parameters(rng, data, samples=3, noise=(-5.0, -1.0)):
    return {
        "log_lengthscale": rng.uniform(-1.0, 1.0, (samples, 4)),
        "log_outputscale": rng.uniform(-0.5, 0.5, samples),
        "log_noise": rng.uniform(*noise, samples),
        "log_a": 0.4 * rng.standard_normal((samples, 2)),
        "log_b": 0.4 * rng.standard_normal((samples, 2)),
        "offset": np.array(data.y.mean()),
        "scale": np.array(data.y.std()),
    }


@pytest.fixture
def setting():
    rng = np.random.default_rng(0)
    data = make_data(rng)
    parameters = make_parameters(rng, data)
    surrogate = GaussianProcess(GROUPS, WARPED)
    return surrogate, parameters, data, surrogate.condition(parameters, data), rng


def plain_kernel(parameters, s, a, b):
    """Textbook Matern-5/2 on inputs warped by the textbook Kumaraswamy function, plus the constant mean's variance."""
    a, b = a.copy(), b.copy()
    for w, column in enumerate(np.flatnonzero(WARPED)):
        shape_a, shape_b = np.exp(parameters["log_a"][s, w]), np.exp(parameters["log_b"][s, w])
        for rows in (a, b):
            rows[:, column] = 1.0 - (1.0 - rows[:, column] ** shape_a) ** shape_b
    lengths = np.exp(parameters["log_lengthscale"][s])[GROUPS]
    r = np.linalg.norm((a[:, None] - b[None]) / lengths, axis=-1)
    t = math.sqrt(5.0) * r
    return np.exp(parameters["log_outputscale"][s]) * (1.0 + t + t * t / 3.0) * np.exp(-t) + MEAN_VARIANCE


def textbook(parameters, data, s, x):
    """Mean (m,) and covariance (m, m) by an explicit inverse."""
    noise = NOISE_FLOOR + np.exp(parameters["log_noise"][s])
    inverse = np.linalg.inv(plain_kernel(parameters, s, data.x, data.x) + noise * np.eye(len(data)))
    cross = plain_kernel(parameters, s, x, data.x)
    y = (data.y - parameters["offset"]) / parameters["scale"]
    return cross @ inverse @ y, plain_kernel(parameters, s, x, x) - cross @ inverse @ cross.T


def assert_same(one, other, x, atol=1e-8):
    for found, expected in zip(one.predict(x), other.predict(x), strict=True):
        np.testing.assert_allclose(found, expected, atol=atol)


@pytest.mark.parametrize("m", [0, 1, 7])
def test_prediction_is_textbook_algebra(setting, m):
    _, parameters, data, posterior, rng = setting
    x = rng.random((m, 6))
    mean, variance = posterior.predict(x)
    assert mean.shape == (3, 1, m)
    assert variance.shape == (3, m)
    for s in range(3):
        expected, covariance = textbook(parameters, data, s, x)
        np.testing.assert_allclose(mean[s, 0], expected, atol=1e-9)
        np.testing.assert_allclose(variance[s], np.diagonal(covariance), atol=1e-9)


def test_prediction_is_that_of_scikit_learn():
    gaussian_process = pytest.importorskip("sklearn.gaussian_process")
    kernels = gaussian_process.kernels
    rng = np.random.default_rng(11)
    data = make_data(rng)
    lengths, outputscale, noise = np.array([0.3, 0.7, 1.0, 2.0, 0.5, 4.0]), 1.7, 0.01
    kernel = kernels.ConstantKernel(outputscale) * kernels.Matern(lengths, nu=2.5) + kernels.ConstantKernel(
        MEAN_VARIANCE
    )
    reference = gaussian_process.GaussianProcessRegressor(kernel, alpha=noise + NOISE_FLOOR, optimizer=None)
    reference.fit(data.x, data.y)
    parameters = {
        "log_lengthscale": np.log(lengths)[None],
        "log_outputscale": np.log([outputscale]),
        "log_noise": np.log([noise]),
        "log_a": np.empty((1, 0)),
        "log_b": np.empty((1, 0)),
        "offset": np.array(0.0),
        "scale": np.array(1.0),
    }
    x = rng.random((9, 6))
    mean, variance = GaussianProcess(np.arange(6), np.zeros(6, bool)).condition(parameters, data).predict(x)
    expected, deviation = reference.predict(x, return_std=True)
    np.testing.assert_allclose(mean[0, 0], expected, rtol=1e-8)
    np.testing.assert_allclose(variance[0], deviation**2, rtol=1e-6)


def test_prediction_in_blocks_is_prediction_row_by_row(setting):
    posterior, rng = setting[3], setting[4]
    x = rng.random((5000, 6))
    mean, variance = posterior.predict(x)
    for row in (0, 3640, 4999):
        one = posterior.predict(x[row : row + 1])
        np.testing.assert_allclose(mean[:, :, row], one[0][:, :, 0], rtol=1e-10)
        np.testing.assert_allclose(variance[:, row], one[1][:, 0], rtol=1e-8)


def test_posterior_given_nothing_is_the_prior(setting):
    surrogate, parameters, *_ = setting
    prior = surrogate.condition(parameters, Dataset(np.empty((0, 6)), np.empty(0)))
    mean, variance = prior.predict(np.full((2, 6), 0.5))
    np.testing.assert_array_equal(mean, np.zeros((3, 1, 2)))
    np.testing.assert_allclose(variance, np.tile(np.exp(parameters["log_outputscale"])[:, None], 2) + MEAN_VARIANCE)


def test_noise_is_floor_plus_parameter(setting):
    np.testing.assert_allclose(setting[3].noise(), NOISE_FLOOR + np.exp(setting[1]["log_noise"]))


@pytest.mark.parametrize("fantasies", [0, 4])
def test_derivatives_are_finite_differences(setting, fantasies):
    posterior, rng = setting[3], setting[4]
    if fantasies:
        posterior = posterior.fantasize(rng.random((3, 6)), fantasies, rng)
    x = rng.uniform(0.05, 0.95, (4, 6))
    grad_mean, grad_variance = rng.standard_normal((3, max(1, fantasies), 4)), rng.standard_normal((3, 4))

    def total(points):
        mean, variance = posterior.predict(points)
        return np.sum(grad_mean * mean) + np.sum(grad_variance * variance)

    expected = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        shift = np.zeros(x.shape)
        shift[index] = 1e-6
        expected[index] = (total(x + shift) - total(x - shift)) / 2e-6
    mean, variance, pullback = posterior.differentiate(x)
    np.testing.assert_allclose(mean, posterior.predict(x)[0], rtol=1e-9)
    np.testing.assert_allclose(variance, posterior.predict(x)[1], rtol=1e-9)
    for _ in range(2):  # a pullback serves more than once
        np.testing.assert_allclose(pullback(grad_mean, grad_variance), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("new", [0, 1, 5])
def test_extension_is_conditioning_on_everything(setting, new):
    surrogate, parameters, data, posterior, rng = setting
    x, y = rng.random((new, 6)), rng.standard_normal(new)
    whole = surrogate.condition(parameters, Dataset(np.vstack([data.x, x]), np.append(data.y, y)))
    extended = posterior.extend(x, y)
    assert_same(extended, whole, rng.random((8, 6)))
    np.testing.assert_allclose(extended.inverse_factor, whole.inverse_factor, atol=1e-8)


def test_many_extensions_one_at_a_time_stay_accurate(setting):
    surrogate, parameters, data, _, rng = setting
    more = make_data(rng, 60)
    posterior = surrogate.condition(parameters, data)
    for row in range(60):
        posterior = posterior.extend(more.x[row : row + 1], more.y[row : row + 1])
    whole = surrogate.condition(parameters, Dataset(np.vstack([data.x, more.x]), np.append(data.y, more.y)))
    assert_same(posterior, whole, rng.random((8, 6)))


def test_extending_a_fantasised_posterior_gives_every_fantasy_the_observation(setting):
    surrogate, parameters, data, posterior, rng = setting
    pending, x, y = rng.random((2, 6)), rng.random((3, 6)), rng.standard_normal(3)
    fantasised = posterior.fantasize(pending, 4, rng)
    extended = fantasised.extend(x, y)
    points = rng.random((5, 6))
    mean, variance = extended.predict(points)
    for f in range(4):
        one = replace(fantasised, whitened=fantasised.whitened[:, :, f : f + 1]).extend(x, y)
        np.testing.assert_allclose(mean[:, f], one.predict(points)[0][:, 0], atol=1e-10)
    whole = surrogate.condition(parameters, Dataset(np.vstack([data.x, pending, x]), np.zeros(len(data) + 5)))
    np.testing.assert_allclose(variance, whole.predict(points)[1], atol=1e-8)


def outcomes(fantasised, known):
    """Fantasised outcomes (S, F, q), standardised: e of the pending rows, unwhitened with those before."""
    factor = np.linalg.inv(fantasised.inverse_factor)
    return np.swapaxes((factor @ fantasised.whitened)[:, known:], 1, 2)


def test_a_fantasy_is_conditioning_on_its_outcomes(setting):
    surrogate, parameters, data, posterior, rng = setting
    pending, points = rng.random((3, 6)), rng.random((8, 6))
    fantasised = posterior.fantasize(pending, 5, rng)
    mean, variance = fantasised.predict(points)
    assert mean.shape == (3, 5, 8)
    drawn = outcomes(fantasised, len(data)) * posterior.scale + posterior.offset
    for s, f in np.ndindex(3, 5):
        together = Dataset(np.vstack([data.x, pending]), np.append(data.y, drawn[s, f]))
        expected = surrogate.condition(parameters, together).predict(points)
        np.testing.assert_allclose(mean[s, f], expected[0][s, 0], atol=1e-8)
        np.testing.assert_allclose(variance[s], expected[1][s], atol=1e-8)


def assert_moments(draws, mean, covariance):
    """Sample mean and covariance of `draws` (count, m) within 5 standard errors of those given."""
    count = draws.shape[0]
    error = np.sqrt(np.diagonal(covariance) / count)
    assert (np.abs(draws.mean(axis=0) - mean) < 5.0 * error).all()
    variances = np.diagonal(covariance)
    spread = np.sqrt((covariance**2 + np.outer(variances, variances)) / count)
    assert (np.abs(np.cov(draws, rowvar=False) - covariance) < 5.0 * spread).all()


def test_fantasised_outcomes_are_joint_predictions_with_noise(setting):
    _, parameters, data, posterior, rng = setting
    pending = np.vstack([rng.random((2, 6)), data.x[:1]])
    drawn = outcomes(posterior.fantasize(pending, 20_000, rng), len(data))
    for s in range(3):
        mean, covariance = textbook(parameters, data, s, pending)
        assert_moments(drawn[s], mean, covariance + posterior.noise()[s] * np.eye(3))


def test_fantasising_nothing_repeats_the_posterior(setting):
    posterior, rng = setting[3], setting[4]
    x = rng.random((4, 6))
    mean, variance = posterior.fantasize(np.empty((0, 6)), 3, rng).predict(x)
    expected = posterior.predict(x)
    np.testing.assert_allclose(mean, np.repeat(expected[0], 3, axis=1))
    np.testing.assert_array_equal(variance, expected[1])


def test_fantasies_are_not_drawn_twice(setting):
    posterior, rng = setting[3], setting[4]
    with pytest.raises(ValueError, match="there are 2 already"):
        posterior.fantasize(rng.random((1, 6)), 2, rng).fantasize(rng.random((1, 6)), 2, rng)


def test_a_chain_goes_on_in_the_coordinates_of_the_latest_search_while_data_grow_little():
    data = make_data(np.random.default_rng(12), 51)
    surrogate = GaussianProcess(GROUPS, WARPED, samples=2)
    first, rng = surrogate.fit(Dataset(data.x[:40], data.y[:40]), np.random.default_rng(0)), np.random.default_rng(1)
    soon = surrogate.fit(Dataset(data.x[:45], data.y[:45]), rng, first)
    later = surrogate.fit(Dataset(data.x, data.y), rng, soon)
    np.testing.assert_array_equal(soon["search_mode"], first["search_mode"])
    assert not np.array_equal(soon["log_noise"], first["log_noise"])
    assert (float(soon["search_rows"]), float(later["search_rows"])) == (40.0, 51.0)


@pytest.mark.parametrize(("count", "samples"), [(2, 4), (3, 4), (45, 4), (80, 2)])
def test_fit_returns_finite_samples_of_the_expected_shapes(count, samples):
    data = make_data(np.random.default_rng(12), count)
    surrogate = GaussianProcess(GROUPS, WARPED, samples=2)
    parameters = surrogate.fit(data, np.random.default_rng(0))
    shapes = {name: value.shape for name, value in parameters.items() if not name.startswith("search_")}
    assert shapes == {
        "log_lengthscale": (samples, 4),
        "log_outputscale": (samples,),
        "log_noise": (samples,),
        "log_a": (samples, 2),
        "log_b": (samples, 2),
        "offset": (),
        "scale": (),
    }
    assert all(value.dtype == np.float64 and np.isfinite(value).all() for value in parameters.values())
    mean, variance = surrogate.condition(parameters, data).predict(data.x)
    assert np.isfinite(mean).all()
    assert (variance > 0.0).all()


def test_beyond_the_sampled_points_the_mode_stands_for_all():
    data = make_data(np.random.default_rng(13), SAMPLED_POINTS + 10)
    surrogate = GaussianProcess(GROUPS, WARPED)
    parameters = surrogate.fit(data, np.random.default_rng(0))
    assert parameters["log_noise"].shape == (1,)
    again = surrogate.fit(data, np.random.default_rng(1), parameters)
    np.testing.assert_allclose(again["log_outputscale"], parameters["log_outputscale"], atol=0.3)


def test_fit_is_repeatable_and_its_samples_differ():
    data = make_data(np.random.default_rng(14), 15)
    surrogate = GaussianProcess(GROUPS, WARPED)
    first, second = (surrogate.fit(data, np.random.default_rng(3)) for _ in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    assert np.unique(first["log_lengthscale"][:, 0]).size > 8


def test_fit_does_not_depend_on_the_units_of_y():
    data = make_data(np.random.default_rng(15), 15)
    surrogate = GaussianProcess(GROUPS, WARPED)
    scaled = Dataset(data.x, 1024.0 * data.y)
    one, other = (surrogate.fit(d, np.random.default_rng(3)) for d in (data, scaled))
    np.testing.assert_allclose(one["log_lengthscale"], other["log_lengthscale"], rtol=1e-6)
    assert other["scale"] == pytest.approx(1024.0 * one["scale"])


@pytest.mark.parametrize("warped", [False, True])
def test_fit_finds_what_matters_and_predicts_well(warped):
    rng = np.random.default_rng(16)
    x = rng.random((40, 3))
    surrogate = GaussianProcess(np.arange(3), np.full(3, warped))
    data = Dataset(x, np.sin(5.0 * x[:, 0]) + 0.5 * x[:, 1])
    cold = surrogate.fit(data, rng)
    for parameters in (cold, surrogate.fit(data, rng, cold)):
        relevant, _, irrelevant = parameters["log_lengthscale"].mean(axis=0)
        assert warped or relevant + 1.0 < irrelevant  # a warp may flatten a column instead
        posterior = surrogate.condition(parameters, data)
        test = rng.random((50, 3))
        mean = posterior.predict(test)[0].mean(axis=(0, 1)) * posterior.scale + posterior.offset
        assert np.sqrt(np.mean((mean - np.sin(5.0 * test[:, 0]) - 0.5 * test[:, 1]) ** 2)) < 0.03


def test_previous_samples_of_a_mode_start_a_sampled_fit_and_back():
    rng = np.random.default_rng(17)
    data = make_data(rng, 20)
    surrogate = GaussianProcess(GROUPS, WARPED)
    sampled = {k: v for k, v in surrogate.fit(data, rng).items() if not k.startswith("search_")}
    mode = {k: v if v.ndim == 0 else v[:1] for k, v in sampled.items()}
    assert surrogate.fit(data, rng, mode)["log_noise"].shape == (16,)


@pytest.mark.parametrize("y", [np.zeros(6), np.full(6, 1e12), np.arange(6.0)])
def test_repeated_rows_and_constant_objectives_are_fitted(y):
    data = Dataset(np.full((6, 6), 0.5), y)
    surrogate = GaussianProcess(GROUPS, WARPED)
    posterior = surrogate.condition(surrogate.fit(data, np.random.default_rng(0)), data)
    posterior = posterior.fantasize(np.full((2, 6), 0.5), 3, np.random.default_rng(1))
    mean, variance = posterior.predict(np.vstack([data.x[:1], np.zeros((1, 6)), np.ones((1, 6))]))
    assert np.isfinite(mean).all()
    assert (variance > 0.0).all()


@pytest.mark.parametrize(
    ("groups", "warped", "samples", "match"),
    [
        ([0, 2], [False, False], 10, "without gaps"),
        ([1, 2], [False, False], 10, "without gaps"),
        ([0, 1], [False], 10, "as long as"),
        ([0, 1], [False, False], 0, "at least 1"),
    ],
)
def test_a_wrong_layout_is_refused(groups, warped, samples, match):
    with pytest.raises(ValueError, match=match):
        GaussianProcess(np.array(groups), np.array(warped), samples)


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (np.zeros((3, 5)), np.zeros(3), "6 columns"),
        (np.zeros((1, 6)), np.zeros(1), "at least 2"),
        (np.zeros((3, 6)), np.array([0.0, np.nan, 1.0]), "finite"),
        (np.full((3, 6), np.inf), np.zeros(3), "finite"),
    ],
)
def test_wrong_data_are_refused(x, y, match):
    with pytest.raises(ValueError, match=match):
        GaussianProcess(GROUPS, WARPED).fit(Dataset(x, y), np.random.default_rng(0))


def test_parameters_of_another_layout_are_refused(setting):
    _, parameters, data, _, rng = setting
    other = GaussianProcess(GROUPS, np.zeros(6, bool))
    with pytest.raises(ValueError, match="got 10"):
        other.fit(data, rng, parameters)

"""Noise that is known of each observation: in the surrogates, through the output transform, over the wire."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, spearmanr

from mpi.mpi_definitions import Fit, PackedArray, TrainerDuty
from mpi.mpi_trainer import Trainer
from utilities.acquisition import LogExpectedImprovement
from utilities.aims import known_noise
from utilities.dngo import DNGO
from utilities.expert import LATEST, Expert, View
from utilities.fitting import condition, fit_surrogate, transform_of
from utilities.gaussian_process import GaussianProcess
from utilities.history import History
from utilities.hyperposterior import Hyperposterior, Layout
from utilities.kernels import MEAN_VARIANCE, matern52, squared_distances
from utilities.linear_regressor import EXTRA_NOISE, Gram, log_evidence, mean_coefficients, quadratic_basis, row_weights
from utilities.optimizer import Optimizer
from utilities.output_transform import OutputTransform
from utilities.space import Space
from utilities.surrogate import Dataset

SPACE = Space.from_dict({name: {"type": "float", "low": 0.0, "high": 1.0} for name in "ab"})
PLAIN = Layout(np.zeros(2, dtype=np.intp), np.empty(0, dtype=np.intp))


def uneven(count: int = 24, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    x = rng.random((count, 2))
    deviation = np.where(np.arange(count) % 2 == 0, 0.02, 1.0)
    return Dataset(x, np.sin(5.0 * x[:, 0]) + deviation * rng.standard_normal(count), deviation**2)


# --- the Gaussian process ---------------------------------------------------------------------------------------------


def test_the_evidence_is_that_of_the_whole_covariance() -> None:
    data, theta = uneven(), np.array([np.log(0.4), 0.3, -3.0])
    density = Hyperposterior(data.x, data.y, PLAIN, data.variance)
    z = data.x / 0.4
    covariance = np.exp(0.3) * matern52(squared_distances(z, z)) + MEAN_VARIANCE
    covariance += np.diag(1e-6 + np.exp(-3.0) + data.variance)
    expected = multivariate_normal(np.zeros(len(data)), covariance).logpdf(data.y)
    assert density.log_evidence(theta) == pytest.approx(expected, rel=1e-9)
    _, gradient = density.value_and_gradient(theta)
    steps = 1e-5 * np.eye(3)
    np.testing.assert_allclose(gradient, [(density(theta + s) - density(theta - s)) / 2e-5 for s in steps], rtol=1e-4)


def test_the_posterior_of_a_gaussian_process_is_that_of_the_whole_covariance() -> None:
    data, at = uneven(), np.random.default_rng(1).random((5, 2))
    surrogate = GaussianProcess(SPACE.groups, np.zeros(2, dtype=bool), samples=2)
    parameters = surrogate.fit(data, np.random.default_rng(0))
    posterior = surrogate.condition(parameters, data.some(slice(20)))
    grown = posterior.extend(*(data.some(slice(20, None)).x, data.y[20:], data.variance[20:]))
    mean, variance = grown.predict(at)
    y, kernel = (data.y - grown.offset) / grown.scale, grown.kernel
    for s in range(len(grown.noise())):
        z, new = kernel.embed(data.x)[s : s + 1], kernel.embed(at)[s : s + 1]
        one = kernel.some(np.array([s]))
        noise = np.diag(grown.noise()[s] + data.variance / grown.scale**2)
        gain = np.linalg.solve(one.between(z, z)[0] + noise, one.between(z, new)[0])
        np.testing.assert_allclose(mean[s, 0], gain.T @ y, atol=1e-8)
        expected = np.diag(one.between(new, new)[0]) - np.sum(one.between(z, new)[0] * gain, axis=0)
        np.testing.assert_allclose(variance[s], expected, atol=1e-8)
    np.testing.assert_allclose(grown.noise_of(data.variance)[:, 1] - grown.noise(), data.variance[1] / grown.scale**2)


@pytest.mark.parametrize("kind", ["gp", "dngo", "dngo-paper"])
def test_a_model_that_knows_the_noise_is_closer_to_the_truth(kind: str) -> None:
    at = np.random.default_rng(9).random((200, 2))
    truth, errors = np.sin(5.0 * at[:, 0]), {}
    for known in (True, False):
        squares = []
        for seed in range(3):
            data = uneven(60, seed)
            seen = data if known else Dataset(data.x, data.y)
            posterior = condition(kind, SPACE, (p := fit_surrogate(kind, SPACE, seen, 0, None)), seen)
            standard = posterior.predict(at)[0].mean(axis=(0, 1)) * posterior.scale + posterior.offset
            predicted = OutputTransform(p["output_knots"], p["output_images"]).invert(standard)
            squares.append(np.mean((predicted - truth) ** 2))
        errors[known] = np.mean(squares)
    assert errors[True] < 0.7 * errors[False]


@pytest.mark.parametrize("kind", ["gp", "dngo"])
def test_no_known_noise_is_the_same_as_before_to_the_bit(kind: str) -> None:
    data = uneven(30)
    one, other = (
        fit_surrogate(kind, SPACE, Dataset(data.x, data.y, v), 0, None) for v in (None, np.zeros(len(data.y)))
    )
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


# --- DNGO -------------------------------------------------------------------------------------------------------------


def test_the_evidence_of_weighed_rows_is_that_of_the_whole_covariance() -> None:
    rng, data = np.random.default_rng(2), uneven()
    phi = rng.standard_normal((len(data), 6))
    weights = row_weights(data.variance)
    spectrum = Gram.empty(6, 2).add(phi, data.x, data.y, weights).spectrum

    def whole(z: np.ndarray) -> float:
        mean = quadratic_basis(data.x) @ mean_coefficients(z)
        covariance = phi @ phi.T / np.exp(z[0]) + np.diag(1.0 / (np.exp(z[1]) * weights))
        return float(multivariate_normal(mean, covariance).logpdf(data.y))

    a, b = (np.array([0.2, beta, 0.1, 0.4, 0.6, -1.0, 0.5]) for beta in (2.0, 5.0))
    assert log_evidence(spectrum, a) - log_evidence(spectrum, b) == pytest.approx(whole(a) - whole(b), rel=1e-8)
    constant = 0.5 * float(np.log(weights).sum())
    assert log_evidence(spectrum, a) + constant == pytest.approx(whole(a), rel=1e-8)


def test_a_dngo_takes_known_noise_one_by_one_as_all_at_once() -> None:
    data, at = uneven(40), np.random.default_rng(3).random((5, 2))
    surrogate = DNGO(2, 2, 3)
    parameters = surrogate.fit(data.some(slice(30)), np.random.default_rng(0))
    whole = surrogate.condition({k: v for k, v in parameters.items() if k != "gram"}, data)
    grown = surrogate.condition(parameters, data.some(slice(32)))  # the first 30 rows by their sums
    for row in range(32, 40):
        one = data.some(slice(row, row + 1))
        grown = grown.extend(one.x, one.y, one.variance)
    for a, b in zip(whole.predict(at), grown.predict(at), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    noise = whole.noise_of(np.array([0.0, EXTRA_NOISE * whole.scale**2]))
    np.testing.assert_allclose(noise[:, 1], 2.0 * noise[:, 0])
    np.testing.assert_allclose(noise[:, 0], whole.noise())


# --- the output transform ---------------------------------------------------------------------------------------------


def test_noise_goes_through_the_transform_as_draws_of_it_do() -> None:
    rng = np.random.default_rng(0)
    transform = OutputTransform.fit(rng.standard_normal(60) ** 2)
    y, deviation = np.array([0.2, 0.4, 0.8, 1.5]), np.array([0.05, 0.1, 0.2, 0.3])
    draws = transform.apply((y + deviation * rng.standard_normal((20_000, 4))).ravel()).reshape(-1, 4)
    sent = transform.apply_variance(y, deviation**2)
    assert sent is not None
    np.testing.assert_allclose(np.sqrt(sent), draws.std(axis=0), rtol=0.5)
    assert transform.apply_variance(y, None) is None


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30), st.floats(0.0, 1e150))
@settings(max_examples=200, deadline=None)
def test_noise_stays_finite_and_none_stays_none(values: list[float], deviation: float) -> None:
    y = np.array(values)
    transform = OutputTransform.fit(y)
    sent = transform.apply_variance(y, np.full(len(y), deviation**2))
    assert sent is not None
    assert np.isfinite(sent).all()
    assert (sent >= 0.0).all()
    if deviation == 0.0:
        assert not sent.any()


# --- ask, tell, and the trainer ---------------------------------------------------------------------------------------


def test_the_optimizer_passes_standard_errors_on() -> None:
    optimizer = Optimizer(SPACE, method="gp", seed=1, direction="maximize")
    for i in range(4):
        trial = optimizer.ask()
        assert optimizer.data.variance is None
        optimizer.tell(trial, float(i))
    optimizer.tell(optimizer.ask(), 2.0, standard_error=0.5)
    np.testing.assert_array_equal(optimizer.data.variance, [0.0, 0.0, 0.0, 0.0, 0.25])
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="standard_error must be finite and not negative"):
            optimizer.tell(optimizer.ask(), 1.0, standard_error=bad)


@pytest.mark.parametrize("kind", ["gp", "dngo"])
def test_the_next_outcome_has_the_noise_of_the_latest_ones(kind: str) -> None:
    data = uneven(LATEST + 30)
    known = Dataset(data.x, data.y, np.append(np.full(30, 9.0), np.full(LATEST, 0.04)))
    expert = Expert(SPACE, kind)
    expert.adopt(fit_surrogate(kind, SPACE, known, 0, None), len(known))
    transform = transform_of(expert.parameters or {})
    expected = np.median(transform.apply_variance(known.y[30:], known.variance[30:]))
    assert expert.view(known).noise == pytest.approx(expected)
    for view in (expert.companion(known), expert.polisher(known)) if kind == "dngo" else ():
        assert view is not None
        assert 0.5 * expected < view.noise < 2.0 * expected
    assert expert.view(Dataset(known.x, known.y)).noise == 0.0


def test_standard_errors_and_repeats_that_differ_tell_that_noise_is_real() -> None:
    data = uneven(6)
    posterior = condition("gp", SPACE, fit_surrogate("gp", SPACE, data, 0, None), data)
    history, view = History(SPACE), View(posterior, np.arange(6))
    assert known_noise(view, history) is None
    assert known_noise(replace(view, noise=0.3), history) == 0.3
    history.noisy = True
    assert known_noise(view, history) == 0.0


def test_known_noise_takes_worth_off_what_is_nearly_known() -> None:
    data = uneven()
    surrogate = GaussianProcess(SPACE.groups, np.zeros(2, dtype=bool), samples=2)
    posterior = surrogate.condition(surrogate.fit(data, np.random.default_rng(0)), data)
    at = np.random.default_rng(1).random((200, 2))
    exact, noisy = (LogExpectedImprovement(posterior, data.x, noise=noise) for noise in (None, 1.0))
    lost = exact.value(at) - noisy.value(at)
    deviation = np.sqrt(posterior.predict(at)[1].mean(axis=0))
    assert (lost > 0.0).all()
    assert spearmanr(lost, deviation).statistic < -0.9


def test_a_trainer_knows_the_noise_that_it_is_sent() -> None:
    data = uneven(30)
    trainer = Trainer(TrainerDuty(SPACE.to_dict(), 4))

    def request(first: int, last: int, variance: np.ndarray | None) -> Fit:
        rows = PackedArray.pack(data.x[first:last]), PackedArray.pack(data.y[first:last])
        sent = None if variance is None else PackedArray.pack(variance)
        return Fit("gp", first, *rows, variance=sent)

    trainer.fit(request(0, 10, None))
    there = {k: v.unpack() for k, v in trainer.fit(request(10, 30, data.variance[10:])).parameters.items()}
    variance = np.concatenate([np.zeros(10), data.variance[10:]])
    before = fit_surrogate("gp", SPACE, Dataset(data.x[:10], data.y[:10]), 4, None)
    here = fit_surrogate("gp", SPACE, Dataset(data.x, data.y, variance), 4, before)
    for name in here:
        np.testing.assert_allclose(there[name], here[name])

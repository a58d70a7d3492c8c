"""What is maximised for several objectives and under constraints: oracles, gradients, many scenarios."""

import numpy as np
import pytest
from scipy.stats import norm

from utilities.acquisition import Acquisition, LogExpectedImprovement, NoPreference
from utilities.chebyshev import LogScalarisedImprovement, draw_weights, scalarised
from utilities.fitting import condition, fit_surrogate
from utilities.hypervolume_improvement import LogHypervolumeImprovement, reference_point
from utilities.metric_feasibility import Feasibility, Limit, Meeting
from utilities.pareto import hypervolume, non_dominated
from utilities.scenarios import Scenarios
from utilities.space import Space
from utilities.surrogate import Array, Dataset, Posterior

SPACE = Space.from_dict({name: {"type": "float", "low": 0.0, "high": 1.0} for name in "ab"})
POINTS = np.random.default_rng(0).random((14, 2))
PENDING = np.random.default_rng(1).random((3, 2))
PLACES = np.random.default_rng(2).random((6, 2))
CENTRES = (0.2, 0.8, 0.5)


@pytest.fixture(scope="module", params=["gp", "dngo-paper"])
def posteriors(request: pytest.FixtureRequest) -> list[Posterior]:
    """Of three objectives, with and without fantasies: the second has none."""
    x, rng = SPACE.features(POINTS), np.random.default_rng(3)
    found: list[Posterior] = []
    for centre in CENTRES:
        data = Dataset(x, np.sum((POINTS - centre) ** 2, axis=1))
        fitted = fit_surrogate(f"{request.param}@{centre}", SPACE, data, 0, None)
        posterior = condition(request.param, SPACE, fitted, data)
        found.append(posterior if centre == 0.8 else posterior.fantasize(SPACE.features(PENDING), 3, rng))
    return found


def scenarios(posteriors: list[Posterior]) -> Scenarios:
    known = np.vstack([SPACE.features(POINTS), SPACE.features(PENDING)])
    return Scenarios(posteriors, known, np.random.default_rng(4))


def differences(acquisition: Acquisition, x: Array, step: float = 1e-6) -> Array:
    gradient = np.empty_like(x)
    for column in range(x.shape[1]):
        shift = np.zeros(x.shape[1])
        shift[column] = step
        gradient[:, column] = (acquisition.value(x + shift) - acquisition.value(x - shift)) / (2.0 * step)
    return gradient


def acquisitions(posteriors: list[Posterior], objectives: int) -> list[Acquisition]:
    some = scenarios(posteriors[:objectives])
    feasibility = Feasibility([Limit(posteriors[0], 0.3, 1.0), Limit(posteriors[2], -0.2, -1.0)])
    improvement = LogHypervolumeImprovement(some)
    weights = draw_weights(objectives, np.random.default_rng(5))
    return [
        improvement,
        LogScalarisedImprovement(some, weights),
        Meeting(improvement, feasibility),
        Meeting(NoPreference(), feasibility),
    ]


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("which", range(4))
def test_gradients_are_those_of_the_value(posteriors: list[Posterior], objectives: int, which: int) -> None:
    acquisition, x = acquisitions(posteriors, objectives)[which], SPACE.features(PLACES)
    value, gradient = acquisition.value_and_gradient(x)
    np.testing.assert_allclose(value, acquisition.value(x), rtol=1e-9)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(gradient, differences(acquisition, x), rtol=2e-4, atol=2e-4 * scale)
    assert np.isfinite(acquisition.rough().value(x)).all()


@pytest.mark.parametrize("objectives", [2, 3])
def test_hypervolume_improvement_is_the_mean_over_draws(objectives: int) -> None:
    """1,200 draws a scenario: within five standard errors."""
    x, rng = SPACE.features(POINTS), np.random.default_rng(6)
    some: list[Posterior] = []
    for centre in CENTRES[:objectives]:
        data = Dataset(x, np.sum((POINTS - centre) ** 2, axis=1))
        some.append(condition("gp", SPACE, fit_surrogate("gp@", SPACE, data, 0, None), data).thin(2))
    joint = scenarios(some)
    place = SPACE.features(np.array([[0.55, 0.45]]))
    mean, variance = joint.predict(place)
    gains = []
    for scenario in range(mean.shape[1]):
        known = joint.known[:, scenario].T
        front = known[non_dominated(known)]
        reference = reference_point(front)
        drawn = mean[:, scenario, 0] + np.sqrt(variance[:, scenario, 0]) * rng.standard_normal((1200, objectives))
        before = hypervolume(front, reference)
        gains += [hypervolume(np.vstack([front, row]), reference) - before for row in drawn]
    expected, error = np.mean(gains), np.std(gains) / np.sqrt(len(gains))
    assert error < 0.2 * expected
    assert abs(np.exp(LogHypervolumeImprovement(joint).value(place)[0]) - expected) < 5.0 * error


def test_of_one_objective_it_is_expected_improvement(posteriors: list[Posterior]) -> None:
    known = np.vstack([SPACE.features(POINTS), SPACE.features(PENDING)])
    wanted = LogExpectedImprovement(posteriors[0], known).value(SPACE.features(PLACES))
    found = LogHypervolumeImprovement(scenarios(posteriors[:1])).value(SPACE.features(PLACES))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_the_scalarised_improvement_is_the_mean_over_draws(posteriors: list[Posterior]) -> None:
    joint, weights = scenarios(posteriors[:2]), np.array([0.3, 0.7])
    acquisition = LogScalarisedImprovement(joint, weights)
    place = SPACE.features(np.array([[0.55, 0.45]]))
    mean, variance = joint.predict(place)
    rng, gains = np.random.default_rng(7), []
    for scenario in range(mean.shape[1]):
        known = joint.known[:, scenario]
        front = known[:, non_dominated(known.T)]
        ideal, span = front.min(axis=1), front.max(axis=1) - front.min(axis=1)
        drawn = mean[:, scenario] + np.sqrt(variance[:, scenario]) * rng.standard_normal((2, 4000))
        best = scalarised(known, weights, ideal, span).min()
        gains.append(np.maximum(best - scalarised(drawn, weights, ideal, span), 0.0))
    expected, error = np.mean(gains), np.std(gains) / np.sqrt(np.size(gains))
    assert abs(np.exp(acquisition.value(place)[0]) - expected) < 5.0 * error + 1e-3 * expected


def test_the_probability_is_that_of_the_mixture(posteriors: list[Posterior]) -> None:
    x = SPACE.features(PLACES)
    mean, variance = posteriors[0].predict(x)
    below = norm.cdf(0.3, mean, np.sqrt(variance)[:, None]).mean(axis=(0, 1))
    for side, wanted in ((1.0, below), (-1.0, 1.0 - below)):
        feasibility = Feasibility([Limit(posteriors[0], 0.3, side)])
        np.testing.assert_allclose(np.exp(feasibility.log_probability(x)), wanted, rtol=1e-7, atol=1e-12)
        assert feasibility.likely(x).tolist() == (wanted >= 0.5).tolist()


def test_every_scenario_of_the_richest_posterior_is_there(posteriors: list[Posterior]) -> None:
    sizes = [np.prod(posterior.predict(SPACE.features(PLACES))[0].shape[:2]) for posterior in posteriors]
    assert scenarios(posteriors).known.shape == (3, max(sizes), len(POINTS) + len(PENDING))


@pytest.mark.parametrize("objectives", [2, 5])
def test_weights_are_of_the_simplex(objectives: int) -> None:
    weights = draw_weights(objectives, np.random.default_rng(0))
    assert weights.min() >= 0.0
    assert weights.sum() == pytest.approx(1.0)

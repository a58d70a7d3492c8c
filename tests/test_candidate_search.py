"""Maximising an acquisition: the known maximum of test functions over mixed, conditional and finite spaces."""

from __future__ import annotations

import numpy as np
import pytest

from utilities import candidate_search
from utilities.acquisition import LogExpectedImprovement
from utilities.candidate_search import Whole, maximise, perturb
from utilities.gaussian_process import GaussianProcess
from utilities.space import Space
from utilities.surrogate import Array, Dataset


class Peak:
    """A smooth score over feature rows with its maximum at `centre`."""

    def __init__(self, centre: Array, sharpness: float = 50.0) -> None:
        self._centre, self._sharpness = centre, sharpness

    def value(self, x: Array) -> Array:
        return -self._sharpness * np.sum((x - self._centre) ** 2, axis=1)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        return self.value(x), -2.0 * self._sharpness * (x - self._centre)

    def rough(self) -> Peak:
        return self


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("dimension", [1, 2, 6, 20])
def test_floats_are_refined_to_the_maximum(dimension: int) -> None:
    space = Space.from_dict({f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(dimension)})
    centre = np.linspace(0.1, 0.9, dimension)
    best = maximise(space, Peak(centre), rng(), np.full((1, dimension), 0.5))[0]
    np.testing.assert_allclose(best, centre, atol=1e-4)


MIXED = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "n": {"type": "int", "low": 1, "high": 1000, "log": True},
    "k": {"type": "int", "low": 0, "high": 5},
    "c": {"type": "categorical", "choices": list("abcdefgh")},
    "z": {"type": "float", "low": 0.0, "high": 1.0, "when": {"c": ["c", "d"]}},
}


@pytest.mark.parametrize("n", [1, 7, 640, 1000])
def test_mixed_coordinates_reach_the_maximum(n: int) -> None:
    space = Space.from_dict(MIXED)
    goal = {"x": 0.37, "n": n, "k": 4, "c": "d", "z": 0.61}
    centre = space.features(space.to_unit([goal]))[0]
    best = space.from_unit(maximise(space, Peak(centre), rng(), space.to_unit([{**goal, "n": 30, "k": 0}]))[:1])[0]
    assert {name: best[name] for name in ("k", "c")} == {"k": 4, "c": "d"}
    assert best["n"] == n or abs(best["n"] - n) <= 0.02 * n
    assert best["x"] == pytest.approx(0.37, abs=1e-3)
    assert best["z"] == pytest.approx(0.61, abs=1e-3)


def test_the_maximum_on_the_border_is_reached_and_never_passed() -> None:
    space = Space.from_dict({f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(3)})
    points = maximise(space, Peak(np.array([1.5, -0.5, 0.5])), rng(), np.full((1, 3), 0.5))
    np.testing.assert_allclose(points[0], [1.0, 0.0, 0.5], atol=1e-5)
    assert np.all((points >= 0.0) & (points <= 1.0))


def test_a_finite_space_is_ranked_whole() -> None:
    space = Space.from_dict(
        {"n": {"type": "int", "low": 0, "high": 9}, "c": {"type": "categorical", "choices": [1, 2]}}
    )
    whole = Whole.of(space)
    assert whole is not None
    goal = {"n": 3, "c": 2}
    peak = Peak(space.features(space.to_unit([goal]))[0])
    ranked = space.from_unit(maximise(space, peak, rng(), whole.points[:1], whole))
    assert len(ranked) == 20
    assert ranked[0] == goal
    assert ranked[1]["c"] == 2
    assert ranked[1]["n"] in (2, 4)


@pytest.mark.parametrize("seed", range(4))
def test_expected_improvement_is_searched_as_well_as_by_brute_force(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random, columns = np.random.default_rng(seed), 5
    space = Space.from_dict({f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(columns)})
    x = random.random((40, columns))
    parameters = {
        "log_lengthscale": np.log(random.uniform(0.2, 0.8, (6, columns))),
        "log_outputscale": np.zeros(6),
        "log_noise": np.full(6, -8.0),
        "log_a": np.empty((6, 0)),
        "log_b": np.empty((6, 0)),
        "offset": np.array(0.0),
        "scale": np.array(1.0),
    }
    surrogate = GaussianProcess(np.arange(columns), np.zeros(columns, dtype=bool))
    posterior = surrogate.condition(parameters, Dataset(x, np.sin(9.0 * x).sum(axis=1) / 1.6))
    pending = random.random((8, columns))
    acquisition = LogExpectedImprovement(posterior.fantasize(pending, 4, random), np.vstack([x, pending]))

    def reached() -> float:
        return float(acquisition.value(maximise(space, acquisition, rng(), x[:10])[:1])[0])

    found = reached()
    for name, value in {"SWEEP": 2**15, "SCREENED": 2_000, "STARTS": 40}.items():
        monkeypatch.setattr(candidate_search, name, value)
    assert found > reached() - 0.05


def test_perturbations_stay_inside_and_change_something() -> None:
    anchors = np.random.default_rng(1).random((3, 40))
    points = perturb(anchors, 500, 40, rng())
    assert np.all((points >= 0.0) & (points <= 1.0))
    changed = np.array([np.min(np.sum(point != anchors, axis=1)) for point in points])
    assert changed.min() >= 1
    assert 0.2 < np.mean(changed == 1) < 0.35
    assert 12 < changed[changed > 1].mean() < 28

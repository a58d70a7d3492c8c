"""Hints: densities against numerical integrals and differences, draws against densities, and what hints are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from utilities.acquisition import NoPreference
from utilities.designs import RandomSequence
from utilities.errors import StudyError
from utilities.optimizer import Optimizer
from utilities.prior import BETA, DEPTH, Believed, HalfByPrior, Prior
from utilities.space import Space
from utilities.storage.run_folder import RunFolder
from utilities.storage.study_file import read_study

TABLE = {
    "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True, "likely": 1e-3, "sure": "very"},
    "n": {"type": "int", "low": 1, "high": 20, "likely": 1, "sure": 0.5},
    "free": {"type": "float", "low": 0.0, "high": 1.0},
    "c": {"type": "categorical", "choices": ["a", "b", "c", "d"], "likely": "c", "sure": "weakly"},
    "o": {"type": "ordinal", "choices": [1, 2, 3, 4], "likely": 4},
    "b": {"type": "bool", "likely": False, "sure": 0.9},
    "z": {"type": "float", "low": 0.0, "high": 1.0, "likely": 0.2, "when": {"b": True}},
}


@pytest.fixture
def space() -> Space:
    return Space.from_dict(TABLE)


def test_what_is_drawn_is_where_it_is_said_to_be(space: Space) -> None:
    drawn = Prior(space).draw(np.random.default_rng(0).random((40_000, len(space))))
    lr = drawn[:, 0]
    assert np.mean(np.abs(lr - 0.5) < 0.1) == pytest.approx(0.9 * 0.9 + 0.1 * 0.2, abs=0.01)
    assert np.mean(lr < 0.2) > 0.015  # doubt
    configs = space.from_unit(drawn)
    assert np.mean([config["c"] == "c" for config in configs]) == pytest.approx(0.35 + 0.65 / 4, abs=0.01)
    assert np.mean([config["b"] for config in configs]) == pytest.approx(0.05, abs=0.005)
    assert np.mean(drawn[:, 2]) == pytest.approx(0.5, abs=0.01)


def test_draws_follow_the_density(space: Space) -> None:
    """Of each ordered hint: the share of draws in a cell is the integral of the density over it."""
    prior = Prior(space)
    drawn = prior.draw(np.random.default_rng(0).random((100_000, len(space))))
    for column, _, normal in prior._normals:
        fine = normal.density((np.arange(10_000) + 0.5) / 10_000)
        expected = fine.reshape(10, -1).sum(axis=1) / fine.sum()
        assert fine.mean() == pytest.approx(1.0, abs=1e-3)
        shares = np.histogram(drawn[:, column], bins=10, range=(0.0, 1.0))[0] / len(drawn)
        np.testing.assert_allclose(shares, expected, atol=4 * 0.5 / np.sqrt(len(drawn)))


def test_the_density_is_highest_at_the_likely_values_and_bounded(space: Space) -> None:
    prior = Prior(space)
    points = space.snap(np.random.default_rng(0).random((2000, len(space))))
    logs = prior.log_density(space.features(points))
    top = prior.log_density(space.features(space.snap(prior.likeliest(points))))
    np.testing.assert_allclose(top, np.logaddexp(0.0, -DEPTH), atol=0.02)  # an int's place is its cell's centre
    assert np.all(logs <= top + 1e-12)
    assert logs.min() > -DEPTH
    inactive = space.from_unit(points)[int(np.argmax(~space.active(points)[:, 6]))]
    assert "z" not in inactive


def test_gradients_agree_with_differences(space: Space) -> None:
    prior = Prior(space)
    x = space.features(np.random.default_rng(1).random((50, len(space))))
    value, gradient = Believed(NoPreference(), prior, 10).value_and_gradient(x)
    np.testing.assert_allclose(value, BETA / 10 * prior.log_density(x))
    for column in range(x.shape[1]):
        if column == space.layout.slices[6].start:
            continue  # the flag of an active parameter does not move
        step = np.zeros(x.shape[1])
        step[column] = 1e-6
        away = np.any(x[:, space.layout.slices[6]] != 0.0, axis=1) | (column < space.layout.slices[6].start)
        numeric = (prior.log_density(x + step) - prior.log_density(x - step)) / 2e-6 * BETA / 10
        np.testing.assert_allclose(gradient[away, column], numeric[away], rtol=1e-4, atol=1e-6)


def test_half_of_the_design_is_drawn_by_hints(space: Space) -> None:
    raw = RandomSequence(len(space), 0)
    sequence = HalfByPrior(RandomSequence(len(space), 0), Prior(space))
    assert space.from_unit(sequence[0][None])[0] | {"free": 0.0} == {
        "lr": 0.001, "n": 1, "free": 0.0, "c": "c", "o": 4, "b": False,
    }  # fmt: skip
    assert sequence[0][2] == raw[0][2]
    np.testing.assert_array_equal(sequence.block(1, 9)[1::2], np.array([raw[i] for i in (2, 4, 6, 8)]))
    assert np.mean(np.abs(sequence.block(0, 200)[1::2, 0] - 0.5) < 0.1) > 0.7
    np.testing.assert_array_equal(sequence.block(3, 4)[2], sequence[5])


BEST = np.array([0.72, 0.31, 0.55, 0.84])


def regrets(likely: np.ndarray | None, budget: int) -> np.ndarray:
    """Lowest objective after each trial of `gp` (3, budget), of three seeds, with all parameters hinted at."""
    found = []
    for seed in range(3):
        table: dict[str, dict[str, Any]] = {f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(4)}
        for i, value in enumerate(() if likely is None else likely):
            table[f"x{i}"] |= {"likely": float(value), "sure": "very"}
        optimizer = Optimizer(table, "gp", seed)
        best = []
        for _ in range(budget):
            trial = optimizer.ask()
            away = np.array([trial.config[f"x{i}"] for i in range(4)]) - BEST
            optimizer.tell(trial, float(np.sum(3.0 * away**2) + 0.15 * np.sum(1.0 - np.cos(12.0 * away))))
            assert optimizer.best is not None
            best.append(optimizer.best.objective)
        found.append(best)
    return np.array(found)


@pytest.mark.slow
def test_right_hints_help_and_wrong_ones_cost_little() -> None:
    """With hints a twentieth of the range away, and with the worst: each a median of three seeds, by a wide margin."""
    none, right = regrets(None, 15), regrets(BEST + 0.05, 15)
    assert np.median(right[:, -1]) < 0.25 * np.median(none[:, -1])
    wrong = regrets(np.array([0.1, 0.9, 0.1, 0.2]), 32)
    assert np.median(wrong[:, 0]) > 1.0
    assert np.median(wrong[:, -1]) < 0.1 * np.median(none[:, -1])


STUDY = """
[study]
objective = "branin"
[space]
x = { type = "float", low = 0.0, high = 10.0, likely = 3 }
"""


def test_hints_may_change_from_run_to_run(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    RunFolder.open(tmp_path, read_study(path)).close()
    path.write_text(STUDY.replace("likely = 3", 'likely = 5.5, sure = "very"'))
    RunFolder.open(tmp_path, read_study(path)).close()
    path.write_text(STUDY.replace("high = 10.0", "high = 11.0"))
    with pytest.raises(StudyError, match=r"\[space.x\] high: was 10.0, now 11.0"):
        RunFolder.open(tmp_path, read_study(path))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"likely": 2.0}, "likely must be a number from 0 to 1.0; got 2.0|likely must be a number from 0.0 to 1.0"),
        ({"likely": "x"}, "likely must be a number"),
        ({"likely": [1]}, "likely must be text, a number or a boolean"),
        ({"sure": "very"}, "sure needs likely beside it; got sure = 'very' alone"),
        (
            {"likely": 0.5, "sure": "verry"},
            "sure must be one of weakly, fairly, very, .*; got 'verry'. Did you mean \"very\"",
        ),
        ({"likely": 0.5, "sure": 1.0}, "or a probability between 0 and 1; got 1.0"),
        ({"likely": 0.5, "sure": 0}, "or a probability between 0 and 1; got 0"),
        ({"likely": 0.5, "sure": float("nan")}, "or a probability between 0 and 1; got nan"),
        ({"likely": 0.5, "sure": [1]}, "sure must be a word or a number"),
    ],
)
def test_mistakes_are_named(keys: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Space.from_dict({"x": {"type": "float", "low": 0, "high": 1, **keys}})
    with pytest.raises(StudyError, match="likely is not a key of type constant"):
        Space.from_dict({"x": {"type": "constant", "value": 1, "likely": 1}})

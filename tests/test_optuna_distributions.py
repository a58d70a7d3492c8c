"""Distributions of Optuna and parameters of ours, each from the other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utilities.optuna_distributions import (
    as_choice,
    choice_distribution,
    distribution_of,
    range_distribution,
    range_table,
    rank_distribution,
    rounded_distribution,
    suggest,
)
from utilities.parameters import parse_parameter

optuna = pytest.importorskip("optuna")
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402

TABLES: list[tuple[dict[str, Any], Any]] = [
    ({"type": "float", "low": -1.0, "high": 2.0}, FloatDistribution(-1.0, 2.0)),
    ({"type": "float", "low": 1e-5, "high": 1.0, "log": True}, FloatDistribution(1e-5, 1.0, log=True)),
    ({"type": "float", "low": 0.0, "high": 0.5, "step": 0.05}, FloatDistribution(0.0, 0.5, step=0.05)),
    ({"type": "int", "low": 1, "high": 9}, IntDistribution(1, 9)),
    ({"type": "int", "low": 1, "high": 9, "step": 2}, IntDistribution(1, 9, step=2)),
    ({"type": "int", "low": 8, "high": 512, "log": True}, IntDistribution(8, 512, log=True)),
]
CHOICES: list[tuple[dict[str, Any], list[Any]]] = [
    ({"type": "categorical", "choices": ["sgd", "adam"]}, ["sgd", "adam"]),
    ({"type": "ordinal", "choices": [16, 32, 64]}, [16, 32, 64]),
    ({"type": "bool"}, [False, True]),
    ({"type": "categorical", "choices": [1, 1.0, True, "1"]}, ["1", "1.0", "true", '"1"']),
]


@pytest.mark.parametrize(("table", "wanted"), TABLES)
def test_ranges_come_back_as_they_went(table: dict[str, Any], wanted: Any) -> None:
    found = distribution_of(parse_parameter(table, "x"))  # type: ignore[arg-type]
    assert found == wanted
    assert range_table(found) == table


@pytest.mark.parametrize(("table", "wanted"), CHOICES)
def test_choices_stay_apart(table: dict[str, Any], wanted: list[Any]) -> None:
    parameter: Any = parse_parameter(table, "x")
    assert distribution_of(parameter) == CategoricalDistribution(wanted)
    shown = [as_choice(parameter, option) for option in parameter.options]
    assert [(type(value), value) for value in shown] == [(type(value), value) for value in wanted]
    assert range_table(distribution_of(parameter)) is None


def test_a_logarithmic_scale_with_a_step_loses_the_step() -> None:
    whole: Any = parse_parameter({"type": "int", "low": 32, "high": 128, "step": 32, "log": True}, "x")
    assert distribution_of(whole) == IntDistribution(32, 128, log=True)
    assert rounded_distribution(32, 128, 32) == FloatDistribution(16.0, 144.0, log=True)


def test_a_stretch_is_a_part_of_a_range() -> None:
    parameter: Any = parse_parameter({"type": "float", "low": 0.0, "high": 1.0, "step": 0.1}, "x")
    assert range_distribution(parameter, 0.2, 0.6) == FloatDistribution(0.2, 0.6, step=0.1)


DISTRIBUTIONS = st.sampled_from(
    [wanted for _, wanted in TABLES]
    + [rank_distribution(4), rounded_distribution(32, 128, 32), choice_distribution(["a", "b"])]
)


@given(DISTRIBUTIONS, st.integers(0, 2**31))
def test_what_is_suggested_is_of_the_distribution_that_was_asked_for(distribution: Any, seed: int) -> None:
    """As Optuna itself records it: the same object of the same values, and a value that it takes for its own."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    value = suggest(trial, "x", distribution)
    assert trial.distributions == {"x": distribution}
    assert distribution.to_external_repr(distribution.to_internal_repr(value)) == value

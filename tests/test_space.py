"""Space: round trips, bounds, conditions, features, and the message for every mistake."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utilities.errors import StudyError
from utilities.space import INACTIVE, Space
from utilities.trial import Config, Value

MIXED = {
    "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True},
    "shift": {"type": "float", "low": -5.0, "high": 10.0},
    "width": {"type": "int", "low": 8, "high": 512, "log": True},
    "layers": {"type": "int", "low": 1, "high": 3},
    "model": {"type": "categorical", "choices": ["additive", "multiplicative", "none"]},
    "factors": {"type": "int", "low": 10, "high": 200, "when": {"model": ["multiplicative", "additive"]}},
    "rate": {"type": "float", "low": 0.0, "high": 1.0, "when": {"model": "multiplicative"}},
    "nested": {"type": "categorical", "choices": [True, False], "when": {"factors": 10, "layers": [2, 3]}},
}


@pytest.fixture
def space() -> Space:
    return Space.from_dict(MIXED)


def cube(space: Space, count: int = 500, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, len(space)))


def test_round_trip_is_exact(space: Space) -> None:
    configs = space.from_unit(cube(space))
    assert space.from_unit(space.to_unit(configs)) == configs


def test_every_value_is_valid_and_of_its_type(space: Space) -> None:
    for config in space.from_unit(np.vstack([cube(space), np.zeros((1, 8)), np.ones((1, 8))])):
        assert space.validate(config) == config
        assert type(config["width"]) is int
        assert type(config["lr"]) is float


def test_many_configurations_are_to_the_bit_what_each_is_by_itself(space: Space) -> None:
    configs = space.from_unit(cube(space))
    points = space.to_unit(configs)
    np.testing.assert_array_equal(points, np.vstack([space.to_unit([config]) for config in configs]))
    np.testing.assert_array_equal(space.features(points), np.vstack([space.features(point[None]) for point in points]))
    assert space.to_unit([]).shape == (0, 8)


def test_canonical_points_are_fixed_points(space: Space) -> None:
    points = space.snap(cube(space))
    np.testing.assert_array_equal(space.snap(points), points)
    np.testing.assert_allclose(space.to_unit(space.from_unit(points)), points, atol=1e-9)


@given(
    low=st.floats(-1e9, 1e9),
    span=st.floats(1e-3, 1e9),
    units=st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_linear_floats_round_trip_within_bounds(low: float, span: float, units: list[float]) -> None:
    space = Space.from_dict({"x": {"type": "float", "low": low, "high": low + span}})
    configs = space.from_unit([[u] for u in units])
    assert all(low <= config["x"] <= low + span for config in configs)
    if span >= 1e-3 * max(1.0, abs(low)):
        assert space.from_unit(space.to_unit(configs)) == configs


@given(low=st.floats(1e-12, 1e3), decades=st.floats(0.1, 12), unit=st.floats(0, 1))
def test_log_floats_round_trip_within_bounds(low: float, decades: float, unit: float) -> None:
    high = low * 10**decades
    space = Space.from_dict({"x": {"type": "float", "low": low, "high": high, "log": True}})
    config = space.from_unit([[unit]])
    assert low <= config[0]["x"] <= high
    assert space.from_unit(space.to_unit(config)) == config


@given(low=st.integers(1, 10**6), span=st.integers(1, 10**6), log=st.booleans(), unit=st.floats(0, 1))
def test_integers_round_trip_within_bounds(low: int, span: int, log: bool, unit: float) -> None:
    space = Space.from_dict({"x": {"type": "int", "low": low, "high": low + span, "log": log}})
    config = space.from_unit([[unit]])
    assert low <= config[0]["x"] <= low + span
    assert space.from_unit(space.to_unit(config)) == config


def test_borders_are_hit_exactly() -> None:
    space = Space.from_dict({"x": {"type": "float", "low": 0.1234567890123456, "high": 0.7}})
    assert [config["x"] for config in space.from_unit([[0.0], [1.0]])] == [0.1234567890123456, 0.7]


def test_each_integer_owns_an_equal_share() -> None:
    space = Space.from_dict({"x": {"type": "int", "low": 3, "high": 6}})
    values = [config["x"] for config in space.from_unit(((np.arange(400) + 0.5) / 400)[:, None])]
    assert [values.count(v) for v in (3, 4, 5, 6)] == [100] * 4


def test_conditions_on_conditions(space: Space) -> None:
    for config in space.from_unit(cube(space, 3000)):
        assert ("factors" in config) == (config["model"] != "none")
        assert ("rate" in config) == (config["model"] == "multiplicative")
        assert ("nested" in config) == (config.get("factors") == 10 and config["layers"] >= 2)


def test_conditions_may_come_before_their_parents() -> None:
    space = Space.from_dict(
        {
            "b": {"type": "float", "low": 0, "high": 1, "when": {"a": "on"}},
            "a": {"type": "categorical", "choices": ["on", "off"]},
        }
    )
    assert space.from_unit([[0.3, 0.1], [0.3, 0.9]]) == [{"b": 0.3, "a": "on"}, {"a": "off"}]


def test_log_integer_parents_match_their_own_value_only() -> None:
    space = Space.from_dict(
        {
            "n": {"type": "int", "low": 1, "high": 100_000, "log": True},
            "x": {"type": "float", "low": 0, "high": 1, "when": {"n": 99_999}},
        }
    )
    points = space.to_unit([{"n": 99_998}, {"n": 99_999, "x": 0.25}, {"n": 100_000}])
    assert space.active(points)[:, 1].tolist() == [False, True, False]


def test_inactive_coordinates_do_not_matter(space: Space) -> None:
    points = cube(space)
    other = np.where(space.active(points), points, np.random.default_rng(1).random(points.shape))
    np.testing.assert_array_equal(space.features(points), space.features(other))


def test_feature_distances() -> None:
    space = Space.from_dict(
        {
            "c": {"type": "categorical", "choices": ["a", "b", "c"]},
            "x": {"type": "float", "low": 0, "high": 1, "when": {"c": "a"}},
        }
    )
    x = space.features(space.to_unit([{"c": "a", "x": 0.0}, {"c": "a", "x": 1.0}, {"c": "b"}, {"c": "c"}]))
    category, arc = x[:, space.groups == 0], x[:, space.groups == 1]
    assert np.sum((category[0] - category[2]) ** 2) == pytest.approx(1.0)
    assert np.sum((category[2] - category[3]) ** 2) == pytest.approx(1.0)
    assert np.sum((arc[0] - arc[2]) ** 2) == pytest.approx(1.0)
    assert np.sum((arc[0] - arc[1]) ** 2) == pytest.approx(1.0)
    assert np.all(arc[2] == arc[3])


def test_feature_pullback_agrees_with_finite_differences(space: Space) -> None:
    points = space.snap(cube(space, 40))
    weights = np.random.default_rng(2).normal(size=len(space.groups))
    slope = space.feature_pullback(points, np.tile(weights, (40, 1)))
    step = 1e-6
    mask = space.active(points)
    for column in space.continuous:
        shifted = points.copy()
        shifted[:, column] += step
        numeric = (space.features(shifted) - space.features(points)) @ weights / step
        np.testing.assert_allclose(slope[:, column], np.where(mask[:, column], numeric, 0.0), atol=1e-4)


CONFIGS = Space.from_dict(MIXED).from_unit(cube(Space.from_dict(MIXED), 50))
values = st.sampled_from([0, 1, 2, 10, 0.5, 1.0, 1e-3, 9.5, True, False, "additive", "multiplicative", "none", "x"])


@given(whole=st.sampled_from(CONFIGS), change=st.dictionaries(st.sampled_from([*MIXED, "lrr"]), values, max_size=3))
def test_holds_is_whether_validate_accepts(whole: Config, change: dict[str, Value]) -> None:
    space = Space.from_dict(MIXED)
    for config in ({**whole, **change}, {name: value for name, value in whole.items() if name not in change}):
        try:
            space.validate(config)
        except StudyError:
            assert not space.holds(config)
        else:
            assert space.holds(config)


def test_keys_tell_configurations_apart_by_name_value_and_type(space: Space) -> None:
    configs = space.from_unit(cube(space))
    assert len({space.key(config) for config in configs}) == len(configs)
    first = configs[0]
    assert space.key(dict(reversed(first.items()))) == space.key(first)
    choices: list[Value] = [True, 1, 1.0, "1", "True", False, 0, 0.0]
    odd = Space.from_dict({name: {"type": "categorical", "choices": choices} for name in "ab"})
    pairs: list[Config] = [{"a": a, "b": b} for a in choices for b in choices]
    assert len({odd.key(config) for config in pairs}) == len(pairs)
    assert odd.key({"a": -0.0, "b": 1}) == odd.key({"a": 0.0, "b": 1})


def test_enumeration_lists_each_configuration_once() -> None:
    space = Space.from_dict(
        {
            "c": {"type": "categorical", "choices": ["a", "b"]},
            "n": {"type": "int", "low": 1, "high": 4, "when": {"c": "a"}},
        }
    )
    points = space.enumerate_points()
    assert points is not None
    configs = space.from_unit(points)
    assert len({space.key(config) for config in configs}) == len(configs) == 5
    assert Space.from_dict(MIXED).enumerate_points() is None
    assert math.isinf(Space.from_dict(MIXED).cardinality)


def test_inactive_place_in_unit_points(space: Space) -> None:
    point = space.to_unit([{"lr": 0.1, "shift": 0.0, "width": 8, "layers": 1, "model": "none"}])
    assert np.all(point[0, 5:] == INACTIVE)


def test_canonical_table_rebuilds_the_space(space: Space) -> None:
    assert Space.from_dict(space.to_dict()) == space


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.integers(), st.text(max_size=5), st.booleans())))
def test_any_parameter_table_gives_a_space_or_a_clear_error(table: dict[str, object]) -> None:
    for kind in ("float", "int", "categorical", None):
        with suppress(StudyError):
            Space.from_dict({"x": {**table, "type": kind}})


BAD = [
    ({}, "at least one parameter"),
    ({"x": 3}, r"\[space.x\] must be a table"),
    ({"x": {"low": 0}}, "type is missing"),
    ({"x": {"type": "flot"}}, 'Did you mean "float"'),
    ({"x": {"type": "float", "low": 0, "hihg": 1}}, 'hihg is not a key .* Did you mean "high"'),
    ({"x": {"type": "float", "low": 0}}, "high is missing; type float needs it"),
    ({"x": {"type": "categorical"}}, "choices is missing"),
    ({"x": {"type": "categorical", "choices": 3}}, "choices must be a list; got choices = 3"),
    ({"x": {"type": "float", "low": 0, "high": 1, "log": "yes"}}, "log must be true or false; got log = 'yes'"),
    ({"x": {"type": "float", "low": 0, "high": 1, "when": 4}}, "when must be a table of values, .*; got when = 4"),
    ({"x": {"type": "float", "low": "a", "high": 1}}, "low must be a number; got low = 'a'"),
    ({"x": {"type": "int", "low": 0.5, "high": 1}}, "low must be an integer; got low = 0.5"),
    ({"x": {"type": "float", "low": 1.0, "high": 0.1}}, "low must be below high; got low = 1.0, high = 0.1"),
    ({"x": {"type": "float", "low": 1.0, "high": 1.0}}, "low must be below high"),
    ({"x": {"type": "float", "low": 0, "high": 1, "log": True}}, "log = true needs low above 0; got low = 0"),
    ({"x": {"type": "float", "low": 0, "high": float("inf")}}, "finite"),
    ({"x": {"type": "categorical", "choices": []}}, "choices must not be empty"),
    ({"x": {"type": "categorical", "choices": ["a", "a"]}}, "differ from each other; got 'a' twice"),
    ({"x": {"type": "categorical", "choices": ["\ud800"]}}, r"half of a surrogate pair; got '\\ud800'"),
    ({"x": {"type": "float", "low": 0, "high": 1, "when": {"y": 1}}}, "unknown parameter 'y'"),
    ({"x": {"type": "float", "low": 0, "high": 1, "when": {"x": 1}}}, "x must be a comparison such as"),
]


@pytest.mark.parametrize(("table", "message"), BAD, ids=[message for _, message in BAD])
def test_mistakes_are_named(table: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Space.from_dict(table)


def test_conditions_must_name_a_value_and_must_not_be_circular() -> None:
    a = {"type": "categorical", "choices": ["on", "off"]}
    with pytest.raises(StudyError, match=r"must be one of \['on', 'off'\]; got 'onn'. Did you mean \"on\""):
        Space.from_dict({"a": a, "b": {**a, "when": {"a": "onn"}}})
    with pytest.raises(StudyError, match="circular; got a -> b -> a"):
        Space.from_dict({"a": {**a, "when": {"b": "on"}}, "b": {**a, "when": {"a": "on"}}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lrr": 1.0}, 'not a parameter. Did you mean "lr"'),
        ({"lr": 2.0}, "lr must be a number from 1e-06 to 1.0; got 2.0"),
        ({"layers": True}, "layers must be an integer"),
        ({"rate": 0.5}, "inactive: it needs"),
    ],
)
def test_configurations_are_checked(space: Space, change: dict[str, object], message: str) -> None:
    good = {"lr": 0.1, "shift": 0, "width": 8, "layers": 1, "model": "additive", "factors": 10}
    assert space.validate(good)["shift"] == 0.0
    with pytest.raises(StudyError, match=message):
        space.validate({**good, **change})
    with pytest.raises(StudyError, match="factors is missing"):
        space.validate({k: v for k, v in good.items() if k != "factors"})

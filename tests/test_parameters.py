"""Steps, ordered choices, booleans and constants: round trips, oracles, and the message for every mistake."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from utilities.candidate_search import maximise
from utilities.errors import StudyError
from utilities.ranges import FloatParameter, IntParameter
from utilities.space import Space
from utilities.surrogate import Array
from utilities.trial import Value

EVERY = {
    "dropout": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.05},
    "rate": {"type": "float", "low": 0.5, "high": 8.0, "step": 0.5, "log": True},
    "batch": {"type": "int", "low": 32, "high": 1024, "step": 32, "log": True},
    "units": {"type": "int", "low": 8, "high": 64, "step": 8},
    "size": {"type": "ordinal", "choices": ["small", "medium", "large", "huge"]},
    "depth": {"type": "ordinal", "choices": [50, 34, 18]},
    "nesterov": {"type": "bool"},
    "epochs": {"type": "constant", "value": 30},
    "warmup": {"type": "constant", "value": "linear", "when": {"nesterov": True}},
    "decay": {"type": "float", "low": 0.0, "high": 1.0, "step": 0.25, "when": {"size": ["small", "huge"]}},
}


@pytest.fixture
def space() -> Space:
    return Space.from_dict(EVERY)


def cube(space: Space, count: int = 400) -> Array:
    return np.vstack([np.random.default_rng(0).random((count, len(space))), np.zeros(len(space)), np.ones(len(space))])


def test_round_trips(space: Space) -> None:
    points = cube(space)
    configs = space.from_unit(points)
    assert space.from_unit(space.to_unit(configs)) == configs
    assert all(space.validate(config) == config and space.holds(config) for config in configs)
    np.testing.assert_allclose(space.to_unit(configs), space.snap(points), atol=1e-12)
    np.testing.assert_array_equal(space.to_unit(configs), np.vstack([space.to_unit([config]) for config in configs]))
    assert Space.from_dict(space.to_dict()) == space


def test_constants_are_in_every_configuration_and_no_coordinate(space: Space) -> None:
    configs = space.from_unit(cube(space))
    assert all(config["epochs"] == 30 for config in configs)
    assert all(config.get("warmup") == ("linear" if config["nesterov"] else None) for config in configs)
    assert list(configs[0]) == [name for name in EVERY if name in configs[0]]
    assert len(space) == space.groups.max() + 1 == len(EVERY) - 2
    with pytest.raises(StudyError, match="epochs must be the constant 30; got 31"):
        space.validate({**configs[0], "epochs": 31})
    with pytest.raises(StudyError, match="epochs is missing"):
        space.validate({name: value for name, value in configs[0].items() if name != "epochs"})
    assert not space.holds({name: value for name, value in configs[0].items() if name != "epochs"})


def test_ordered_choices_are_one_feature_by_rank(space: Space) -> None:
    base = space.from_unit(np.full((1, len(space)), 0.4))[0]
    base = {name: value for name, value in base.items() if name != "decay"}
    configs = [{**base, "size": "medium", "depth": depth} for depth in (50, 34, 18)]
    column = space.names.index("depth")
    x = space.features(space.to_unit(configs))[:, space.groups == column]
    np.testing.assert_allclose(x[:, 0], [1 / 6, 3 / 6, 5 / 6])
    assert np.sum(space.groups == space.names.index("nesterov")) == 2


@given(
    low=st.decimals(-1000, 1000, places=3).map(float),
    step=st.decimals("0.001", 50, places=3).map(float),
    steps=st.integers(1, 3000),
    units=st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_stepped_floats_are_the_decimals_that_were_meant(
    low: float, step: float, steps: int, units: list[float]
) -> None:
    high = round(low + steps * step, 3)
    parameter = FloatParameter(low=low, high=high, step=step)
    parameter.check("x")
    assert parameter.levels == steps + 1
    assert parameter.value(0.0) == low
    assert parameter.value(1.0) == high
    for unit in units:
        value = parameter.value(unit)
        rank = min(math.floor(unit * (steps + 1)), steps)
        assert value == round(low + rank * step, 3)
        assert parameter.accepts(value)
        assert parameter.value(parameter.unit(value)) == value


@given(first=st.integers(1, 40), step=st.integers(1, 60), steps=st.integers(1, 50), unit=st.floats(0, 1))
def test_steps_on_a_logarithmic_scale_go_to_the_nearest_value(first: int, step: int, steps: int, unit: float) -> None:
    low, high = first * step, (first + steps) * step
    parameter = IntParameter(low=low, high=high, step=step, log=True)
    parameter.check("x")
    ends = math.log(low - step / 2), math.log(high + step / 2)
    raw = math.exp(ends[0] + unit * (ends[1] - ends[0]))
    lattice = np.arange(low, high + 1, step)
    distance = np.abs(lattice - raw)
    assume(np.sort(distance)[1] - distance.min() > 1e-6)
    assert parameter.value(unit) == lattice[distance.argmin()]
    assert parameter.value(parameter.unit(parameter.value(unit))) == parameter.value(unit)


def test_places_shifts_and_values_agree_with_each_other(space: Space) -> None:
    for parameter in space.varied.values():
        places = parameter.places()
        levels = [parameter.value(float(place)) for place in places]
        assert len(set(levels)) == len(levels) == parameter.levels
        assert parameter.values(places).tolist() == pytest.approx(levels)
        np.testing.assert_allclose(parameter.snap(places), places, atol=1e-12)
        np.testing.assert_allclose(parameter.shifted(places, 1), [*places[1:], places[-1]], atol=1e-12)
        np.testing.assert_allclose(parameter.shifted(places, -1), [places[0], *places[:-1]], atol=1e-12)


def test_what_a_user_types_is_taken_for_the_value_that_is_meant(space: Space) -> None:
    config = next(config for config in space.from_unit(cube(space)) if "decay" not in config)
    assert space.validate({**config, "dropout": 3 * 0.05})["dropout"] == 0.15
    for name, value, rule in (
        ("dropout", 0.07, "a number from 0.0 to 0.5 in steps of 0.05; got 0.07"),
        ("units", 12, "an integer from 8 to 64 in steps of 8; got 12"),
        ("nesterov", 1, "true or false; got 1"),
        ("size", "tiny", "one of .*; got 'tiny'"),
    ):
        with pytest.raises(StudyError, match=f"{name} must be {rule}"):
            space.validate({**config, name: value})


class Peak:
    """Highest at `centre`, among feature rows."""

    def __init__(self, centre: Array) -> None:
        self._centre = centre

    def value(self, x: Array) -> Array:
        return -np.sum((x - self._centre) ** 2, axis=1)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        return self.value(x), -2.0 * (x - self._centre)

    def rough(self) -> Peak:
        return self


def test_the_candidate_search_finds_the_best_of_steps_and_ranks() -> None:
    goal: dict[str, Value] = {"x": 0.3137, "d": 0.35, "b": 544, "s": "large", "t": True, "n": 25.0}
    space = Space.from_dict(
        {
            "x": {"type": "float", "low": 0.0, "high": 1.0},
            "d": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.05},
            "b": {"type": "int", "low": 32, "high": 1024, "step": 32, "log": True},
            "s": EVERY["size"],
            "t": {"type": "bool"},
            "n": {"type": "float", "low": 0.0, "high": 50.0, "step": 0.5},
        }
    )
    centre = space.features(space.to_unit([goal]))[0]
    best = maximise(space, Peak(centre), np.random.default_rng(0), np.full((1, len(space)), 0.1))[:1]
    assert space.from_unit(best)[0] == {**goal, "x": pytest.approx(0.3137, abs=1e-3)}


def test_tables_without_the_newer_keys_mean_the_same() -> None:
    table = {"when": {}, "log": False, "grid": None, "low": 1, "high": 3}
    for kind in ("float", "int"):
        new = Space.from_dict({"x": {"type": kind, **table}}).to_dict()["x"]
        assert {key: value for key, value in new.items() if value is not None} == {
            "type": kind,
            **{key: value for key, value in table.items() if value is not None},
        }


def _number(kind: str = "float", low: float = 0, high: float = 1, **keys: object) -> dict[str, object]:
    return {"type": kind, "low": low, "high": high, **keys}


BAD: Sequence[tuple[dict[str, object], str]] = [
    (_number(step=0.3), r"high must be low and a multiple of step, such as 0.9 or 1.2; got .* step = 0.3"),
    (_number(step=0.0), "step must be above 0; got 0.0"),
    (_number(step=-0.1), "step must be above 0; got -0.1"),
    (_number(step=2), "step must be at most high - low = 1.0; got 2.0"),
    (_number(step=1e-13), "step must be at least .* for 12 digits are kept; got 1e-13"),
    (_number(step=float("inf")), "step must be at least"),
    (_number(step="x"), "step must be a number; got step = 'x'"),
    (_number("int", 1, 10, step=4), "such as 9 or 13; got low = 1, high = 10, step = 4"),
    (_number("int", 1, 9, step=0.5), "step must be an integer; got step = 0.5"),
    (_number("int", 1, 9, step=4, log=True), "log = true needs low above half of step; got low = 1, step = 4"),
    (_number("float", 0.1, 1.1, step=0.5, log=True), "log = true needs low above half of step"),
    ({"type": "ordinal"}, "choices is missing; type ordinal needs it"),
    ({"type": "ordinal", "choices": [1, 2, 1]}, "choices must differ from each other; got 1 twice"),
    ({"type": "ordinal", "choices": []}, "choices must not be empty"),
    ({"type": "bool", "choices": [True]}, "choices is not a key of type bool; known keys: likely, sure, when"),
    ({"type": "constant"}, "value is missing; type constant needs it"),
    ({"type": "constant", "value": [1]}, r"value must be text, a number or a boolean; got value = \[1\]"),
    ({"type": "constant", "value": float("nan")}, "value must be finite; got nan"),
    ({"type": "constant", "value": 1}, "must have a parameter that is no constant"),
    ({"type": "ordnal"}, 'Did you mean "ordinal"'),
]


@pytest.mark.parametrize(("table", "message"), BAD, ids=[message for _, message in BAD])
def test_mistakes_are_named(table: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Space.from_dict({"x": table})

"""Conditions: alternatives, comparisons, children of children; places and values agree; mistakes are named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utilities.errors import StudyError
from utilities.space import INACTIVE, Space

FLAG = {"type": "bool"}
TABLE = {
    "model": {"type": "categorical", "choices": ["mlp", "cnn", "forest"]},
    "layers": {"type": "int", "low": 1, "high": 8, "when": [{"model": "mlp"}, {"model": "cnn"}]},
    "skip": {**FLAG, "when": {"layers": ">= 3", "model": ["mlp", "cnn"]}},
    "gate": {**FLAG, "when": [{"skip": True, "layers": "> 3 and <= 6"}, {"model": "forest"}]},
    "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "when": {"model": "cnn"}},
    "warmup": {"type": "int", "low": 1, "high": 100, "when": {"lr": "> 0.01"}},
    "size": {"type": "ordinal", "choices": ["s", "m", "l", "xl"]},
    "shards": {"type": "int", "low": 2, "high": 4, "when": {"size": [">= l", "s"]}},
    "note": {"type": "constant", "value": "big", "when": {"size": "!= s", "epochs": 3}},
    "epochs": {"type": "constant", "value": 3},
}


def expected(config: dict[str, object]) -> set[str]:
    """Names that should be active, from those of the others."""
    model, layers, size = config["model"], config.get("layers", 0), config["size"]
    assert isinstance(layers, int)
    found = {"model", "size", "epochs"}
    found |= {"layers"} if model != "forest" else set()
    found |= {"skip"} if layers >= 3 else set()
    found |= {"gate"} if (config.get("skip") and 3 < layers <= 6) or model == "forest" else set()
    found |= {"lr"} if model == "cnn" else set()
    lr = config.get("lr", 0.0)
    assert isinstance(lr, float)
    found |= {"warmup"} if lr > 0.01 else set()
    found |= {"shards"} if size != "m" else set()
    return found | ({"note"} if size != "s" else set())


def test_activity_is_what_the_conditions_say() -> None:
    space = Space.from_dict(TABLE)
    points = np.random.default_rng(0).random((3000, len(space)))
    configs = space.from_unit(points)
    for config in configs:
        assert set(config) == expected(dict(config))
        assert space.validate(config) == config
    assert space.from_unit(space.to_unit(configs)) == configs
    active = space.active(points)
    assert np.array_equal(active, [[name in config for name in space.names] for config in configs])
    assert np.all(space.snap(points)[~active] == INACTIVE)
    assert Space.from_dict(space.to_dict()) == space


@given(
    log=st.booleans(),
    kind=st.sampled_from(["float", "int"]),
    bound=st.integers(1, 9999).map(lambda n: n / 100),
    symbol=st.sampled_from([">=", ">", "<", "<=", "==", "!="]),
    nudges=st.lists(st.integers(-3, 3), max_size=5),
)
def test_places_beside_a_bound_are_on_the_side_of_their_value(
    log: bool, kind: str, bound: float, symbol: str, nudges: list[int]
) -> None:
    parent = {"type": kind, "low": 1 if kind == "int" else 0.005, "high": 100, "log": log}
    try:
        space = Space.from_dict({"a": parent, "b": {**FLAG, "when": {"a": f"{symbol} {bound}"}}})
    except StudyError as error:
        assert "must hold for some value" in str(error)  # noqa: PT017 (the integers have few values)
        return
    place = space.varied["a"].unit(bound)
    for nudge in nudges:
        for _ in range(abs(nudge)):
            place = float(np.nextafter(place, np.sign(nudge)))
        place = min(max(place, 0.0), 1.0)
        config = space.from_unit([[place, 0.3]])[0]
        assert space.validate(config) == config
        assert ("b" in config) == eval(f"{config['a']!r} {symbol} {bound!r}")


def parent_is(**tables: dict[str, object]) -> dict[str, object]:
    return {
        "c": {"type": "categorical", "choices": ["on", "off"]},
        "n": {"type": "int", "low": 1, "high": 9},
        "o": {"type": "ordinal", "choices": ["s", "m", "l"]},
        "x": {"type": "float", "low": 0.0, "high": 1.0},
        "q": {"type": "float", "low": 0.0, "high": 1.0, "step": 0.25},
        "k": {"type": "constant", "value": 3},
        **{name: {"type": "bool", **table} for name, table in tables.items()},
    }


BAD = [
    (
        {"b": {"when": {"n": ">= 10"}}},
        r"\[space.b\] when n must hold for some value, an integer from 1 to 9; got",
    ),
    ({"b": {"when": {"n": "> 4 and < 5"}}}, "must hold for some value"),
    ({"b": {"when": {"n": "> three"}}}, "must compare with a number; got '> three'"),
    ({"b": {"when": {"n": "> 3 and 5"}}}, "must be comparisons joined by .and., such as .*; got '5'"),
    ({"b": {"when": {"n": "three"}}}, "must be an integer from 1 to 9; got 'three'"),
    ({"b": {"when": {"x": 0.5}}}, "x must be a comparison such as .> 0.0., for a float without a step; got 0.5"),
    ({"b": {"when": {"x": "> 1"}}}, "must hold for some value, a number from 0.0 to 1.0"),
    ({"b": {"when": {"q": 0.3}}}, "must be a number from 0.0 to 1.0 in steps of 0.25; got 0.3"),
    ({"b": {"when": {"o": "> xl"}}}, r"must compare with one of \['s', 'm', 'l'\]; got '> xl'"),
    ({"b": {"when": {"o": "< s"}}}, "must hold for some value"),
    ({"b": {"when": {"c": "> on"}}}, r"must be one of \['on', 'off'\]; got '> on'"),
    ({"b": {"when": {"k": 4}}}, "must be the constant 3; got 4"),
    ({"b": {"when": []}}, "must list at least one table"),
    ({"b": {"when": [{"n": 1}, {}]}}, "must list tables that each name a parameter"),
    ({"b": {"when": [{"n": 1}, {"m": 1}]}}, "unknown parameter 'm'"),
    ({"b": {"when": [3]}}, "when must be a table of values"),
    ({"b": {"when": {"n": {"m": 1}}}}, "when must be a table of values"),
    ({"b": {"when": [{"n": 1}, {"d": True}]}, "d": {"when": {"b": True}}}, "circular; got b -> d -> b"),
    ({"b": {"when": {"n": [1, 2]}}, "d": {"when": {"b": True, "n": "> 2"}}}, r"\[space.d\] when can never hold"),
    (
        {"b": {"when": [{"n": 1}, {"o": "s"}]}, "d": {"when": {"b": True, "n": 2, "o": ["m", "l"]}}},
        r"\[space.d\] when can never hold",
    ),
]


@pytest.mark.parametrize(("tables", "message"), BAD, ids=[message for _, message in BAD])
def test_mistakes_are_named(tables: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Space.from_dict(parent_is(**tables))


def test_a_contradiction_on_one_way_leaves_the_other() -> None:
    table = parent_is(b={"when": [{"n": 1}, {"o": "s"}]}, d={"when": {"b": True, "n": 2}})
    assert Space.from_dict(table).validate(
        {"c": "on", "n": 2, "o": "s", "x": 0.5, "q": 0.5, "k": 3, "b": True, "d": False}
    )


def test_text_that_is_a_choice_is_no_comparison() -> None:
    space = Space.from_dict({"a": {"type": "ordinal", "choices": ["< 1", "> 1"]}, "b": {**FLAG, "when": {"a": "> 1"}}})
    assert [set(config) for config in space.from_unit([[0.2, 0.0], [0.8, 0.0]])] == [{"a"}, {"a", "b"}]

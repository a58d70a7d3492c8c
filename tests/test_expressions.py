"""Expressions: what Python itself makes of them is the oracle; what is not allowed is named with its place."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utilities.constraints import Constraints
from utilities.errors import StudyError
from utilities.expressions import MOST_PARTS, read_expression
from utilities.space import Space

TABLE = {
    "a": {"type": "int", "low": -3, "high": 3},
    "b": {"type": "int", "low": 1, "high": 4},
    "x": {"type": "float", "low": -2.0, "high": 2.0, "step": 0.25},
    "on": {"type": "bool"},
    "o": {"type": "categorical", "choices": ["sgd", "adam", "rprop"]},
    "p": {"type": "categorical", "choices": ["adam", "lion", "sgd"]},
    "mixed": {"type": "categorical", "choices": ["auto", 3, True, 0.5]},
    "size": {"type": "ordinal", "choices": ["s", "m", "l"]},
    "depth": {"type": "ordinal", "choices": [18, 50, 34]},
    "k": {"type": "constant", "value": 2},
    "word": {"type": "constant", "value": "adam"},
}
SPACE = Space.from_dict(TABLE)
POINTS = SPACE.snap(np.random.default_rng(0).random((60, len(SPACE))))
CONFIGS = SPACE.from_unit(POINTS)

numbers = st.recursive(
    st.sampled_from(["a", "b", "x", "k", "depth", "on", "1.0", "0.5", "2.0", "-1.0", "1e3"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), inner).map(
            lambda t: f"({' '.join(t)})"
        )
        | st.tuples(st.sampled_from(["abs", "exp", "sqrt", "log", "-"]), inner).map(lambda t: f"{t[0]}({t[1]})")
        | st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})")
    ),
    max_leaves=6,
)
comparisons = st.tuples(
    numbers, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), numbers, st.sampled_from(["<", ">="]), numbers
).map(lambda t: " ".join(t[:3] if len(t[0]) % 2 else t))
choices = st.sampled_from(
    [
        "o == 'sgd'",
        "'adam' != o",
        "o in ('sgd', 'adam')",
        "o not in ['rprop']",
        "o == p",
        "o != p",
        "p == word",
        "mixed == 3",
        "mixed != 'auto'",
        "on",
        "b in [1, a, 4]",
        "True",
        "on == (a > 0)",
    ]
)
truths = st.recursive(
    comparisons | choices,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({' '.join(t)})")
        | inner.map(lambda text: f"not ({text})")
    ),
    max_leaves=4,
)


def python(text: str, config: dict[str, Any]) -> bool | None:
    """What Python makes of it, with floats for all numbers; None where it raises."""
    config = {name: float(value) if type(value) is int else value for name, value in config.items()}
    functions = {"abs": abs, "min": min, "max": max, "log": math.log, "exp": math.exp, "sqrt": math.sqrt}
    try:
        return bool(eval(text, {"__builtins__": {}}, {**functions, **config}))
    except (ArithmeticError, ValueError, TypeError):
        return None


@settings(max_examples=200, deadline=None)
@given(truths)
def test_what_python_says(text: str) -> None:
    try:
        constraints = Constraints(SPACE.parameters, SPACE._conditions, [text])
    except StudyError as error:
        assert "must name a parameter" in str(error)  # noqa: PT017 (a draw of literals alone)
        return
    found = constraints.allowed(POINTS)
    for config, kept in zip(CONFIGS, found, strict=True):
        assert kept == (constraints.broken(config) == "")
        wanted = python(text, config)
        nearby = [python(text, {**config, "x": config["x"] * (1 + nudge)}) for nudge in (1e-12, -1e-12)]
        if nearby == [wanted, wanted] and wanted is not None:
            assert kept == wanted, (text, config)


@pytest.mark.parametrize(
    ("text", "true", "false"),
    [
        ("size >= 'm'", [{"size": "m"}, {"size": "l"}], [{"size": "s"}]),
        ("'m' > size", [{"size": "s"}], [{"size": "m"}]),
        ("depth >= 34", [{"depth": 34}, {"depth": 50}], [{"depth": 18}]),
        ("1 / a > 0", [{"a": 2}], [{"a": 0}, {"a": -1}]),
        ("1 / a != 0", [{"a": 0}], []),
        ("log(a) < 9", [{"a": 1}], [{"a": 0}, {"a": -1}]),
        ("x + 0.2 <= 0.3", [{"x": 0.1}], [{"x": 0.25}]),
        ("0.1 + 0.2 == x", [{"x": 0.3}], [{"x": 0.25}]),
        ("10 ** 10 ** 10 > b", [{"b": 1}], []),
        ("a == -3", [{"a": -3}], [{"a": 3}]),
        ("on + on + b <= 3", [{"on": True, "b": 1}], [{"on": True, "b": 2}]),
    ],
)
def test_meanings_of_its_own(text: str, true: list[dict[str, Any]], false: list[dict[str, Any]]) -> None:
    constraints = Constraints(SPACE.parameters, SPACE._conditions, [text])
    for configs, kept in ((true, True), (false, False)):
        for config in configs:
            assert (constraints.broken(config) == "") == kept, config


BAD = [
    ("b * widht <= 3", r"constraints\[0\] 'b \* widht <= 3': 'widht' \(at character 5\) is not a parameter"),
    ("o == 'sdg'", r"'.sdg.' \(at character 6\) is not a choice of o, .* Did you mean \"sgd\"|is not a choice of o"),
    ("o < 'sgd'", "has no order; only numbers and the choices of an ordinal have"),
    ("size < 'xl'", "is not a choice of size"),
    ("o + 1 < 3", r"'o' \(at character 1\) must be a number"),
    ("o == 3", "is not a choice of o"),
    ("o == a", "cannot be compared with the other side"),
    ("a", r"must be true or false, such as a comparison"),
    ("a and b > 1", r"'a' \(at character 1\) must be true or false"),
    ("1 < 2", "must name a parameter"),
    ("a <", r"is no expression: .* \(at character \d+\)"),
    ("", "is no expression"),
    ("a.real > 1", "is not allowed"),
    ("__import__('os').system('true') == b", "is not allowed"),
    ("open('x') == b", "is not allowed"),
    ("(lambda: a)() > 1", "is not allowed"),
    ("[a for a in [1]] == b", "is not allowed"),
    ("a if on else b > 1", "is not allowed"),
    ("(a := 3) > 1", "is not allowed"),
    ("a is b", "not by is"),
    ("a @ b > 1", "is not allowed"),
    ("a | b > 1", "is not allowed"),
    ("f'{a}' == o", "is not allowed"),
    ("a > 1j", "is not allowed"),
    ("a > None", "is not allowed"),
    ("b'x' == o", "is not allowed"),
    ("log(a, base=2) > 1", "is not allowed"),
    ("log(a, 2) > 1", "needs one argument"),
    ("min(a) > 1", "needs at least two arguments"),
    ("a in 3", "must be a list that is not empty"),
    ("a in []", "must be a list that is not empty"),
    ("a in [1] == on", "is a list, after which nothing can be compared"),
    ("o == '\\d'", "cannot be read|is no expression"),
    ("a < " + "9" * 400, "must be below 1e308 in size"),
    ("a < 1" + " + 1" * MOST_PARTS, "must have at most 150 parts"),
    ("a < " + "1" * 2000, "must have at most 1,000 characters"),
    ("(" * 300 + "a" + ")" * 300 + " > 1", "is no expression"),
    ("\0", "is no expression"),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[text[:30].replace("\0", "NUL") for text, _ in BAD])
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Constraints(SPACE.parameters, SPACE._conditions, [text])


@pytest.mark.parametrize(
    "text",
    [
        "9 ** 9 ** 9 ** 9 ** 9 > a",
        "((((((((((((((a < 1) < 1) < 1) < 1) < 1) < 1) < 1) < 1) < 1) < 1) < 1) < 1) < 1) < 1) < b < 9",
        "((((((((((((a in [1, 2]) in [1, 2]) in [1, 2]) in [1, 2]) in [1, 2]) in [1]) in [1, 2]) in [1, 2]) in [1, 2])"
        " in [1, 2]) in [1, 2]) in [1, 2]) in [True]",
        "-" * 140 + "a > 1",
        "not " * 140 + "on",
        "exp(exp(exp(exp(a)))) > 1",
    ],
    ids=["powers", "chains", "lists", "signs", "nots", "exponentials"],
)
def test_nothing_takes_long(text: str) -> None:
    began = time.perf_counter()
    expression = read_expression(text, SPACE.parameters, "x")
    expression.holds({"a": np.ones(2000), "b": np.ones(2000), "on": np.ones(2000, dtype=bool)})
    assert time.perf_counter() - began < 0.5

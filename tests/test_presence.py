"""When parameters of a define-by-run objective appear: what is learned is true of the trials that were seen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reverie.integration.presence import Column, conditions
from utilities.space import Space

NAN = float("nan")


def column(values: list[float], levels: float, *, ordered: bool = False) -> Column:
    """Column of values; those that are absent are NaN."""
    array = np.array(values)
    return Column(~np.isnan(array), np.nan_to_num(array), levels, ordered)


def test_a_branch_and_a_loop() -> None:
    columns = {
        "kind": column([0, 1, 2, 1, 0], 3),
        "layers": column([1, 2, 3, 1, 4], 4, ordered=True),
        "unit0": column([0.1, 0.2, 0.3, 0.4, 0.5], math.inf),
        "unit1": column([NAN, 0.2, 0.3, NAN, 0.5], math.inf),
        "unit2": column([NAN, NAN, 0.3, NAN, 0.5], math.inf),
        "rate": column([0.1, NAN, 0.1, NAN, 0.1], math.inf),
    }
    assert conditions(columns) == {
        "kind": {},
        "layers": {},
        "unit0": {},
        "unit1": {"layers": ">= 2"},
        "unit2": {"layers": ">= 3"},
        "rate": {"kind": [0, 2]},
    }


def test_two_parents_together() -> None:
    columns = {
        "a": column([0, 0, 1, 1, 0, 1], 2),
        "n": column([1, 5, 1, 5, 3, 3], 5, ordered=True),
        "p": column([NAN, NAN, 0.5, NAN, NAN, 0.5], math.inf),
    }
    assert conditions(columns)["p"] == {"a": [1], "n": "<= 3"}


def test_a_value_between_two_bounds() -> None:
    columns = {"n": column([1, 2, 3, 4, 5], 5, ordered=True), "p": column([NAN, 1, 1, NAN, NAN], math.inf)}
    assert conditions(columns)["p"] == {"n": ">= 2 and <= 3"}


def test_what_nothing_explains_and_what_depends_on_it_is_left_out() -> None:
    columns = {
        "a": column([0, 0, 1, 1], 2),
        "odd": column([1, NAN, 1, NAN], 2),
        "under": column([1, NAN, NAN, NAN], math.inf),
    }
    assert conditions(columns) == {"a": {}}


def test_of_two_explanations_the_one_of_fewer_values_is_taken() -> None:
    columns = {
        "width": column([10, 20, 500, 600], 1000, ordered=True),
        "kind": column([0, 0, 1, 1], 2),
        "p": column([NAN, NAN, 1, 1], math.inf),
    }
    assert conditions(columns)["p"] == {"kind": [1]}


@st.composite
def objectives(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Parameters in order, some of them under a condition on one that comes before."""
    rows: list[dict[str, Any]] = []
    for i in range(draw(st.integers(2, 6))):
        row: dict[str, Any] = {"levels": draw(st.integers(2, 4)), "ordered": draw(st.booleans()), "parent": None}
        if i and draw(st.booleans()):
            parent = draw(st.integers(0, i - 1))
            row["parent"] = parent
            row["wanted"] = draw(st.integers(0, rows[parent]["levels"] - 1))
        rows.append(row)
    return rows


@settings(max_examples=150, deadline=None)
@given(objectives(), st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_what_is_learned_holds_of_every_trial(rows: list[dict[str, Any]], seed: int, count: int) -> None:
    """And nothing is left out: a chain of single parents is always explained, by itself or by another like it."""
    rng = np.random.default_rng(seed)
    trials: list[dict[str, int]] = []
    for _ in range(count):
        trial: dict[str, int] = {}
        for i, row in enumerate(rows):
            parent = row["parent"]
            value = trial.get(f"p{parent}", -1)
            there = value >= row["wanted"] if parent is not None and rows[parent]["ordered"] else None
            if parent is None or (there if there is not None else value == row["wanted"]):
                trial[f"p{i}"] = int(rng.integers(row["levels"]))
        trials.append(trial)
    seen = [f"p{i}" for i in range(len(rows)) if any(f"p{i}" in trial for trial in trials)]
    found = conditions(
        {
            name: column(
                [trial.get(name, NAN) for trial in trials],
                rows[int(name[1:])]["levels"],
                ordered=rows[int(name[1:])]["ordered"],
            )
            for name in seen
        }
    )
    assert list(found) == seen
    table = {}
    for name, when in found.items():
        row = rows[int(name[1:])]
        kind = (
            {"type": "int", "low": 0, "high": row["levels"] - 1}
            if row["ordered"]
            else {"type": "categorical", "choices": list(range(row["levels"]))}
        )
        table[name] = {**kind, "when": when}
    space = Space.from_dict(table)
    assert all(space.holds(trial) for trial in trials)

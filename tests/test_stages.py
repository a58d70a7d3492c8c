"""Stages: every proposal lies in the part of its stage, whatever the method, the space and the order of outcomes."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_cluster import Cluster, reopened

from utilities.errors import SpaceExhaustedError, StudyError
from utilities.methods import METHODS
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.stage_plan import Begun
from utilities.subspace import Subspace
from utilities.trial import TrialRecord

SPACE: dict[str, dict[str, Any]] = {
    "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True, "likely": 1e-3},
    "decay": {"type": "float", "low": 0.0, "high": 1.0, "likely": 0.5},
    "drop": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.05, "likely": 0.1},
    "width": {"type": "int", "low": 16, "high": 512, "log": True, "likely": 64},
    "depth": {"type": "int", "low": 1, "high": 9, "likely": 4},
    "size": {"type": "ordinal", "choices": ["s", "m", "l", "xl"], "likely": "m"},
    "optimiser": {"type": "categorical", "choices": ["sgd", "adam", "lion"], "likely": "adam"},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimiser": "sgd"}},
    "schedule": {"type": "constant", "value": "cosine"},
}
PLAN: list[dict[str, Any]] = [
    {"budget": 6, "free": ["lr", "optimiser", "momentum"]},
    {"budget": 7, "shrink": 0.5},
    {"budget": 5, "shrink": 0.4, "fixed": {"size": "l"}, "space": {"decay": {"low": 0.1, "high": 0.6}}},
    {"shrink": 0.5, "space": {"optimiser": {"choices": ["adam", "lion"]}}},
]
FINITE: dict[str, dict[str, Any]] = {
    "a": {"type": "int", "low": 1, "high": 4, "likely": 2},
    "b": {"type": "categorical", "choices": ["u", "v"], "likely": "u"},
}


def loss(config: dict[str, Any]) -> float:
    """Its minimum: lr 5e-3, decay 0.3, depth 6, adam."""
    value = (
        (math.log10(config["lr"]) + 2.3) ** 2 + 4.0 * (config["decay"] - 0.3) ** 2 + 0.1 * (config["depth"] - 6) ** 2
    )
    return value + {"sgd": 0.5, "adam": 0.0, "lion": 0.3}[config["optimiser"]] + 0.1 * config["drop"]


def check_inside(space: Space, records: dict[int, Any], begun: list[Begun]) -> None:
    """See that each trial lies in the part of the latest stage that had begun before it."""
    for number, config in records.items():
        (stage,) = [entry for entry in begun if entry.first <= number][-1:]
        assert Subspace(space, stage.limits).holds_config(config), (number, stage, config)


@pytest.mark.parametrize("method", [method for method in METHODS if method not in ("auto", "dngo-paper")])
@pytest.mark.parametrize("pending", [1, 4])
def test_every_proposal_lies_in_its_stage(method: str, pending: int) -> None:
    space = Space.from_dict(SPACE)
    optimizer = Optimizer(space, method, 3, stages=PLAN)
    asked = []
    for number in range(24):
        asked.append(optimizer.ask())
        if number >= pending:
            trial = asked[number - pending]
            optimizer.tell(trial, failed="no") if number % 7 == 3 else optimizer.tell(trial, loss(trial.config))
    begun = optimizer.stages.news()
    assert [entry.stage for entry in begun] == [0, 1, 2, 3]
    check_inside(space, {trial.number: trial.config for trial in asked}, begun)
    assert {trial.config["size"] for trial in asked[:6]} == {"m"}
    assert begun[0].limits["decay"] == {"value": 0.5}
    for one, two in itertools.pairwise(begun):
        width = [_length(space, entry, "lr") for entry in (one, two)]
        assert width[1] <= width[0] * (1.0 + 1e-9)
    assert _length(space, begun[-1], "lr") == pytest.approx(0.5 * 0.4 * 0.5)


def _length(space: Space, begun: Begun, name: str) -> float:
    limit = {"low": 1e-6, "high": 1.0} | begun.ranges.get(name, {})
    return space.varied[name].unit(limit["high"]) - space.varied[name].unit(limit["low"])


@pytest.mark.parametrize("method", ["gp", "random"])
def test_stages_close_in_on_the_minimum(method: str) -> None:
    plan = [{"budget": 24}, {"budget": 12, "shrink": 0.5}, {"budget": 12, "shrink": 0.5}]
    optimizer = Optimizer(SPACE, method, 1, stages=plan)
    for _ in range(48):
        trial = optimizer.ask()
        optimizer.tell(trial, loss(trial.config))
    last = optimizer.stages.news()[-1].limits
    assert last["lr"]["low"] <= 5e-3 * 10
    assert last["lr"]["high"] >= 5e-3 / 10
    assert "adam" in last.get("optimiser", {"choices": ["adam"]})["choices"]
    if method == "random":
        whole = Optimizer(SPACE, method, 1)
        for _ in range(48):
            trial = whole.ask()
            whole.tell(trial, loss(trial.config))
        assert optimizer.best is not None
        assert whole.best is not None
        assert optimizer.best.objective < whole.best.objective


@pytest.mark.parametrize(("method", "workers"), [("gp", 4), ("sobol", 1), ("sobol", 4), ("grid", 4), ("random", 20)])
def test_boxes_are_as_they_were_after_a_run_was_killed(tmp_path: Path, method: str, workers: int) -> None:
    plan = [
        {"budget": 6, "free": ["x"], "fixed": {"y": 1.0}},
        {"budget": 8, "shrink": 0.5},
        {"budget": 10, "shrink": 0.5},
    ]
    options: dict[str, Any] = {"budget": 40, "method": method, "stages": plan, "workers": workers}
    cut = Cluster(tmp_path, **options)
    cut.drive(until=max(2.5, 16 / workers))
    known = list(cut.run.stages)
    reopened(cut)
    again = Cluster(tmp_path, **options)
    assert again.drive() == 0
    begun = again.run.stages
    assert begun[: len(known)] == known
    assert len({entry.stage for entry in begun}) == len(begun)
    configs = {number: record.trial.config for number, record in again.run.records.items()}
    assert len(configs) <= 40
    check_inside(again.study.space, configs, begun)
    assert [entry.first for entry in begun] == sorted({entry.first for entry in begun})


def test_resumed_from_the_journal_it_proposes_what_it_would_have(tmp_path: Path) -> None:
    space = Space.from_dict(SPACE)
    whole, records, begun = Optimizer(space, "gp", 2, stages=PLAN), [], []
    for _ in range(16):
        trial = whole.ask()
        begun += whole.stages.news()
        records.append(TrialRecord(trial, whole.origins[trial.number]))
        whole.tell(trial, loss(trial.config))
    for cut in (2, 6, 9, 13, 15):
        part = Optimizer(space, "gp", 2, stages=PLAN)
        part.restore(records[:cut])
        part.stages.restore([entry for entry in begun if entry.first < cut])
        for record in records[:cut]:
            part.tell(record.trial.number, loss(record.trial.config))
        now = part.ask().config
        stage = [entry for entry in begun + part.stages.news() if entry.first <= cut][-1]
        assert Subspace(space, stage.limits).holds_config(now)
        if cut == 2:
            assert now == records[cut].trial.config


def test_a_stage_that_has_nothing_left_waits_for_outcomes_and_goes_on() -> None:
    optimizer = Optimizer(FINITE, "grid", stages=[{"budget": 6, "free": ["b"]}, {"budget": 6}])
    first = [optimizer.ask(), optimizer.ask()]
    assert {trial.config["a"] for trial in first} == {2}
    optimizer.tell(first[0], 1.0)
    rest = [optimizer.ask() for _ in range(6)]
    assert len({str(trial.config) for trial in first + rest}) == 8
    with pytest.raises(SpaceExhaustedError):
        optimizer.ask()
    assert not optimizer.blocked


def test_the_next_stage_waits_for_outcomes_where_it_follows_from_them() -> None:
    optimizer = Optimizer(FINITE, "random", stages=[{"budget": 2, "free": ["b"]}, {"budget": 6, "shrink": 0.5}])
    first = [optimizer.ask(), optimizer.ask()]
    with pytest.raises(SpaceExhaustedError):
        optimizer.ask()
    assert optimizer.blocked
    optimizer.tell(first[0], 1.0)
    assert optimizer.ask().config["a"] != 2


@pytest.mark.parametrize("workers", [1, 3, 9])
def test_workers_that_wait_for_a_stage_do_not_end_the_run(tmp_path: Path, workers: int) -> None:
    space = {"x": {"type": "int", "low": -3, "high": 3}, "y": {"type": "int", "low": -2, "high": 1}}
    plan = [{"budget": 3, "free": ["x"], "fixed": {"y": 0}}, {"budget": 22}]
    cluster = Cluster(tmp_path, budget=25, method="grid", stages=plan, workers=workers, table=space)
    assert cluster.drive() == 0
    assert len(cluster.run.records) == 25
    assert len(cluster.run.stages) == 2


def test_a_stage_whose_trials_all_fail_leaves_the_ranges_as_they_were() -> None:
    optimizer = Optimizer(SPACE, "gp", stages=[{"budget": 3}, {"budget": 5, "shrink": 0.1}])
    for _ in range(8):
        optimizer.tell(optimizer.ask(), failed="no")
    assert [entry.limits for entry in optimizer.stages.news()] == [{}, {}]


def test_a_smaller_initial_design_for_fewer_parameters() -> None:
    optimizer = Optimizer(SPACE, "gp", stages=[{"budget": 8, "free": ["lr"]}, {"budget": 30}])
    for _ in range(10):
        trial = optimizer.ask()
        optimizer.tell(trial, loss(trial.config))
    origins = list(optimizer.origins.values())
    assert origins[:6] == ["initial"] * 4 + ["model"] * 2
    assert origins[8:] == ["initial"] * 2


def test_maximising_closes_in_on_the_highest() -> None:
    optimizer = Optimizer(SPACE, "random", direction="maximize", stages=[{"budget": 40}, {"budget": 5, "shrink": 0.2}])
    for _ in range(42):
        trial = optimizer.ask()
        optimizer.tell(trial, -loss(trial.config))
    last = optimizer.stages.news()[-1].limits["lr"]
    assert last["low"] < 0.2
    assert last["high"] > 1e-4


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_points_of_a_part_stay_in_it(data: st.DataObject) -> None:
    """Against a check of the values themselves."""
    space = Space.from_dict(SPACE)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    limits: dict[str, dict[str, Any]] = {}
    for name, parameter in space.varied.items():
        match data.draw(st.sampled_from(["none", "range", "value"])):
            case "range" if hasattr(parameter, "low"):
                ends = sorted({parameter.value(float(unit)) for unit in rng.random(2)})
                limits[name] = {"low": ends[0], "high": ends[-1]}
            case "range":
                limits[name] = {"choices": list(parameter.options[: int(rng.integers(1, 3))])}
            case "value":
                limits[name] = {"value": parameter.value(float(rng.random()))}
    part = Subspace(space, limits)
    points = rng.random((40, len(space)))
    for made in (part.snap(points), part.snap(part.spread(points)), part.snap(part.spread(part.gather(points)))):
        assert np.array_equal(part.snap(made), made)
        assert part.holds_points(made).all()
        for config in space.from_unit(made):
            assert space.holds(config)
            for name, limit in limits.items():
                if name in config:
                    value = config[name]
                    assert value == limit.get("value", value)
                    assert value in limit.get("choices", [value])
                    assert limit.get("low", value) <= value <= limit.get("high", value)


def test_constraints_hold_within_stages() -> None:
    space = Space.from_dict(SPACE, constraints=["width * depth <= 600", "decay < 0.45 or lr < 0.01"])
    for method in ("gp", "random", "sobol", "grid"):
        optimizer = Optimizer(space, method, initial=4, stages=[{"budget": 6}, {"budget": 6, "shrink": 0.5}])
        for _ in range(12):
            trial = optimizer.ask()
            assert space.allows(trial.config)
            optimizer.tell(trial, loss(trial.config))
        assert len(optimizer.stages.news()) == 2


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ([{"budgets": 3}], r'\[\[stage\]\] number 1 budgets is not a known key.*Did you mean "budget"'),
        ([{"budget": 0}], "number 1 budget must be at least 1; got 0"),
        ([{}, {"budget": 3}], "number 1 budget is missing; only the last stage"),
        ([{"budget": 3, "shrink": 0.5}], "shrink has no use: before the first stage"),
        ([{"budget": 3}, {"budget": 3, "shrink": 1.5}], "number 2 shrink must be above 0 and below 1.*got 1.5"),
        ([{"budget": 3, "free": ["lrr"]}], 'free names an unknown parameter "lrr".*"lr"'),
        ([{"budget": 3, "free": ["schedule"]}], "free names .schedule., which is a constant"),
        ([{"budget": 3, "free": []}], "free must name at least one"),
        ([{"budget": 3, "free": ["lr", "lr"]}], "free must name each parameter once"),
        ([{"budget": 3, "free": "lr"}], "free must be a list of strings"),
        ([{"budget": 3, "fixed": {"lr": 3.0}}], "fixed lr must be a number from 1e-06 to 1.0; got 3.0"),
        ([{"budget": 3, "space": {"lr": {"low": 2.0}}}], "space.lr low must be a number from 1e-06 to 1.0; got 2.0"),
        ([{"budget": 3, "space": {"lr": {"low": 0.1, "high": 0.01}}}], "space.lr low must be below high"),
        ([{"budget": 3, "space": {"lr": {"choices": [0.1]}}}], "'choices' is not a key here; known keys: low, high"),
        ([{"budget": 3, "space": {"size": {"low": "s"}}}], "'low' is not a key here; known keys: choices"),
        ([{"budget": 3, "space": {"size": {"choices": ["xxl"]}}}], "choices must be a list of some of one of"),
        ([{"budget": 3, "free": ["lr"], "space": {"decay": {"low": 0.1}}}], "space.decay has no use"),
        ([{"budget": 3, "free": ["momentum"], "fixed": {"optimiser": "adam"}}], "must leave a parameter that varies"),
        ({"budget": 3}, "stage must be a list of tables"),
        ([3], "number 1 must be a table"),
    ],
)
def test_what_is_wrong_is_told(plan: Any, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        Optimizer(SPACE, stages=plan)


def test_a_first_stage_needs_values_for_what_does_not_vary() -> None:
    bare = {name: {k: v for k, v in table.items() if k != "likely"} for name, table in SPACE.items()}
    with pytest.raises(StudyError, match="number 1: decay is not free, and has no value to keep yet"):
        Optimizer(bare, stages=[{"budget": 3, "free": ["lr"]}])
    fixed = {"decay": 0.5, "drop": 0.1, "width": 32, "depth": 2, "size": "s", "optimiser": "adam"}
    optimizer = Optimizer(bare, stages=[{"budget": 3, "free": ["lr"], "fixed": fixed}])
    assert "momentum" not in optimizer.ask().config

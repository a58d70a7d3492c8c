"""Constraints: points and configurations agree, every method keeps them, and what cannot be kept is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from utilities.candidate_search import candidates_around, maximise, polish
from utilities.designs import Filtered, SobolSequence
from utilities.errors import SpaceExhaustedError, StudyError
from utilities.grid import Grid
from utilities.methods import METHODS
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.storage.records import Header, SessionStart, decode_record, encode_record, intact
from utilities.storage.run_folder import RunFolder
from utilities.storage.study import Study
from utilities.storage.study_file import read_study
from utilities.surrogate import Array

TABLE = {
    "low": {"type": "float", "low": 0.0, "high": 1.0},
    "high": {"type": "float", "low": 0.0, "high": 1.0},
    "batch": {"type": "int", "low": 16, "high": 512, "log": True},
    "width": {"type": "int", "low": 4, "high": 256, "step": 4},
    "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
    "schedule": {"type": "ordinal", "choices": ["none", "step", "cosine"]},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
}
CONSTRAINTS = [
    "batch * width <= 4096",
    "low < high",
    "optimizer == 'adam' or schedule != 'none'",
    "momentum < low + 0.5",
]
FORBID = [{"optimizer": "sgd", "schedule": "cosine"}, {"momentum": "> 0.9"}, {"batch": ["< 20", 256], "low": "> 0.5"}]


def kept(config: dict[str, Any]) -> bool:
    momentum = config.get("momentum")
    return (
        config["batch"] * config["width"] <= 4096
        and config["low"] < config["high"]
        and (config["optimizer"] == "adam" or config["schedule"] != "none")
        and (momentum is None or momentum < config["low"] + 0.5)
        and not (config["optimizer"] == "sgd" and config["schedule"] == "cosine")
        and not (momentum is not None and momentum > 0.9)
        and not ((config["batch"] < 20 or config["batch"] == 256) and config["low"] > 0.5)
    )


@pytest.fixture
def space() -> Space:
    return Space.from_dict(TABLE, constraints=CONSTRAINTS, forbid=FORBID)


def loss(config: dict[str, Any]) -> float:
    """Lowest where the constraints are broken: high = low, a large batch and width, a momentum above all."""
    loss = abs(config["high"] - config["low"] + 0.2) - 0.001 * config["batch"] - 0.01 * config["width"]
    return float(loss - config.get("momentum", 0.0) - (config["schedule"] == "cosine"))


def test_points_and_configurations_agree(space: Space) -> None:
    points = space.snap(np.random.default_rng(0).random((3000, len(space))))
    configs = space.from_unit(points)
    expected = [kept(config) for config in configs]
    assert 30 < sum(expected) < 1500
    assert space.constraints.allowed(points).tolist() == expected
    assert [space.allows(config) for config in configs] == expected
    assert [space.holds(config) for config in configs] == expected


@pytest.mark.parametrize("method", [method for method in METHODS if method != "grid"])
def test_every_proposal_keeps_them(space: Space, method: str) -> None:
    optimizer = Optimizer(space, method, seed=3, initial=8)
    for _ in range(14):
        trial = optimizer.ask()
        assert kept(trial.config), trial.config
        optimizer.tell(trial, loss(trial.config))
    optimizer.prepare(12, batch=12)
    for trial in optimizer.ask_batch(16):
        assert kept(trial.config), trial.config
    predicted = optimizer.predicted_best()
    assert predicted is None or kept(predicted.config)


def test_a_model_gets_to_the_border_that_a_constraint_draws() -> None:
    table = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in "xy"}
    space = Space.from_dict(table, constraints=["x + y <= 0.8"])
    optimizer = Optimizer(space, "gp", seed=0)
    for _ in range(25):
        trial = optimizer.ask()
        optimizer.tell(trial, (trial.config["x"] - 0.7) ** 2 + (trial.config["y"] - 0.6) ** 2)
    assert optimizer.best is not None
    assert optimizer.best.objective < 0.125 + 0.005  # at (0.45, 0.35)


def test_grids_leave_out_what_is_forbidden() -> None:
    table = {
        "a": {"type": "int", "low": 1, "high": 9},
        "b": {"type": "int", "low": 1, "high": 9},
        "c": {"type": "bool"},
    }
    space = Space.from_dict(table, constraints=["a < b"], forbid=[{"c": True, "a": [1, 2]}])
    found = [tuple(config.values()) for config in space.from_unit(np.array(list(Grid(space))))]
    expected = [(a, b, c) for a in range(1, 10) for b in range(a + 1, 10) for c in (False, True) if not (c and a < 3)]
    assert sorted(found) == sorted(expected)
    for method in ("grid", "random"):
        optimizer = Optimizer(space, method)
        trials = optimizer.ask_batch(1000)
        assert sorted(tuple(trial.config.values()) for trial in trials) == sorted(expected)
        with pytest.raises(SpaceExhaustedError):
            optimizer.ask()


def test_a_small_space_is_searched_in_its_allowed_part() -> None:
    table = {name: {"type": "int", "low": 0, "high": 9} for name in "ab"}
    optimizer = Optimizer(Space.from_dict(table, constraints=["a + b == 9"]), "gp", initial=4)
    found = set()
    for _ in range(10):
        trial = optimizer.ask()
        optimizer.tell(trial, trial.config["a"] * 1.0)
        found.add(trial.config["a"])
    assert found == set(range(10))


class Upwards:
    """Rises along every feature."""

    def value(self, x: Array) -> Array:
        return x.sum(axis=1)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        return self.value(x), np.ones_like(x)

    def rough(self) -> Upwards:
        return self


@pytest.mark.parametrize("limit", [0.001, 0.05, 1.0])
def test_the_candidate_search_keeps_them_however_tight(limit: float) -> None:
    table = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in "xyz"}
    table["n"] = {"type": "int", "low": 0, "high": 50}
    space = Space.from_dict(table, constraints=[f"abs(x - y) < {limit}", "n * x <= 20"])
    rng, anchors = np.random.default_rng(0), np.full((3, 4), 0.5)
    candidates = candidates_around(space, anchors, rng, 512)
    assert len(candidates)
    assert space.constraints.allowed(candidates).all()
    ranked = maximise(space, Upwards(), rng, anchors)
    assert space.constraints.allowed(ranked).all()
    assert Upwards().value(ranked[:1])[0] > 2.2
    polished = polish(space, Upwards(), candidates[:5], candidates[5:6])
    assert space.constraints.allowed(polished).all()


def test_what_constraints_refuse_is_drawn_again() -> None:
    table = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in "xy"}
    space = Space.from_dict(table, constraints=["x < 0.2"])
    assert len(candidates_around(space, np.full((1, 2), 0.1), np.random.default_rng(0), 512)) > 500
    sequence = Filtered(SobolSequence(2, 0), space)
    points = np.array([sequence[i] for i in range(100)])
    assert (points[:, 0] < 0.2).all()
    np.testing.assert_array_equal(points[50], Filtered(SobolSequence(2, 0), space)[50])
    assert sequence.block(3, 4).tolist() == points[3:7].tolist()


class Elsewhere:
    """A sequence of one point over and over."""

    def __getitem__(self, index: int) -> Array:
        return np.array([0.9, 0.9])

    def block(self, first: int, count: int) -> Array:
        return np.full((count, 2), 0.9)


def test_a_sequence_that_meets_nothing_allowed_ends() -> None:
    table = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in "xy"}
    with pytest.raises(IndexError, match="no other allowed point among 65,536"):
        Filtered(Elsewhere(), Space.from_dict(table, constraints=["x < 0.2"]))[0]


def test_a_design_continues_where_it_was(space: Space) -> None:
    whole, half = Optimizer(space, "sobol", seed=1), Optimizer(space, "sobol", seed=1)
    configs = [whole.ask().config for _ in range(40)]
    for config, trial in zip(configs, half.ask_batch(20), strict=False):
        assert trial.config == config
    again = Optimizer(space, "sobol", seed=1)
    for number in range(20):
        again._proposer.skip("sobol")
        again._history.ask(number, configs[number])
    assert [again._proposer.propose(again._history, []).config] == configs[20:21]


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        (
            ["low > high", "low < high"],
            "no configuration that keeps the constraints was found among 131,072",
        ),
        (["low + high > 3"], r"constraints\[0\], 'low \+ high > 3' refuses 100.0000%"),
        (["low == high"], "no configuration that keeps the constraints was found"),
    ],
)
def test_what_cannot_be_kept_is_said(constraints: list[str], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Space.from_dict(TABLE, constraints=constraints)


def test_what_a_small_space_cannot_keep_is_said() -> None:
    table = {"a": {"type": "int", "low": 0, "high": 9}, "b": {"type": "bool"}}
    with pytest.raises(StudyError, match=r"no configuration of the space keeps all of constraints\[0\], 'a > 9'"):
        Space.from_dict(table, constraints=["a > 9"])
    with pytest.raises(StudyError, match=r"keeps all of forbid\[0\], {'a': '>= 0'}"):
        Space.from_dict(table, forbid=[{"a": ">= 0"}])


def test_points_of_ones_own_are_refused_with_the_constraint(space: Space) -> None:
    good = {"low": 0.1, "high": 0.2, "batch": 16, "width": 4, "optimizer": "adam", "schedule": "none"}
    optimizer = Optimizer(space, "random")
    optimizer.enqueue(good)
    with pytest.raises(StudyError, match=r"breaks constraints\[1\], 'low < high'"):
        optimizer.enqueue({**good, "low": 0.3})
    with pytest.raises(StudyError, match=r"breaks forbid\[0\], {'optimizer': 'sgd', 'schedule': 'cosine'}"):
        optimizer.enqueue({**good, "optimizer": "sgd", "schedule": "cosine", "momentum": 0.1})


STUDY = """
[study]
objective = "branin"
constraints = ["x < y"]
forbid = [{ c = true, x = "> 5" }]

[space]
x = { type = "float", low = 0.0, high = 10.0 }
y = { type = "float", low = 0.0, high = 10.0 }
c = { type = "bool" }
"""


def read(tmp_path: Path, text: str) -> Study:
    path = tmp_path / "study.toml"
    path.write_text(text)
    return read_study(path)


def test_they_stand_in_the_study_and_in_the_journal(tmp_path: Path) -> None:
    study = read(tmp_path, STUDY)
    assert study.to_dict()["study"]["constraints"] == ["x < y"]
    assert study.to_dict()["study"]["forbid"] == [{"c": True, "x": "> 5"}]
    assert not study.space.allows({"x": 2.0, "y": 1.0, "c": False})
    run = RunFolder.open(tmp_path, study)
    run.session(1, 0.0)
    run.close()
    lines = (tmp_path / "study" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    records = [decode_record(body) for body in map(intact, lines) if body is not None]
    assert isinstance(records[0], Header)
    assert isinstance(records[1], SessionStart)
    assert records[0].constraints == records[1].constraints == ["x < y"]
    changed = read(tmp_path, STUDY.replace('"x < y"', '"x < y", "y < 9"'))
    again = RunFolder.open(tmp_path, changed)
    again.close()
    assert [line for line in again.messages if "continues" in line] == [
        f'{again.folder}: continues with other constraints: was ["x < y"], now ["x < y", "y < 9"]'
    ]


def test_journals_without_them_read() -> None:
    header = Header(
        name="x",
        direction="minimize",
        objective="b",
        command=None,
        space={},
        seed=0,
        method="gp",
        created=0.0,
        versions={},
    )
    body = intact(encode_record(header))
    assert body is not None
    for key in (b'"constraints":null,', b'"forbid":null,'):
        assert key in body
        body = body.replace(key, b"")
    assert decode_record(body) == header


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["x < y"]', '["x < z"]', r"study.toml: \[study\] constraints\[0\] 'x < z': 'z' \(at character 5\) is not a"),
        ('["x < y"]', '"x < y"', r"\[study\] constraints must be a list of strings; got \"x < y\""),
        ('["x < y"]', "[3]", r"\[study\] constraints\[0\] must be a string; got 3"),
        ("{ c = true, x", "{ c = 3, x", r"\[study\] forbid\[0\] c must be true or false; got 3"),
        ("{ c = true, x", "{ d = true, x", r"\[study\] forbid\[0\] names an unknown parameter 'd'"),
        ('[{ c = true, x = "> 5" }]', "[{}]", r"forbid\[0\] must be a table of values by parameter, not empty"),
        ('[{ c = true, x = "> 5" }]', "[3]", r"forbid\[0\] must be a table of values by parameter"),
        ('[{ c = true, x = "> 5" }]', "{ c = true }", r"\[study\] forbid must be a list of tables; got"),
        ('"> 5"', "5.0", r"forbid\[0\] x must be a comparison such as"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in STUDY
    with pytest.raises(StudyError, match=message):
        read(tmp_path, STUDY.replace(old, new))

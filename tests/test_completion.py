"""Points of one's own: completed as they must be, evaluated first and once, over all runs of a study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reverie import minimize
from sequential.seq_optimizer import main
from utilities.completion import complete, outstanding
from utilities.errors import StudyError
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.storage.study_file import read_study
from utilities.trial import Config, Trial, TrialRecord

TABLE = {
    "model": {"type": "categorical", "choices": ["mlp", "cnn", "forest"]},
    "layers": {"type": "int", "low": 1, "high": 8, "when": {"model": ["mlp", "cnn"]}},
    "skip": {"type": "bool", "when": {"layers": ">= 7"}},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.05},
    "width": {"type": "int", "low": 1, "high": 512},
    "lr": {"type": "float", "low": 0.0, "high": 1.0},
    "epochs": {"type": "constant", "value": 10},
    "note": {"type": "constant", "value": "deep", "when": {"layers": ">= 7"}},
}


@pytest.fixture
def space() -> Space:
    return Space.from_dict(TABLE, constraints=["layers * width <= 512"], forbid=[{"model": "cnn", "lr": "> 0.9"}])


@pytest.mark.parametrize(
    "given",
    [
        {"skip": True},
        {"lr": 0.123456789012345},
        {"width": 200, "model": "mlp"},
        {"dropout": 3 * 0.05},
        {"model": "cnn", "layers": 8, "skip": False, "dropout": 0.1, "width": 1, "lr": 0},
        {"model": "forest", "dropout": 0.0, "width": 3, "lr": 0.5},
        {"note": "deep"},
        {"epochs": 10},
    ],
)
def test_what_is_given_stays_and_the_rest_is_drawn(space: Space, given: dict[str, Any]) -> None:
    found = [complete(space, given, 1, index) for index in range(6)]
    for config in found:
        assert space.validate(config) == config
        assert all(
            config[name] == (pytest.approx(v, rel=1e-15) if name == "dropout" else v) for name, v in given.items()
        )
    assert (len({config["lr"] for config in found}) == 6) == ("lr" not in given)
    assert found == [complete(space, given, 1, index) for index in range(6)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lrr": 1.0}, 'is not a parameter. Did you mean "lr"'),
        ({"lr": 2.0}, "lr must be a number from 0.0 to 1.0; got 2.0"),
        (
            {"model": "forest", "skip": True},
            "skip = True is inactive whatever the rest is: it needs {'layers': '>= 7'}",
        ),
        ({"layers": 8, "width": 65}, r"breaks constraints\[0\], 'layers \* width <= 512' with all that was drawn"),
        ({"model": "cnn", "lr": 0.95}, r"breaks forbid\[0\], {'model': 'cnn', 'lr': '> 0.9'} with all"),
        ({"epochs": 11}, "epochs must be the constant 10; got 11"),
    ],
)
def test_what_cannot_be_completed_is_said(space: Space, given: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        complete(space, given, 0, 0)
    with pytest.raises(StudyError, match=message):
        Optimizer(space, "random").enqueue(given)


def test_each_is_left_until_it_has_a_trial_of_its_own(space: Space) -> None:
    points: list[dict[str, Any]] = [{"lr": 0.5}, {"lr": 0.5}, {"width": 7}]
    wholes = [complete(space, point, 3, index) for index, point in enumerate(points)]

    def records(*configs: Config, origin: str = "enqueued") -> list[TrialRecord]:
        return [TrialRecord(Trial(number, config), origin) for number, config in enumerate(configs)]

    assert outstanding(space, points, 3, []) == wholes
    assert outstanding(space, points, 3, records(wholes[1])) == [wholes[0], wholes[2]]
    assert outstanding(space, points, 3, records(wholes[0], wholes[2])) == [wholes[1]]
    assert outstanding(space, points, 3, records(*wholes)) == []
    assert outstanding(space, points, 3, records(*wholes, origin="model")) == wholes
    other = [complete(space, point, 4, index) for index, point in enumerate(points)]
    assert len(outstanding(space, points, 4, records(*wholes[:2]))) == 1
    assert outstanding(space, points, 4, records(*wholes[:2])) == [other[2]]


STUDY = """
[study]
name = "own"
objective = "f.py:f"
method = "sobol"
budget = {budget}
seed = {seed}

[space]
x = {{ type = "float", low = 0.0, high = 1.0 }}
y = {{ type = "float", low = 0.0, high = 1.0 }}

[[enqueue]]
x = 0.25
y = 0.75

[[enqueue]]
x = 0.5
{more}
"""


def run(folder: Path, budget: int, seed: int = 0, more: str = "") -> list[tuple[str, dict[str, float]]]:
    (folder / "f.py").write_text("def f(config): return config['x']")
    (folder / "own.toml").write_text(STUDY.format(budget=budget, seed=seed, more=more))
    assert main([str(folder / "own.toml"), "--output", str(folder / "runs")]) == 0
    lines = (folder / "runs" / "own" / "journal.jsonl").read_text().splitlines()
    return [
        (record["origin"], record["trial"]["config"]) for record in map(json.loads, lines) if record["type"] == "asked"
    ]


def test_a_study_evaluates_them_first_and_once_over_all_runs(tmp_path: Path) -> None:
    assert [origin for origin, _ in run(tmp_path, 1)] == ["enqueued"]
    asked = run(tmp_path, 4, seed=5)
    assert [origin for origin, _ in asked] == ["enqueued", "enqueued", "sobol", "sobol"]
    assert asked[0][1] == {"x": 0.25, "y": 0.75}
    assert asked[1][1]["x"] == 0.5
    asked = run(tmp_path, 6, seed=6, more="[[enqueue]]\ny = 0.125\n")
    assert [origin for origin, _ in asked[4:]] == ["enqueued", "sobol"]
    assert asked[4][1]["y"] == 0.125


def test_a_study_in_two_runs_completes_as_in_one(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = run(tmp_path / "a", 3)
    run(tmp_path / "b", 1)
    assert run(tmp_path / "b", 3) == whole


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[[enqueue]]\n", r"\[\[enqueue\]\] number 3 must be a table of values by parameter, not empty; got {}"),
        ("[[enqueue]]\nz = 1\n", r"\[\[enqueue\]\] number 3: configuration: 'z' is not a parameter"),
        ("[[enqueue]]\nx = 7\n", "number 3: configuration: x must be a number from 0.0 to 1.0; got 7"),
    ],
)
def test_mistakes_in_a_study_are_named(tmp_path: Path, table: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(STUDY.format(budget=1, seed=0, more=table))
    with pytest.raises(StudyError, match=message):
        read_study(path)
    path.write_text(STUDY.split("[[enqueue]]")[0].format(budget=1, seed=0) + "[enqueue]\nx = 1\n")
    with pytest.raises(StudyError, match=r"enqueue must be a list of tables, \[\[enqueue\]\] for each"):
        read_study(path)


def test_they_stand_in_the_study(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(STUDY.format(budget=1, seed=0, more=""))
    assert read_study(path).to_dict()["enqueue"] == [{"x": 0.25, "y": 0.75}, {"x": 0.5}]
    run(tmp_path, 1)
    header = json.loads((tmp_path / "runs" / "own" / "journal.jsonl").read_text().splitlines()[0])
    assert header["enqueue"] == [{"x": 0.25, "y": 0.75}, {"x": 0.5}]


def test_minimize_takes_them() -> None:
    table = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
    result = minimize(lambda config: float(config["x"]), table, 3, "random", enqueue=[{"x": 0.0}])
    assert result.records[0].trial.config == {"x": 0.0}
    assert [record.origin for record in result.records] == ["enqueued", "random", "random"]

"""Trials of earlier studies: which are taken, that they are learned from, and that the old folder is read once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sequential.seq_optimizer import main
from utilities.errors import StudyError
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.storage.run_folder import RunFolder
from utilities.storage.study import Study
from utilities.storage.study_file import read_study
from utilities.storage.warm_start import observations
from utilities.trial import Outcome, Trial, TrialState

OLD = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "n": {"type": "int", "low": 1, "high": 9},
    "gone": {"type": "categorical", "choices": ["a", "b"]},
    "fixed": {"type": "constant", "value": 3},
}


def study(folder: Path, table: dict[str, Any], name: str = "new", **keys: Any) -> Study:
    space = Space.from_dict(table, constraints=keys.pop("rules", ()))
    return Study(name=name, objective="branin", space=space, folder=folder, source="new.toml", **keys)


def old_study(folder: Path, configs: list[dict[str, Any]], table: dict[str, Any], direction: Any = "minimize") -> None:
    """Trials with objectives 0, 1, 2 ..., but for the last two: one failed, one did not end."""
    run = RunFolder.open(folder, study(folder, table, "old", direction=direction))
    for number, config in enumerate(configs):
        run.asked(Trial(number, config), "random")
        run.started(number, "0@here", 1.0)
        if number < len(configs) - 2:
            run.finished(number, Outcome(TrialState.COMPLETE, float(number)), 2.0 + number)
        elif number == len(configs) - 2:
            run.finished(number, Outcome(TrialState.FAIL, message="no"), 2.0)
    run.close()


def whole(x: float, n: int, gone: str = "a") -> dict[str, Any]:
    return {"x": x, "n": n, "gone": gone, "fixed": 3}


CONFIGS = [whole(0.1, 1), whole(0.9, 5), whole(0.3, 9, "b"), whole(0.2, 3), whole(0.5, 5), whole(0.6, 6)]


def taken(folder: Path, table: dict[str, Any], **keys: Any) -> tuple[list[tuple[dict[str, Any], float]], str]:
    found, messages = observations(study(folder, table, warm_start=["old"], **keys))
    (message,) = messages
    return [(observation.config, observation.objective) for observation in found], message


def test_which_trials_are_taken(tmp_path: Path) -> None:
    old_study(tmp_path, CONFIGS, OLD)
    x, n = OLD["x"], OLD["n"]
    same = {name: table for name, table in OLD.items() if name != "fixed"}
    found, message = taken(tmp_path, same)
    assert [y for _, y in found] == [0.0, 1.0, 2.0, 3.0]
    assert found[0] == ({"x": 0.1, "n": 1, "gone": "a"}, 0.0)
    assert message.endswith("old: 4 trials are taken for observations")
    found, message = taken(tmp_path, {"x": x, "n": n})
    assert (found, message.split(": ")[1]) == (
        [],
        "0 trials are taken for observations, 4 left out with other parameters",
    )
    found, _ = taken(tmp_path, {"x": x, "n": n, "gone": {"type": "constant", "value": "a"}})
    assert [y for _, y in found] == [0.0, 1.0, 3.0]
    found, message = taken(tmp_path, {**OLD, "x": {**x, "high": 0.5}, "n": {**n, "step": 2}})
    assert [y for _, y in found] == [0.0, 2.0, 3.0]
    assert "1 left out with a value or a combination that is not of this space" in message
    found, _ = taken(tmp_path, {**OLD, "new": {"type": "bool"}})
    assert found == []
    found, _ = taken(tmp_path, {**OLD, "new": {"type": "constant", "value": 7}})
    assert [config["new"] for config, _ in found] == [7] * 4
    found, _ = taken(tmp_path, {**OLD, "new": {"type": "bool", "when": {"n": "> 4"}}})
    assert [y for _, y in found] == [0.0, 3.0]
    found, _ = taken(tmp_path, OLD, rules=["n * x < 1"])
    assert [y for _, y in found] == [0.0, 3.0]


def test_what_cannot_be_taken_is_said(tmp_path: Path) -> None:
    old_study(tmp_path, CONFIGS, OLD)
    with pytest.raises(StudyError, match=r"warm_start\[0\] must have the same direction; got old, to minimize"):
        taken(tmp_path, OLD, direction="maximize")
    with pytest.raises(StudyError, match=r"must be the folder of an earlier study; .*nowhere.*cannot read the journal"):
        observations(study(tmp_path, OLD, warm_start=["nowhere"]))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "journal.jsonl").touch()
    with pytest.raises(StudyError, match="is empty"):
        observations(study(tmp_path, OLD, warm_start=["empty"]))
    (tmp_path / "empty" / "journal.jsonl").write_text("x = 3\n")
    with pytest.raises(StudyError, match="is empty"):
        observations(study(tmp_path, OLD, warm_start=["empty"]))


def test_a_torn_line_of_a_study_that_is_running_is_passed_over(tmp_path: Path) -> None:
    old_study(tmp_path, CONFIGS, OLD)
    journal = tmp_path / "old" / "journal.jsonl"
    before = journal.read_bytes()
    journal.write_bytes(before + b'{"type":"asked","tri')
    assert len(taken(tmp_path, OLD)[0]) == 4
    assert journal.read_bytes().startswith(before)


def test_a_model_begins_where_the_old_study_ended() -> None:
    """With twenty observations of a bowl, the first proposals of `gp` lie at its bottom; those of the design do not."""
    space = Space.from_dict({name: {"type": "float", "low": 0.0, "high": 1.0} for name in "xyz"})
    rng = np.random.default_rng(0)

    def bowl(config: dict[str, Any]) -> float:
        return float(sum((config[name] - 0.3) ** 2 for name in "xyz"))

    warm, cold = Optimizer(space, "gp", direction="maximize"), Optimizer(space, "gp", direction="maximize")
    for point in rng.random((20, 3)):
        config = dict(zip("xyz", point.tolist(), strict=True))
        warm.observe(config, -bowl(config))
    assert warm.best is None
    assert len(warm.data) == 20
    best = []
    for optimizer in (warm, cold):
        for _ in range(4):
            trial = optimizer.ask()
            optimizer.tell(trial, -bowl(trial.config))
        assert optimizer.best is not None
        best.append(-optimizer.best.objective)
    assert best[0] < 0.01 < best[1]
    assert warm.origins[0] == "model"
    with pytest.raises(StudyError, match="must be finite"):
        warm.observe({"x": 0.1, "y": 0.1, "z": 0.1}, float("nan"))
    with pytest.raises(StudyError, match="z is missing"):
        warm.observe({"x": 0.1, "y": 0.1}, 1.0)


STUDY = """
[study]
name = "{name}"
objective = "f.py:f"
method = "gp"
budget = {budget}
{keys}
[space.x]
type = "float"
low = 0.0
high = 1.0
"""


def run(folder: Path, name: str, budget: int, keys: str = "") -> list[dict[str, Any]]:
    (folder / "f.py").write_text("def f(config): return (config['x'] - 0.3) ** 2")
    path = folder / f"{name}.toml"
    path.write_text(STUDY.format(name=name, budget=budget, keys=keys))
    assert main([str(path), "--output", str(folder / "runs")]) == 0
    return [json.loads(line) for line in (folder / "runs" / name / "journal.jsonl").read_text().splitlines()]


def test_a_study_takes_them_once_and_goes_on_without_the_old_folder(tmp_path: Path) -> None:
    run(tmp_path, "old", 8)
    keys = 'warm_start = ["runs/old"]'
    (tmp_path / "whole").mkdir()
    shutil.copytree(tmp_path / "runs" / "old", tmp_path / "whole" / "runs" / "old")
    one = run(tmp_path / "whole", "new", 6, keys)
    first = run(tmp_path, "new", 3, keys)
    assert [len(first[0]["observed"]), first[0]["warm_start"]] == [8, ["runs/old"]]
    assert {record["origin"] for record in first if record["type"] == "asked"} == {"model"}
    shutil.rmtree(tmp_path / "runs" / "old")
    both = run(tmp_path, "new", 6, keys)
    asked = [[r["trial"]["config"]["x"] for r in records if r["type"] == "asked"] for records in (one, both)]
    assert len(asked[0]) == len(asked[1]) == 6
    assert asked[0] == pytest.approx(asked[1], abs=1e-5)


def test_another_warm_start_of_a_begun_study_is_told(tmp_path: Path) -> None:
    old_study(tmp_path, CONFIGS, OLD)
    RunFolder.open(tmp_path, study(tmp_path, OLD)).close()
    again = RunFolder.open(tmp_path, study(tmp_path, OLD, warm_start=["old"]))
    again.close()
    assert again.observed == []
    assert any(line.endswith('was taken then; ["old"] is not read') for line in again.messages)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('warm_start = "runs/old"', r"warm_start must be a list of strings; got \"runs/old\""),
        ('warm_start = [""]', r"warm_start\[0\] must be the folder of an earlier study; got \"\""),
        ('warm_start = ["a", "a"]', 'warm_start must name each folder once; got "a" twice'),
        ("warm_start = [3]", r"warm_start\[0\] must be a string; got 3"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, keys: str, message: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(name="x", budget=1, keys=keys))
    with pytest.raises(StudyError, match=message):
        read_study(path)

"""The table ``[early_stopping]`` of a study file: what it gives, and a sentence for every mistake in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from utilities.errors import StudyError
from utilities.stopping_rule import Settings
from utilities.storage.study_file import read_study


def read(folder: Path, table: Any) -> Settings | None:
    path = folder / "study.json"
    space = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
    path.write_text(json.dumps({"study": {"objective": "branin"}, "space": space, "early_stopping": table}))
    return read_study(path).early_stopping


@pytest.mark.parametrize(
    "table",
    [
        {"rule": "asha"},
        {"rule": "asha", "min_steps": 2, "eta": 4},
        {"rule": "hyperband", "min_steps": 3, "max_steps": 81, "eta": 3},
        {"rule": "median", "min_trials": 7, "min_steps": 4},
        {"rule": "patience", "patience": 4, "min_delta": 0.01},
        {"rule": "threshold", "lower": -1.0, "upper": 3},
        {"rule": "threshold", "upper": 3.5},
        {"rule": "model"},
        {"rule": "model", "probability": 0.1, "min_steps": 2, "max_steps": 50},
        {"rule": "asha", "guided": True, "max_steps": 27},
        {"rule": "median", "probability": 0.01},
    ],
)
def test_it_is_read_and_comes_back(tmp_path: Path, table: dict[str, Any]) -> None:
    settings = read(tmp_path, table)
    assert settings == Settings(**table)
    told = read_study(tmp_path / "study.json").to_dict()
    assert read(tmp_path, told["early_stopping"]) == settings


def test_without_it_no_trial_is_ended(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        '[study]\nobjective = "branin"\n[space.x]\ntype = "float"\nlow = 0.0\nhigh = 1.0\n'
    )
    study = read_study(tmp_path / "s.toml")
    assert study.early_stopping is None
    assert "early_stopping" not in study.to_dict()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("asha", '[early_stopping] must be a table; got "asha"'),
        ({}, "[early_stopping] rule is missing: one of asha, hyperband, median, model, patience, threshold"),
        (
            {"rule": "ahsa"},
            'rule must be one of asha, hyperband, median, model, patience, threshold; got "ahsa". Did you mean "asha"?',
        ),
        ({"rule": 3}, "[early_stopping] rule must be a string; got 3"),
        ({"rule": "asha", "etta": 3}, "[early_stopping] etta is not a known key; known keys: rule, min_steps,"),
        ({"rule": "asha", "eta": 1}, "[early_stopping] eta must be at least 2; got 1"),
        ({"rule": "asha", "eta": 2.5}, "[early_stopping] eta must be an integer; got 2.5"),
        ({"rule": "asha", "patience": 2}, "[early_stopping] patience is of rule patience; got rule asha"),
        ({"rule": "median", "eta": 2}, "[early_stopping] eta is of rule asha or hyperband; got rule median"),
        ({"rule": "model", "guided": True}, "guided is of rule asha or hyperband; got rule model"),
        ({"rule": "model", "probability": 0}, "probability must be a number between 0 and 1; got 0"),
        ({"rule": "model", "probability": 1.5}, "probability must be a number between 0 and 1; got 1.5"),
        ({"rule": "model", "probabilty": 0.1}, "probabilty is not a known key; known keys: rule, min_steps,"),
        ({"rule": "model", "max_steps": 0}, "max_steps must be at least 1; got 0"),
        ({"rule": "median", "max_steps": 2, "min_steps": 3}, "max_steps must not be below min_steps, 3; got 2"),
        ({"rule": "asha", "guided": "yes"}, '[early_stopping] guided must be true or false; got "yes"'),
        ({"rule": "hyperband"}, "rule hyperband needs max_steps, the step of a trial that runs to its end"),
        ({"rule": "hyperband", "min_steps": 9, "max_steps": 3}, "max_steps must not be below min_steps, 9; got 3"),
        ({"rule": "patience", "min_delta": -1}, "min_delta must be a finite number, at least 0; got -1"),
        ({"rule": "threshold"}, "rule threshold needs lower, upper or both"),
        ({"rule": "threshold", "lower": 2, "upper": 1}, "lower must not be above upper, 1; got 2"),
        ({"rule": "threshold", "lower": "low"}, '[early_stopping] lower must be a number; got "low"'),
    ],
)
def test_mistakes(tmp_path: Path, table: Any, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        read(tmp_path, table)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/study.json: [early_stopping]")

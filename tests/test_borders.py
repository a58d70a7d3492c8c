"""Borders at which the best trials crowd: found where the optimum lies beyond, not where nothing depends on them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sequential.seq_optimizer import main
from utilities.borders import Border, find_borders
from utilities.display.summary import final_summary
from utilities.optimizer import Optimizer
from utilities.trial import Outcome, Trial, TrialRecord, TrialState

SPACE: dict[str, dict[str, Any]] = {
    "lr": {"type": "float", "low": 1e-6, "high": 1e-2, "log": True},
    "decay": {"type": "float", "low": 0.0, "high": 1.0},
    "width": {"type": "int", "low": 8, "high": 64},
    "depth": {"type": "int", "low": 1, "high": 4},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
}


def run(method: str, loss: Any, trials: int, seed: int = 0, **options: Any) -> tuple[Optimizer, list[TrialRecord]]:
    optimizer, records = Optimizer(SPACE, method, seed, **options), []
    for _ in range(trials):
        trial = optimizer.ask()
        value = loss(trial.config)
        records.append(TrialRecord(trial, "x", Outcome(TrialState.COMPLETE, value)))
        optimizer.tell(trial, value)
    return optimizer, records


def beyond(config: dict[str, Any]) -> float:
    """Best at lr = 1, decay 0.4, width 6: two of them out of reach."""
    return math.log10(config["lr"]) ** 2 + (config["decay"] - 0.4) ** 2 + abs(config["width"] - 6) / 56


def test_a_model_finds_what_lies_beyond_and_says_where_to() -> None:
    optimizer, records = run("gp", beyond, 24)
    predicted = optimizer.predicted_best()
    assert predicted is not None
    found = {border.parameter: border for border in find_borders(optimizer, records, predicted.config)}
    assert found.keys() == {"lr", "width"}
    assert found["lr"].border == "high"
    assert (found["lr"].value, found["lr"].widen_to, found["lr"].predicted) == (0.01, 1.0, True)
    assert (found["width"].border, found["width"].widen_to) == ("low", 0)


def test_maximising_looks_at_the_highest() -> None:
    optimizer, records = run("gp", lambda config: -beyond(config), 20, direction="maximize")
    assert "lr" in {border.parameter for border in find_borders(optimizer, records, None)}


def test_false_alarms_are_rarer_than_one_run_in_twenty() -> None:
    """Nothing matters: five best of fifty random trials, again and again."""
    rng, alarms, optimizer = np.random.default_rng(0), 0, Optimizer(SPACE, "random")
    for _ in range(200):
        configs = optimizer.space.from_unit(rng.random((50, len(optimizer.space))))
        outcomes = [Outcome(TrialState.COMPLETE, value) for value in rng.random(50)]
        records = [
            TrialRecord(Trial(i, c), "random", o) for i, (c, o) in enumerate(zip(configs, outcomes, strict=True))
        ]
        alarms += bool(find_borders(optimizer, records, None))
    assert alarms <= 17  # 10 expected at most; 17 has a probability of 1 in 40


def test_an_irrelevant_parameter_is_not_reported_though_a_model_likes_borders() -> None:
    for seed in range(2):
        optimizer, records = run("gp", lambda config: (math.log10(config["lr"]) + 4.0) ** 2, 22, seed)
        predicted = optimizer.predicted_best()
        assert find_borders(optimizer, records, predicted.config if predicted else None) == []


def test_what_did_not_vary_in_a_stage_is_not_reported() -> None:
    fixed = {"decay": 0.0, "width": 8, "depth": 1, "kind": "a"}
    optimizer, records = run("random", beyond, 12, stages=[{"budget": 12, "free": ["lr"], "fixed": fixed}])
    optimizer.stages.news()
    assert {border.parameter for border in find_borders(optimizer, records, None)} <= {"lr"}


@pytest.mark.parametrize("trials", [0, 3, 9])
def test_few_trials_say_nothing(trials: int) -> None:
    optimizer, records = run("random", beyond, trials)
    assert find_borders(optimizer, records, None) == []


def records_at(name: str, values: list[Any], space: dict[str, dict[str, Any]]) -> list[Border]:
    """Borders of a study of one parameter whose trials, the best first, had these values."""
    optimizer = Optimizer(space, "random")
    records = []
    for number, value in enumerate(values):
        trial = optimizer.ask()
        records.append(TrialRecord(trial, "x", Outcome(TrialState.COMPLETE, float(number))))
        trial.config[name] = value
    return find_borders(optimizer, records, None)


@pytest.mark.parametrize(
    ("table", "values", "expected"),
    [
        ({"type": "float", "low": 0.1, "high": 10.0}, [10.0] * 5, ("high", 20.0)),
        ({"type": "float", "low": 0.1, "high": 10.0}, [0.1] * 5, ("low", 0.0)),
        ({"type": "float", "low": 0.0, "high": 1.0}, [0.019] * 5, ("low", -0.5)),
        ({"type": "float", "low": 0.0, "high": 1.0}, [0.021] * 5, None),
        ({"type": "float", "low": 1e-4, "high": 1.0, "log": True}, [1.1e-4] * 5, ("low", 1e-6)),
        ({"type": "float", "low": 1e-4, "high": 1.0, "log": True}, [1.3e-4] * 5, None),
        ({"type": "int", "low": 1, "high": 1024, "log": True}, [1] * 5, None),
        ({"type": "int", "low": 2, "high": 100}, [100] * 5, ("high", 200)),
        ({"type": "int", "low": 1, "high": 4}, [4] * 5, ("high", 6)),
        ({"type": "int", "low": 1, "high": 4}, [4, 4, 4, 2, 1], None),
    ],
)
def test_two_percent_on_its_own_scale(table: dict[str, Any], values: list[Any], expected: Any) -> None:
    others = [table["low"] if values[0] != table["low"] else table["high"]] * 5
    found = records_at("x", values + others, {"x": table, "z": {"type": "float", "low": 0, "high": 1}})
    assert (None if not found else (found[0].border, found[0].widen_to)) == expected


def test_the_end_of_a_run_tells_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("def objective(config): return -config['x']")
    study = {"study": {"objective": "train.py:objective", "method": "gp", "budget": 16}}
    space = {"x": {"type": "float", "low": 0.1, "high": 1.0}, "y": {"type": "float", "low": 0.0, "high": 1.0}}
    Path("study.json").write_text(json.dumps({**study, "space": space}))
    assert main(["study.json"]) == 0
    (border,) = json.loads(Path("runs/study/summary.json").read_text())["borders"]
    assert (border["parameter"], border["border"], border["value"], border["widen_to"]) == ("x", "high", 1.0, 2.0)
    assert "x: near high = 1 in" in capsys.readouterr().out


def test_without_borders_the_summary_says_nothing_of_them() -> None:
    assert "border" not in final_summary({"borders": []})

"""Optuna's TPE behind our own ask and tell: what it is told, and what comes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from learning_objective.command_line import Options
from mpi.mpi_session import prepare_study
from utilities import methods
from utilities.errors import SpaceExhaustedError, StudyError
from utilities.optimizer import Optimizer
from utilities.optuna_proposer import OptunaProposer
from utilities.space import Space

SPACE: dict[str, dict[str, Any]] = {
    "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True},
    "drop": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.05},
    "width": {"type": "int", "low": 16, "high": 512, "log": True},
    "batch": {"type": "int", "low": 32, "high": 1024, "step": 32, "log": True},
    "heads": {"type": "int", "low": 2, "high": 16, "step": 2},
    "size": {"type": "ordinal", "choices": ["s", "m", "l"]},
    "kind": {"type": "categorical", "choices": [1, True, "one"]},
    "bias": {"type": "bool"},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"kind": ["one"], "size": "> s"}},
    "schedule": {"type": "constant", "value": "cosine"},
}


def loss(config: dict[str, Any]) -> float:
    return float(abs(config["drop"] - 0.2) + (config["kind"] != "one") + abs(config["heads"] - 8) / 16)


def trials(optimizer: Optimizer) -> list[optuna.trial.FrozenTrial]:
    proposer = optimizer._proposer
    assert isinstance(proposer, OptunaProposer)
    return list(proposer._study.trials)


def test_configurations_are_of_the_space_and_new() -> None:
    space = Space.from_dict(SPACE, constraints=["width * heads <= 2048"])
    optimizer = Optimizer(space, "optuna-tpe", 2)
    seen = []
    for _ in range(50):
        trial = optimizer.ask()
        assert space.holds(trial.config)
        assert trial.config not in seen
        seen.append(trial.config)
        optimizer.tell(trial, loss(trial.config))
    assert optimizer.best is not None
    early, late = seen[:15], seen[-15:]
    assert sum(map(loss, late)) < sum(map(loss, early))
    assert any("momentum" in config for config in seen)
    assert set(optimizer.origins.values()) == {"optuna-tpe"}


def test_what_optuna_knows_is_what_we_know() -> None:
    optimizer = Optimizer({"x": SPACE["lr"]}, "optuna-tpe", direction="maximize")
    asked = [optimizer.ask() for _ in range(6)]
    optimizer.tell(asked[0], 3.0)
    optimizer.tell(asked[1], failed="no")
    optimizer.tell(asked[2], 2.0, pruned=True)
    optimizer.tell(asked[3], pruned=True)
    optimizer.observe({"x": 0.5}, 7.0)
    optimizer.ask()
    state = optuna.trial.TrialState
    known: dict[Any, list[Any]] = {}
    for trial in trials(optimizer):
        known.setdefault(trial.state, []).append(trial)
    assert [trial.value for trial in known[state.COMPLETE]] == [-3.0, -7.0]
    assert known[state.COMPLETE][1].params == {"x": 0.5}
    assert [trial.intermediate_values for trial in known[state.PRUNED]] == [{0: -2.0}]
    assert sorted(trial.params["x"] for trial in known[state.RUNNING]) == pytest.approx(
        sorted(float(trial.config["x"]) for trial in asked[4:])
    )


def test_the_same_seed_and_order_give_the_same() -> None:
    one, two, other = (Optimizer(SPACE, "optuna-tpe", seed) for seed in (3, 3, 4))
    same = []
    for _ in range(25):
        trials_now = [optimizer.ask() for optimizer in (one, two, other)]
        assert trials_now[0] == trials_now[1]
        same.append(trials_now[0].config == trials_now[2].config)
        for optimizer, trial in zip((one, two, other), trials_now, strict=True):
            optimizer.tell(trial, loss(trial.config))
    assert not any(same)


def test_a_finite_space_is_tried_to_its_end() -> None:
    optimizer = Optimizer({"a": SPACE["size"], "b": SPACE["bias"]}, "optuna-tpe")
    seen = set()
    for _ in range(6):
        trial = optimizer.ask()
        seen.add((trial.config["a"], trial.config["b"]))
        optimizer.tell(trial, 1.0)
    assert len(seen) == 6
    with pytest.raises(SpaceExhaustedError):
        optimizer.ask()


def test_optunas_own_messages_stay_as_they_were(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    optimizer = Optimizer(SPACE, "optuna-tpe")
    optimizer.tell(optimizer.ask(), 1.0)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "find_spec", lambda name: None)
    with pytest.raises(StudyError, match=r"optuna-tpe needs the package optuna.*pip install 'reverie\[optuna\]'"):
        Optimizer(SPACE, "optuna-tpe")
    with pytest.raises(StudyError, match=r"branin: method optuna-tpe needs the package optuna"):
        prepare_study(Options(study="branin", method="optuna-tpe"))


def test_other_methods_do_not_import_it() -> None:
    code = """
import sys
from utilities.optimizer import Optimizer
Optimizer({"x": {"type": "bool"}}, "gp").ask()
sys.exit("optuna" in sys.modules or "ConfigSpace" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

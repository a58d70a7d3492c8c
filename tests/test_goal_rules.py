"""What several objectives and constraints on metrics go with: stages, curves, executors; and what is refused."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpi.mpi_definitions import Fit, Start, TrainerDuty
from mpi.mpi_refits import Refits
from mpi.mpi_trainer import Trainer
from reverie.tuning import minimize
from utilities.errors import StudyError
from utilities.learning_curves import CurveData
from utilities.optimizer import Optimizer
from utilities.storage.study import Study
from utilities.storage.study_file import override, read_study
from utilities.subspace import Subspace
from utilities.trial import Config

SEVERAL: dict[str, Any] = {"objectives": ["error", "size"]}
BOUND: dict[str, Any] = {"metric_constraints": ["size <= 0.5"]}
SPACE = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in "xy"}
FIDELITY = {"low": 1, "high": 9}
STAGES = [{"budget": 20}, {"budget": 15, "shrink": 0.3}]


def written(folder: Path, settings: dict[str, Any], **tables: Any) -> Study:
    path = folder / "study.json"
    path.write_text(json.dumps({"study": {"objective": "train.py:objective", **settings}, "space": SPACE, **tables}))
    return read_study(path)


@pytest.mark.parametrize(
    ("settings", "tables", "told"),
    [
        (SEVERAL, {"fidelity": FIDELITY}, r"\[fidelity\] promotes trials by .* several objectives \(error, size\)"),
        (SEVERAL, {"stage": STAGES}, r"\[\[stage\]\] narrows ranges about the optimum of one objective"),
        (SEVERAL, {"early_stopping": {"rule": "asha"}}, r"\[early_stopping\] goes by .*: leave it out"),
        ({**SEVERAL, "method": "optuna-tpe"}, {}, "method optuna-tpe proposes for one objective .*: choose another"),
        (BOUND, {"fidelity": FIDELITY}, r"\[fidelity\] promotes trials by .* constraints on metrics: leave one of"),
        ({**BOUND, "method": "optuna-tpe"}, {}, "method optuna-tpe .* with constraints on metrics: choose another"),
    ],
)
def test_what_goes_by_one_objective_is_refused(
    tmp_path: Path, settings: dict[str, Any], tables: dict[str, Any], told: str
) -> None:
    with pytest.raises(StudyError, match=rf"study\.json: {told}"):
        written(tmp_path, settings, **tables)


def test_a_method_of_the_command_line_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="optuna-tpe proposes for one objective"):
        override(written(tmp_path, SEVERAL), method="optuna-tpe")


def test_what_goes_together_is_read(tmp_path: Path) -> None:
    assert written(tmp_path, BOUND, stage=STAGES).stages
    assert written(tmp_path, BOUND, early_stopping={"rule": "asha"}).early_stopping is not None


@pytest.mark.parametrize(
    "settings",
    [
        {"directions": ["minimize"] * 2, "fidelity": FIDELITY},
        {"directions": ["minimize"] * 2, "stages": STAGES},
        {"directions": ["minimize"] * 2, "method": "optuna-tpe"},
        {**BOUND, "fidelity": FIDELITY},
        {**BOUND, "method": "optuna-tpe"},
    ],
)
def test_an_optimizer_refuses_the_same(settings: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match="one objective"):
        Optimizer(SPACE, **settings)


# --- what goes together -----------------------------------------------------------------------------------------------


def loss(config: Config) -> float:
    return float((1.0 - config["x"]) ** 2 + (config["y"] - 0.3) ** 2)  # type: ignore[operator]


def holds(optimizer: Optimizer, config: Config) -> bool:
    """Whether a configuration lies in the part of the present stage."""
    part = optimizer.stages.part
    assert isinstance(part, Subspace)
    return bool(part.holds_points(optimizer.space.to_unit([config]))[0])


def test_a_stage_narrows_about_the_best_feasible_trials() -> None:
    optimizer = Optimizer(SPACE, "gp", 1, metric_constraints=["size <= 0.5"], stages=STAGES)
    for _ in range(35):
        trial = optimizer.ask()
        optimizer.tell(trial, loss(trial.config), metrics={"size": float(trial.config["x"])})
    assert optimizer.best is not None
    assert 0.4 < optimizer.best.config["x"] <= 0.5
    assert holds(optimizer, optimizer.best.config)
    assert not holds(optimizer, {"x": 0.95, "y": 0.3})


def test_curves_of_a_constrained_objective_are_learned_from_by_trainers_too() -> None:
    optimizer = Optimizer(SPACE, "gp", 1, metric_constraints=["size <= 0.5"], initial=4, refit="external", max_steps=5)
    refits = Refits(optimizer, 1, (5,))
    start = refits.welcome(5)
    assert isinstance(start, Start)
    assert isinstance(start.duty, TrainerDuty)
    trainer = Trainer(start.duty)
    for i in range(14):
        trial = optimizer.ask()
        for step in range(1, 6) if i > 5 else ():
            optimizer.report(trial, step, loss(trial.config) + 1.0 / step)
        value = loss(trial.config) + 0.2
        optimizer.tell(trial, value, metrics={"size": float(trial.config["x"])}, pruned=i == 12)
        for kind in ("gp@objective", "gp@size"):
            for _, request in refits.ask():
                assert isinstance(request, Fit)
                (fitted,) = trainer.handle(request)
                refits.take(fitted, 5)  # type: ignore[arg-type]
                assert trainer._data[request.kind.partition("@")[2]].x.tolist() == (
                    optimizer.data_of(request.kind).x.tolist()
                ), kind
    assert isinstance(optimizer.data, CurveData)
    assert optimizer.fits.keys() == {"gp@objective", "gp@size"}
    assert optimizer.fits["gp@objective"].rows > len(optimizer.data) >= optimizer.fits["gp@size"].rows
    assert optimizer.predict_final(13) is not None


def test_reports_of_several_objectives_are_none_of_the_model() -> None:
    optimizer = Optimizer(SPACE, "gp", 1, directions=["minimize", "minimize"])
    for _ in range(10):
        trial = optimizer.ask()
        optimizer.report(trial, 1, 3.0)
        optimizer.tell(trial, [loss(trial.config), float(trial.config["x"])])
    assert not isinstance(optimizer.data, CurveData)
    assert optimizer.predict_final(0) is None


def both(config: Config) -> dict[str, float]:
    return {"error": loss(config), "size": float(config["x"]), "further": 7.0}  # type: ignore[arg-type]


@pytest.mark.parametrize("parallel", [False, True])
def test_minimize_finds_a_front_here_and_on_an_executor(parallel: bool) -> None:
    settings: dict[str, Any] = {**SEVERAL, "metric_constraints": ["further < 8", "seconds < 60"]}
    if parallel:
        with ThreadPoolExecutor(2) as pool:
            result = minimize(both, SPACE, 16, "gp", 1, executor=pool, **settings)
    else:
        result = minimize(both, SPACE, 16, "gp", 1, **settings)
    values = np.array([[loss(r.trial.config), r.trial.config["x"]] for r in result.records], dtype=float)
    beaten = [np.any(np.all(values <= v, axis=1) & np.any(values < v, axis=1)) for v in values]
    front = {r.trial.number for r, worse in zip(result.records, beaten, strict=True) if not worse}
    assert {trial.number for trial in result.best_trials} == front
    assert result.best is None
    assert all(r.outcome is not None and r.outcome.metrics["further"] == 7.0 for r in result.records)

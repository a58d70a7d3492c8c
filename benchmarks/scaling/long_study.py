"""A study of very many trials on disk, as a run that was killed would leave it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from utilities.designs import sobol_points
from utilities.fitting import fit_surrogate
from utilities.space import Space
from utilities.storage.run_folder import RunFolder
from utilities.storage.study import Study
from utilities.storage.study_file import read_study
from utilities.surrogate import Array, Dataset, FitState
from utilities.trial import Outcome, Trial, TrialState

BATCH, WORKERS, SECONDS = 64, 64, 60.0
FAILING = 0.02
"""Share of the trials that fail."""

OBJECTIVE = """\
def objective(config):
    return sum((value - 0.3) ** 2 for name, value in config.items() if name.startswith("x"))
"""


def space_table() -> dict[str, Any]:
    """Twenty parameters: floats and integers on both scales, categories, one of them conditional."""
    table: dict[str, Any] = {f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(8)}
    table |= {f"rate{i}": {"type": "float", "low": 1e-6, "high": 1.0, "log": True} for i in range(4)}
    table |= {f"width{i}": {"type": "int", "low": 8, "high": 512, "log": True} for i in range(3)}
    table |= {f"layers{i}": {"type": "int", "low": 1, "high": 8} for i in range(2)}
    table |= {"optimiser": {"type": "categorical", "choices": ["sgd", "adam"]}}
    table |= {"activation": {"type": "categorical", "choices": ["relu", "tanh", "gelu"]}}
    return table | {"momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimiser": "sgd"}}}


def write_study(folder: Path, budget: int, **settings: Any) -> Path:
    """Write ``study.json`` and its objective into `folder`; returns the study's file."""
    (folder / "train.py").write_text(OBJECTIVE)
    own = {"objective": "train.py:objective", "budget": budget, "method": "dngo", "isolation": "none", **settings}
    path = folder / "study.json"
    path.write_text(json.dumps({"study": own, "space": space_table()}))
    return path


def leave_run(path: Path, trials: int, pending: int) -> Path:
    """Leave the folder of a killed run of the study `path`: so many trials that ended, so many that did not.

    The surrogate in its study.h5 was fitted to nine tenths of the completed ones. Returns the folder.
    """
    study = read_study(path)
    run = RunFolder.open(path.parent / "runs", study)
    configs = _configs(study.space, trials + pending, study.seed)
    points, completed = study.space.to_unit(configs), []
    objectives = _objectives(points, study.seed)
    began = time.time() - SECONDS * trials / WORKERS
    run.session(WORKERS + 2, began)
    rng = np.random.default_rng([study.seed, 1])
    for first in range(0, len(configs), BATCH):
        for number in range(first, min(first + BATCH, len(configs))):
            start = began + SECONDS * (number // WORKERS)
            worker = f"{number % WORKERS + 2}@node{number % WORKERS // 8}"
            trial = Trial(number, configs[number], int(rng.integers(2**32)))
            run.asked(trial, "initial" if number < 20 else "model")
            run.started(number, worker, start)
            if number < trials:
                if rng.random() < FAILING:
                    outcome = Outcome(TrialState.FAIL, seconds=1.0, message="ValueError: diverged\nTraceback ...")
                else:
                    completed.append(number)
                    outcome = Outcome(TrialState.COMPLETE, objectives[number], {"accuracy": 0.5}, SECONDS)
                run.finished(number, outcome, start + outcome.seconds)
        run.sync()
    rows = 9 * len(completed) // 10
    _checkpoint(run, study, Dataset(study.space.features(points[completed]), np.array(objectives)[completed]), rows)
    run.close()
    return run.folder


def _configs(space: Space, count: int, seed: int) -> list[Any]:
    return space.from_unit(sobol_points(len(space), count, np.random.default_rng(seed)))


def _objectives(points: Array, seed: int) -> list[float]:
    noise = np.random.default_rng([seed, 2]).normal(0.0, 0.01, len(points))
    bowl: list[float] = (((points - 0.3) ** 2).sum(axis=1) + np.sin(5.0 * points[:, 0]) + noise).tolist()
    return bowl


def _checkpoint(run: RunFolder, study: Study, data: Dataset, rows: int) -> None:
    part = Dataset(data.x[:rows], data.y[:rows])
    fit = fit_surrogate(study.method, study.space, part, study.seed, None)
    run.checkpoint({study.method: FitState(study.method, fit, rows)}, study.space)

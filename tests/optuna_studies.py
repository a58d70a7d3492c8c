"""Studies of Optuna for the tests of our sampler: objectives, and what the sampler knows."""

from __future__ import annotations

import math
from typing import Any

import optuna
from optuna.trial import Trial

import reverie
from reverie.integration.optuna import ReverieSampler


def bowl(trial: Trial) -> float:
    return (trial.suggest_float("x", -5.0, 5.0) - 1.0) ** 2 + (trial.suggest_float("y", -5.0, 5.0) + 2.0) ** 2


def mixed(trial: Trial) -> float:
    """Every distribution that Optuna has, None among the choices."""
    rate = trial.suggest_float("rate", 1e-5, 1.0, log=True)
    drop = trial.suggest_float("drop", 0.0, 0.5, step=0.05)
    width = trial.suggest_int("width", 8, 512, log=True)
    layers = trial.suggest_int("layers", 2, 10, step=2)
    clip = trial.suggest_categorical("clip", [None, 1, "adaptive", True])
    penalty = 0.0 if clip == "adaptive" else 1.0
    return (math.log10(rate) + 2.0) ** 2 + (drop - 0.2) ** 2 + abs(math.log(width / 64)) + abs(layers - 6) + penalty


def branching(trial: Trial) -> float:
    """A loop of parameters, and two branches with one that they share in name."""
    kind = trial.suggest_categorical("kind", ["sgd", "adam", "none"])
    layers = trial.suggest_int("layers", 1, 4)
    value = sum((trial.suggest_float(f"unit{i}", 0.0, 1.0) - 0.3) ** 2 for i in range(layers)) + 0.1 * abs(layers - 2)
    if kind != "none":
        value += (trial.suggest_float("rate", 0.0, 1.0) - 0.7) ** 2
    if kind == "sgd" and trial.suggest_categorical("nesterov", [False, True]):
        value += (trial.suggest_float("momentum", 0.0, 1.0) - 0.5) ** 2
    return value + (0.0 if kind == "sgd" else 0.1)


def study_of(storage: Any = None, **settings: Any) -> optuna.Study:
    return optuna.create_study(sampler=ReverieSampler(**{"method": "gp", "seed": 1, **settings}), storage=storage)


def when(study: optuna.Study) -> dict[str, Any]:
    """Conditions that the sampler has learned."""
    sampler = study.sampler
    assert isinstance(sampler, ReverieSampler)
    assert sampler._optimizer is not None
    return {name: parameter.when for name, parameter in sampler._optimizer.space.parameters.items()}


def propose(study: optuna.Study) -> Trial:
    """Ask for a trial, and have the sampler propose for it, which Optuna does when the first value is asked for."""
    trial = study.ask()
    assert trial.relative_params is not None
    return trial


def worked_on(study: optuna.Study) -> reverie.Optimizer:
    sampler = study.sampler
    assert isinstance(sampler, ReverieSampler)
    assert sampler._optimizer is not None
    return sampler._optimizer

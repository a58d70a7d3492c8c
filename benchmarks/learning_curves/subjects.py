"""Who is compared: what proposes configurations, and what ends trials early, told of every epoch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from benchmarks.learning_curves.tasks import EPOCHS, SPACE
from utilities.early_stopping import EarlyStopping
from utilities.foresight import OptimizerForesight
from utilities.optimizer import Optimizer
from utilities.stopping_rule import Settings
from utilities.stopping_rules import RULES
from utilities.trial import Config

ETA = 3


class Subject(Protocol):
    """A tuner of trials that report an error after each epoch."""

    def ask(self) -> tuple[int, Config]:
        """Number and configuration of another trial."""

    def report(self, number: int, epoch: int, error: float) -> None:
        """Take the error of a running trial after an epoch that is not its last."""

    def ended(self, running: Sequence[int]) -> list[int]:
        """Which of the running trials, all of which have just reported, are to end."""

    def tell(self, number: int, error: float, *, complete: bool) -> None:
        """Take the last error of a trial that ran to its end, or was ended."""


class Ours:
    """Reverie's optimiser and a rule of ``[early_stopping]``.

    Parameters
    ----------
    method
        Of the optimiser.
    rule
        Settings of the rule; None without.
    curves
        Whether the model learns of reports. Without, a trial that was ended counts as one of that objective.
    """

    def __init__(self, method: str, seed: int, rule: dict[str, Any] | None = None, *, curves: bool = True) -> None:
        by_model = rule is not None and RULES[rule["rule"]].by_model
        self._optimizer = Optimizer(SPACE, method, seed, max_steps=EPOCHS, ended_by_model=by_model)
        self._rule = None if rule is None else EarlyStopping(Settings(**rule), "minimize", seed)
        self._foresight = OptimizerForesight(self._optimizer)
        self._curves = curves
        self._at_once: set[int] = set()

    def ask(self) -> tuple[int, Config]:
        """Number and configuration of another trial."""
        trial = self._optimizer.ask()
        return trial.number, trial.config

    def report(self, number: int, epoch: int, error: float) -> None:
        """Take the error of a running trial after an epoch that is not its last."""
        if self._curves:
            self._optimizer.report(number, epoch, error)
        if self._rule is not None and self._rule.report(number, epoch, error):
            self._at_once.add(number)

    def ended(self, running: Sequence[int]) -> list[int]:
        """Which of the running trials are to end."""
        ended = [number for number in running if number in self._at_once]
        self._at_once.clear()
        return ended if self._rule is None else [*ended, *self._rule.judge(self._foresight, running)]

    def tell(self, number: int, error: float, *, complete: bool) -> None:
        """Take the last error of a trial."""
        if self._rule is not None:
            self._rule.end(number, complete=complete)
        self._optimizer.tell(number, error, pruned=not complete)


class Optuna:
    """Optuna's TPE with its Hyperband pruner, brackets and rungs as ours."""

    def __init__(self, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=ETA)
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner)
        self._pruned = optuna.trial.TrialState.PRUNED
        self._trials: dict[int, Any] = {}

    def ask(self) -> tuple[int, Config]:
        """Number and configuration of another trial."""
        trial = self._study.ask()
        config: Config = {}
        for name, parameter in SPACE.items():
            suggest = trial.suggest_int if parameter["type"] == "int" else trial.suggest_float
            config[name] = suggest(name, parameter["low"], parameter["high"], log=parameter.get("log", False))
        self._trials[trial.number] = trial
        return trial.number, config

    def report(self, number: int, epoch: int, error: float) -> None:
        """Take the error of a running trial after an epoch that is not its last."""
        self._trials[number].report(error, epoch)

    def ended(self, running: Sequence[int]) -> list[int]:
        """Which of the running trials are to end."""
        return [number for number in running if self._trials[number].should_prune()]

    def tell(self, number: int, error: float, *, complete: bool) -> None:
        """Take the last error of a trial."""
        trial = self._trials.pop(number)
        if complete:
            self._study.tell(trial, error)
        else:
            self._study.tell(trial, state=self._pruned)


_ASHA = {"rule": "asha", "eta": ETA}
_MODEL = {"rule": "model", "max_steps": EPOCHS}
_GUIDED = {"rule": "asha", "eta": ETA, "max_steps": EPOCHS, "guided": True}

SUBJECTS: dict[str, Callable[[int], Subject]] = {
    "random": lambda seed: Ours("random", seed),
    "random-asha": lambda seed: Ours("random", seed, _ASHA),
    "optuna-tpe-hyperband": Optuna,
    "auto": lambda seed: Ours("auto", seed, curves=False),
    "auto-asha-last-value": lambda seed: Ours("auto", seed, _ASHA, curves=False),
    "auto-asha-guided": lambda seed: Ours("auto", seed, _GUIDED),
    "auto-model-0.05": lambda seed: Ours("auto", seed, {**_MODEL, "probability": 0.05}),
    "auto-model": lambda seed: Ours("auto", seed, _MODEL),
}
"""By name. The first three learn nothing of curves and cost next to nothing: their final errors are the targets."""

BASELINES = ("random", "optuna-tpe-hyperband")
CHEAP = ("random", "random-asha", "optuna-tpe-hyperband")

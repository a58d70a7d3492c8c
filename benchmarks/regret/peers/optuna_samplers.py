"""Optuna: TPESampler and GPSampler with their defaults, parameters suggested as conditions allow."""

from __future__ import annotations

import sys
import warnings

import optuna
from optuna.trial import TrialState

from benchmarks.regret.peers.flat import is_active, parents_first
from benchmarks.regret.peers.loop import Config, Start, serve


class OptunaRun:
    """A study that is asked and told; failed trials have the state FAIL."""

    def __init__(self, start: Start, sampler: optuna.samplers.BaseSampler) -> None:
        self._space, self._order = start.space, parents_first(start.space)
        self._study = optuna.create_study(sampler=sampler)
        self._trials: dict[int, optuna.Trial] = {}

    def ask(self) -> tuple[int, Config]:
        """Propose."""
        trial = self._study.ask()
        self._trials[trial.number] = trial
        config: Config = {}
        for name in self._order:
            row = self._space[name]
            if not is_active(row, config):
                continue
            if row["type"] == "categorical":
                config[name] = trial.suggest_categorical(name, row["choices"])
            elif row["type"] == "int":
                config[name] = trial.suggest_int(name, row["low"], row["high"], log=row.get("log", False))
            else:
                config[name] = trial.suggest_float(name, row["low"], row["high"], log=row.get("log", False))
        return trial.number, config

    def tell(self, number: int, value: float | None) -> None:
        """Report."""
        trial = self._trials.pop(number)
        if value is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, value)


def tpe(start: Start) -> OptunaRun:
    return OptunaRun(start, optuna.samplers.TPESampler(seed=start.seed))


def gp(start: Start) -> OptunaRun:
    return OptunaRun(start, optuna.samplers.GPSampler(seed=start.seed, deterministic_objective=not start.noisy))


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    serve(f"optuna {optuna.__version__}", {"tpe": tpe, "gp": gp}[sys.argv[1]])

"""SMAC3: HyperparameterOptimizationFacade, one evaluation a configuration; a failure is told as the worst so far."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    ConfigurationSpace,
    InCondition,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory import TrialInfo, TrialValue

from benchmarks.regret.peers.flat import Row, Table
from benchmarks.regret.peers.loop import Config, Start, Worst, serve


def hyperparameter(name: str, row: Row) -> Any:
    if row["type"] == "categorical":
        return CategoricalHyperparameter(name, row["choices"])
    kind = UniformIntegerHyperparameter if row["type"] == "int" else UniformFloatHyperparameter
    return kind(name, row["low"], row["high"], log=row.get("log", False))


def configuration_space(space: Table, seed: int) -> ConfigurationSpace:
    result = ConfigurationSpace(seed=seed)
    result.add([hyperparameter(name, row) for name, row in space.items()])
    for name, row in space.items():
        conditions = [
            InCondition(result[name], result[parent], allowed if isinstance(allowed, list) else [allowed])
            for parent, allowed in row.get("when", {}).items()
        ]
        if conditions:
            result.add(conditions[0] if len(conditions) == 1 else AndConjunction(*conditions))
    return result


class SmacRun:
    """A facade that is asked and told, its files in a temporary folder."""

    def __init__(self, start: Start) -> None:
        self._space = start.space
        self._folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            configuration_space(start.space, start.seed),
            n_trials=start.budget,
            deterministic=True,
            seed=start.seed,
            output_directory=Path(self._folder.name),
        )
        self._facade = HyperparameterOptimizationFacade(
            scenario,
            lambda config, seed=0: 0.0,
            intensifier=HyperparameterOptimizationFacade.get_intensifier(scenario, max_config_calls=1),
            logging_level=False,
            overwrite=True,
        )
        self._asked: dict[int, TrialInfo] = {}
        self._worst = Worst()

    def ask(self) -> tuple[int, Config]:
        """Propose."""
        number = len(self._asked)
        self._asked[number] = info = self._facade.ask()
        rows = dict(info.config)
        return number, {name: self._normal(name, value) for name, value in rows.items()}

    def _normal(self, name: str, value: Any) -> Any:
        row = self._space[name]
        if row["type"] == "categorical":
            return next(choice for choice in row["choices"] if choice == value)
        return int(value) if row["type"] == "int" else float(value)

    def tell(self, number: int, value: float | None) -> None:
        """Report."""
        for settled, cost in self._worst.settle(number, value):
            self._facade.tell(self._asked[settled], TrialValue(cost=cost), save=False)


if __name__ == "__main__":
    serve(f"smac {version('smac')}", SmacRun)

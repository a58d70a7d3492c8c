"""SMAC3: HyperparameterOptimizationFacade, one evaluation a configuration; it sees no pending trials."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace, UniformFloatHyperparameter
from numpy.typing import NDArray
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory import TrialInfo, TrialValue

from benchmarks.scaling.subjects.observations import COLUMNS

NAMES = [f"x{i}" for i in range(1, COLUMNS + 1)]


class Smac:
    """A facade that is asked and told, its files in a temporary folder."""

    def __init__(self, _: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._space = ConfigurationSpace(seed=0)
        self._space.add([UniformFloatHyperparameter(name, 0.0, 1.0) for name in NAMES])
        scenario = Scenario(
            self._space, n_trials=10**7, deterministic=True, seed=0, output_directory=Path(self._folder.name)
        )
        facade = HyperparameterOptimizationFacade
        self._facade = facade(
            scenario,
            lambda config, seed=0: 0.0,
            initial_design=facade.get_initial_design(scenario, n_configs=20),
            intensifier=facade.get_intensifier(scenario, max_config_calls=1),
            logging_level=False,
            overwrite=True,
        )
        self._out: dict[int, TrialInfo] = {}
        self._asked = 0
        self.version = f"smac {version('smac')}"

    def load(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[str, int, float]]:
        """Tell of configurations of one's own."""
        for point, value in zip(x, y, strict=True):
            config = Configuration(self._space, values=dict(zip(NAMES, map(float, point), strict=True)))
            self._facade.tell(TrialInfo(config, seed=0), TrialValue(cost=float(value)), save=False)
        return []

    def ask(self, count: int) -> list[tuple[int, list[float]]]:
        """Propose."""
        new = []
        for _ in range(count):
            info = self._facade.ask()
            self._out[self._asked] = info
            new.append((self._asked, [float(info.config[name]) for name in NAMES]))
            self._asked += 1
        return new

    def tell(self, number: int, value: float) -> None:
        """Report."""
        self._facade.tell(self._out.pop(number), TrialValue(cost=value), save=False)


make = Smac

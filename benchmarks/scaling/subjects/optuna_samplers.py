"""Optuna: TPESampler and GPSampler as they are by default."""

from __future__ import annotations

import numpy as np
import optuna
from numpy.typing import NDArray

from benchmarks.scaling.subjects.observations import COLUMNS

SPACE = {f"x{i}": optuna.distributions.FloatDistribution(0.0, 1.0) for i in range(1, COLUMNS + 1)}


class OptunaStudy:
    """A study in memory."""

    def __init__(self, sampler: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers = {"tpe": optuna.samplers.TPESampler, "gp": optuna.samplers.GPSampler}
        self._study = optuna.create_study(sampler=samplers[sampler](seed=0))
        self._out: dict[int, optuna.Trial] = {}
        self.version = f"optuna {optuna.__version__}"

    def load(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[str, int, float]]:
        """Add finished trials."""
        for point, value in zip(x, y, strict=True):
            params = dict(zip(SPACE, map(float, point), strict=True))
            self._study.add_trial(optuna.create_trial(params=params, distributions=SPACE, value=float(value)))
        return []

    def ask(self, count: int) -> list[tuple[int, list[float]]]:
        """Propose."""
        new = [self._study.ask(SPACE) for _ in range(count)]
        self._out.update((trial.number, trial) for trial in new)
        return [(trial.number, [trial.params[name] for name in SPACE]) for trial in new]

    def tell(self, number: int, value: float) -> None:
        """Report."""
        self._study.tell(self._out.pop(number), value)


make = OptunaStudy

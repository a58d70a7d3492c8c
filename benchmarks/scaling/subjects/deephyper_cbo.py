"""DeepHyper: CBO as it is by default, but for ``qUCBd``, which its authors use with many workers."""

from __future__ import annotations

import tempfile
from importlib.metadata import version

import numpy as np
from deephyper.hpo import CBO, HpProblem
from numpy.typing import NDArray

from benchmarks.scaling.subjects.observations import COLUMNS

NAMES = [f"x{i}" for i in range(1, COLUMNS + 1)]


class DeepHyper:
    """A search that is asked and told; it maximises, and refits when told."""

    def __init__(self, _: str) -> None:
        problem = HpProblem()
        for name in NAMES:
            problem.add_hyperparameter((0.0, 1.0), name)
        folder = tempfile.mkdtemp()
        self._search = CBO(problem, random_state=0, log_dir=folder, multi_point_strategy="qUCBd")
        self._out: dict[int, dict[str, float]] = {}
        self._asked = 0
        self.version = f"deephyper {version('deephyper')}"

    def load(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[str, int, float]]:
        """Tell of configurations of one's own."""
        configs = [dict(zip(NAMES, map(float, point), strict=True)) for point in x]
        self._search.tell([(config, -float(value)) for config, value in zip(configs, y, strict=True)])
        return []

    def ask(self, count: int) -> list[tuple[int, list[float]]]:
        """Propose."""
        new = []
        for config in self._search.ask(count):
            self._out[self._asked] = config
            new.append((self._asked, [float(config[name]) for name in NAMES]))
            self._asked += 1
        return new

    def tell(self, number: int, value: float) -> None:
        """Report."""
        self._search.tell([(self._out.pop(number), -value)])


make = DeepHyper

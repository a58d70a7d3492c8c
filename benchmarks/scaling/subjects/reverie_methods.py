"""Our own methods, refitted elsewhere: driven as the master drives them."""

from __future__ import annotations

import time
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from benchmarks.scaling.subjects.observations import COLUMNS, smooth
from utilities.fitting import fit_surrogate
from utilities.optimizer import Optimizer
from utilities.space import Space

NAMES = [f"x{i}" for i in range(1, COLUMNS + 1)]


class ReverieMethod:
    """An optimiser and its trainer, which answers at once."""

    def __init__(self, method: str) -> None:
        self._space = Space.from_dict({name: {"type": "float", "low": 0.0, "high": 1.0} for name in NAMES})
        self._optimizer = Optimizer(self._space, method, seed=0, refit="external")
        self.version = f"reverie {version('reverie')}"

    def load(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[str, int, float]]:
        """Tell of observations as of trials of the user's own, and refit what is due.

        The last one is a proposal of its own: between two refits some are made in a run, and a new fit is gone over to
        by making them.
        """
        for point, value in zip(x[:-1], y[:-1], strict=True):
            self._optimizer.enqueue(dict(zip(NAMES, map(float, point), strict=True)))
            self._optimizer.tell(self._optimizer.ask(), float(value))
        trial = self._optimizer.ask()
        own = np.array([[trial.config[name] for name in NAMES]], dtype=float)
        self._optimizer.tell(trial, float(smooth(own)[0]))
        return self._refit()

    def _refit(self) -> list[tuple[str, int, float]]:
        made = []
        while (kind := self._optimizer.fit_due()) is not None:
            data, fits = self._optimizer.data, self._optimizer.fits
            previous = fits[kind].parameters if kind in fits else None
            began = time.process_time()
            parameters = fit_surrogate(kind, self._space, data, 0, previous)
            made.append((kind, len(data), time.process_time() - began))
            self._optimizer.adopt(kind, parameters, len(data))
        return made

    def ask(self, count: int) -> list[tuple[int, list[float]]]:
        """Propose, all in one pass; no refit is made here."""
        if count > 1:
            self._optimizer.prepare(count, batch=count)
        trials = self._optimizer.ask_batch(count)
        return [(trial.number, [float(trial.config[name]) for name in NAMES]) for trial in trials]

    def tell(self, number: int, value: float) -> None:
        """Report."""
        self._optimizer.tell(number, value)


make = ReverieMethod

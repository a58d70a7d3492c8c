"""An Optimizer of this process, driven like a peer: for comparisons of it with a changed self."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.regret.peers.reverie_methods import commit
from benchmarks.regret.problem import Problem
from utilities.optimizer import Optimizer


class InProcess:
    """An Optimizer of this process, driven like a peer."""

    def __init__(self, method: str) -> None:
        self._method, self.version = method, f"reverie {commit()}"

    def start(self, problem: Problem, seed: int, budget: int, pending: int) -> None:
        """Begin a run."""
        self._optimizer = Optimizer(problem.space, method=self._method, seed=seed)
        self._trials: dict[int, Any] = {}

    def ask(self) -> tuple[int, dict[str, Any], float]:
        """Number, configuration, CPU seconds."""
        began = time.process_time()
        trial = self._optimizer.ask()
        return trial.number, dict(trial.config), time.process_time() - began

    def tell(self, number: int, value: float | None) -> float:
        """CPU seconds."""
        began = time.process_time()
        if value is None:
            self._optimizer.tell(number, failed="the evaluation failed")
        else:
            self._optimizer.tell(number, value)
        return time.process_time() - began

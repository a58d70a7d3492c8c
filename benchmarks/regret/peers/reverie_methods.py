"""Reverie itself, by a method's name."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

from benchmarks.regret.peers.loop import Config, Start, serve
from reverie import Optimizer, Trial


def commit() -> str:
    """Commit of the checkout, with a mark where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout.strip()


class ReverieRun:
    """An Optimizer that refits itself."""

    def __init__(self, start: Start, method: str) -> None:
        self._optimizer = Optimizer(start.space, method=method, seed=start.seed)
        self._asked: dict[int, Trial] = {}

    def ask(self) -> tuple[int, Config]:
        """Propose."""
        trial = self._optimizer.ask()
        self._asked[trial.number] = trial
        return trial.number, dict(trial.config)

    def tell(self, number: int, value: float | None) -> None:
        """Report."""
        trial = self._asked.pop(number)
        if value is None:
            self._optimizer.tell(trial, failed="the evaluation failed")
        else:
            self._optimizer.tell(trial, value)


if __name__ == "__main__":
    serve(f"reverie {commit()}", functools.partial(ReverieRun, method=sys.argv[1]))

"""The loop of a driver: JSON lines on stdin, an answer a line on stdout. Standard library only.

| received | answered |
|---|---|
| ``{"op": "start", "space": {...}, "seed": s, "budget": n, "pending": P, "noisy": b}`` | ``{"version": "..."}`` |
| ``{"op": "ask"}`` | ``{"id": i, "config": {...}, "cpu": seconds}`` |
| ``{"op": "tell", "id": i, "value": y}``, y null where the evaluation failed | ``{"cpu": seconds}`` |

Whatever raises is answered by ``{"error": "..."}``. A further "start" begins a new run in the same process, since what
a peer imports often takes longer than a run. What a peer prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Config = dict[str, Any]


@dataclass(frozen=True)
class Start:
    """What a run is: its space, seed, evaluations in all, how many are pending at a time, whether values have noise."""

    space: Mapping[str, Mapping[str, Any]]
    seed: int
    budget: int
    pending: int
    noisy: bool


class Session(Protocol):
    """One run of one optimiser."""

    def ask(self) -> tuple[int, Config]:
        """Propose: an id that was not used before, and a configuration without inactive parameters."""

    def tell(self, number: int, value: float | None) -> None:
        """Report the outcome of a proposal, None where it failed."""


def serve(version: str, start: Callable[[Start], Session]) -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    session: Session | None = None
    for line in sys.stdin:
        request = json.loads(line)
        operation = request.pop("op")
        begun = time.process_time()
        try:
            if operation == "start":
                session = start(Start(**request))
                answer: dict[str, Any] = {"version": version}
            elif session is None:
                raise RuntimeError(f"no run was started before {operation!r}")
            elif operation == "ask":
                number, config = session.ask()
                answer = {"id": number, "config": config}
            else:
                session.tell(request["id"], request["value"])
                answer = {}
            answer["cpu"] = time.process_time() - begun
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        answers.write(json.dumps(answer) + "\n")


class Worst:
    """What a peer without a state for failures is told of one: the worst value so far, which must exist."""

    def __init__(self) -> None:
        self._worst: float | None = None
        self._failed: list[int] = []

    def settle(self, number: int, value: float | None) -> list[tuple[int, float]]:
        """Outcomes to report now, as (id, value): failures wait for the first value."""
        if value is None:
            self._failed.append(number)
        else:
            self._worst = value if self._worst is None else max(self._worst, value)
        if self._worst is None:
            return []
        failed, self._failed = self._failed, []
        outcomes = [(number, value)] if value is not None else []
        return outcomes + [(number, self._worst) for number in failed]

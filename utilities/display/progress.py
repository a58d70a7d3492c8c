"""How a run is shown while it goes: the displays that are told its status.

A display is told much more often than it shows. `PlainDisplay` writes the lines of a batch log; `LiveDisplay`
(`utilities.display.live`) redraws a view on a terminal. Only the latter imports rich.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import IO, Protocol

from utilities.display.run_status import RunStatus, fraction_used
from utilities.display.terminal import watching_terminal
from utilities.display.text import clean, emit, number


class Display(Protocol):
    """Shows how a run goes. No method raises because nobody can be shown anything."""

    def due(self, done: int, elapsed: float) -> bool:
        """Whether `update` would show anything now: ask first where a status is costly to build.

        `done` and `elapsed` are those of the status that would be built.
        """

    def update(self, status: RunStatus) -> None:
        """Take note of `status`; cheap at hundreds of calls a second. Call it while nothing happens: clocks tick."""

    def say(self, line: str) -> None:
        """Show a notice or a warning, at once and to stay."""

    def close(self) -> None:
        """Leave the screen to others. A second call does nothing."""


class PlainDisplay:
    """The lines of a batch log: one at each tenth of the budget, and notices. No control characters.

    Parameters
    ----------
    stream
        Where the lines go; flushed after each.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._tenth = 0
        self._limits: tuple[int | None, float | None] | None = None

    def due(self, done: int, elapsed: float) -> bool:
        """Whether another tenth of the budget is complete."""
        if self._limits is None:
            return True
        budget, time_limit = self._limits
        return _tenths(fraction_used(done, budget, elapsed, time_limit)) > self._tenth

    def update(self, status: RunStatus) -> None:
        """Write one line where another tenth of the budget is complete; of several at once, only the last."""
        self._limits = status.budget, status.time_limit
        fraction = status.fraction
        if fraction is not None and _tenths(fraction) > self._tenth:
            self._tenth = _tenths(fraction)
            emit(self._stream, f"{fraction:.3f} completion...  {_best(status)}")

    def say(self, line: str) -> None:
        """Write `line`, free of control characters."""
        emit(self._stream, clean(line))

    def close(self) -> None:
        """Do nothing: every line is flushed already."""


def make_display(stream: IO[str] | None = None, clock: Callable[[], float] = time.monotonic) -> Display:
    """Choose the live view where a person watches at a terminal, else plain lines.

    Parameters
    ----------
    stream
        Where plain lines go; by default standard output.
    clock
        Seconds of a clock that never goes back: paces the live view.
    """
    terminal = watching_terminal()
    if terminal is None:
        return PlainDisplay(stream or sys.stdout)
    from utilities.display.live import LiveDisplay

    return LiveDisplay(terminal, clock)


def _tenths(fraction: float | None) -> int:
    # Rounding first: 3 * 0.1 of a time limit may be a hair below three tenths.
    return int(round((fraction or 0.0) * 10, 9))


def _best(status: RunStatus) -> str:
    if status.front is not None:
        return f"front {status.front}" if status.front.size else "front none yet"
    if status.best is None or status.best.objective is None:
        return "best none yet"
    return f"best {number(status.best.objective)}"

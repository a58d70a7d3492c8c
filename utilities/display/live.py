"""The live view: a few lines at the foot of a terminal, redrawn in place while the run goes.

rich's own `Live` is not used. It hides the cursor, which a killed run would leave hidden; it asks the standard streams
for the size, which under a launcher are not the terminal; and it may wait for a terminal that takes nothing.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from utilities.display.frame import Lines, frame
from utilities.display.run_status import RunStatus
from utilities.display.terminal import Terminal
from utilities.display.text import clean, emit

_REDRAW_SECONDS = 0.25
_TICK_SECONDS = 1.0


class _Line(NamedTuple):
    cells: int
    styled: str


class LiveDisplay:
    """Redraws a view of the run, four times a second while trials come and go, once a second otherwise.

    The cursor stays visible, on the line below the view: a run that is killed leaves a sane terminal. Nothing is drawn
    while the job is in the background or the terminal takes no more.

    Parameters
    ----------
    terminal
        Where to draw; `close` closes it.
    clock
        Seconds of a clock that never goes back.
    layout
        Makes lines of a status, for a width, a height, and whether in ASCII alone.
    """

    def __init__(
        self,
        terminal: Terminal,
        clock: Callable[[], float] = time.monotonic,
        layout: Callable[[Any, int, int, bool], Lines] = frame,
    ) -> None:
        self._terminal = terminal
        self._layout = layout
        self._clock = clock
        self._console = Console(file=io.StringIO(), force_terminal=True, force_interactive=False, highlight=False)
        self._ascii_only = not terminal.encoding.lower().startswith("utf")
        self._next = self._tick = float("-inf")
        self._news: tuple[object, ...] = ()
        self._drawn: list[_Line] = []
        self._closed = False

    def due(self, done: int, elapsed: float) -> bool:
        """Whether a quarter of a second has passed since the last look."""
        return self._clock() >= self._next and not self._closed

    def update(self, status: RunStatus) -> None:
        """Redraw, unless the last time was just now or nothing but the time has changed within a second."""
        now = self._clock()
        if now < self._next or self._closed:
            return
        self._next = now + _REDRAW_SECONDS
        news = (status.done, status.running, status.states, status.best, status.phase, status.surrogate)
        if news == self._news and now < self._tick:
            return
        self._news, self._tick = news, now + _TICK_SECONDS
        self._draw(status)

    def say(self, line: str) -> None:
        """Write `line` above the view, where it stays; once closed, to standard output."""
        if self._closed:
            emit(sys.stdout, clean(line))
            return
        self._settle()
        self._terminal.write(self._home() + clean(line) + "\x1b[K\r\n" + self._body(self._drawn))

    def close(self) -> None:
        """Take the view away and let go of the terminal. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._settle()
        self._terminal.write(self._home() + ("\x1b[J" if self._drawn else ""))
        self._drawn = []
        self._terminal.close()

    def _settle(self) -> None:
        """Forget the view where others have written below it since: it can't be found again."""
        if not self._terminal.foreground():
            self._drawn = []

    def _draw(self, status: RunStatus) -> None:
        self._settle()
        if self._terminal.clogged() or not self._terminal.foreground():
            return
        columns, rows = self._terminal.size()
        # One column stays free: a full line would leave the cursor waiting to wrap, and terminals differ in what then.
        lines = [self._styled(text) for text in self._layout(status, columns - 1, rows - 2, self._ascii_only)]
        self._terminal.write(self._home() + self._body(lines))
        self._drawn = lines

    def _home(self) -> str:
        """Move to the first line of the view. Where the terminal has narrowed, its lines take several rows each."""
        columns = self._terminal.size().columns
        rows = sum(max(-(-line.cells // columns), 1) for line in self._drawn)
        return f"\x1b[{rows}A\r" if rows else ""

    @staticmethod
    def _body(lines: list[_Line]) -> str:
        """Each line in place of the old one, then nothing below: in this order nothing flickers."""
        return "".join(f"{line.styled}\x1b[K\r\n" for line in lines) + ("\x1b[J" if lines else "")

    def _styled(self, text: Text) -> _Line:
        with self._console.capture() as capture:
            self._console.print(text, no_wrap=True, overflow="ignore", crop=False, end="")
        return _Line(text.cell_len, capture.get())

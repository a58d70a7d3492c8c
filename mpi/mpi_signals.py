"""Signals are noted from a process's first moment on; whoever leads the run asks for them when it can act on them.

A launcher sends them to every rank, and only the master decides what becomes of the run.
"""

from __future__ import annotations

import signal
from collections import deque
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals on which a run ends gracefully."""

_noted: deque[signal.Signals] = deque()


def note_signals() -> None:
    """From now on, note the signals that end a run instead of ending this process by them.

    Each has a handler, for child processes would inherit that a signal is ignored.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, _note)


def ignore_signals() -> None:
    """From now on, take no notice of them: the run has ended, and Python, as it ends, gives handlers up before that."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def next_signal() -> signal.Signals | None:
    """Take the oldest signal that was noted, None where there is none."""
    return _noted.popleft() if _noted else None


def _note(number: int, _: FrameType | None) -> None:
    _noted.append(signal.Signals(number))

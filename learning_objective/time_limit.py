"""How long what runs in a child process may take: a limit, and a grace for what was asked to end."""

from __future__ import annotations

import math
import time

MOST_WAITING = 2 * (1 << 16) // 57
"""Reports that can have been on their way when a time limit came: two buffers full of the shortest."""


class TimeLimit:
    """The limit of whatever runs at present.

    Parameters
    ----------
    grace
        Seconds between asking something that exceeded its limit to end, and killing it.

    Attributes
    ----------
    deadline
        When to look, in seconds of the monotonic clock.
    exceeded
        What was exceeded, once it was; empty before.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._began, self._limit, self._overdue = 0.0, "", 0
        self.deadline, self.exceeded = math.inf, ""

    def begin(self, seconds: float, limit: str) -> None:
        """From now on, something runs that may take so long; `limit` says what it exceeds otherwise."""
        self._began = time.monotonic()
        self.deadline, self._limit = self._began + seconds, limit
        self.exceeded, self._overdue = "", 0

    def lift(self) -> None:
        """Let it take any time."""
        self.deadline = math.inf

    def exceed(self) -> None:
        """Note that it was asked to end: its grace begins."""
        self.exceeded = self._limit
        self.deadline = time.monotonic() + self._grace

    @property
    def over(self) -> bool:
        """Whether the limit, or the grace after it, is over."""
        return time.monotonic() >= self.deadline

    @property
    def seconds(self) -> float:
        """Time since it began."""
        return time.monotonic() - self._began

    def overtaken(self) -> bool:
        """Whether the limit is to be enforced though a report came: an outcome in time may wait behind some."""
        if not self.over:
            return False
        self._overdue += 1
        return bool(self.exceeded) or self._overdue > MOST_WAITING

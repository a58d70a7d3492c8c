"""How much memory a process group has: a child process and whatever it started.

Reads /proc, as Linux has it; elsewhere there is nothing to read, and no limit is kept.
"""

from __future__ import annotations

import os
import time

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SHORTEST_PAUSE = 0.05
_SHARE = 0.02
"""Of the time, at most, that goes into looking."""


def available() -> bool:
    """Whether this system tells how much memory a process has."""
    return os.path.exists("/proc/self/stat")


def format_bytes(count: float) -> str:
    """``4 GiB``, ``1.5 MiB``, ``700 bytes``."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:g} bytes"


def held(group: int) -> int:
    """Bytes that a process group has, pages that its processes share counted once; 0 where that is not told."""
    return _proportional(group) or _resident(group)


class MemoryWatch:
    """Looks, not too often, whether a process group has more memory than it may.

    Parameters
    ----------
    limit
        Bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._next = 0.0

    def excess(self, group: int) -> int | None:
        """Bytes that the group has, where they are more than the limit; None where not, or it is too early to look."""
        began = time.monotonic()
        if began < self._next:
            return None
        taken = _resident(group)
        if taken > self.limit:
            taken = _proportional(group) or taken
        spent = time.monotonic() - began
        self._next = began + max(_SHORTEST_PAUSE, spent / _SHARE)
        return taken if taken > self.limit else None


def _resident(group: int) -> int:
    """Resident bytes of all processes of a group; pages that they share count as often as they are shared."""
    return sum(int(fields[21]) for _, fields in _members(group)) * _PAGE


def _proportional(group: int) -> int:
    """The same with each shared page counted once, which takes longer to read; 0 where it is not told."""
    total = 0
    for process, _ in _members(group):
        try:
            with open(f"/proc/{process}/smaps_rollup") as file:
                text = file.read()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) << 10
    return total


def _members(group: int) -> list[tuple[str, list[str]]]:
    """Process number and the fields of ``stat`` from the third on, see proc(5), of each process of a group."""
    members = []
    for name in os.listdir("/proc") if available() else []:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group:
                members.append((name, fields))
    return members

"""The start of MPI, which waits for every rank, for ever where one has died: watched, and given up then."""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from mpi.mpi_definitions import RESUMABLE

_LOOK_SECONDS = 1.0
_PATIENCE = 5
"""Looks in a row at which a rank is missing before it counts as dead: the launcher may not have started it yet."""

_FAREWELL_SECONDS = 10.0
_LOCAL_SIZE, _LOCAL_RANK = "OMPI_COMM_WORLD_LOCAL_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"


class StartWatch:
    """Ends the launch where another rank of this host has died before MPI has started.

    Only Open MPI's launcher, told to tolerate faults, lets the others live on then. It is the parent of all ranks of a
    host, and tells how many these are. A process of its own watches: nothing else of this one runs while MPI starts. It
    tells the launcher to end, whose status then is not that of a success, as it would be after killed ranks.
    """

    def __init__(self) -> None:
        self._expected = int(os.environ.get(_LOCAL_SIZE, "1"))
        self._rank, self._launcher = os.getpid(), os.getppid()
        self._started: int | None = None

    def __enter__(self) -> Self:
        if self._expected > 1:
            seen_by_watch, self._started = os.pipe()
            if os.fork() == 0:
                os.close(self._started)
                self._watch(seen_by_watch)
                os._exit(0)
            os.close(seen_by_watch)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._started is not None:
            os.close(self._started)
        if kind is not None and kind.__module__.startswith("mpi4py"):
            _tell(f"MPI cannot start: {error}")
            os._exit(RESUMABLE)

    def _watch(self, started: int) -> None:
        """Look at the other ranks until this one has started, or is gone."""
        missing = 0
        while missing < _PATIENCE:
            if select.select([started], [], [], _LOOK_SECONDS)[0]:
                return
            missing = missing + 1 if self._ranks_here() < self._expected else 0
        if os.environ.get(_LOCAL_RANK) in ("0", "1"):
            _tell("a rank died while MPI started")
        for process, seconds in ((self._launcher, _FAREWELL_SECONDS), (self._rank, 0.0)):
            with suppress(OSError):
                os.kill(process, signal.SIGTERM if process == self._launcher else signal.SIGKILL)
            select.select([started], [], [], seconds)

    def _ranks_here(self) -> int:
        """Number of living children of the launcher's process on this host."""
        return sum(_parent(folder) == self._launcher for folder in Path("/proc").glob("[0-9]*"))


def _parent(process: Path) -> int | None:
    """Parent of a living process; None of a dead one."""
    try:
        state, parent = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(parent)


def _tell(why: str) -> None:
    print(f"error: {why}; the same command again continues", file=sys.stderr, flush=True)

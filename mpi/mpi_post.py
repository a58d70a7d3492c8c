"""The only code that speaks MPI: sends and receives messages, notices the dead, leaves."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from mpi.mpi_definitions import MASTER, Backoff, Letter, Ready, decode, encode
from mpi.mpi_node import introduce, threads_per_rank
from utilities.errors import ReverieError

_LOOK_FOR_THE_DEAD_SECONDS = 0.1
_SILENT_PROBES = 2
"""Probes in a row that find no message before none is there: MPICH's Improbe may find nothing while it fetches one."""

_BUFFER_BYTES = 4096
_LEAVING_SECONDS = 20.0
_LAST_WORDS_SECONDS = 0.5
"""A launcher that hears of an abort, or of a rank that left without MPI_Finalize, loses what it has not read yet."""


class MasterLostError(ReverieError):
    """The master has died, and this rank lives on."""


class Post:
    """Sends and receives messages over MPI_COMM_WORLD, never blocking.

    Where the launcher keeps the other ranks alive when one dies (Open MPI's with ``--with-ft ulfm``), the dead one is
    noticed: the master is told by `lost`, any other rank that loses the master gets a MasterLostError.

    Attributes
    ----------
    rank, size
        In MPI_COMM_WORLD.
    host
        Name of this rank's machine.
    local_rank, local_size
        Place among the ranks of this machine, and their number.
    threads
        This rank's share of the machine's cores.
    gone
        Ranks that have died.
    """

    def __init__(self) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = MPI.COMM_WORLD
        self._deaths = {MPI.ERR_PROC_FAILED, MPI.ERR_PROC_FAILED_PENDING}
        self._sending: deque[tuple[Any, bytes]] = deque()
        self._status, self._buffer = MPI.Status(), bytearray(_BUFFER_BYTES)
        self._kept: list[Letter] = []
        self.gone: set[int] = set()
        self._untold: list[int] = []
        self._look_at = 0.0
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()
        self.host = socket.gethostname()
        local = self._comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.local_rank: int = local.Get_rank()
        self.local_size: int = local.Get_size()
        cores = os.sched_getaffinity(0)
        self.threads = threads_per_rank(cores, local.allgather(cores))
        self._looks = self.local_rank == int(local.bcast(self.rank == MASTER))
        local.Free()

    def ready(self) -> Ready:
        """Introduction of this rank. The first of a node that introduces itself looks for GPUs."""
        return introduce(self.local_rank, look=self._looks)

    def send(self, letters: Iterable[Letter]) -> None:
        """Send messages to ranks without waiting for them to be received. What is for the dead is dropped."""
        for destination, message in letters:
            if destination not in self.gone:
                data = encode(message)
                try:
                    request = self._comm.Isend([data, self._mpi.BYTE], dest=destination, tag=int(message.tag))
                except self._mpi.Exception as error:
                    self._pass_over(error)
                else:
                    self._sending.append((request, data))
        # Only up to the first that is still on its way: most have left, and there may be one for each of many workers.
        while self._sending and self._left(self._sending[0][0]):
            self._sending.popleft()

    def _left(self, request: Any) -> bool:
        try:
            return bool(request.Test())
        except self._mpi.Exception as error:
            self._pass_over(error)
            return True

    def receive(self) -> list[Letter]:
        """Take all messages that have arrived, each with its source."""
        letters, self._kept = self._kept, []
        self._look_for_the_dead()
        silent = 0
        while silent < _SILENT_PROBES:
            known = len(self.gone)
            letter = self._next()
            if letter is not None:
                letters.append(letter)
            silent = silent + 1 if letter is None and len(self.gone) == known else 0
        return letters

    def _next(self) -> Letter | None:
        status, byte = self._status, self._mpi.BYTE
        try:
            arrived = self._comm.Improbe(status=status)
            if arrived is None:
                return None
            size = status.Get_count(byte)
            data = self._buffer if size <= _BUFFER_BYTES else bytearray(size)
            arrived.Recv([data, size, byte])
        except self._mpi.Exception as error:
            self._pass_over(error)
            return None
        return status.Get_source(), decode(status.Get_tag(), memoryview(data)[:size])

    def lost(self) -> list[int]:
        """Ranks that have died and were not told of before. What they sent in time was received before that."""
        told, self._untold = self._untold, []
        return told

    def _pass_over(self, error: Any) -> None:
        """Pass over an error that comes of a rank's death, which is noticed; raise every other one."""
        if error.Get_error_class() not in self._deaths:
            raise error
        self._notice_the_dead()
        if not self.gone:
            raise error

    def _look_for_the_dead(self) -> None:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_FOR_THE_DEAD_SECONDS
            self._notice_the_dead()

    def _notice_the_dead(self) -> None:
        failed = self._comm.Get_failed()
        if failed.Get_size() > len(self.gone):
            self._comm.Ack_failed()
            everyone = self._comm.Get_group()
            dead = set(self._mpi.Group.Translate_ranks(failed, None, everyone)) - self.gone
            everyone.Free()
            self.gone |= dead
            self._untold += sorted(dead)
        failed.Free()
        if MASTER in self.gone:
            raise MasterLostError

    def wait(self, seconds: float = float("inf")) -> list[Letter]:
        """Take all messages that have arrived, waiting at most `seconds` for the first."""
        backoff, end = Backoff(), time.monotonic() + seconds
        while not (letters := self.receive()) and time.monotonic() < end:
            backoff.nap()
        return letters

    def next(self) -> Letter | None:
        """Take the first message that has arrived, None where none has; others are kept.

        None is said only after a look at what has arrived since all those that were kept.
        """
        if not self._kept:
            self._kept = self.receive()
        return self._kept.pop(0) if self._kept else None

    def wait_for_one(self) -> Letter:
        """Take the first message that has arrived, waiting for it as long as need be; others are kept."""
        if not self._kept:
            self._kept = self.wait()
        return self._kept.pop(0)

    def flush(self, seconds: float) -> None:
        """Wait at most `seconds` until what was sent has left."""
        backoff, end = Backoff(), time.monotonic() + seconds
        while self._sending and time.monotonic() < end:
            self.send([])
            backoff.nap()

    def close(self, status: int) -> None:
        """Leave MPI, for a while at most: then, or where a rank has died, end the process with `status` instead.

        MPI_Finalize may wait for ever for a rank that died, or for a launcher that did.
        """
        watch = threading.Timer(_LEAVING_SECONDS, _end_process, [status])
        watch.daemon = True
        watch.start()
        with suppress(MasterLostError):
            self._notice_the_dead()
        if self.gone:
            time.sleep(_LAST_WORDS_SECONDS)
            _end_process(status)
        # Not MPI.Finalize, which keeps the interpreter to itself: the watch could not end a wait for a lost launcher.
        getattr(ctypes.CDLL(self._mpi.__file__), "MPI_Finalize", self._mpi.Finalize)()
        watch.cancel()

    def abort(self, status: int) -> None:
        """End all ranks, once the launcher has had time to pass on what this one printed."""
        time.sleep(_LAST_WORDS_SECONDS)
        self._comm.Abort(status)


def _end_process(status: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)

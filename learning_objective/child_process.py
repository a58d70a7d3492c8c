"""The worker's side of a child process: start it, talk to it, notice its end, and leave nothing of it behind.

The child leads a session and a process group of its own, which whatever it starts belongs to as well (unless that moves
to another session itself). Its end is noticed by the process, not by its pipe alone, which a fork may keep open. The
group is killed before the child is reaped, while its number cannot be another process's yet.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from learning_objective.output_log import MOST
from learning_objective.resources import Resources
from learning_objective.results import tail
from learning_objective.trial_handle import HIGHEST_STEP, LOWEST_STEP

_CHILD = Path(__file__).with_name("child.py")
_MPI_PREFIXES = ("PMI", "PMIX", "OMPI", "PRTE", "MPI", "HYDI", "HYDRA", "MPICH", "MPIR")
_CHUNK = 1 << 16
_LONGEST_MESSAGE = 1 << 26
_BLOCK = 512
_NAP = 0.02
"""Seconds between looks at a process that cannot be polled for."""

_GRACE_AFTER_CLOSING = 1.0
"""Seconds that a child may live on after its pipe closed: when a process ends, the pipe goes first."""


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The objective is ready to be called."""


class LoadFailed(msgspec.Struct, frozen=True, tag="load_failed"):
    """The objective cannot be had; the first line says why."""

    message: str


class Joined(msgspec.Struct, frozen=True, tag="joined"):
    """All ranks of the worker are there: the objective is called now."""

    number: int


class Reported(msgspec.Struct, frozen=True, tag="report"):
    """An intermediate value; None where it is not finite."""

    number: int
    step: Annotated[int, msgspec.Meta(ge=LOWEST_STEP, le=HIGHEST_STEP)]
    value: float | None


class Done(msgspec.Struct, frozen=True, tag="done"):
    """A trial has ended; of no more use is a process that is spent. It may have failed because another rank left it."""

    number: int
    state: Literal["COMPLETE", "PRUNED", "FAIL"]
    objective: float | None
    metrics: dict[str, float]
    message: str
    killed: bool = False
    spent: bool = False
    peer_lost: bool = False


ChildMessage: TypeAlias = Loaded | LoadFailed | Joined | Reported | Done

_DECODER: msgspec.json.Decoder[ChildMessage] = msgspec.json.Decoder(ChildMessage)


def child_environment(resources: Resources, environment: Mapping[str, str]) -> dict[str, str]:
    """Environment without the launcher's variables, so that an objective may use MPI itself.

    Parameters
    ----------
    resources
        What the objective may use.
    environment
        That of the worker.
    """
    own = {name: value for name, value in environment.items() if not name.startswith(_MPI_PREFIXES)}
    return own | resources.variables(own)


class ChildProcess:
    """A running child, with the pipes to it.

    Parameters
    ----------
    resources
        See `child_environment`.
    inherited
        Descriptors that the child gets besides, under the same numbers.

    Raises
    ------
    OSError
        No process can be started.
    """

    def __init__(self, resources: Resources, inherited: Sequence[int] = ()) -> None:
        self._early_output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        request_end, self._requests = os.pipe()
        self._replies, reply_end = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_CHILD), str(request_end), str(reply_end)],
                stdin=subprocess.DEVNULL,
                stdout=self._early_output,
                stderr=subprocess.STDOUT,
                pass_fds=(request_end, reply_end, *inherited),
                env=child_environment(resources, os.environ),
                start_new_session=True,
            )
        finally:
            os.close(request_end)
            os.close(reply_end)
        os.set_blocking(self._replies, False)
        self._handle = _process_handle(self._process.pid)
        self._unread = bytearray()
        self._messages: deque[ChildMessage] = deque()
        self._closed_at: float | None = None

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one request; a child that has gone does not get it."""
        line = msgspec.json.encode(message) + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while line:
                line = line[os.write(self._requests, line) :]

    def receive(self) -> ChildMessage | None:
        """Next message that has arrived, None where there is none yet."""
        if not self._messages:
            self._read()
        return self._messages.popleft() if self._messages else None

    def _read(self) -> None:
        while self._closed_at is None and not self._messages:
            try:
                chunk = os.read(self._replies, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                self._closed_at = time.monotonic()
            self._split(chunk)

    def _split(self, chunk: bytes) -> None:
        self._unread += chunk
        if len(self._unread) > _LONGEST_MESSAGE:
            self._give_up()
        if b"\n" not in chunk:
            return
        *lines, self._unread = self._unread.split(b"\n")
        try:
            self._messages.extend(map(_DECODER.decode, lines))
        except msgspec.DecodeError:
            self._give_up()

    def _give_up(self) -> None:
        """Read no more: whatever writes there is not the child's own code."""
        self._closed_at, self._unread = time.monotonic(), bytearray()

    def wait(self, seconds: float) -> None:
        """Sleep until a message arrives or the child ends, at most `seconds`."""
        if self._messages:
            return
        poller = select.poll()
        if self._closed_at is None:
            poller.register(self._replies, select.POLLIN)
        if self._handle is not None:
            poller.register(self._handle, select.POLLIN)
        else:
            seconds = min(seconds, _NAP)
        if self._closed_at is not None:
            seconds = min(seconds, _GRACE_AFTER_CLOSING)
        poller.poll(max(0.0, seconds) * 1000)

    def exited(self) -> bool:
        """Whether the process has ended by itself. It is not reaped yet."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def gone(self) -> bool:
        """Whether nothing more will come: the process has ended, or it closed its pipe and lives on."""
        if self._closed_at is not None and time.monotonic() - self._closed_at > _GRACE_AFTER_CLOSING:
            return True
        return self.exited()

    @property
    def group(self) -> int:
        """Number of the process group."""
        return self._process.pid

    def trim_early_output(self) -> None:
        """Bound what is kept of the output before the first trial."""
        file = self._early_output.fileno()
        if os.fstat(file).st_blocks * _BLOCK > MOST:
            os.ftruncate(file, 0)  # the child goes on at its place: what was before is a hole, which takes no room

    def early_output(self) -> str:
        """End of what was printed before the first trial."""
        return tail(self._early_output.fileno())

    def terminate(self) -> None:
        """Ask the whole group to end."""
        self._signal(signal.SIGTERM)

    def end(self) -> int | None:
        """Kill the whole group, reap the child and close the pipes.

        Returns
        -------
        int or None
            Return code of a child that had ended by itself, negative for a signal; None for one that had to be killed.
        """
        by_itself = self.exited()
        self._signal(signal.SIGKILL)
        status = self._process.wait()
        for descriptor in (self._requests, self._replies, self._handle):
            if descriptor is not None:
                os.close(descriptor)
        self._early_output.close()
        return status if by_itself else None

    def dismiss(self, seconds: float) -> None:
        """Let an idle child run its exit handlers, for at most `seconds`, then `end` it."""
        os.close(self._requests)
        self._requests = os.open(os.devnull, os.O_WRONLY)
        deadline = time.monotonic() + seconds
        while not self.exited() and (left := deadline - time.monotonic()) > 0:
            self.wait(left)
            self._read()
            self._messages.clear()
        self.end()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _process_handle(process: int) -> int | None:
    """Descriptor that becomes readable when the process ends; None where the system has no such thing."""
    try:
        return os.pidfd_open(process)
    except (AttributeError, OSError):
        return None

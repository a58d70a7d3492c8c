"""The child process's side of an evaluation. Standard library only.

One JSON object a line goes through each pipe:

| message | direction | carries |
|---|---|---|
| load | worker -> child | objective or command, folder, names of several objectives and of constrained metrics |
| evaluate | worker -> child | number, config, seed, budget, previous_budget, instance, folder, devices, together |
| stop | worker -> child | number of the trial to end early |
| loaded | child -> worker | |
| load_failed | child -> worker | message; the child ends after it |
| joined | child -> worker | number: all ranks of the worker are there |
| report | child -> worker | number, step, value (null where it is not finite) |
| done | child -> worker | number, state, objective, metrics, message, killed, spent, peer_lost |

Standard output and error belong to the objective: while a trial runs they are its ``output.log``.

The main thread runs the objective, as signal handlers and many libraries want it; another reads the requests. When that
one finds the pipe closed, the worker is gone: it kills the whole process group, and with it whatever the objective
started, at once while a trial runs, and after an orderly exit otherwise. (An extension module that keeps the
interpreter to itself delays both this and a stop until it lets go.)
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import json
import math
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from .loading import LoadError, load, open_path
from .results import Objective, Result, Wanted, attempt, describe, output_file
from .together import Together
from .trial_handle import TrialHandle

Message: TypeAlias = dict[str, Any]

_LIBC = ctypes.CDLL(None)
_EXIT_SECONDS = 2.0
"""How long an orderly exit may take once the worker closed the pipe."""


def serve(requests: int, replies: int) -> None:
    """Load the objective and evaluate trials until the worker closes the pipe of requests.

    Parameters
    ----------
    requests, replies
        Descriptors of the pipes to read from and to write to.
    """
    for descriptor in (requests, replies):
        os.set_inheritable(descriptor, False)
    connection = _Connection(requests, replies)
    atexit.register(connection.end_group)
    _keep_to_the_end()
    faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    connection.listen()
    try:
        loading = connection.next()
        objective, wanted = _prepare(loading, connection), Wanted.of(loading)
        while objective is not None and (request := connection.next()) is not None:
            _evaluate(objective, wanted, request, connection)
    except OSError:  # the objective closed the pipes: the worker sees it, says so, and kills this process
        threading.Event().wait(_EXIT_SECONDS)
        raise


def _keep_to_the_end() -> None:
    """Neither end by the signals with which a batch system tells a run to end, nor let a rank go for want of memory.

    Programs that the objective starts inherit both, unless they have handlers of their own.
    """
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _kill_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


class _Connection:
    """The two pipes, and the trial that runs."""

    def __init__(self, requests: int, replies: int) -> None:
        self._requests, self._replies = requests, replies
        self._waiting: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self.process = os.getpid()
        self._running: TrialHandle | None = None
        self._to_stop: int | None = None
        self._worker_left = False

    def end_group(self) -> None:
        """Kill this process's group as the last act of an exit, where there is no worker that would.

        A worker that is there kills it too, and tells by the exit status how this process ended. A fork that inherited
        this leaves the group alone.
        """
        if self._worker_left and os.getpid() == self.process:
            _kill_group()

    def listen(self) -> None:
        """Read requests in a thread from now on."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def next(self) -> Message | None:
        """Wait for the next request; None once there will be no more."""
        return self._waiting.get()

    def send(self, message: Message) -> None:
        """Write one message, from whatever thread."""
        line = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        with self._sending:
            while line:
                line = line[os.write(self._replies, line) :]

    def _read(self) -> None:
        try:
            with open(self._requests, "rb", closefd=False) as stream:
                for line in stream:
                    self._take(json.loads(line))
        except OSError:  # the objective closed the pipes: the worker sees it, says so, and kills this process
            threading.Event().wait(_EXIT_SECONDS)
        finally:
            self._worker_gone()

    def _take(self, message: Message) -> None:
        if message["type"] == "stop":
            self._stop(message["number"])
        else:
            self._waiting.put(message)

    def run(self, trial: TrialHandle | None) -> None:
        """Say which trial runs now; it may have been told to stop before it began."""
        self._running = trial
        if trial is not None and trial.number == self._to_stop:
            trial.request_stop()

    def _stop(self, number: int) -> None:
        self._to_stop = number
        trial = self._running
        if trial is not None and trial.number == number:
            trial.request_stop()

    def _worker_gone(self) -> None:
        self._worker_left = True
        if self._running is None:
            self._waiting.put(None)
            threading.Event().wait(_EXIT_SECONDS)
        _kill_group()


def _prepare(request: Message | None, connection: _Connection) -> Objective | None:
    """Load the objective; None, after having said why, where that fails."""
    if request is None:
        return None
    try:
        objective = _load(request, connection.process)
    except LoadError as error:
        connection.send({"type": "load_failed", "message": str(error)})
    except BaseException as error:
        connection.send({"type": "load_failed", "message": describe(error)})
    else:
        connection.send({"type": "loaded"})
        return objective
    return None


def _load(request: Message, process: int) -> Objective:
    folder = request["folder"]
    os.chdir(folder)
    if request["command"] is not None:
        from .command import command_objective

        signal.signal(signal.SIGTERM, lambda *_: None)  # the command has its own; its grace ends when it does
        return command_objective(request["command"], folder)
    sys.argv[:] = [request["objective"]]
    open_path(request["objective"], folder)
    try:
        return load(request["objective"], folder)
    finally:
        _end_stray_fork(process)


def _evaluate(objective: Objective, wanted: Wanted, request: Message, connection: _Connection) -> None:
    number = request["number"]
    folder = Path(request["folder"])

    def report(step: int, value: float) -> None:
        shown = value if math.isfinite(value) else None
        connection.send({"type": "report", "number": number, "step": step, "value": shown})

    own = request["seed"], request["budget"], folder, report, request["devices"], request["previous_budget"]
    trial = TrialHandle(number, *own, instance=request["instance"])
    spent = peer_lost = False
    together = Together(request["together"], trial)
    connection.run(trial)
    try:
        with _output_to(folder, trial, together), together:

            def joined(config: dict[str, Any], handle: TrialHandle) -> object:
                if together.meet():
                    connection.send({"type": "joined", "number": number})
                return objective(config, handle)

            result = attempt(joined, request["config"], trial, wanted)
            _end_stray_fork(connection.process)
        peer_lost = together.peer_lost and result.state == "FAIL"
    except OSError as error:
        result = Result("FAIL", message=f"the trial's output cannot be written: {error}")
        spent = True
    connection.run(None)
    connection.send({"type": "done", "number": number, "spent": spent, "peer_lost": peer_lost, **asdict(result)})


def _end_stray_fork(process: int) -> None:
    """End a fork that the objective made and that came out of it as if it were the original."""
    if os.getpid() != process:
        os._exit(1)


@contextlib.contextmanager
def _output_to(folder: Path, trial: TrialHandle, together: Together) -> Iterator[None]:
    """Send standard output and error, of C code and of programs too, to the trial's ``output.log``.

    That of a trial that goes on with a larger budget follows what is there.
    A trial that printed nothing and kept nothing leaves no file and no folder. Of several ranks, another may be about
    to write there: the folder is their worker's to remove.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / output_file(together.rank)
    anew = 0 if trial.resumed else os.O_TRUNC
    log = os.open(path, os.O_RDWR | os.O_CREAT | anew | os.O_APPEND | os.O_CLOEXEC, 0o666)
    _point_output_at(log)
    try:
        yield
    finally:
        _flush()
        silent = os.fstat(log).st_size == 0
        os.close(log)
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        _point_output_at(nowhere)
        os.close(nowhere)
        if silent:
            path.unlink(missing_ok=True)
            if not trial.folder_used and not together.several:
                _remove_if_empty(folder)


def _point_output_at(descriptor: int) -> None:
    for standard in (1, 2):
        os.dup2(descriptor, standard)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _flush() -> None:
    """Write out what Python and C hold back; the objective may have closed or replaced the streams."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    _LIBC.fflush(None)

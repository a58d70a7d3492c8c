"""Runs that a launcher really starts, watched from outside: their ranks, their other processes, their end.

The launchers are the mpiexec beside this Python (else the one on the path) and those that the environment variable
REVERIE_TEST_MPIEXEC lists, each with the Python beside it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE = 60.0
"""Seconds after which a run counts as hanging."""

_MARK = "REVERIE_TEST_RUN"
_COUNT = itertools.count()
ROOT_MAY = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
SESSIONS = "PRTE_MCA_prte_tmpdir_base"
"""Names the folder in which Open MPI's launcher makes its own, called by its process id.

A launcher that is killed leaves that folder, and a later one of the same id refuses to start: "The PMIx server's
listener thread failed to start".
"""

_RANK_VARIABLES = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")


class Launcher(NamedTuple):
    """An mpiexec, and the folder of the programs that it starts."""

    mpiexec: Path

    @property
    def programs(self) -> Path:
        """Folder of the Python that belongs to it."""
        return self.mpiexec.parent

    def __str__(self) -> str:
        return self.programs.parent.name


def launchers() -> list[Launcher]:
    """Those that this environment has, see above."""
    beside = Path(sys.executable).with_name("mpiexec")
    own = str(beside) if beside.exists() else shutil.which("mpiexec")
    listed = os.environ.get("REVERIE_TEST_MPIEXEC", "").split(os.pathsep)
    return [Launcher(Path(path)) for path in (own, *listed) if path]


class Finished(NamedTuple):
    """A run that ended."""

    status: int
    out: str
    err: str


class Run:
    """A run under way: mpiexec and every process that came of it, told by a mark in their environment."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._mark = f"{_MARK}={os.getpid()}-{next(_COUNT)}"
        name, _, value = self._mark.partition("=")
        self._sessions = tempfile.mkdtemp(prefix="reverie-")
        self._out, self._err = folder / f"{value}.out", folder / f"{value}.err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**environment, SESSIONS: self._sessions, name: value},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        for process in [self._process.pid, *self.processes()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait(PATIENCE)
        shutil.rmtree(self._sessions, ignore_errors=True)

    @property
    def process(self) -> int:
        """Id of the process that was started: mpiexec, or the program itself."""
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process that was started."""
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> Finished:
        """Wait for the end; a run that takes longer is said to hang, with what it printed."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the run hangs\n{self._out.read_text()}\n{self._err.read_text()}") from None
        return Finished(status, self._out.read_text(), self._err.read_text())

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait until `condition` holds while the run goes on; returns what it gave."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"never happened\n{self._out.read_text()}\n{self._err.read_text()}"
            assert self._process.poll() is None, f"ended too early\n{self._out.read_text()}\n{self._err.read_text()}"
            time.sleep(0.02)
        return found

    def pause(self, seconds: float) -> bool:
        """Let the run go on for a while, or to its end; returns whether it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll() is not None

    def processes(self) -> list[int]:
        """Every living process of this run, whoever is its parent by now; zombies do not count."""
        mark = self._mark.encode()
        return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if mark in _environment(folder)]

    def vanishes(self, seconds: float = 10.0) -> bool:
        """Whether no process of it is left, or stays for long."""
        end = time.monotonic() + seconds
        while self.processes() and time.monotonic() < end:
            time.sleep(0.02)
        return not self.processes()

    def ranks(self) -> dict[int, int]:
        """Process of each rank."""
        found = {}
        for process in self.processes():
            folder = Path("/proc") / str(process)
            variables = dict(line.partition(b"=")[::2] for line in _environment(folder))
            rank = next((variables[name.encode()] for name in _RANK_VARIABLES if name.encode() in variables), None)
            if rank is not None and b"mpi.mpi_optimizer" in _read(folder / "cmdline"):
                found[int(rank)] = process
        return found


def _environment(folder: Path) -> list[bytes]:
    return _read(folder / "environ").split(b"\0")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""

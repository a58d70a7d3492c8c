"""Where a person is watching: the terminal behind this process, seen through an MPI launcher.

Under a launcher rank 0's own standard output tells nothing. MPICH's hydra gives it a pipe though mpiexec stands at a
terminal; Open MPI's prterun gives it a pseudo-terminal though its own output goes to a file. So the launcher is looked
up among the ancestors of this process, and what counts is where the launcher's standard output goes.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_LAUNCHERS = frozenset({"mpiexec", "mpiexec.hydra", "mpiexec.gforker", "mpirun", "prterun", "orterun"})
"""Command names of launchers whose standard output is that of the run."""

_PROXIES = frozenset({"hydra_pmi_proxy", "hydra_bstrap_pr", "pmi_proxy", "prted", "prte", "orted"})
"""Daemons that stand for a launcher on a node (the kernel cuts names to 15 characters): their output is nobody's."""

_TERMINALS = ("/dev/pts/", "/dev/tty", "/dev/console")
_BACKLOG = 1 << 16
_PARTING_SECONDS = 0.5


@dataclass(frozen=True)
class _Process:
    """The fields of ``/proc/<pid>/stat`` that matter here (proc(5))."""

    pid: int
    command: str
    parent: int
    group: int
    terminal: int
    foreground_group: int


class Terminal:
    """A terminal opened for writing that never makes the writer wait and never stops it.

    What the terminal does not take at once (the reader pressed Ctrl-S, a slow line) is kept, at most 64 KiB of it, and
    sent with the next write. A terminal that has gone swallows everything.

    Parameters
    ----------
    descriptor
        File descriptor of the terminal, not blocking; closed by `close`.
    job
        The ``/proc/<pid>`` folder of the process whose output this is: tells foreground from background.
    """

    def __init__(self, descriptor: int, job: Path) -> None:
        self._descriptor = descriptor
        self._job = job
        self._backlog = b""
        self.encoding = sys.__stdout__.encoding if sys.__stdout__ else "utf-8"

    def size(self) -> os.terminal_size:
        """Columns and rows at this moment; 80 x 24 where the terminal does not know."""
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(self._descriptor)
            if size.columns and size.lines:
                return size
        return os.terminal_size((80, 24))

    def foreground(self) -> bool:
        """Whether the job has the terminal to itself: false once it was sent to the background (``&``, Ctrl-Z)."""
        try:
            process = _read_process(self._job)
            device = os.fstat(self._descriptor).st_rdev
        except (OSError, ValueError):
            return False
        controls = process.terminal == _kernel_device(device)
        return not controls or process.group == process.foreground_group

    def clogged(self) -> bool:
        """Whether the terminal still has not taken what was written earlier."""
        self._drain()
        return bool(self._backlog)

    def write(self, text: str) -> None:
        """Write `text`, or as much as the terminal takes, and keep the rest for the next call."""
        data = text.encode(self.encoding, "replace")
        if len(self._backlog) + len(data) <= _BACKLOG:
            self._backlog += data
        self._drain()

    def close(self) -> None:
        """Give the terminal a moment to take the rest, then let go of it. A second call does nothing."""
        if self._descriptor < 0:
            return
        if self._backlog:
            select.select([], [self._descriptor], [], _PARTING_SECONDS)
            self._drain()
        os.close(self._descriptor)
        self._descriptor, self._backlog = -1, b""

    def _drain(self) -> None:
        try:
            while self._backlog:
                self._backlog = self._backlog[_write_unstopped(self._descriptor, self._backlog) :]
        except BlockingIOError:
            return
        except OSError:
            self._backlog = b""


def watching_terminal(
    proc: Path = Path("/proc"), environ: Mapping[str, str] = os.environ, pid: int | None = None
) -> Terminal | None:
    """Open the terminal at which a person watches this run; None where a batch log or nobody reads it.

    None also where the environment asks for plain output (``TERM=dumb`` or unset, ``REVERIE_PLAIN=1``, a notebook's
    cell), where the job runs in the background, and where there is no ``/proc`` or no permission to look.

    Parameters
    ----------
    proc
        Root of the proc file system.
    environ
        Environment variables.
    pid
        The process that asks; by default this one.
    """
    if _plain_wanted(environ):
        return None
    try:
        job, descriptor = _output_of_run(proc, pid or os.getpid())
        terminal = Terminal(_open_terminal(proc / str(job) / "fd" / str(descriptor)), proc / str(job))
    except (OSError, ValueError):
        return None
    if terminal.foreground():
        return terminal
    terminal.close()
    return None


def _plain_wanted(environ: Mapping[str, str]) -> bool:
    plain = environ.get("REVERIE_PLAIN", "") not in ("", "0")
    # A notebook's cell runs commands on a pseudo-terminal, but cannot move a cursor.
    return plain or environ.get("TERM", "") in ("", "dumb", "unknown") or "JPY_PARENT_PID" in environ


def _output_of_run(proc: Path, pid: int) -> tuple[int, int]:
    """Process and descriptor that the run's output goes to: the launcher's, or this process's own without a launcher.

    Raises
    ------
    OSError
        There is no proc file system, or the launcher is on another machine.
    """
    _read_process(proc / str(pid))
    behind_proxy = False
    for process in _ancestors(proc, pid):
        if process.command in _LAUNCHERS:
            return process.pid, 1
        behind_proxy |= process.command in _PROXIES
    if behind_proxy or not sys.stdout.isatty():
        raise OSError("nobody watches the output of this process")
    return pid, sys.stdout.fileno()


def _ancestors(proc: Path, pid: int) -> Iterator[_Process]:
    """Ancestors from the parent upwards, as far as they may be seen: some clusters hide other users' processes."""
    with contextlib.suppress(OSError, ValueError):
        process = _read_process(proc / str(pid))
        while process.parent > 0:
            process = _read_process(proc / str(process.parent))
            yield process


def _read_process(folder: Path) -> _Process:
    # The command stands in parentheses and may itself contain any character, parentheses and spaces too.
    head, _, tail = (folder / "stat").read_text(errors="replace").rpartition(")")
    pid, _, command = head.partition("(")
    _, parent, group, _, terminal, foreground_group = tail.split()[:6]
    return _Process(int(pid), command, int(parent), int(group), int(terminal), int(foreground_group))


def _open_terminal(link: Path) -> int:
    """Open the terminal that `link` in a ``/proc/<pid>/fd`` leads to.

    The link is opened, not the name in it: that leads to the right device out of a container too. The open file is our
    own, so that not waiting on it changes nothing for the launcher; without O_NOCTTY a session leader could acquire it.

    Raises
    ------
    OSError
        The link leads to a file, a pipe or another device, or the terminal may not be opened.
    """
    name = os.readlink(link)
    if not name.startswith(_TERMINALS) or not stat.S_ISCHR(os.stat(link).st_mode):
        raise OSError(f"{name} is no terminal")
    descriptor = os.open(link, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    if os.isatty(descriptor):
        return descriptor
    os.close(descriptor)
    raise OSError(f"{name} is no terminal")


def _kernel_device(device: int) -> int:
    """Device number as the kernel writes it into ``stat``: minor in bits 31-20 and 7-0, major in bits 15-8."""
    major, minor = os.major(device), os.minor(device)
    return (minor & 0xFF) | major << 8 | (minor & ~0xFF) << 12


def _write_unstopped(descriptor: int, data: bytes) -> int:
    """Write past ``stty tostop``: outside the foreground group, a writer that does not block SIGTTOU is stopped."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        return os.write(descriptor, data)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)

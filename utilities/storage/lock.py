"""One run at a time: a lock on the journal, and a note beside it that says who has it.

The lock is the kernel's (flock): it ends with its process, however that ends, and a note that is left then tells only
of a run that did not end orderly. On file systems without such locks the note itself is the lock; it is stale where its
process is on this host and gone.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from io import FileIO
from pathlib import Path

import msgspec

from utilities.display.text import printable
from utilities.errors import JournalRefusedError


class Holder(msgspec.Struct, frozen=True):
    """A process that holds a journal. No two runs are by equal ones.

    Attributes
    ----------
    host, pid
        Where it runs.
    since
        When it took the journal, in seconds since the epoch.
    born
        When it began, in the kernel's ticks since the host's boot: another process may get its pid later.
    """

    host: str
    pid: int
    since: float
    born: int

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"pid {self.pid} on {printable(self.host)} since {when}"

    @property
    def near(self) -> bool:
        """Whether it runs, or ran, on this host."""
        return self.host == socket.gethostname()

    @property
    def gone(self) -> bool:
        """Whether it ran on this host and does not any more."""
        return self.near and _birth(self.pid) != self.born


def take(file: FileIO, journal: Path) -> list[str]:
    """Take the lock on `journal`, which is open as `file`, and note who has it; returns what the user should know.

    Raises
    ------
    JournalRefusedError
        Another run has it: its process, its host, since when.
    OSError
        The note cannot be written.
    """
    note = _note(journal)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise JournalRefusedError(_refusal(journal, _read(note))) from None
    except OSError as error:  # some cluster file systems have no locks
        return [
            f"{journal}: this file system has no locks ({error.strerror}); {note.name} keeps other runs away",
            *_take_by_note(note, journal),
        ]
    if not os.path.samestat(os.fstat(file.fileno()), os.stat(journal)):
        raise JournalRefusedError(f"{journal}: was replaced by another process at this moment; start the run again")
    left = _read(note)
    _write(note)
    return [] if left is None else [_takeover(journal, left)]


def release(journal: Path) -> None:
    """Remove the note; the lock itself ends as the file is closed."""
    _note(journal).unlink(missing_ok=True)


def holder(journal: Path) -> Holder | None:
    """Process that the note beside `journal` names: it has it, or did not end orderly; None without a note."""
    return _read(_note(journal))


def held(journal: Path) -> bool:
    """Whether a run has `journal`, as far as its note tells: a look that takes no lock."""
    by = holder(journal)
    return by is not None and not by.gone


def _take_by_note(note: Path, journal: Path) -> list[str]:
    messages: list[str] = []
    left = _read(note)
    if left is not None and left.gone:
        messages.append(_takeover(journal, left))
        note.unlink(missing_ok=True)
    try:
        _write(note, mode="xb")
    except FileExistsError:
        held = f"{_refusal(journal, _read(note))}. If that run is over, remove {note}"
        raise JournalRefusedError(held) from None
    return messages


def _refusal(journal: Path, holder: Holder | None) -> str:
    return (
        f"{journal}: {holder or 'another process'} is running this study; wait for its end, or give this run "
        "another name or --output"
    )


def _takeover(journal: Path, holder: Holder) -> str:
    return f"{journal}: the run of {holder} did not end orderly; its folder has been taken over"


def _note(journal: Path) -> Path:
    return journal.with_suffix(".lock")


def _write(note: Path, mode: str = "wb") -> None:
    holder = Holder(socket.gethostname(), os.getpid(), time.time(), _birth(os.getpid()))
    with note.open(mode) as file:
        file.write(msgspec.json.encode(holder) + b"\n")


def _read(note: Path) -> Holder | None:
    try:
        return msgspec.json.decode(note.read_bytes(), type=Holder)
    except (OSError, ValueError):
        return None


def _birth(pid: int) -> int:
    """Tick in which a process of this host began: field 22 of stat, proc(5). -1 where it is no more."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return -1

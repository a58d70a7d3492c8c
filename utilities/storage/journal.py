"""The journal: append-only, one checksummed record a line (`records`), on disk before anyone acts on it.

Whatever a crash leaves of the last record is cut off when the journal is opened again; damage elsewhere is refused.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
from io import BufferedReader, FileIO
from pathlib import Path

from utilities.errors import ReverieError, StudyError
from utilities.storage.atomic import sync_folder
from utilities.storage.records import BEGINNING, FORMAT, Record, decode_record, encode_record, format_of, intact


class JournalError(ReverieError):
    """The journal cannot be read or written: damage, contradictions, a full disk."""


class JournalRefusedError(JournalError, StudyError):
    """The journal is sound, but not for this run: another run holds it, or a newer version wrote it."""


class Journal:
    """A journal open for appending, held by an exclusive lock until it is closed.

    Attributes
    ----------
    path
        The file.
    warnings
        What was lost or could not be had when it was opened, a sentence each.
    """

    def __init__(self, path: Path, file: FileIO, warnings: list[str]) -> None:
        self.path = path
        self.warnings = warnings
        self._file = file
        self._end = os.fstat(file.fileno()).st_size
        self._buffer: list[bytes] = []

    @classmethod
    def open(cls, path: Path) -> tuple[Journal, list[Record]]:
        """Open or create the journal at `path`, and read what it holds.

        Raises
        ------
        JournalRefusedError
            Another run holds it (which host and process), or a newer version wrote it.
        JournalError
            A record other than the last is damaged: the line.
        OSError
            The file cannot be opened.
        """
        file = FileIO(path, "a+")
        try:
            warnings = _lock(file, path)
            records = _read(file, path, warnings)
            sync_folder(path.parent)
        except BaseException:
            file.close()
            raise
        return cls(path, file, warnings), records

    def append(self, record: Record) -> None:
        """Buffer a record for the next `sync`.

        Raises
        ------
        ValueError, TypeError
            The record would not come back from the file as it is.
        """
        self._buffer.append(encode_record(record))

    def sync(self) -> None:
        """Put all buffered records on disk: one write, one fsync.

        Raises
        ------
        JournalError
            The disk is full or gone. The records stay buffered.
        """
        if not self._buffer:
            return
        data = b"".join(self._buffer)
        try:
            if os.fstat(self._file.fileno()).st_size != self._end:  # what a failed or interrupted sync left
                self._file.truncate(self._end)
            written = 0
            while written < len(data):
                written += self._file.write(memoryview(data)[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            raise JournalError(f"{self.path}: cannot write the journal: {error.strerror or error}") from error
        self._end += len(data)
        self._buffer = []

    def close(self) -> None:
        """Write what is buffered and release the lock."""
        if self._file.closed:
            return
        try:
            self.sync()
        finally:
            _lock_note(self.path).unlink(missing_ok=True)
            self._file.close()


# --- one run at a time ------------------------------------------------------------------------------------------------


def _lock_note(path: Path) -> Path:
    return path.with_suffix(".lock")


def _lock(file: FileIO, path: Path) -> list[str]:
    """Take the lock and note beside the journal who has it. Returns a warning where there are no locks."""
    note = _lock_note(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(note)
        raise JournalRefusedError(
            f"{path}: {holder} is running this study; wait for its end, or give this run another name or --output"
        ) from None
    except OSError as error:  # some cluster file systems have no locks
        return [f"{path}: this file system has no locks ({error.strerror}); make sure that no other run writes here"]
    note.write_text(f"pid {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
    return []


def _holder(note: Path) -> str:
    try:
        return note.read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"


# --- lines ------------------------------------------------------------------------------------------------------------


def _read(file: FileIO, path: Path, warnings: list[str]) -> list[Record]:
    """Read all records; cut a damaged last one off, with a warning."""
    records: list[Record] = []
    file.seek(0)
    reader = BufferedReader(file, 1 << 20)
    end, line = 0, b"\n"
    for count, line in enumerate(reader, 1):
        body = intact(line)
        if body is None:
            _refuse_unless_torn(line, count, path, last=not reader.peek(1))
            warnings.append(_loss(line, count, path))
            file.truncate(end)
            break
        if count == 1:
            _check_format(body, path)
        records.append(_decode(body, f"{path}: line {count}"))
        end += len(line)
    else:
        if not line.endswith(b"\n"):
            file.write(b"\n")
    reader.detach()
    return records


def _decode(body: bytes, where: str) -> Record:
    try:
        return decode_record(body)
    except ValueError as error:
        raise JournalError(f"{where}: not a record that this version knows: {error}") from None


def _check_format(body: bytes, path: Path) -> None:
    version = format_of(body)
    if version is None:
        raise JournalError(f"{path}: a journal must begin with its header; line 1 is none")
    if version > FORMAT:
        raise JournalRefusedError(
            f"{path}: written by a newer version (journal format {version}; this one reads up to {FORMAT}); "
            "update reverie, or give the study another name"
        )


def _refuse_unless_torn(line: bytes, count: int, path: Path, last: bool) -> None:
    if not last:
        raise JournalError(
            f"{path}: line {count} is damaged (its checksum does not match) and is not the last; restore the file "
            f"from a copy, or delete line {count} and all after it to continue from there"
        )
    remains = line.rstrip(b"\0\n")
    if count == 1 and not (remains.startswith(BEGINNING) or BEGINNING.startswith(remains)):
        raise JournalError(f"{path}: a journal must begin with its header; this file is none")


def _loss(line: bytes, count: int, path: Path) -> str:
    kind, trial = re.search(rb'"type":"(\w+)"', line), re.search(rb'"number":(\d+)', line)
    what = f', "{kind[1].decode()}"' if kind else ""
    what += f" of trial {int(trial[1])}" if trial else ""
    return f"{path}: the last record (line {count}, {len(line)} bytes{what}) was torn and has been cut off"

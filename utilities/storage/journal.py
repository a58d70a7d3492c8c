"""The journal: append-only, one checksummed record a line (`records`), on disk before anyone acts on it.

Whatever a crash leaves of the last records is cut off when the journal is opened again; damage elsewhere is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

from utilities.errors import DiskError, JournalError, JournalRefusedError
from utilities.storage import lock
from utilities.storage.atomic import sync_folder
from utilities.storage.disk import writing
from utilities.storage.lines import Line, name_lines, read_lines, repair_command
from utilities.storage.records import BEGINNING, FORMAT, Record, decode_record, encode_record, format_of


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
        """`follow` the journal at `path`, and keep its records in a list: for one that is small."""
        records: list[Record] = []
        return cls.follow(path, records.append), records

    @classmethod
    def follow(cls, path: Path, take: Callable[[Record], None]) -> Journal:
        """Open or create the journal at `path`, and give each record that it holds to `take`, in their order.

        Raises
        ------
        JournalRefusedError
            Another run holds it (which host and process), or a newer version wrote it.
        JournalError
            A record is damaged that others follow: the line, and how to mend it.
        OSError
            The file cannot be opened.
        """
        file = FileIO(path, "a+")
        try:
            warnings = lock.take(file, path)
            try:
                _read(file, path, warnings, take)
                sync_folder(path.parent)
            except BaseException:
                lock.release(path)
                raise
        except BaseException:
            file.close()
            raise
        return cls(path, file, warnings)

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
        DiskError
            The disk takes no more for now. The records stay buffered, and no part of them stays in the file.
        JournalError
            The disk has gone.
        """
        if not self._buffer:
            return
        data = b"".join(self._buffer)
        try:
            with writing(self.path, "the journal"):
                self._write(data)
        except DiskError:
            with suppress(OSError):  # the next attempt cuts it off otherwise
                self._file.truncate(self._end)
            raise
        except OSError as error:
            raise JournalError(f"{self.path}: cannot write the journal: {error.strerror or error}") from error
        self._end += len(data)
        self._buffer = []

    def _write(self, data: bytes) -> None:
        if os.fstat(self._file.fileno()).st_size != self._end:  # what a failed or interrupted sync left
            self._file.truncate(self._end)
        written = 0
        while written < len(data):
            written += self._file.write(memoryview(data)[written:])
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write what is buffered and release the lock."""
        if self._file.closed:
            return
        try:
            self.sync()
        finally:
            lock.release(self.path)
            self._file.close()


# --- lines ------------------------------------------------------------------------------------------------------------


def _read(file: FileIO, path: Path, warnings: list[str], take: Callable[[Record], None]) -> None:
    """Read all records; cut damaged ones off at the end, with a warning."""
    lost: list[Line] = []
    text = b"\n"
    for line in read_lines(file):
        text = line.text
        if line.body is None:
            lost.append(line)
            continue
        if lost:
            raise JournalError(_damage(lost, path))
        if line.number == 1:
            check_format(line.body, path)
        take(decode(line, path))
    if lost:
        if lost[0].number == 1:
            _refuse_unless_begun(lost, path)
        warnings.append(_loss(lost, path))
        file.truncate(lost[0].start)
    elif not text.endswith(b"\n"):
        file.write(b"\n")


def decode(line: Line, path: Path) -> Record:
    """Record of a whole line.

    Raises
    ------
    JournalError
        This version does not know such a record.
    """
    try:
        return decode_record(line.body or b"")
    except ValueError as error:
        where = f"{path}: line {line.number}"
        raise JournalError(f"{where}: not a record that this version knows: {error}; update reverie") from None


def check_format(body: bytes, path: Path) -> None:
    """See that `body`, the first record, is the header of a journal that this version can read.

    Raises
    ------
    JournalRefusedError
        A newer version wrote it.
    JournalError
        It is no header.
    """
    version = format_of(body)
    if version is None:
        raise JournalError(
            f"{path}: a journal must begin with its header; line 1 is none; `{repair_command(path)}` looks for it"
        )
    if version > FORMAT:
        raise JournalRefusedError(
            f"{path}: written by a newer version (journal format {version}; this one reads up to {FORMAT}); "
            "update reverie, or give the study another name"
        )


def _damage(lost: Sequence[Line], path: Path) -> str:
    what = f": {lost[0].what}" if lost[0].what else ""
    return (
        f"{path}: line {lost[0].number} is damaged (its checksum does not match{what}) and is not the last; "
        f"`{repair_command(path)}` keeps every whole record, and a copy of the file"
    )


def _refuse_unless_begun(lost: Sequence[Line], path: Path) -> None:
    """Refuse a file without any whole line, unless a crash left it with the beginning of its header."""
    remains = lost[0].text.rstrip(b"\0\n")
    if not (remains.startswith(BEGINNING) or BEGINNING.startswith(remains)):
        raise JournalError(f"{path}: a journal must begin with its header; this file is none")
    if len(lost) > 1 and remains:
        raise JournalError(_damage(lost, path))


def _loss(lost: Sequence[Line], path: Path) -> str:
    if len(lost) > 1:
        return f"{path}: the last {len(lost)} lines were damaged and have been cut off: {name_lines(lost)}"
    (line,) = lost
    what = f", {line.what}" if line.what else ""
    return f"{path}: the last record (line {line.number}, {len(line.text)} bytes{what}) was torn and has been cut off"

"""The trials in a journal, read without holding it: another run may be writing to it."""

from __future__ import annotations

from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from utilities.errors import JournalError, StudyError
from utilities.storage.journal import check_format, decode
from utilities.storage.lines import read_lines
from utilities.storage.records import Header, Record
from utilities.storage.replay import Replay, questions_first


def read_trials(path: Path, where: str) -> Replay:
    """Trials in the journal at `path`; whole lines alone are read.

    Parameters
    ----------
    path
        The journal.
    where
        Start of an error message: what names the folder.

    Raises
    ------
    StudyError
        There is no such journal, or it cannot be read.
    """
    try:
        with FileIO(path) as file:
            records = list(_records(file, path))
    except OSError as error:
        rule = "must be the folder of an earlier study"
        raise StudyError(f"{where} {rule}; cannot read {path}: {error.strerror or error}") from None
    except JournalError as error:
        raise StudyError(f"{where}: {error}") from None
    if not records or not isinstance(records[0], Header):
        raise StudyError(f"{where} must be the folder of an earlier study; {path} is empty")
    replay = Replay(records[0])
    for _, record in questions_first(records[1:]):
        replay.apply(record)
    return replay


def _records(file: FileIO, path: Path) -> Iterator[Record]:
    first = True
    for line in read_lines(file):
        if line.body is not None:
            if first:
                check_format(line.body, path)
            first = False
            yield decode(line, path)

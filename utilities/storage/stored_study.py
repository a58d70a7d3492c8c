"""The study that a run folder holds, by which it goes on without its study file: the journal tells all of it.

Journals of older versions tell the space and what shapes proposals; what they lack is taken from study.h5.
"""

from __future__ import annotations

import os
import re
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from utilities.errors import StudyError
from utilities.storage.journal import check_format, decode
from utilities.storage.lines import read_lines
from utilities.storage.records import Header, Record, SessionStart
from utilities.storage.study import Study
from utilities.storage.study_file import study_of
from utilities.storage.study_rules import RULES
from utilities.storage.tables import SUFFIXES

_SESSION = b'{"type":"session",'
_FINISHED = re.compile(rb'\{"type":"finished","number":(\d+)')


class StoredStudy(NamedTuple):
    """What a run folder tells of its study.

    Attributes
    ----------
    study
        As its last run went by it, named after the folder.
    last
        How that run began; None where the journal ends before.
    ended
        Trials that ended.
    whole
        Whether all of its settings are known.
    """

    study: Study
    last: SessionStart | None
    ended: int
    whole: bool


def origin_of(study: Study) -> dict[str, Any]:
    """What the record of a run tells of its study, for `read_stored` to find."""
    own_file = study.source.endswith(SUFFIXES)
    source = os.path.abspath(study.source) if own_file else study.source
    return {"study": study.to_dict(), "folder": _text(str(study.folder.absolute())), "source": _text(source)}


def read_stored(folder: Path, at: Path | None = None) -> StoredStudy:
    """Read the study of a run folder.

    Parameters
    ----------
    folder
        It holds a journal, which is read and left alone.
    at
        What relative paths of the objective are relative to; None for where the last run had them.

    Raises
    ------
    StudyError
        There is no journal, or what it tells is no study any more.
    JournalError
        Its beginning is damaged, or a newer version wrote it.
    """
    path = folder / "journal.jsonl"
    header, last, ended = _scan(path)
    if header.instances is not None and (
        None in header.instances or len(set(header.instances)) < len(header.instances)
    ):
        raise StudyError(
            f"{folder} holds a rerun, which goes on by the same `reverie rerun` command again, not from here"
        )
    tables, whole = (last.study if last else None), True
    if tables is None:
        tables, whole = _tables_of_older(folder, header, last)
    known = Path(last.folder) if last and last.folder else folder.absolute().parent.parent
    source = last.source if last and last.source else str(folder)
    study = study_of(tables, source, at or known, folder.name)
    return StoredStudy(msgspec.structs.replace(study, name=folder.absolute().name), last, ended, whole)


def _scan(path: Path) -> tuple[Header, SessionStart | None, int]:
    """Header, record of the last run, and how many trials ended; all other lines are passed over unread."""
    header: Record | None = None
    last: SessionStart | None = None
    ended: set[bytes] = set()
    try:
        with FileIO(path) as file:
            for line in read_lines(file):
                if line.number == 1:
                    check_format(line.body or b"", path)
                    header = decode(line, path)
                elif line.body is not None and line.text.startswith(_SESSION):
                    record = decode(line, path)
                    last = record if isinstance(record, SessionStart) else last
                elif line.body is not None and (match := _FINISHED.match(line.text)):
                    ended.add(match[1])
    except OSError as error:
        raise StudyError(f"{path}: cannot read the journal: {error.strerror or error}") from None
    if not isinstance(header, Header):
        raise StudyError(f"{path}: is empty: the study has not begun; `reverie run` starts it")
    return header, last, len(ended)


def _tables_of_older(folder: Path, header: Header, last: SessionStart | None) -> tuple[dict[str, Any], bool]:
    """Tables of a study whose journal does not hold them, and whether study.h5 had them all."""
    from utilities.storage.archive import ArchiveError, read_study

    tables: dict[str, Any] = {"study": {}, "enqueue": header.enqueue}
    whole = True
    try:
        tables |= read_study(folder / "study.h5")[0]
    except ArchiveError:
        whole = False
    told: dict[str, Any] = {key: getattr(header, key) for key in RULES if hasattr(header, key)}
    if last is not None:
        told |= {key: getattr(last, key) for key in RULES if hasattr(last, key)}
    own = tables["study"] | {key: value for key, value in told.items() if value is not None}
    if "objectives" in own:
        own.pop("direction", None)
    return {**tables, "study": own, "space": header.space}, whole


def _text(path: str) -> str:
    """`path`, with bytes outside of UTF-8 spelled out: JSON cannot hold them."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")

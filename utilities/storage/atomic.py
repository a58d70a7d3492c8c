"""Files that are replaced whole: a reader, or a crash, sees the old content or the new, never a part."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Put the folder's entries on disk, so that files created or replaced in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Give `path` the content `data`, with the permissions that the user's umask grants.

    The temporary file beside it has a fixed name, so that the next call overwrites what a crash left.

    Raises
    ------
    OSError
        The folder cannot be written; `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        _write(temporary, data, "wb")
    except OSError:
        temporary.unlink(missing_ok=True)  # on a full disk, what it takes up is needed elsewhere
        raise
    temporary.replace(path)
    sync_folder(path.parent)


def set_aside(path: Path, why: str = "damaged") -> Path:
    """Keep what a file holds under the next free name beside it, such as ``study.h5.damaged-1``.

    The copy is on disk before this returns; the file itself stays.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    data, number = path.read_bytes(), 1
    while (copy := path.with_name(f"{path.name}.{why}-{number}")).exists():
        number += 1
    _write(copy, data, "xb")
    sync_folder(path.parent)
    return copy


def _write(path: Path, data: bytes, mode: str) -> None:
    with path.open(mode) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())

"""A file in the run folder by which another process, on whatever node, asks the run there to end.

The request names the run by what its lock's note says, which no two runs have in common: one that comes too late is no
request to the next run, which removes it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from utilities.storage import lock
from utilities.storage.atomic import replace_file

_LOOK_SECONDS = 1.0
_NAME = "stop.json"


class StopRequest(msgspec.Struct, frozen=True):
    """That a run end.

    Attributes
    ----------
    run
        The run that is meant.
    by
        Who asks: ``anna@node7``.
    at_once
        Whether running trials are cut off.
    """

    run: lock.Holder
    by: str
    at_once: bool = False


def ask(folder: Path, request: StopRequest) -> None:
    """Leave a request in a run folder, in place of an earlier one.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    replace_file(folder / _NAME, msgspec.json.encode(request) + b"\n")


def withdraw(folder: Path, request: StopRequest) -> None:
    """Remove a request where it is still there."""
    if _read(folder / _NAME) == request:
        (folder / _NAME).unlink(missing_ok=True)


class StopRequests:
    """What the run in `folder` is asked for; it must have the journal.

    Parameters
    ----------
    folder
        The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self._own = lock.holder(folder / "journal.jsonl")
        self._next = 0.0
        self._taken: StopRequest | None = None

    def take(self, now: float) -> StopRequest | None:
        """Request to this run, which is removed; looks once a second at most. `now` in seconds of any clock."""
        if now < self._next:
            return None
        self._next = now + _LOOK_SECONDS
        if not self._path.exists():
            return None
        request = _read(self._path)
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        if request is None or request.run != self._own or request == self._taken:
            return None
        self._taken = request
        return request


def _read(path: Path) -> StopRequest | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=StopRequest)
    except (OSError, ValueError):
        return None

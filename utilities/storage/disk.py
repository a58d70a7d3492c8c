"""A disk that takes no more for now: what fills up can be emptied, and a run should wait for that."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from utilities.errors import DiskError

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""No room, over quota, over a limit to the size of files (ulimit -f), an error of the device or of a file server."""


@contextmanager
def writing(path: Path, what: str) -> Iterator[None]:
    """Write `what` to `path` in this context.

    Raises
    ------
    DiskError
        The disk takes no more for now.
    OSError
        Whatever else is in the way.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _PASSING:
            raise
        raise DiskError(f"{path}: cannot write {what}: {error.strerror}") from error

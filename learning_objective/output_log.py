"""A trial's output, bounded: its beginning and its end are kept, however much was printed in between."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOST = 10 << 20
"""Bytes from which on a file of output is cut."""

KEPT = 1 << 20
"""Bytes that stay of its beginning, and of its end."""

_NOTE = re.compile(rb"\n\[\.\.\. (\d+) bytes left out \.\.\.\]\n")


def trim(path: str | os.PathLike[str]) -> None:
    """Cut the middle out of a file that has grown too long, while another process goes on appending to it.

    What that process writes at this very moment may be left out too. A file that is not there or cannot be written is
    left alone.
    """
    try:
        if os.stat(path).st_size > MOST:
            _cut(Path(path))
    except OSError:
        return


def _cut(path: Path) -> None:
    with path.open("r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        earlier = 0
        file.seek(KEPT)
        begins = KEPT
        if found := _NOTE.match(file.read(80) or b""):
            earlier, begins = int(found[1]), KEPT + found.end()
        file.seek(size - KEPT)
        end = file.read(KEPT)
        left_out = earlier + size - KEPT - begins
        file.truncate(KEPT)
    with path.open("ab", buffering=0) as file:  # appending, as the other process does
        file.write(b"\n[... %d bytes left out ...]\n%b" % (left_out, end))

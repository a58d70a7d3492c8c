"""The lines of a journal as they stand in the file, whole or damaged."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from io import BufferedReader, FileIO
from pathlib import Path
from typing import NamedTuple

from utilities.storage.records import intact

_NAMED = re.compile(rb'\{"type":"(asked|started|reported|lost|measured|finished)",(?:"trial":\{)?"number":(\d{1,18})')
_KIND = re.compile(rb'\{"type":"(header|session|asked|started|reported|lost|measured|finished)"')
_NUMBER = re.compile(rb'"number":(\d{1,18})')
_MOST_NAMED = 50


class Line(NamedTuple):
    """A line of a journal.

    Attributes
    ----------
    number
        From 1.
    start
        Its place in the file, in bytes.
    text
        With its line break, where it has one.
    body
        JSON of the record without the checksum; None where the line is damaged.
    """

    number: int
    start: int
    text: bytes
    body: bytes | None

    @property
    def what(self) -> str:
        """What can be read of its record, such as ``"finished" of trial 3``; empty where that is nothing.

        A line that lost its line break holds several.
        """
        names = [f'"{kind.decode()}" of trial {int(number)}' for kind, number in _NAMED.findall(self.text)]
        if names:
            return ", ".join(names)
        kind, trial = _KIND.search(self.text), _NUMBER.search(self.text)
        return " ".join(([f'"{kind[1].decode()}"'] if kind else []) + ([f"of trial {int(trial[1])}"] if trial else []))

    def __str__(self) -> str:
        what = self.what
        return f"line {self.number} ({what})" if what else f"line {self.number}"


def read_lines(file: FileIO) -> Iterator[Line]:
    """Read the file from its beginning."""
    file.seek(0)
    reader, start = BufferedReader(file, 1 << 20), 0
    try:
        for number, text in enumerate(reader, 1):
            yield Line(number, start, text, intact(text))
            start += len(text)
    finally:
        reader.detach()


def name_lines(lines: Sequence[Line]) -> str:
    """``line 5 ("finished" of trial 0), line 6``, of very many only the first."""
    more = len(lines) - _MOST_NAMED
    return ", ".join(map(str, lines[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def repair_command(journal: Path) -> str:
    """The command that mends the journal, as it would be typed."""
    return f"reverie repair {shlex.quote(str(journal.parent))}"

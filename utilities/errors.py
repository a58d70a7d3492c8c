"""The project's exceptions: one base, one for whatever the user can put right, those that the journal meets."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

_LONGEST_MESSAGE = 2000
_LONGEST_NAME = 100
_MOST_NAMES = 1000


class ReverieError(Exception):
    """Base of all exceptions raised on purpose.

    Messages quote what users wrote: unprintable characters in them are spelled out, so that a terminal can show them.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(spell_out(message))


class StudyError(ReverieError, ValueError):
    """A study file, a space, a configuration or a command line is wrong: a mistake the user can mend.

    The message states where (file, key), the rule, the value received and, where one is near, the name meant.
    Entry points print it without a traceback and exit with status 2. What exceeds 2,000 characters is cut out of its
    middle: names and lists of a user's may be of any length.
    """

    def __init__(self, message: str = "") -> None:
        half, spelled = _LONGEST_MESSAGE // 2, spell_out(message)
        super().__init__(spelled if len(spelled) <= _LONGEST_MESSAGE else f"{spelled[:half]} ... {spelled[-half:]}")


class JournalError(ReverieError):
    """The journal cannot be read or written: damage, contradictions, a disk that has gone."""


class JournalRefusedError(JournalError, StudyError):
    """The journal is sound, but not for this run: another run holds it, or a newer version wrote it."""


class DiskError(JournalError):
    """The disk takes no more for now. What was to be written is kept, and can be written again later."""


class SpaceExhaustedError(ReverieError):
    """Every configuration of a finite space has been proposed already."""


def spell_out(text: str) -> str:
    r"""Return `text` with ``\x1b`` and the like in place of unprintable characters, line breaks aside."""
    if text.isprintable():
        return text
    spelled = (character.encode("unicode_escape").decode() for character in text)
    return "".join(
        character if character.isprintable() or character == "\n" else code
        for character, code in zip(text, spelled, strict=True)
    )


def quoted(value: object) -> str:
    """``repr(value)`` cut to a readable length, whatever the user wrote there."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 100 else text[:97] + "..."


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean "x"?`` for the known name closest to `name`, or the empty string.

    Very long names, and what comes after the first thousand, are not compared: that takes quadratic time.
    """
    if len(name) > _LONGEST_NAME:
        return ""
    candidates = [other for other in islice(known, _MOST_NAMES) if len(other) <= _LONGEST_NAME]
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.5)
    return f' Did you mean "{close[0]}"?' if close else ""

"""Numbers, durations and other people's strings as one safe line of text."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from typing import IO

from utilities.trial import Value

_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS and the like
    r"|\x1b[ -/]*[0-~]"  # two-character escapes and charset selections
)


def clean(text: str) -> str:
    """Reduce `text` to one line without escape sequences, control or other unprintable characters."""
    spaced = re.sub(r"\s", " ", _ESCAPE.sub("", text))
    return " ".join(printable(spaced).split())


def printable(text: str) -> str:
    """Take escape sequences and unprintable characters out of `text`, and leave its spaces alone."""
    return "".join(character for character in _ESCAPE.sub("", text) if character.isprintable())


def shorten(text: str, length: int) -> str:
    """Cut `text` to `length` characters, the last three of them dots where something was lost."""
    return text if len(text) <= length else text[: max(length - 3, 0)].rstrip() + "..."


def emit(stream: IO[str], text: str) -> None:
    """Write `text` and a line break, and flush; what the stream's encoding lacks becomes ``?``.

    A reader who has gone (``| head``) or a full disk must not end a run that has hours behind it: no error is raised.
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        stream.flush()
    except OSError:
        return


def let_go(stream: IO[str]) -> None:
    """Flush `stream` at the end of a program, and drop what a full disk does not take.

    Python would try once more as it ends, and replace the exit status by 120.
    """
    try:
        stream.flush()
    except OSError:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())


def number(value: float, digits: int = 5) -> str:
    """Write `value` with `digits` significant digits and without trailing zeros.

    Integral digits are never dropped below 1e9; beyond that, and below 1e-4, the exponent is written.
    """
    if not math.isfinite(value):
        return str(float(value))
    if value != 0 and not 1e-4 <= abs(value) < 1e9:
        return f"{value:.{digits}g}"
    exponent = math.floor(math.log10(abs(value))) if value else 0
    return _trim(f"{value:.{max(digits - 1 - exponent, 0)}f}")


def uncertain(value: float, deviation: float | None) -> str:
    """Write ``value +- deviation``: the deviation to two significant digits, the value to the same decimal place."""
    if deviation is None or not math.isfinite(deviation) or deviation < 0:
        return number(value)
    if not 1e-6 <= deviation < 1e6:
        return f"{number(value)} +- {number(deviation, 2)}"
    decimals = max(1 - math.floor(math.log10(deviation)), 0)
    return f"{value:.{decimals}f} +- {deviation:.{decimals}f}"


def setting(value: Value, digits: int = 5) -> str:
    """Write a parameter's value: floats to `digits` significant digits, booleans as TOML has them."""
    if isinstance(value, bool):
        return str(value).lower()
    return number(value, digits) if isinstance(value, float) else clean(str(value))


def duration(seconds: float) -> str:
    """Write a time span of `seconds`: ``3.2 ms``, ``0.42 s``, ``12 s``, ``4:32``, ``1:02:03`` or ``2 d 3:04:05``."""
    if seconds < 10:
        return f"{number(seconds * 1e3, 2)} ms" if 0 < seconds < 0.1 else f"{number(seconds, 2)} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if not hours:
        return f"{minute}:{second:02d}"
    return f"{days} d {hour}:{minute:02d}:{second:02d}" if days else f"{hour}:{minute:02d}:{second:02d}"


def counted(count: int, noun: str) -> str:
    """Write ``1 trial`` or ``1,200 trials``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(parts: Sequence[str]) -> str:
    """Join the parts that are not empty with commas."""
    return ", ".join(part for part in parts if part)


def _trim(digits: str) -> str:
    trimmed = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if trimmed == "-0" else trimmed

"""Failures by reason, as lines of every display."""

from __future__ import annotations

from collections.abc import Sequence

from utilities.display.text import clean, counted, shorten

_LENGTH = 90


def reason_lines(failures: Sequence[tuple[str, int]], most: int) -> list[str]:
    """``3 x ValueError: no``, the most frequent first; of more than `most` reasons some, and the others together.

    Where there is room for one line, that is the most frequent reason alone.
    """
    ranked = sorted(failures, key=lambda failure: -failure[1])
    shown = most if len(ranked) <= most else max(1, most - 1)
    lines = [f"{count:,} x {shorten(clean(reason), _LENGTH) or 'no reason given'}" for reason, count in ranked[:shown]]
    others = ranked[shown:]
    if others and most > 1:
        lines.append(f"{sum(count for _, count in others):,} x {counted(len(others), 'other reason')}")
    return lines

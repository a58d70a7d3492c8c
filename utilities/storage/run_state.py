"""Whether a study runs, and how its last run ended, by what the run folder tells to somebody who only reads it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from utilities.display.text import clean, duration
from utilities.storage import lock

_LONG_SILENCE = 900.0
"""Seconds without a record after which a run on another host seems dead, where no trial takes that long."""


class State(StrEnum):
    """What is known of a study's last run."""

    RUNNING = "running"
    SEEMS_DEAD = "seems dead"
    KILLED = "killed"
    STOPPED = "stopped"
    FINISHED = "finished"
    UNKNOWN = "not running"


class RunState(NamedTuple):
    """A state, and what it is known by."""

    state: State
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.state}{f': {self.detail}' if self.detail else ''}"


def run_state(folder: Path, now: float, *, patience: float = 0.0) -> RunState:
    """Tell the state of the run in a folder.

    A process of this host is looked up. Of one on another host only the note is there, and the journal: where nothing
    was written for long, the run seems dead, which it need not be.

    Parameters
    ----------
    folder
        The run folder.
    now
        Seconds since the epoch.
    patience
        Seconds for which nothing need be written, such as the longest trial's.
    """
    journal = folder / "journal.jsonl"
    holder = lock.holder(journal)
    if holder is None:
        return _ended(folder, journal)
    silent = max(0.0, now - journal.stat().st_mtime)
    if holder.gone:
        return RunState(State.KILLED, f"{holder} did not end orderly; last record {duration(silent)} ago")
    if holder.near or silent <= max(_LONG_SILENCE, 3.0 * patience):
        return RunState(State.RUNNING, f"{holder}")
    seen = "its process cannot be seen from this host"
    return RunState(State.SEEMS_DEAD, f"{holder}; last record {duration(silent)} ago; {seen}")


def _ended(folder: Path, journal: Path) -> RunState:
    path = folder / "summary.json"
    try:
        summary = json.loads(path.read_bytes())
        # A run writes its summary once all its outcomes are on disk.
        own = math.ceil(path.stat().st_mtime) >= math.floor(journal.stat().st_mtime)
    except (OSError, ValueError):
        return RunState(State.UNKNOWN)
    if not own or not isinstance(summary, Mapping):
        return RunState(State.UNKNOWN, "its last run left no summary")
    return _told(summary)


def _told(summary: Mapping[str, Any]) -> RunState:
    """State that a summary's ``status`` tells: ``finished``, ``finished: why``, ``stopped: why``."""
    state, _, why = clean(str(summary.get("status"))).partition(": ")
    known = {str(State.FINISHED): State.FINISHED, str(State.STOPPED): State.STOPPED}
    return RunState(known[state], why) if state in known else RunState(State.UNKNOWN)

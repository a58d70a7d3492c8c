"""The folders of the best trials, kept and linked by rank; those of all others are cleared away as trials end.

A thread does all of it, for a folder may take minutes to remove, and the master's next proposal must not wait. What is
to be removed is renamed first, out of the way at once; what a crash leaves of it, the next run removes.
"""

from __future__ import annotations

import os
import queue
import shutil
import threading
from bisect import insort
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utilities.goals import Goals
from utilities.pareto import preference
from utilities.trial import TrialRecord, TrialState

_CLEARED = ".cleared-"

MIN_VIOLATION = 1e-300
"""That of a metric equal to a bound which it must be below or above."""

_CLOSING_SECONDS = 60.0
"""How long the end of a run waits for the removals that are left; the next run goes on with them."""


class _Ranked(NamedTuple):
    """A completed trial; of a single objective the better one is smaller, of equals the earlier one."""

    violation: float
    losses: tuple[float, ...]
    number: int
    values: tuple[float, ...]


class KeptFolders:
    """Keeps the folders of the best completed trials, and no other trial's that has ended.

    Feasible trials come before those that break constraints on metrics, which are in order of how far they do. With
    several objectives trials are in order of their fronts, and within one by how far they are from others.

    Parameters
    ----------
    folder
        Of the study: trials' folders are ``trials/<number>``, links to them ``best/<rank>_<objective>``.
    goals
        What trials are judged by.
    keep
        How many to keep.
    messages
        Gets a sentence where a folder cannot be cleared or linked, once for each kind of trouble.
    """

    def __init__(self, folder: Path, goals: Goals, keep: int, messages: list[str]) -> None:
        self._trials, self._links = folder / "trials", folder / "best"
        self._goals = goals
        self._keep, self._messages = keep, messages
        self._best: list[_Ranked] = []
        self._waiting: queue.SimpleQueue[list[tuple[int, _Ranked | None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="kept folders", daemon=True)
        self._thread.start()

    def note(self, records: Iterable[TrialRecord]) -> None:
        """Take note of trials that ended. Their outcomes must be on disk: others may be evaluated again."""
        ended = [(record.trial.number, self._ranked(record)) for record in records if record.outcome is not None]
        if ended:
            self._waiting.put(ended)

    def _ranked(self, record: TrialRecord) -> _Ranked | None:
        """A completed trial; None for any other."""
        outcome = record.outcome
        if outcome is None or outcome.state is not TrialState.COMPLETE:
            return None
        goals, values = self._goals, self._goals.values_of(outcome)
        if values is None:
            return None
        losses = tuple((goals.signs * np.array(values)).tolist())
        violation = 0.0
        if not goals.keeps(outcome):
            targets = np.array([goals.entry(values, goals.metrics_of(outcome)).targets], dtype=float)
            violation = max(MIN_VIOLATION, float(goals.violation(targets)[0]))
        return _Ranked(violation, losses, record.trial.number, values)

    def close(self) -> None:
        """Wait until everything noted is done, for a minute at most."""
        self._waiting.put(None)
        self._thread.join(_CLOSING_SECONDS)

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        self._remove(path for path in self._entries() if path.name.startswith(_CLEARED))
        while (ended := self._waiting.get()) is not None:
            self._take(ended)

    def _entries(self) -> list[Path]:
        with suppress(FileNotFoundError):
            return list(self._trials.iterdir())
        return []

    def _take(self, ended: list[tuple[int, _Ranked | None]]) -> None:
        dropped = {number for number, trial in ended if trial is None}
        for _, trial in ended:
            if trial is not None:
                self._enter(trial)
            if len(self._best) > self._keep:
                dropped.add(self._best.pop().number)
        self._attempt(self._link)
        # Of very many that ended in earlier runs, nearly all are gone already.
        there = map(str, dropped) if len(dropped) < 100 else (path.name for path in self._entries())
        names = [name for name in there if name.isdigit() and int(name) in dropped]
        for name in names:
            self._attempt(partial(self._set_aside, name))
        self._remove(self._trials / f"{_CLEARED}{name}" for name in names)

    def _enter(self, trial: _Ranked) -> None:
        # Places by crowding depend on who else is there: a folder cleared in an earlier run must not take another's.
        if self._goals.several and not (self._trials / str(trial.number)).is_dir():
            return
        insort(self._best, trial)
        if self._goals.several:
            feasible = [one for one in self._best if one.violation == 0.0]
            order = preference(np.array([one.losses for one in feasible]).reshape(-1, len(self._goals.names)))
            self._best[: len(feasible)] = [feasible[i] for i in order]

    def _attempt(self, change: Callable[[], object]) -> None:
        try:
            change()
        except OSError as error:
            told = f"{self._trials.parent}: cannot clear or link the folders of trials: {error.strerror or error}"
            if told not in self._messages:
                self._messages.append(told)

    def _set_aside(self, name: str) -> None:
        with suppress(FileNotFoundError):  # it kept nothing
            (self._trials / name).rename(self._trials / f"{_CLEARED}{name}")

    def _remove(self, folders: Iterable[Path]) -> None:
        for folder in folders:
            if folder.is_symlink():
                self._attempt(folder.unlink)
            else:
                shutil.rmtree(folder, ignore_errors=True)

    def _link(self) -> None:
        """Have a link for each kept trial that has a folder: new ones first, each replaced in one step."""
        wanted = {}
        for rank, trial in enumerate(self._best, start=1):
            if (self._trials / str(trial.number)).is_dir():
                name = "_".join([f"{rank:0{len(str(self._keep))}d}", *(f"{value:.6g}" for value in trial.values)])
                wanted[name] = os.path.join("..", self._trials.name, str(trial.number))
        if wanted:
            self._links.mkdir(exist_ok=True)
        for name, target in wanted.items():
            link = self._links / name
            if not (link.is_symlink() and os.readlink(link) == target):
                new = self._links / f".{name}.tmp"
                new.unlink(missing_ok=True)
                new.symlink_to(target)
                new.replace(link)
        for link in self._links.iterdir() if self._links.is_dir() else ():
            if link.is_symlink() and link.name not in wanted:
                link.unlink()

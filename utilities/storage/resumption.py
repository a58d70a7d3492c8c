"""What the earlier runs of a study left in its journal, taken record by record as the journal is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from utilities.budgets import Fidelity
from utilities.errors import JournalError, StudyError
from utilities.storage.lines import repair_command
from utilities.storage.records import (
    Finished,
    Header,
    Record,
    SessionStart,
)
from utilities.storage.replay import ContradictionError, EarlyRecords, Replay
from utilities.storage.study import Study
from utilities.storage.tables import show
from utilities.trial import TrialRecord

PROPOSING = ("method", "acquisition", "kappa", "seed", "constraints", "forbid", "metric_constraints", "stages")
"""Settings of a study that shape its proposals, and may change from run to run."""

_HINTS = ("likely", "sure")
"""Keys of a parameter that say nothing of its values, and may change likewise."""
OF_A_RUN = ("ranks_per_worker", "gpus_per_worker", "threads_per_worker", "keep_best")
"""Settings of a study that shape its runs alone, and may change from run to run."""

IDENTITY = ("direction", "objectives", "directions", "objective", "command", "instances")
"""What a study is beside its space: with another it is another study."""


class Resumption:
    """The trials of a study's earlier runs. Holds them alone, not the records that tell of them.

    Parameters
    ----------
    folder
        Of the study, which must be the one that the journal is of.
    study
        As it is to go on.
    watch
        Called with each record that tells something new.

    Attributes
    ----------
    ended
        Trials that ended, in the order in which they did.
    """

    def __init__(self, folder: Path, study: Study, watch: Callable[[Record], None] = lambda record: None) -> None:
        self._folder, self._study, self._watch = folder, study, watch
        self._replay: Replay | None = None
        self._last: Header | SessionStart | None = None
        self._line = 0
        self._early = EarlyRecords()
        self.ended: list[TrialRecord] = []

    def take(self, record: Record) -> None:
        """Take the next record of the journal.

        Raises
        ------
        StudyError
            The journal is of another study: what differs.
        JournalError
            The first record is no header, or this one contradicts another: its line, and how to mend it.
        """
        self._line += 1
        if self._replay is None:
            self._replay = self._begin(record)
            return
        if isinstance(record, SessionStart):
            self._last = record
        elif not self._early.keep(self._line, record, self._replay.trials):
            self._apply(self._replay, self._line, record)
            for line, early in self._early.release(record):
                self._apply(self._replay, line, early)

    def finish(self) -> Replay | None:
        """Trials by ascending number, none of them running, once the journal is read; None where it was empty.

        Raises
        ------
        JournalError
            A record tells of a trial that was never asked.
        """
        if self._replay is None:
            return None
        for line, record in self._early.orphans:
            self._apply(self._replay, line, record)
        self._replay.trials = dict(sorted(self._replay.trials.items()))
        for trial in self._replay.trials.values():
            if trial.outcome is None and not trial.parts:
                trial.started, trial.worker = None, ""
        return self._replay

    def changes(self) -> list[str]:
        """What shapes the proposals otherwise than in the last run, a sentence each."""
        if self._last is None or self._replay is None:
            return []
        then, now = ({key: getattr(run, key) for key in PROPOSING} for run in (self._last, self._study))
        lines = [f"{self._folder}: continues with {_another(line)}" for line in _changes(then, now)]
        if self._study.warm_start not in (None, self._replay.header.warm_start):
            taken = "what warm_start named when the study began was taken then"
            lines.append(f"{self._folder}: {taken}; {show(self._study.warm_start)} is not read")
        return lines

    def _begin(self, header: Record) -> Replay:
        if not isinstance(header, Header):
            raise JournalError(f"{self._journal}: a journal must begin with its header; line 1 is none")
        self._refuse_another_study(header)
        self._last = header
        return Replay(header)

    def _apply(self, replay: Replay, line: int, record: Record) -> None:
        try:
            if not replay.apply(record):
                return
            self._watch(record)
            if isinstance(record, Finished):
                self.ended.append(replay.known(record.number))
        except ContradictionError as error:
            fix = f"`{repair_command(self._journal)}` takes such records out"
            raise JournalError(f"{self._journal}: line {line}: {error}; {fix}") from None

    @property
    def _journal(self) -> Path:
        return self._folder / "journal.jsonl"

    def _refuse_another_study(self, header: Header) -> None:
        study = self._study
        lines = [
            f"[study] {line}"
            for line in _changes(
                {key: getattr(header, key) for key in IDENTITY},
                {key: getattr(study, key) for key in IDENTITY},
            )
        ]
        lines += [f"[fidelity] {line}" for line in _changes(_rungs(header.fidelity), _rungs(study.fidelity))]
        then, now = map(_unhinted, (header.space, study.space.to_dict()))
        lines += [f"[space.{name}] is gone" for name in then if name not in now]
        lines += [f"[space.{name}] is new" for name in now if name not in then]
        for name in then.keys() & now.keys():
            lines += [f"[space.{name}] {line}" for line in _changes(then[name], now[name])]
        if lines:
            difference = "\n  ".join(sorted(lines))
            raise StudyError(
                f"{self._folder}: holds another study of this name, which differs from {study.source}:\n"
                f"  {difference}\nGive this study another name, or another folder with --output."
            )


def _unhinted(space: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {k: v for k, v in table.items() if k not in _HINTS} for name, table in space.items()}


def _rungs(fidelity: Fidelity | None) -> dict[str, Any]:
    """What of a fidelity makes the rungs; the brackets of new trials, and the name, may change from run to run."""
    return {} if fidelity is None else {"low": fidelity.low, "high": fidelity.high, "eta": fidelity.eta}


def _another(line: str) -> str:
    return f"{'other' if line.startswith(('constraints', 'forbid', 'metric_', 'stages')) else 'another'} {line}"


def _changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """``low: was 0.1, now 0.2`` for each key that differs; 1, 1.0 and true differ."""
    for key in {**then, **now}:
        old, new = then.get(key), now.get(key)
        if json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True):
            yield f"{key}: was {show(old)}, now {show(new)}"

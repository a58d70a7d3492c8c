"""Trials as the records tell them: what one record after the other makes of them, in whatever order they stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from sys import intern

from msgspec.structs import replace

from utilities.errors import ReverieError, StudyError
from utilities.space import Space
from utilities.stage_plan import Begun
from utilities.storage.records import (
    Asked,
    Finished,
    Header,
    Lost,
    Measured,
    Paused,
    Promoted,
    Record,
    Reported,
    Started,
)
from utilities.trial import Loss, Rung, Trial, TrialRecord

OF_A_TRIAL = (Started, Reported, Lost, Measured, Paused, Promoted, Finished)
"""Records that tell of a trial that was asked."""


class ContradictionError(ReverieError):
    """A record cannot be true beside those before it."""


class Replay:
    """The trials of a study. A record that tells nothing new changes nothing: a trial's first outcome stands.

    Parameters
    ----------
    header
        The journal's first record.

    Attributes
    ----------
    trials
        By number.
    stages
        Those that have begun, in order.
    header, space
        The first record, and the space that it tells of.
    """

    def __init__(self, header: Header) -> None:
        self.trials: dict[int, TrialRecord] = {}
        self.header = header
        self.space = Space.from_dict(header.space)
        self.stages: list[Begun] = []

    def apply(self, record: Record) -> bool:
        """Change the trials by what happened; returns whether that was news.

        Raises
        ------
        ContradictionError
            A trial that was never asked, or asked before with another configuration; a second header.
        """
        match record:
            case Asked():
                return self._ask(record)
            case Started():
                trial = self.known(record.number)
                if trial.outcome is not None or (record.part is not None and trial.started is not None):
                    return trial.outcome is None
                trial.worker, trial.started = intern(record.worker), record.time
            case Lost():
                return self._lose(record)
            case Paused():
                return self._pause(record)
            case Promoted():
                return self._promote(record)
            case Measured():
                return self._measure(record)
            case Finished():
                return self._finish(record)
            case Begun():
                return self._begin(record)
            case Reported():
                self.known(record.number)
            case Header():
                if record != self.header:
                    raise ContradictionError("a journal must have one header; got another")
                return False
        return True

    def known(self, number: int) -> TrialRecord:
        """Trial with this number.

        Raises
        ------
        ContradictionError
            It was never asked.
        """
        if number not in self.trials:
            raise ContradictionError(f"trial {number} was never asked")
        return self.trials[number]

    def _ask(self, record: Asked) -> bool:
        number = record.trial.number
        if number in self.trials:
            if self.trials[number].trial != record.trial:
                raise ContradictionError(f"trial {number} is there twice, with two configurations")
            return False
        if not self.space.holds(record.trial.config):
            self._refuse(record.trial)
        self.trials[number] = TrialRecord(record.trial, intern(record.origin))
        return True

    def _refuse(self, trial: Trial) -> None:
        try:
            self.space.validate(trial.config)
        except StudyError as error:
            raise ContradictionError(f"trial {trial.number} is of another space: {error}") from None

    def _begin(self, record: Begun) -> bool:
        if record in self.stages:
            return False
        if self.stages and record.stage <= self.stages[-1].stage:
            raise ContradictionError(f"stage {record.stage} begins after stage {self.stages[-1].stage}")
        self.stages.append(record)
        return True

    def _lose(self, record: Lost) -> bool:
        trial = self.known(record.number)
        loss = Loss(record.worker, record.reason, record.time, record.part)
        if trial.outcome is not None or loss in trial.losses:
            return False
        trial.losses.append(loss)
        if record.part is None:
            trial.started, trial.worker = None, ""
        return True

    def _measure(self, record: Measured) -> bool:
        trial = self.known(record.number)
        if trial.outcome is not None or record.part in trial.parts:
            return False
        trial.parts[record.part] = record.outcome
        if trial.started is None:
            trial.started, trial.worker = record.started, intern(record.worker)
        return True

    def _pause(self, record: Paused) -> bool:
        """Give a trial a rung: the first outcome at a budget stands."""
        trial = self.known(record.number)
        if any(rung.budget == record.budget for rung in trial.rungs):
            return False
        rung = Rung(record.budget, record.outcome, intern(record.worker), record.started, record.completed)
        trial.rungs = tuple(sorted((*trial.rungs, rung), key=lambda rung: rung.budget))
        if trial.paused:
            trial.started, trial.worker = None, ""
        return True

    def _promote(self, record: Promoted) -> bool:
        """Have a trial go on with a larger budget than any it had."""
        trial = self.known(record.number)
        if record.budget <= ((trial.promoted or trial.trial).budget or 0):
            return False
        trial.promoted = replace(trial.trial, budget=record.budget, previous_budget=record.previous)
        return True

    def _finish(self, record: Finished) -> bool:
        trial = self.known(record.number)
        if trial.outcome is not None:
            return False
        trial.outcome, trial.worker = record.outcome, intern(record.worker)
        trial.started, trial.completed = record.started, record.completed
        return True


class EarlyRecords:
    """Records that stand before their trial was asked: they wait for that, and then read as they were meant."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[tuple[int, Record]]] = {}

    def keep(self, line: int, record: Record, trials: Mapping[int, TrialRecord]) -> bool:
        """Have a record in that line wait, where its trial is none of `trials` yet; whether it does."""
        if not isinstance(record, OF_A_TRIAL) or record.number in trials:
            return False
        self._waiting.setdefault(record.number, []).append((line, record))
        return True

    def release(self, record: Record) -> Iterable[tuple[int, Record]]:
        """Lines and records that waited for this one."""
        return self._waiting.pop(record.trial.number, ()) if self._waiting and isinstance(record, Asked) else ()

    @property
    def orphans(self) -> list[tuple[int, Record]]:
        """The first of those that still wait for each trial, by line."""
        return sorted((early[0] for early in self._waiting.values()), key=lambda entry: entry[0])


def questions_first(records: Sequence[Record]) -> Iterable[tuple[int, Record]]:
    """Each record with its index; those of new trials first, so that lines out of order read as they were meant."""
    return sorted(enumerate(records), key=lambda entry: not isinstance(entry[1], Asked))

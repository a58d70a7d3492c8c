"""What a journal tells, read beside the run that writes it: nothing is locked, written, cut off or refused for a tear.

Each `read` takes what was written since the last one. A line that is not whole yet waits; one that never becomes whole
is counted once whole lines follow it.
"""

from __future__ import annotations

import os
from io import BufferedReader, FileIO
from pathlib import Path

from utilities.errors import StudyError
from utilities.goals import Goals, make_goals
from utilities.storage.journal import check_format, decode
from utilities.storage.lines import Line
from utilities.storage.records import (
    Finished,
    Header,
    Lost,
    Measured,
    Paused,
    Record,
    Reported,
    SessionStart,
    Started,
    intact,
)
from utilities.storage.replay import ContradictionError, EarlyRecords, Replay
from utilities.trial import TrialRecord

_BEFORE = 64
"""Bytes before the place to go on from by which it is seen that the file is still the one that was read."""


class Chronicle:
    """The trials of a study as its journal tells them up to now.

    Parameters
    ----------
    folder
        The run folder.

    Attributes
    ----------
    path
        The journal.
    ended
        Trials that ended, in the order in which they did.
    running
        Trials under evaluation by number, in the order in which they began.
    reports
        Intermediate values: by trial and step the value and its time, in seconds since the epoch. Those on instances
        are left out: each has its own.
    measured
        Evaluations of trials on instances, by trial, in the order in which they ended.
    runs
        How each run began, in their order.
    ended_before
        Number of trials that had ended when the latest run began.
    latest
        Time of the latest record that has one, in seconds since the epoch; None where none has.
    damaged
        Lines that whole lines follow and that are not whole, and records that contradict others.
    contradiction
        What is wrong with the first of the latter; empty where there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        self._begin()

    def _begin(self) -> None:
        self._replay: Replay | None = None
        self._early = EarlyRecords()
        self._parts: dict[int, set[int | None]] = {}
        self._offset, self._line, self._before = 0, 0, b""
        self.ended: list[TrialRecord] = []
        self.running: dict[int, TrialRecord] = {}
        self.reports: dict[int, dict[int, tuple[float, float]]] = {}
        self.measured: dict[int, list[Measured]] = {}
        self.runs: list[SessionStart] = []
        self.ended_before = self.damaged = 0
        self.latest: float | None = None
        self.contradiction = ""

    @property
    def replay(self) -> Replay:
        """Header, space and trials.

        Raises
        ------
        StudyError
            Nothing was read yet.
        """
        if self._replay is None:
            raise StudyError(f"{self.path}: is empty: the study has not begun")
        return self._replay

    @property
    def begun(self) -> bool:
        """Whether the journal has its header."""
        return self._replay is not None

    @property
    def session(self) -> SessionStart | None:
        """How the latest run began; None before the first."""
        return self.runs[-1] if self.runs else None

    @property
    def sessions(self) -> int:
        """Number of runs."""
        return len(self.runs)

    @property
    def header(self) -> Header:
        """First record."""
        return self.replay.header

    @property
    def goals(self) -> Goals:
        """What trials are judged by, by the constraints on metrics of the latest run."""
        header, latest = self.header, self.session or self.header
        return make_goals(header.direction, header.directions, header.objectives, latest.metric_constraints)

    @property
    def trials(self) -> dict[int, TrialRecord]:
        """All trials by number."""
        return self.replay.trials

    def read(self) -> bool:
        """Take what was written since the last call; returns whether there was anything new.

        Raises
        ------
        StudyError
            The journal cannot be opened.
        JournalError
            It begins with no header, or a newer version wrote it.
        """
        try:
            with FileIO(self.path) as file:
                anew = not self._continues(file)
                if anew:
                    self._begin()
                return self._take_lines(file) or anew
        except OSError as error:
            raise StudyError(f"{self.path}: cannot read the journal: {error.strerror or error}") from None

    def _continues(self, file: FileIO) -> bool:
        """Whether the file still holds what was read: a repair, or a full disk, may have taken lines back."""
        file.seek(self._offset - len(self._before))
        return file.read(len(self._before)) == self._before

    def _take_lines(self, file: FileIO) -> bool:
        file.seek(self._offset)
        place, torn, taken = self._offset, 0, False
        reader = BufferedReader(file, 1 << 20)
        try:
            for text in reader:
                if not text.endswith(b"\n"):
                    break
                place += len(text)
                body = intact(text)
                if body is None:
                    torn += 1
                    continue
                self._line += torn + 1
                self.damaged, torn, taken = self.damaged + torn, 0, True
                self._take(Line(self._line, place - len(text), text, body))
                self._offset, self._before = place, text[-_BEFORE:]
        finally:
            reader.detach()
        return taken

    def _take(self, line: Line) -> None:
        if self._replay is None:
            check_format(line.body or b"", self.path)
            header = decode(line, self.path)
            assert isinstance(header, Header)
            self._replay = Replay(header)
            self.latest = header.created
            return
        record = decode(line, self.path)
        if isinstance(record, SessionStart):
            self._take_session(record)
        elif not self._early.keep(self._line, record, self._replay.trials):
            self._apply(self._replay, record)
            for _, early in self._early.release(record):
                self._apply(self._replay, early)

    def _take_session(self, record: SessionStart) -> None:
        for trial in self.running.values():
            trial.started, trial.worker = None, ""
        self.running.clear()
        self._parts.clear()
        self.runs.append(record)
        self.ended_before, self.latest = len(self.ended), record.time

    def _apply(self, replay: Replay, record: Record) -> None:
        try:
            news = replay.apply(record)
        except ContradictionError as error:
            self.damaged += 1
            self.contradiction = self.contradiction or str(error)
            return
        if not news:
            return
        match record:
            case Started(number, _, time, part):
                self.running[number] = replay.trials[number]
                self._parts.setdefault(number, set()).add(part)
                self.latest = time
            case Reported(number, step, value, time, part):
                if part is None:
                    self.reports.setdefault(number, {})[step] = value, time
                self.latest = time
            case Lost(number, _, _, time, part):
                self._leave(number, part)
                self.latest = time
            case Measured(number=number, part=part, completed=time):
                self.measured.setdefault(number, []).append(record)
                self._leave(number, part)
                self.latest = time
            case Paused(number=number, completed=time):
                self._leave(number, None)
                self.latest = time
            case Finished(number, _, _, _, time):
                self._leave(number, None)
                self.ended.append(replay.trials[number])
                self.latest = time

    def _leave(self, number: int, part: int | None) -> None:
        """Note that a trial runs no longer, or one of its parts: another may."""
        parts = self._parts.get(number, set())
        parts.discard(part)
        if part is None or not parts:
            self.running.pop(number, None)
            self._parts.pop(number, None)

    def last_written(self) -> float:
        """When the journal was last written to, by the file system's clock, in seconds since the epoch."""
        return os.stat(self.path).st_mtime

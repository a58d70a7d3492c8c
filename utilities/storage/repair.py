"""Mending a run folder: every whole record of its journal is kept, and a copy of the damaged file beside it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec

from utilities.errors import JournalError, StudyError
from utilities.space import Space
from utilities.storage import lock
from utilities.storage.archive import ArchiveError, read_study
from utilities.storage.atomic import replace_file, set_aside
from utilities.storage.fidelity_table import FIDELITY, parse_fidelity
from utilities.storage.journal import check_format, decode
from utilities.storage.lines import Line, name_lines, read_lines
from utilities.storage.records import (
    Asked,
    Header,
    Record,
    SessionStart,
    encode_record,
    format_of,
    intact,
)
from utilities.storage.replay import OF_A_TRIAL, ContradictionError, Replay, questions_first
from utilities.storage.resumption import OF_A_RUN
from utilities.storage.run_folder import RunFolder
from utilities.storage.study import Study


@dataclass
class Repair:
    """What was done to a run folder.

    Attributes
    ----------
    journal
        Its journal.
    kept
        Number of its records, the header included.
    outcomes
        Number of trials that ended.
    damaged
        Lines that could not be read.
    dropped
        Whole lines that contradict others, or whose trial stood in a damaged one; each with the reason.
    header
        Where the header came from, where it was not the first line; else empty.
    copy
        The journal as it was; None where nothing had to be done to it.
    messages
        What was done to the other files, a sentence each.
    """

    journal: Path
    kept: int = 0
    outcomes: int = 0
    damaged: list[Line] = field(default_factory=list)
    dropped: list[tuple[Line, str]] = field(default_factory=list)
    header: str = ""
    copy: Path | None = None
    messages: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = []
        if self.damaged:
            lines.append(f"{self.journal}: damaged, taken out: {name_lines(self.damaged)}")
        lines += [f"{self.journal}: {line} taken out: {reason}" for line, reason in self.dropped]
        if self.header:
            lines.append(f"{self.journal}: the header was taken from {self.header}")
        if self.copy is not None:
            lines.append(f"{self.copy}: the journal as it was")
        lines += self.messages
        state = "whole, nothing to repair" if self.copy is None else "repaired"
        return "\n".join([*lines, f"{self.journal}: {state}; {self.kept} records, {self.outcomes} trials ended"])


def repair(folder: Path) -> Repair:
    """Mend the run folder `folder`: its journal, and what follows from it.

    Kept are all whole lines as they stand, but for those that contradict others and those of a trial whose
    configuration is lost. A lost header is taken from study.h5.

    Raises
    ------
    StudyError
        There is no journal, it cannot be written, a run holds it, or a newer version wrote it.
    JournalError
        Nothing can be kept: no line is whole, or the header is lost and study.h5 has none.
    """
    journal = folder / "journal.jsonl"
    try:
        with FileIO(journal, "r+") as file:
            messages = lock.take(file, journal)
            try:
                done, header, last = _mend(file, journal)
            finally:
                lock.release(journal)
        done.messages[:0] = messages
        _rebuild(folder, header, last, done)
    except OSError as error:
        raise StudyError(f"{journal}: cannot repair this journal: {error.strerror or error}") from error
    return done


def _mend(file: FileIO, path: Path) -> tuple[Repair, Header, SessionStart | None]:
    """Mend the journal; returns what was done, the header and the last run."""
    done = Repair(path)
    whole: list[tuple[Line, Record]] = []
    for line in read_lines(file):
        line = _with_break(line)
        if line.body is None:
            done.damaged.append(line)
        else:
            if format_of(line.body) is not None:
                check_format(line.body, path)
            whole.append((line, decode(line, path)))
    first, header = _find_header(whole, done)
    kept = [entry for entry in _consistent(header, whole, done) if entry[0] is not first]
    text = b"".join([first.text, *(line.text for line, _ in kept)])
    if done.damaged or done.dropped or done.header:
        done.copy = set_aside(path)
        replace_file(path, text)
    done.kept = len(kept) + 1
    runs = [record for _, record in kept if isinstance(record, SessionStart)]
    return done, header, runs[-1] if runs else None


def _with_break(line: Line) -> Line:
    return line if line.text.endswith(b"\n") else line._replace(text=line.text + b"\n")


def _find_header(whole: Sequence[tuple[Line, Record]], done: Repair) -> tuple[Line, Header]:
    for line, record in whole:
        if isinstance(record, Header):
            done.header = "" if line.number == 1 else str(line)
            return line, record
    if not whole:
        raise JournalError(
            f"{done.journal}: no line of this file is whole, nothing can be kept; restore it from a copy"
        )
    archive = done.journal.with_name("study.h5")
    try:
        header = _header_of_archive(archive)
    except (ArchiveError, KeyError) as error:
        raise JournalError(
            f"{done.journal}: its header, line 1, is lost, without which nothing can be kept, and study.h5 does not "
            f"hold it either ({error}); restore one of the two from a copy"
        ) from None
    done.header = str(archive)
    text = encode_record(header)
    return Line(1, 0, text, intact(text)), header


def _header_of_archive(archive: Path) -> Header:
    tables, versions = read_study(archive)
    study = tables["study"]
    return Header(
        name=study["name"],
        direction=study.get("direction", "minimize"),
        objectives=study.get("objectives"),
        directions=study.get("directions"),
        metric_constraints=study.get("metric_constraints"),
        objective=study.get("objective"),
        command=study.get("command"),
        space=tables["space"],
        seed=study["seed"],
        method=study["method"],
        acquisition=study.get("acquisition"),
        kappa=study.get("kappa"),
        stages=msgspec.convert(tables.get("stage", []), list[dict[str, Any]]),
        fidelity=None if FIDELITY not in tables else parse_fidelity(tables[FIDELITY], str(archive)),
        created=time.time(),
        versions=versions,
        instances=study.get("instances"),
        ranks_per_worker=study.get("ranks_per_worker", 1),
        gpus_per_worker=study.get("gpus_per_worker"),
        threads_per_worker=study.get("threads_per_worker"),
        keep_best=study.get("keep_best"),
    )


def _consistent(header: Header, whole: Sequence[tuple[Line, Record]], done: Repair) -> Iterable[tuple[Line, Record]]:
    """Take out what cannot be true beside the rest; outcomes are not given to a configuration by guess."""
    twice = _asked_twice(record for _, record in whole)
    replay, out = Replay(header), set()
    for index, record in questions_first([record for _, record in whole]):
        number = _trial_of(record)
        try:
            if number in twice:
                raise ContradictionError(f"trial {number} is there twice, with two configurations")
            replay.apply(record)
        except ContradictionError as error:
            out.add(index)
            done.dropped.append((whole[index][0], str(error)))
    done.outcomes = sum(trial.outcome is not None for trial in replay.trials.values())
    done.dropped.sort(key=lambda entry: entry[0].number)
    return (entry for index, entry in enumerate(whole) if index not in out)


def _asked_twice(records: Iterable[Record]) -> set[int]:
    """Numbers that two different trials have."""
    seen: dict[int, Asked] = {}
    twice: set[int] = set()
    for record in records:
        if isinstance(record, Asked) and seen.setdefault(record.trial.number, record).trial != record.trial:
            twice.add(record.trial.number)
    return twice


def _trial_of(record: Record) -> int | None:
    if isinstance(record, Asked):
        return record.trial.number
    return record.number if isinstance(record, OF_A_TRIAL) else None


def _rebuild(folder: Path, header: Header, last: SessionStart | None, done: Repair) -> None:
    """Open the folder as the next run would, which writes anew what does not follow from the journal."""
    folder, run = folder.resolve(), last or header
    study = Study(
        name=folder.name,
        objective=header.objective,
        command=header.command,
        direction="maximize" if header.direction == "maximize" else "minimize",
        objectives=header.objectives,
        directions=header.directions,
        metric_constraints=run.metric_constraints,
        budget=None if last is None else last.budget,
        method=run.method,
        acquisition=run.acquisition,
        kappa=run.kappa,
        seed=run.seed,
        constraints=run.constraints,
        forbid=run.forbid,
        stages=run.stages,
        fidelity=header.fidelity,
        instances=header.instances,
        space=Space.from_dict(header.space),
        folder=folder,
        source=str(done.journal),
        **{key: getattr(run, key) for key in OF_A_RUN},
    )
    opened = RunFolder.open(folder.parent, study)
    opened.close()
    done.messages += opened.messages

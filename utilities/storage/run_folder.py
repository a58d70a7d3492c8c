"""The folder of a study's runs: the journal is the truth, everything else in it follows from the journal."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from utilities.errors import StudyError
from utilities.stage_plan import Begun
from utilities.storage.atomic import set_aside
from utilities.storage.checkpoint import Checkpoint
from utilities.storage.disk import writing
from utilities.storage.journal import Journal
from utilities.storage.kept_folders import KeptFolders
from utilities.storage.records import (
    Asked,
    Finished,
    Header,
    Lost,
    Measured,
    Observation,
    Paused,
    Promoted,
    Record,
    Reported,
    SessionStart,
    Started,
)
from utilities.storage.replay import Replay
from utilities.storage.resumption import OF_A_RUN, PROPOSING, Resumption
from utilities.storage.stored_study import origin_of
from utilities.storage.study import Study
from utilities.storage.summary_file import write_summary
from utilities.storage.trials_csv import TrialsCsv
from utilities.storage.versions import package_versions
from utilities.storage.warm_start import observations
from utilities.trial import Outcome, Trial, TrialRecord

if TYPE_CHECKING:
    from utilities.space import Space
    from utilities.storage.archive import StoredModel
    from utilities.surrogate import Array, FitState


class RunFolder:
    """What a study leaves on disk: a change is noted in memory at once, on disk with the next `sync`.

    Attributes
    ----------
    folder
        The study's own folder.
    records
        All trials by ascending number. Those that an earlier run left running are waiting.
    messages
        What the user should be told about the folder, a sentence each. More may come: trials.csv of an earlier run is
        compared with the journal only when a row follows, for workers would wait for it at the start.
    is_new
        Whether this is the study's first run.
    """

    def __init__(self, folder: Path, study: Study, journal: Journal, resumption: Resumption) -> None:
        replay = resumption.finish()
        self.folder = folder
        self.messages = journal.warnings + resumption.changes()
        self.is_new = replay is None
        self._study, self._journal = study, journal
        self._versions = package_versions()
        self._unwritten: list[TrialRecord] = []
        self._unsynced: list[int] = []
        self._goals = study.goals
        names, budgets = list(study.space.parameters), study.fidelity is not None
        self._csv = TrialsCsv(folder / "trials.csv", names, self._goals, budgets=budgets)
        self._checkpoint = Checkpoint(folder, study, self._goals, self._versions)
        if replay is None:
            self._keep_strays()
        self._replay = replay or Replay(self._begin())
        self.records = self._replay.trials
        self._earlier: list[TrialRecord] | None = resumption.ended
        if replay is None:
            self._write_rows()
        if replay is not None:
            self.messages += self._checkpoint.restore()
        self._kept = self._keep_best()

    @classmethod
    def open(cls, root: Path, study: Study, watch: Callable[[Record], None] = lambda record: None) -> RunFolder:
        """Open the folder ``root/<name of the study>``, created if need be, for this run alone.

        Parameters
        ----------
        root, study
            Name the folder.
        watch
            Called with each record of the journal that tells something new.

        Raises
        ------
        StudyError
            It cannot be written, another run holds it, a newer version wrote it, or it holds another study of this
            name: what differs.
        JournalError
            Its journal is damaged.
        """
        folder = root / study.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            resumption = Resumption(folder, study, watch)
            journal = Journal.follow(folder / "journal.jsonl", resumption.take)
            try:
                return cls(folder, study, journal, resumption)
            except BaseException:
                journal.close()
                raise
        except OSError as error:
            raise StudyError(f"{folder}: cannot write the study's folder: {error.strerror or error}") from error

    # --- what earlier runs left -------------------------------------------------------------------------------------

    def _keep_strays(self) -> None:
        """Keep the files of a study whose journal is gone: they are all that is left of it."""
        for path in (self._csv.path, self._checkpoint.path):
            if path.exists():
                copy = set_aside(path, "earlier")
                self.messages.append(f"{path} is of a study whose journal is gone; it is kept as {copy.name}")

    def _keep_best(self) -> KeptFolders | None:
        keep = self._study.keep_best
        if keep is None:
            return None
        kept = KeptFolders(self.folder, self._goals, keep, self.messages)
        kept.note(self.records.values())
        return kept

    def _begin(self) -> Header:
        study = self._study
        observed, told = observations(study)
        self.messages += told
        header = Header(
            name=study.name,
            direction=study.direction,
            objectives=study.objectives,
            directions=study.directions,
            metric_constraints=study.metric_constraints,
            objective=study.objective,
            command=study.command,
            space=study.space.to_dict(),
            seed=study.seed,
            method=study.method,
            acquisition=study.acquisition,
            kappa=study.kappa,
            constraints=study.constraints,
            forbid=study.forbid,
            stages=study.stages,
            enqueue=study.enqueue,
            fidelity=study.fidelity,
            warm_start=study.warm_start,
            instances=study.instances,
            folder=str(study.folder.absolute()),
            observed=observed,
            created=time.time(),
            versions=self._versions,
            **{key: getattr(study, key) for key in OF_A_RUN},
        )
        self._journal.append(header)
        self._journal.sync()
        return header

    @property
    def observed(self) -> list[Observation]:
        """What other studies had observed when this one began."""
        return self._replay.header.observed

    @property
    def stages(self) -> list[Begun]:
        """Stages that have begun."""
        return self._replay.stages

    @property
    def in_parts(self) -> bool:
        """Whether each trial is evaluated on instances, a part each."""
        return self._study.instances is not None

    @property
    def first_seed(self) -> int:
        """Seed of the study when it began."""
        return self._replay.header.seed

    # --- what happens -----------------------------------------------------------------------------------------------

    def session(self, ranks: int, now: float) -> None:
        """Note that a run of `ranks` processes begins, at `now` in seconds since the epoch."""
        study, host = self._study, socket.gethostname()
        settings = {key: getattr(study, key) for key in (*PROPOSING, *OF_A_RUN)}
        self._note(SessionStart(time=now, ranks=ranks, host=host, budget=study.budget, **settings, **origin_of(study)))

    def stage(self, begun: Begun) -> None:
        """Note that a stage begins; its first trial is noted next."""
        self._note(begun)

    def asked(self, trial: Trial, origin: str) -> None:
        """Note a new trial and where its configuration came from."""
        self._note(Asked(trial, origin))

    def started(self, number: int, worker: str, now: float, part: int | None = None) -> None:
        """Note that `worker` (``3@node7``) begins to evaluate a trial, at `now` in seconds since the epoch."""
        self._note(Started(number, worker, now, part))

    def reported(self, number: int, step: int, value: float, now: float, part: int | None = None) -> None:
        """Note an intermediate value of a trial."""
        self._note(Reported(number, step, value, now, part))

    def lost(self, number: int, reason: str, now: float, part: int | None = None) -> None:
        """Note that a trial's evaluation was lost, at `now` in seconds since the epoch: it waits again."""
        self._note(Lost(number, self._replay.known(number).worker, reason, now, part))

    def measured(self, number: int, part: int, outcome: Outcome, worker: str, completed: float) -> None:
        """Note what came of a part of a trial, on `worker`, at `completed` in seconds since the epoch."""
        self._note(Measured(number, part, outcome, worker, completed - outcome.seconds, completed))

    def paused(self, trial: Trial, outcome: Outcome, completed: float) -> None:
        """Note what a trial came to at a budget that is not the full one. The first outcome there stands."""
        record = self._replay.known(trial.number)
        if trial.budget is not None:
            self._note(Paused(trial.number, trial.budget, outcome, record.worker, record.started, completed))

    def promoted(self, trial: Trial) -> None:
        """Note that a paused trial goes on, with a larger budget."""
        if trial.budget is not None:
            self._note(Promoted(trial.number, trial.budget, trial.previous_budget))

    def finished(self, number: int, outcome: Outcome, completed: float) -> None:
        """Note a trial's outcome. The first one stands: another of the same trial is ignored."""
        record = self._replay.known(number)
        latest = record.rungs[-1] if record.paused else record
        self._note(Finished(number, outcome, latest.worker, latest.started, completed))
        if record.parts:  # each had a folder in it, and those that kept nothing have gone
            with suppress(OSError):
                (self.folder / "trials" / str(number)).rmdir()

    def sync(self, *, rows: bool = True) -> None:
        """Put everything noted on disk: the journal with one fsync, then the rows of trials.csv.

        Parameters
        ----------
        rows
            Whether to write these rows; they can wait for a later call, for they follow from the journal.

        Raises
        ------
        DiskError
            The disk takes no more for now; call again.
        JournalError
            The disk has gone.
        """
        self._journal.sync()
        if self._kept is not None:
            self._kept.note(self.records[number] for number in self.unsynced)
        self._unsynced.clear()
        if rows and self.has_rows:
            self._write_rows()

    def _write_rows(self) -> None:
        with writing(self._csv.path, "the table of trials"):
            if self._earlier is not None:
                if self._csv.restore(self._earlier, self._paused):
                    self.messages.append(f"{self._csv.path} did not match the journal and has been written anew")
                self._earlier = None
            ended, self._unwritten = self._unwritten, []
            if ended or self._csv.stale:
                self._csv.append(ended)

    @property
    def _paused(self) -> list[TrialRecord]:
        return [record for record in self.records.values() if record.paused]

    def conclude(self) -> None:
        """Give the trials that are paused a row of trials.csv, as pruned: the study is through.

        Raises
        ------
        DiskError
            As of `sync`.
        """
        self.sync()
        with writing(self._csv.path, "the table of trials"):
            self._write_rows()
            self._csv.conclude(self._paused)

    @property
    def has_rows(self) -> bool:
        """Whether trials.csv lacks rows."""
        return bool(self._unwritten) or (self._earlier is None and self._csv.stale)

    @property
    def unsynced(self) -> list[int]:
        """Trials whose outcome, or whose value at a rung, is not on disk yet."""
        return list(dict.fromkeys(self._unsynced))

    def _note(self, record: Record) -> None:
        if self._replay.apply(record):
            self._journal.append(record)
            if isinstance(record, Finished):
                self._unwritten.append(self.records[record.number])
            if isinstance(record, Finished | Paused):
                self._unsynced.append(record.number)

    # --- the other files --------------------------------------------------------------------------------------------

    def checkpoint(
        self, fits: Mapping[str, FitState], space: Space, calibration: Mapping[str, Array] = MappingProxyType({})
    ) -> None:
        """Replace study.h5; see `Checkpoint.write`."""
        self._checkpoint.write(self.records, fits, space, calibration)

    def model(self) -> StoredModel | None:
        """Surrogates of the last checkpoint; None where there are none for this method and order of parameters."""
        return self._checkpoint.model()

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Replace summary.json: `summary` and the packages' versions, null for numbers that are not finite.

        Raises
        ------
        DiskError, OSError
            As of `Checkpoint.write`.
        """
        write_summary(self.folder / "summary.json", {"versions": self._versions, **summary})

    def close(self) -> None:
        """Put what is left on disk, mend trials.csv and study.h5 where need be, and let other runs have the folder."""
        try:
            self.sync()
            if self._earlier is not None:
                self._write_rows()
            if self._checkpoint.due:
                self.checkpoint({}, self._study.space)
        finally:
            if self._kept is not None:
                self._kept.close()
            self._journal.close()

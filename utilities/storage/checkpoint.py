"""The file study.h5 of a run folder: replaced as a study goes on; a run that continues it takes the surrogate there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from utilities.goals import Goals
from utilities.storage.atomic import set_aside
from utilities.storage.disk import writing
from utilities.storage.study import Study
from utilities.trial import TrialRecord

if TYPE_CHECKING:
    from utilities.space import Space
    from utilities.storage.archive import StoredModel
    from utilities.storage.trial_table import TrialTable
    from utilities.surrogate import Array, FitState


class Checkpoint:
    """What study.h5 holds, and is to hold next.

    Parameters
    ----------
    folder
        The run folder.
    study
        Its study.
    goals
        What trials are judged by.
    versions
        Of the packages.

    Attributes
    ----------
    due
        Whether the file is to be written even if no trial comes.
    """

    def __init__(self, folder: Path, study: Study, goals: Goals, versions: Mapping[str, str]) -> None:
        self.path = folder / "study.h5"
        self._study, self._goals, self._versions = study, goals, versions
        self._stored: StoredModel | None = None
        self._table: TrialTable | None = None
        self.due = False

    def write(
        self,
        records: Mapping[int, TrialRecord],
        fits: Mapping[str, FitState],
        space: Space,
        calibration: Mapping[str, Array],
    ) -> None:
        """Replace the file. Without `fits`, those that it holds stay, and their calibration.

        Raises
        ------
        DiskError, OSError
            The disk takes no more for now, or the folder cannot be written; the old file is as it was.
        """
        from utilities.storage.archive import Contents, StoredModel, write_archive
        from utilities.storage.rung_table import rung_columns
        from utilities.storage.trial_table import TrialTable

        if fits:
            self._stored = StoredModel(fits, self._study.method, tuple(space.names), calibration)
        if self._table is None:
            self._table = TrialTable(space, self._goals)
        self._table.update(records)
        without = self._study.fidelity is None or self._study.instances is not None
        evaluations = None if without else rung_columns(records.values())
        contents = Contents(self._study.to_dict(), space.names, self._table, self._stored, self._versions, evaluations)
        with writing(self.path, "the archive"):
            write_archive(self.path, contents)
        self.due = False

    def model(self) -> StoredModel | None:
        """Surrogates of the last one; None where there are none for this method and order of parameters."""
        stored = self._stored
        if stored is None or stored.method != self._study.method or stored.names != tuple(self._study.space.names):
            return None
        return stored

    def restore(self) -> Iterable[str]:
        """Take the surrogate from the file; yields what the user should be told.

        Where the file is missing or damaged, the next one is due.

        Raises
        ------
        ArchiveRefusedError
            A newer version wrote it.
        """
        from utilities.storage.archive import ArchiveError, ArchiveRefusedError, read_model

        try:
            self._stored = read_model(self.path)
        except ArchiveRefusedError:
            raise
        except ArchiveError as error:
            if self.path.exists():
                copy = set_aside(self.path)
                self.path.unlink()
                built = "built anew from the journal; the surrogate is fitted anew"
                yield f"{error}; {built}; the file is kept as {copy.name}"
            self.due = True

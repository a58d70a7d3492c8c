"""The trials of a study that is not gone on with: of an earlier one, whose outcomes another learns from or repeats."""

from __future__ import annotations

from pathlib import Path

from utilities.errors import JournalError, StudyError
from utilities.storage.chronicle import Chronicle
from utilities.storage.lines import repair_command
from utilities.storage.replay import Replay


def read_trials(folder: Path, where: str) -> Replay:
    """Trials in the journal of a run folder; whole lines alone are read.

    Parameters
    ----------
    folder
        The run folder.
    where
        Start of an error message: what names the folder.

    Raises
    ------
    StudyError
        There is no such journal, it cannot be read, or a record contradicts another.
    """
    chronicle = Chronicle(folder)
    try:
        chronicle.read()
    except StudyError as error:
        raise StudyError(f"{where} must be the folder of an earlier study; {error}") from None
    except JournalError as error:
        raise StudyError(f"{where}: {error}") from None
    if not chronicle.begun:
        raise StudyError(f"{where} must be the folder of an earlier study; {chronicle.path} is empty")
    if chronicle.contradiction:
        fix = f"`{repair_command(chronicle.path)}` takes such records out"
        raise StudyError(f"{where}: {chronicle.path}: {chronicle.contradiction}; {fix}")
    return chronicle.replay

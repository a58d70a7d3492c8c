"""A space of ConfigSpace in a JSON file, named by a study file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from utilities.errors import StudyError
from utilities.storage.tables import show

KEY = "configspace"


def read_space_file(name: str, folder: Path, where: str) -> tuple[dict[str, Any], list[str], list[dict[str, Any]]]:
    """Read what ``[space] configspace`` names.

    Parameters
    ----------
    name, folder
        The file, and what it is relative to.
    where
        Start of a message.

    Returns
    -------
    table, constraints, forbid
        As a study file has them.

    Raises
    ------
    StudyError
        The package is missing, the file cannot be read or is none of ConfigSpace's, or has something without
        counterpart.
    """
    if find_spec("ConfigSpace") is None:
        raise StudyError(f"{where} needs the package ConfigSpace: pip install 'reverie[configspace]'")
    from ConfigSpace import ConfigurationSpace

    from utilities.configspace_reader import read_configspace

    path = folder / name
    try:
        space = ConfigurationSpace.from_json(path)
    except OSError as error:
        raise StudyError(f"{where} = {show(name)}; {path}: cannot read this file: {error.strerror or error}") from None
    except Exception as error:  # whatever ConfigSpace meets in a file that is none of its own
        reason = f"{type(error).__name__}: {error}"
        raise StudyError(f"{where} must be a file that ConfigSpace wrote; got {show(name)}: {reason}") from None
    try:
        table, _, constraints, forbid = read_configspace(space)
    except StudyError as error:
        raise StudyError(f"{where} = {show(name)}: {error}") from None
    return table, constraints, forbid

"""From what a user calls a study to the folder of its runs."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from utilities.display.text import listed
from utilities.errors import StudyError, nearest, quoted
from utilities.storage.tables import SUFFIXES, read_tables

_JOURNAL = "journal.jsonl"
_MOST_TOLD = 20


def find_run(name: str | None, output: str) -> Path:
    """Find the run folder that is meant.

    Parameters
    ----------
    name
        A run folder, or its journal; a study file, whose folder lies in `output`; the name of a study there; a
        benchmark, of which one study is there; a folder of run folders that holds one alone. None: the only study in
        `output`.
    output
        Folder in which studies have their folders.

    Raises
    ------
    StudyError
        There is none, or more than one: which there are.
    """
    if name is None:
        return _only(Path(output), f"no study was named, and {output} holds")
    path = Path(name)
    if path.name == _JOURNAL and path.is_file():
        return path.parent
    if (path / _JOURNAL).is_file():
        return path
    if path.suffix in SUFFIXES:
        return _of_file(path, Path(output))
    if path.is_dir() and name not in studies_in(Path(output)):
        return _only(path, f"{name} is no run folder: it has no {_JOURNAL}, and holds")
    return _by_name(name, Path(output))


def _of_file(path: Path, output: Path) -> Path:
    tables = read_tables(path)
    own = tables.get("study") if isinstance(tables, dict) else None
    name = own.get("name") if isinstance(own, dict) else None
    name = name if isinstance(name, str) else path.stem
    if not (output / name / _JOURNAL).is_file():
        there = _told(studies_in(output))
        raise StudyError(f"{path}: this study has not run yet: there is no {output / name}; {output} holds {there}")
    return output / name


def _by_name(name: str, output: Path) -> Path:
    there = studies_in(output)
    if name in there:
        return output / name
    own = [study for study in there if study.startswith(f"{name}-")]
    if len(own) == 1 and os.sep not in name:
        return output / own[0]
    meant = f"several studies in {output} begin so: {_told(own)}" if own else f"{output} holds {_told(there)}"
    raise StudyError(
        f"RUN must be a run folder, a study file or the name of a study; got {quoted(name)}. Here, {meant}."
        + nearest(name, [*there, *(str(output / study) for study in there)])
    )


def _only(folder: Path, told: str) -> Path:
    there = studies_in(folder)
    if len(there) != 1:
        raise StudyError(f"{told} {_told(there)}{'; name one' if there else '; `reverie run` starts one'}")
    return folder / there[0]


def studies_in(folder: Path) -> list[str]:
    """Names of the studies that have their folders in `folder`, the latest first."""
    try:
        children = list(folder.iterdir())
    except OSError:
        return []
    found: list[tuple[float, str]] = []
    for child in children:
        with suppress(OSError):
            found.append(((child / _JOURNAL).stat().st_mtime, child.name))
    return [name for _, name in sorted(found, reverse=True)]


def _told(names: list[str]) -> str:
    more = f"and {len(names) - _MOST_TOLD:,} more" if len(names) > _MOST_TOLD else ""
    return listed([*map(quoted, names[:_MOST_TOLD]), more]) or "none"

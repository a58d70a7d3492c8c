"""The verb ``reverie export``: the trials of a study as files of other tools."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from learning_objective.command_line import Parser
from reverie.verbs.finding import find_run
from reverie.verbs.speaking import OneOf, act, add_run, parser
from utilities.display.text import counted, emit
from utilities.errors import StudyError


class _Kind(NamedTuple):
    """A kind of files: the module that writes it, what follows the study's name, and whether it joins what is there."""

    module: str
    ending: str
    joins: bool = False


KINDS = {
    "csv": _Kind("csv_file", ".csv"),
    "parquet": _Kind("parquet_file", ".parquet"),
    "optuna": _Kind("optuna_journal", ".optuna.log"),
    "tensorboard": _Kind("tensorboard_events", "-tensorboard"),
    "mlflow-files": _Kind("mlflow_files", "mlruns", joins=True),
}
_HELP = """\
Write the trials of a study for other tools. Reads a running study too, and changes nothing in its folder.

  csv           a row for each trial that ended or is paused, as trials.csv
  parquet       the same with types; needs pyarrow (reverie[parquet])
  optuna        a journal file that Optuna, its plots and optuna-dashboard read; needs optuna (reverie[optuna])
  tensorboard   a folder with a run a trial, for the HParams view; needs tensorboard (reverie[tensorboard])
  mlflow-files  a file store with an experiment, a run a trial"""


def make_parser(program: str) -> Parser:
    """Parser of this verb."""
    own = parser(
        program,
        _HELP,
        f"{program} runs/digits --to optuna && optuna-dashboard digits.optuna.log",
    )
    add_run(own)
    own.add_argument("--to", type=OneOf(KINDS), required=True, metavar="KIND", help=", ".join(KINDS))
    own.add_argument(
        "-o",
        "--to-path",
        type=Path,
        metavar="PATH",
        help="file or folder to write (default: the study's name and an ending, or mlruns, in this folder)",
    )
    own.add_argument("--force", action="store_true", help="replace what is there")
    return own


def main(arguments: Sequence[str], program: str) -> int:
    """Write what the command line asks for; return the exit status."""
    return act(make_parser(program), arguments, _export)


def _export(given: argparse.Namespace) -> int:
    from reverie.exporting.attributes import settled
    from utilities.storage.chronicle import Chronicle

    folder = find_run(given.run, given.output)
    kind = KINDS[given.to]
    chronicle = Chronicle(folder)
    chronicle.read()
    path: Path = given.to_path or Path(kind.ending if kind.joins else f"{folder.absolute().name}{kind.ending}")
    module = import_module(f"reverie.exporting.{kind.module}")
    target: Path = module.place(chronicle, path) if kind.joins else path
    _write_whole(lambda part: module.write(chronicle, part), target, force=given.force)
    emit(sys.stdout, f"{target}: {counted(len(settled(chronicle)), 'trial')} of {folder}")
    return 0


def _write_whole(write: Callable[[Path], None], path: Path, *, force: bool) -> None:
    """Let `write` make a file or a folder that is there only once it is whole.

    Raises
    ------
    StudyError
        There is something already, which is not to be replaced.
    """
    if path.exists() and not force:
        raise StudyError(f"{path}: is there already; --force replaces it, -o names another place")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    _remove(part)
    try:
        write(part)
        _remove(path)
        part.rename(path)
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""The verb ``reverie resume``: a study goes on from its run folder alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from learning_objective.command_line import DURATIONS, Options, Parser, add_settings, heard_once
from reverie.verbs.finding import find_run
from reverie.verbs.speaking import USER_ERROR, add_run, parser
from utilities.errors import ReverieError

_HELP = """\
Continue a study from its run folder, under mpiexec or in this process. Its journal tells the study as the last run
went by it, flags included; the study file is not read, and may be gone. Flags override what the last run had."""


def make_parser(program: str) -> Parser:
    """Parser of this verb."""
    own = parser(program, _HELP, f"mpiexec -np 4 {program} runs/digits --budget 200\n\n{DURATIONS}")
    add_run(own)
    own.add_argument(
        "--objective-folder",
        metavar="DIR",
        help="folder of the objective's file or of the command (default: where the last run had it)",
    )
    add_settings(own)
    return own


def main(arguments: Sequence[str], program: str) -> int:
    """Continue the study that the command line names, on every rank; return the exit status."""
    options = heard_once(lambda: _parse(arguments, program))
    if isinstance(options, int):
        return options
    from mpi.mpi_optimizer import launch

    return launch(options)


def _parse(arguments: Sequence[str], program: str) -> Options | int:
    try:
        given = vars(make_parser(program).parse_args(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USER_ERROR
    try:
        folder = find_run(given.pop("run"), given.pop("output"))
    except ReverieError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    folder = folder if folder.name else Path.cwd() / folder
    return Options(study=str(folder), output=str(folder.parent), resumed=True, **given)

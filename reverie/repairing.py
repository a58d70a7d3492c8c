"""The verb ``reverie repair RUN_FOLDER``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from learning_objective.command_line import Parser
from utilities.display.text import clean
from utilities.errors import ReverieError

_HELP = """\
Mend the journal in a run folder, such as runs/digits. Every whole record is kept as it stands; damaged lines are taken
out and named, and the damaged file is kept beside it as journal.jsonl.damaged-1. trials.csv and study.h5 are built anew
where they do not follow from the journal. Nothing is changed where nothing is damaged."""


def make_parser(program: str) -> Parser:
    """Parser of this verb."""
    parser = Parser(
        prog=program,
        description=_HELP,
        epilog=f"example:\n  {program} runs/digits",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="RUN_FOLDER", type=Path, help="folder that holds a journal.jsonl")
    return parser


def main(arguments: Sequence[str], program: str) -> int:
    """Mend the run folder that the command line names, and say what was done; return the exit status."""
    parser = make_parser(program)
    try:
        folder: Path = parser.parse_args(arguments).folder
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    from utilities.storage.repair import repair

    try:
        done = repair(folder.parent if folder.name == "journal.jsonl" else folder)
    except ReverieError as error:
        print(f"error: {clean(str(error))}", file=sys.stderr)
        return 2
    for line in str(done).splitlines():
        print(clean(line))
    return 0

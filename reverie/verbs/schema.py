"""The verb ``reverie schema``: the JSON Schema of study files, for editors."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from learning_objective.command_line import Parser
from reverie.drafting.writing import SCHEMA_FILE
from reverie.verbs.speaking import act, parser
from utilities.display.text import emit

_HELP = f"""\
Print the JSON Schema of study files, by which an editor completes keys, shows what each is for, and marks mistakes as
they are typed. `reverie init` writes it to {SCHEMA_FILE} beside the study file, whose first line names it. To have
it for a study file that is there, or anew for another version of reverie, redirect it to that file, and begin the study
file with the line

  #:schema ./{SCHEMA_FILE}

Editors with taplo (Even Better TOML) read that line; in JSON it is the key "$schema"."""


def make_parser(program: str) -> Parser:
    """Parser of this verb."""
    return parser(program, _HELP, f"{program} > {SCHEMA_FILE}")


def main(arguments: Sequence[str], program: str) -> int:
    """Print the schema; return the exit status."""
    return act(make_parser(program), arguments, _print)


def _print(_: argparse.Namespace) -> int:
    emit(sys.stdout, schema_text().rstrip())
    return 0


def schema_text() -> str:
    """Text of the schema's file."""
    from utilities.storage.study_schema import study_schema

    return json.dumps(study_schema(), indent=1) + "\n"

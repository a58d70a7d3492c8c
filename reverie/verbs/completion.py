"""The verb ``reverie completion``: a script by which a shell completes verbs, options and file names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from learning_objective.command_line import Parser
from reverie.exporting.libraries import library
from reverie.verbs.speaking import OneOf, act, parser
from utilities.display.text import emit

SHELLS = ("bash", "zsh", "fish")
_HELP = """\
Print a script that completes verbs, options and files of `reverie` in a shell. The script is all that the shell reads
later: nothing is imported as you press the tabulator. Needs the package shtab (reverie[completion]) to be made."""


def make_parser(program: str) -> Parser:
    """Parser of this verb."""
    own = parser(program, _HELP, f"{program} bash > ~/.local/share/bash-completion/completions/reverie")
    own.add_argument("shell", type=OneOf(SHELLS), metavar="SHELL", help=", ".join(SHELLS))
    return own


def main(arguments: Sequence[str], program: str) -> int:
    """Print what the command line asks for; return the exit status."""
    return act(make_parser(program), arguments, _print)


def _print(given: argparse.Namespace) -> int:
    shtab: Any = library("shtab", "completion")
    emit(sys.stdout, shtab.complete(_everything(shtab), given.shell).rstrip())
    return 0


def _everything(shtab: Any) -> argparse.ArgumentParser:
    """Parser of the whole command, its verbs as subcommands; arguments that name files are marked as such."""
    from reverie.cli import VERBS, module_of

    whole = argparse.ArgumentParser(prog="reverie")
    whole.add_argument("--version", action="store_true", help="print the version")
    verbs = whole.add_subparsers()
    for verb, what in VERBS.items():
        module = "learning_objective.command_line" if verb == "run" else module_of(verb)  # the run's own needs MPI
        own: argparse.ArgumentParser = import_module(module).make_parser(f"reverie {verb}")
        own.description = None
        sub = verbs.add_parser(verb, help=what, parents=[own], add_help=False)
        for action in sub._actions:
            _mark(action, shtab)
    return whole


def _mark(action: argparse.Action, shtab: Any) -> None:
    """Tell the shell which values there are."""
    known: dict[str, Any] = {
        "run": shtab.FILE,
        "study": shtab.FILE,
        "target": shtab.FILE,
        "what": shtab.FILE,
        "folder": shtab.DIRECTORY,
        "output": shtab.DIRECTORY,
        "objective_folder": shtab.DIRECTORY,
        "to_path": shtab.FILE,
        "png": shtab.DIRECTORY,
    }
    if action.dest in known:
        action.complete = known[action.dest]  # type: ignore[attr-defined]
    words = getattr(action.type, "words", None)
    if words is not None:
        action.choices = words

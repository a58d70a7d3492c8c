"""The verb ``reverie init``: a study file to begin with."""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from learning_objective.command_line import Parser
from reverie.drafting.answers import EXAMPLE, read_command, read_limit, read_vary
from reverie.drafting.presets import PRESETS, template
from reverie.drafting.ranges import Draft, by_name
from reverie.drafting.sources import read_target
from reverie.drafting.writing import SCHEMA_FILE, relative, study_text
from reverie.verbs.schema import schema_text
from reverie.verbs.speaking import OneOf, act, parser
from utilities.display.text import clean, emit
from utilities.errors import StudyError, quoted

T = TypeVar("T")

_LIMIT = "100"
_FILE = re.compile(r"[^\s]+\.py(:[\w.]+)?")
_HELP = f"""\
Write a study file with a comment beside each key, and {SCHEMA_FILE}, by which editors complete and check it. Three
questions are asked where this is a terminal and the command line leaves them open: what is tuned, what may vary, and
for how long.

  WHAT          a function, train.py:objective, whose source tells its parameters and defaults and is not run; or a
                command in quotes, 'python train.py --lr {{lr}}'. A function that takes its parameters one by one, or
                as a dataclass, is called by a file that is written beside it
  --vary TEXT   what may vary: '{EXAMPLE}'
  --preset NAME a space for a kind of model, each range with its source, and a template of an objective:
{chr(10).join(f"                {name:<13}{preset.what}" for name, preset in PRESETS.items())}"""


def make_parser(program: str) -> Parser:
    """Parser of this verb."""
    own = parser(program, _HELP, f"{program} train.py:objective && reverie check study.toml")
    own.add_argument("what", nargs="?", metavar="WHAT", help="the function or the command that is tuned")
    own.add_argument("--vary", metavar="TEXT", help="what may vary (default: what WHAT or the preset tells)")
    own.add_argument("--preset", type=OneOf(PRESETS), metavar="NAME", help=", ".join(PRESETS))
    own.add_argument("--for", dest="limit", metavar="N|T", help=f"trials, or a time such as 8h (default: {_LIMIT})")
    file: dict[str, Any] = {"type": Path, "default": Path("study.toml"), "metavar": "FILE"}
    own.add_argument("-o", "--to-path", **file, help="file to write (default: %(default)s)")
    own.add_argument("--force", action="store_true", help="replace files that are there")
    return own


def main(arguments: Sequence[str], program: str) -> int:
    """Write what the command line, or the answers, ask for; return the exit status."""
    return act(make_parser(program), arguments, _init)


class _Subject(NamedTuple):
    """What is tuned, what is known of its parameters, and files to be written beside the study file."""

    subject: str | list[str]
    drafts: list[Draft]
    files: dict[Path, str]
    note: str = ""


def _init(given: argparse.Namespace) -> int:
    path: Path = given.to_path
    if path.suffix != ".toml":
        raise StudyError(f"-o must name a file that ends in .toml; got {quoted(str(path))}")
    asks = sys.stdin.isatty() and given.what is None and given.preset is None
    if given.what is None and given.preset is None and not asks:
        raise StudyError("WHAT or --preset must be given where nobody can be asked: this is no terminal")
    subject = _subject(given, path, asks)
    drafts = read_vary(given.vary) if given.vary else subject.drafts
    if asks:
        drafts = _ask_vary(drafts) if not given.vary else drafts
    if not drafts:
        raise StudyError(f"{_shown(subject.subject)} tells no parameters: name them, as in --vary '{EXAMPLE}'")
    limit = read_limit(given.limit or _LIMIT) if given.limit or not asks else _ask_limit()
    text = study_text(subject.subject, drafts, limit, subject.note)
    _see_that_it_is_a_study(text, path)
    _write({path: text, **subject.files}, force=given.force)
    _write_schema(path.with_name(SCHEMA_FILE), force=given.force)
    emit(sys.stdout, f"next: reverie check {path}")
    return 0


def _subject(given: argparse.Namespace, path: Path, asks: bool) -> _Subject:
    """What is tuned, by the command line or by the answer to the first question."""
    if given.preset is not None:
        preset = PRESETS[given.preset]
        note = f"Preset {given.preset}: {preset.what}. Each range has its source beside it."
        if given.what is not None:
            own = _of_text(given.what, path)
            return own._replace(drafts=list(preset.drafts), note=note, files={})
        file = path.with_name("train.py")
        source = template(given.preset, path.name)
        return _Subject(f"{file.name}:objective", list(preset.drafts), {file: source}, note)
    if asks:
        return _ask(
            "What is tuned? A function such as train.py:objective, or a command such as python train.py --lr {lr}",
            _found_here(),
            lambda text: _of_text(text, path),
        )
    return _of_text(given.what, path)


def _of_text(text: str, path: Path) -> _Subject:
    if not _FILE.fullmatch(text):
        words, names = read_command(text)
        if len(words) < 2 or not names:
            raise StudyError(
                "WHAT must be a function such as train.py:objective, or a command with the places of its parameters, "
                f"such as 'python train.py --lr {{lr}}'; got {quoted(text)}"
            )
        return _Subject(words, list(map(by_name, names)), {})
    target = read_target(text)
    file, _, function = target.objective.rpartition(":")
    files = {} if target.adapter is None or target.source is None else {target.adapter: target.source}
    return _Subject(f"{relative(Path(file), path.parent)}:{function}", target.drafts, files)


def _found_here() -> str:
    """A function in this folder that looks like an objective; empty where none does."""
    for file in sorted(Path().glob("*.py")):
        if re.search(r"^def objective\(", file.read_text(errors="replace"), re.MULTILINE):
            return f"{file}:objective"
    return ""


def _ask_vary(drafts: list[Draft]) -> list[Draft]:
    known = ", ".join(draft.name for draft in drafts)
    return _ask(
        f"What may vary? Such as {EXAMPLE}" + (f". Nothing for what was found: {known}" if known else ""),
        "",
        lambda text: read_vary(text) if text or not drafts else drafts,
    )


def _ask_limit() -> int | str:
    return _ask("For how long? Trials, or a time such as 8h", _LIMIT, read_limit)


def _ask(question: str, default: str, read: Callable[[str], T]) -> T:
    """Ask until the answer can be read."""
    while True:
        emit(sys.stdout, question)
        try:
            answer = input(f"[{default}] " if default else "> ").strip() or default
        except EOFError:
            raise StudyError("no answer: nothing was written") from None
        try:
            return read(answer)
        except StudyError as error:
            emit(sys.stdout, f"  {error}")


def _see_that_it_is_a_study(text: str, path: Path) -> None:
    """Read what is to be written as a run would.

    Raises
    ------
    StudyError
        It is no study: a range that was given is wrong.
    """
    from utilities.storage.study_file import study_of

    study_of(tomllib.loads(text), str(path), path.absolute().parent, path.stem)


def _write(files: dict[Path, str], *, force: bool) -> None:
    there = [str(path) for path in files if path.exists()]
    if there and not force:
        raise StudyError(f"{', '.join(there)}: is there already, and nothing was written; --force replaces it")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        emit(sys.stdout, f"wrote {path}")


def _write_schema(path: Path, *, force: bool) -> None:
    """Write the schema that the study file names, but leave a file that is there, perhaps of another version."""
    if force or not path.exists():
        _write({path: schema_text()}, force=force)


def _shown(subject: str | list[str]) -> str:
    return clean(subject if isinstance(subject, str) else " ".join(subject))

"""What the verbs have in common: how arguments are read, how mistakes are told, and how a verb is interrupted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence

from learning_objective.command_line import Parser
from utilities.display.text import clean, let_go
from utilities.errors import ReverieError, nearest, quoted

USER_ERROR = 2
INTERRUPTED = 130
"""Exit statuses: a mistake of the user's, and Ctrl-C as shells have it."""


def parser(program: str, what: str, example: str) -> Parser:
    """Make a parser of a verb that says `what` it does, with an `example` of its use below."""
    return Parser(
        prog=program,
        description=what,
        epilog=f"example:\n  {example}",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def act(own: argparse.ArgumentParser, arguments: Sequence[str], do: Callable[[argparse.Namespace], int]) -> int:
    """Read the arguments and do as they say; return the exit status. A mistake is one sentence on standard error."""
    try:
        given = own.parse_args(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USER_ERROR
    try:
        return do(given)
    except ReverieError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except OSError as error:
        print(f"error: {clean(str(error))}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        let_go(sys.stdout)


class OneOf:
    """A type of argument: one of some words; what is none is refused with the nearest of them.

    Attributes
    ----------
    words
        Those that there are.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = list(words)

    def __call__(self, text: str) -> str:
        """Check `text`, and return it."""
        if text not in self.words:
            rule = f"must be one of {', '.join(self.words)}; got {quoted(text)}."
            raise argparse.ArgumentTypeError(rule + nearest(text, self.words))
        return text


def at_least(least: int) -> Callable[[str], int]:
    """Make a type of argument: an integer from `least`."""

    def check(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"must be an integer of at least {least}; got {quoted(text)}")
        return number

    return check


def duration(text: str) -> float:
    """Type of argument: seconds, or text such as ``90s`` and ``1h30m``, above 0."""
    from utilities.errors import StudyError
    from utilities.storage.study_rules import parse_duration

    try:
        seconds = parse_duration(text, "")
    except StudyError:
        seconds = 0.0
    if seconds == 0.0:
        rule = 'must be a duration above 0 such as "8h", "1h30m", "90s" or 90 (seconds)'
        raise argparse.ArgumentTypeError(f"{rule}; got {quoted(text)}")
    return seconds


def add_run(own: argparse.ArgumentParser) -> None:
    """Add the arguments that name a study which has run."""
    own.add_argument(
        "run",
        nargs="?",
        metavar="RUN",
        help="a run folder such as runs/digits, a study file, or a study's name (default: the only study there is)",
    )
    own.add_argument(
        "--output",
        metavar="DIR",
        default="runs",
        help="folder in which the study's folder lies (default: %(default)s)",
    )

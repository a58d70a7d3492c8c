"""The command line of ``reverie rerun``."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from learning_objective.command_line import Parser, heard_once
from utilities.errors import StudyError
from utilities.storage.rules import integer
from utilities.storage.study_rules import RULES

TOP, REPEATS = 5, 10
_DESCRIPTION = """\
Evaluate the best configurations of a study again, with other seeds, and say whether the winner is better than the
runner-up. The evaluations have a folder of their own in the study's, such as runs/digits/rerun-5x10: the same command
again continues, and a study that goes on later is not touched."""


class RerunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says.

    Attributes
    ----------
    target
        A study's run folder, or its study file.
    top, repeats
        How many configurations, and how often each is evaluated, on every instance where there are any.
    seed
        From which the seeds of the evaluations follow; None for one that follows from the study's.
    trial_timeout, time_limit
        In seconds; None for those of the study file, where one is given.
    output
        Folder in which the study's own folder lies, where a study file is given.
    """

    target: str
    top: int = TOP
    repeats: int = REPEATS
    seed: int | None = None
    trial_timeout: float | None = None
    time_limit: float | None = None
    output: str = "runs"


def parse_rerun(arguments: Sequence[str], program: str) -> RerunOptions | int:
    """Read the command line; the exit status instead, after ``--help`` or a mistake."""
    return heard_once(lambda: _parse(arguments, program))


def make_parser(program: str) -> Parser:
    """Parser of the command line."""
    example = f"example: mpiexec -np 4 {program} runs/digits --top 5 --repeats 10"
    parser = Parser(prog=program, description=_DESCRIPTION, epilog=example, allow_abbrev=False)
    add, defaults = parser.add_argument, RerunOptions(target="")
    add("target", metavar="STUDY_OR_RUN_FOLDER", help="a run folder such as runs/digits, or a study file")
    add("--top", metavar="K", default=str(TOP), help="how many configurations, the best ones (default: %(default)s)")
    add("--repeats", metavar="R", default=str(REPEATS), help="how often each is evaluated (default: %(default)s)")
    add("--seed", metavar="S", help="another one makes another rerun (default: follows from the study's)")
    add(
        "--trial-timeout",
        metavar="T",
        help="end an evaluation after this long (default: the study file, else no limit)",
    )
    add("--time-limit", metavar="T", help="start no evaluation after this long (default: no limit)")
    add("--output", metavar="DIR", default=defaults.output, help="where the study's folder lies (default: %(default)s)")
    return parser


def _parse(arguments: Sequence[str], program: str) -> RerunOptions | int:
    parser = make_parser(program)
    try:
        given = vars(parser.parse_args(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    try:
        given["top"], given["repeats"] = (integer(given[key], f"--{key}", 1) for key in ("top", "repeats"))
        for key in ("seed", "trial_timeout", "time_limit"):
            if given[key] is not None:
                given[key] = RULES[key].check(given[key], f"--{key.replace('_', '-')}")
    except StudyError as error:
        return parser.refuse(str(error))
    return RerunOptions(**given)

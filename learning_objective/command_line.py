"""The command line that all entry points share."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import NoReturn, TypeVar

import msgspec

from utilities.errors import nearest, spell_out
from utilities.methods import ACQUISITIONS, KAPPA, METHODS

R = TypeVar("R")

DURATIONS = "Durations: 90s, 10m, 8h, 1h30m, 2d, or seconds."
_LINGER_SECONDS = 2.0
_RANK_VARIABLES = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says; values are text as typed, None where not given.

    Attributes
    ----------
    study
        Path of a study file, or name of a benchmark.
    output
        Folder in which the study's own folder lies.
    resumed
        Whether `study` names a run folder instead, which tells the study that goes on there.
    objective_folder
        What relative paths of the objective are relative to, of a study that is resumed; None for where they were.
    """

    study: str = "digits"
    method: str | None = None
    acquisition: str | None = None
    kappa: str | None = None
    budget: str | None = None
    time_limit: str | None = None
    seed: str | None = None
    trial_timeout: str | None = None
    trial_memory: str | None = None
    trainers: str | None = None
    ranks_per_worker: str | None = None
    gpus_per_worker: str | None = None
    threads_per_worker: str | None = None
    keep_best: str | None = None
    retries: str | None = None
    max_consecutive_failures: str | None = None
    output: str = "runs"
    resumed: bool = False
    objective_folder: str | None = None


def parse_arguments(arguments: Sequence[str] | None, program: str, method: str | None = None) -> Options | int:
    """Read the command line.

    Parameters
    ----------
    arguments
        Without the program's name; those of this process by default.
    program
        Name in the usage text.
    method
        Method of this entry point, where it has one of its own.

    Returns
    -------
    Options or int
        The exit status instead, where nothing is to be run: after ``--help``, ``--list`` or a mistake. Only the first
        rank of a launch prints.
    """
    return heard_once(lambda: _parse(arguments, program, method))


def heard_once(parse: Callable[[], R | int]) -> R | int:
    """Call `parse` on every rank of a launch such that only what the first one prints is seen."""
    first = next((os.environ[name] for name in _RANK_VARIABLES if name in os.environ), "0") == "0"
    with open(os.devnull, "w") as nowhere:
        out, err = (sys.stdout, sys.stderr) if first else (nowhere, nowhere)
        with redirect_stdout(out), redirect_stderr(err):
            parsed = parse()
    if isinstance(parsed, int) and parsed != 0 and not first:
        time.sleep(_LINGER_SECONDS)  # a launcher ends all ranks with the first that fails, also one that was to speak
    return parsed


def _parse(arguments: Sequence[str] | None, program: str, method: str | None) -> Options | int:
    try:
        given = vars(make_parser(program, method).parse_args(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    if given.pop("list"):
        from learning_objective.benchmarks import benchmark_table

        print(benchmark_table())
        return 0
    if given["method"] is None:
        given["method"] = method
    return Options(**given)


class Parser(argparse.ArgumentParser):
    """A parser that names the nearest option for one it does not know."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one printable line, and end with status 2."""
        unknown = [word for word in message.split() if word.startswith("-")]
        known = [name for action in self._actions for name in action.option_strings]
        hint = nearest(unknown[0].partition("=")[0], known) if unknown and "unrecognized" in message else ""
        end = "" if message.endswith((".", "?")) else "."
        raise SystemExit(self.refuse(f"{spell_out(message)}{end}{hint} {self.prog} --help lists the options."))

    def refuse(self, sentence: str) -> int:
        """Print what is wrong, and return the exit status for it."""
        print(f"error: {sentence}", file=sys.stderr)
        return 2


def make_parser(program: str, method: str | None = None) -> Parser:
    """Parser of the command line of a run; `method` as of `parse_arguments`."""
    defaults = Options()
    parser = Parser(
        prog=program,
        description="Tune the hyperparameters of an objective. The same command again continues the study.",
        epilog=f"example: mpiexec -np 4 {program} study.toml. Flags override the study file. {DURATIONS}",
        allow_abbrev=False,
    )
    parser.add_argument(
        "study",
        nargs="?",
        default=defaults.study,
        metavar="STUDY",
        help="a .toml or .json study file, or the name of a benchmark (default: %(default)s)",
    )
    add_settings(parser, method)
    parser.add_argument(
        "--output", metavar="DIR", default=defaults.output, help="folder for the study's folder (default: %(default)s)"
    )
    parser.add_argument(
        "--list", action="store_true", help="list the benchmarks with dimension and known minimum, and exit"
    )
    return parser


def add_settings(parser: argparse.ArgumentParser, method: str | None = None) -> None:
    """Add the flags that override what a study file says."""
    add = parser.add_argument
    known = ", ".join(METHODS)
    add("--method", metavar="M", help=f"{known} (default: {method or 'the study file, else auto'})")
    add(
        "--acquisition",
        metavar="A",
        help=f"{', '.join(ACQUISITIONS)} (default: the study file, else {ACQUISITIONS[0]})",
    )
    add("--kappa", metavar="K", help=f"standard deviations of ucb's bound (default: the study file, else {KAPPA:g})")
    add("--budget", metavar="B", help="trials in all (default: the study file, else the benchmark's own, else 100)")
    add("--time-limit", metavar="T", help="start no trial after this long (default: the study file, else no limit)")
    add("--seed", metavar="S", help="seed of proposals and trials (default: the study file, else 0)")
    add("--trial-timeout", metavar="T", help="end a trial after this long (default: the study file, else no limit)")
    add(
        "--trial-memory",
        metavar="M",
        help="end a trial that takes more, such as 4G (default: the study file, else no limit)",
    )
    add(
        "--trainers",
        metavar="K",
        help="ranks that refit the surrogate side by side, of three or more ranks (default: the study file, else 1)",
    )
    add(
        "--ranks-per-worker",
        metavar="K",
        help="ranks that evaluate each trial together, as trial.comm (default: the study file, else 1)",
    )
    add(
        "--gpus-per-worker",
        metavar="G",
        help="GPUs for each worker alone; 0.5: two workers on one (default: the study file, else all see all)",
    )
    add(
        "--threads-per-worker",
        metavar="T",
        help="threads of numerical libraries in a trial (default: the study file, else a share of the cores)",
    )
    add(
        "--keep-best",
        metavar="N",
        help="keep the folders of the best N trials alone (default: the study file, else all)",
    )
    add(
        "--retries",
        metavar="R",
        help="how often to repeat a trial that was lost or killed (default: the study file, else 2)",
    )
    add(
        "--max-consecutive-failures",
        metavar="F",
        help="end the run after so many failed trials in a row (default: the study file, else 25)",
    )

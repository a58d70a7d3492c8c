"""The command ``reverie``: a verb, and what that verb takes. Each is a module that is loaded for it alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from reverie import __version__
from utilities.errors import nearest, quoted

VERBS = {
    "init": "write a study file: by three questions, from a function's defaults, or for a known kind of model",
    "check": "check a study file and evaluate one configuration, without MPI",
    "run": "run or continue a study, on all ranks of an MPI launch or in this process",
    "resume": "continue a study from its run folder, also where its study file is gone",
    "status": "tell how a study goes, also while it runs, from any node",
    "best": "print the best configuration, ready to paste",
    "stop": "ask a running study to end gracefully",
    "export": "write the trials for other tools: csv, parquet, optuna, tensorboard, mlflow-files",
    "rerun": "evaluate the best configurations of a study again: is the winner better than the runner-up?",
    "report": "write figures and tables of a study, finished or running, as one HTML file",
    "repair": "mend the journal in a run folder: keep every whole record, and a copy of the damaged file",
    "slurm": "write a job script for Slurm",
    "schema": "print the JSON Schema of study files, by which editors complete and check them",
    "completion": "print a script that completes all of this in bash, zsh or fish",
}
_ELSEWHERE = {
    "run": "mpi.mpi_optimizer",
    "report": "reverie.report.command",
    "repair": "reverie.repairing",
    "rerun": "reverie.rerunning",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb that the command line names; return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in VERBS:
        verb = import_module(module_of(words[0]))
        status: int = verb.main(words[1:], program=f"reverie {words[0]}")
        return status
    if words and not words[0].startswith("-"):
        known = ", ".join(VERBS)
        print(f"error: {quoted(words[0])} is not a verb; known: {known}.{nearest(words[0], VERBS)}", file=sys.stderr)
        return 2
    return _describe(words)


def module_of(verb: str) -> str:
    """Name of the module that does what `verb` says."""
    return _ELSEWHERE.get(verb, f"reverie.verbs.{verb}")


def _describe(words: Sequence[str]) -> int:
    verbs = "\n".join(f"  {verb:<12}{what}" for verb, what in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="reverie",
        usage="reverie [--help] [--version] VERB ...",
        description=f"Hyperparameter tuning over MPI.\n\nverbs:\n{verbs}\n\n`reverie VERB --help` explains each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"reverie {__version__}")
    try:
        _, unknown = parser.parse_known_args(words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    if unknown:
        known = ("--help", "--version")
        hint = nearest(unknown[0], known)
        print(f"error: {quoted(unknown[0])} is not an option; known: {', '.join(known)}.{hint}", file=sys.stderr)
        return 2
    parser.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())

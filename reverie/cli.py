"""The command ``reverie``: ``reverie run`` is the entry of a parallel run, alone in one process; its other verbs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from reverie import __version__
from utilities.errors import nearest

VERBS = {
    "run": "run or continue a study, on all ranks of an MPI launch or in this process",
    "rerun": "evaluate the best configurations of a study again: is the winner better than the runner-up?",
    "report": "write figures and tables of a study, finished or running, as one HTML file",
    "repair": "mend the journal in a run folder: keep every whole record, and a copy of the damaged file",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb that the command line names; return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] == "run":
        from mpi.mpi_optimizer import main as run

        return run(words[1:], program="reverie run")
    if words and words[0] == "rerun":
        from reverie.rerunning import main as rerun

        return rerun(words[1:], program="reverie rerun")
    if words and words[0] == "report":
        from reverie.report.command import main as report

        return report(words[1:], program="reverie report")
    if words and words[0] == "repair":
        from reverie.repairing import main as repair

        return repair(words[1:], program="reverie repair")
    if words and not words[0].startswith("-"):
        known = ", ".join(VERBS)
        print(f"error: {words[0]!r} is not a verb; known: {known}.{nearest(words[0], VERBS)}", file=sys.stderr)
        return 2
    return _describe(words)


def _describe(words: Sequence[str]) -> int:
    verbs = "\n".join(f"  {verb:<8}{what}" for verb, what in VERBS.items())
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
        print(f"error: {unknown[0]!r} is not an option; known: {', '.join(known)}.{hint}", file=sys.stderr)
        return 2
    parser.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())

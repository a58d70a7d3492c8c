"""Run a study in one process: ``python -m sequential.seq_optimizer [STUDY] [options]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from learning_objective.command_line import parse_arguments


def main(
    arguments: Sequence[str] | None = None,
    program: str = "python -m sequential.seq_optimizer",
    method: str | None = None,
) -> int:
    """Run the study that the command line names; return the exit status.

    Parameters
    ----------
    method
        Method of this entry point, unless the command line names another.
    """
    options = parse_arguments(arguments, program, method)
    if isinstance(options, int):
        return options
    from mpi.mpi_signals import note_signals

    note_signals()
    from sequential.runner import run_study

    return run_study(options)


if __name__ == "__main__":
    sys.exit(main())

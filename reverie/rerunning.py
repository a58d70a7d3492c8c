"""The verb ``reverie rerun STUDY_OR_RUN_FOLDER``, on all ranks of an MPI launch or in this process."""

from __future__ import annotations

from collections.abc import Sequence

from learning_objective.rerun_line import make_parser, parse_rerun

__all__ = ["main", "make_parser"]


def main(arguments: Sequence[str], program: str) -> int:
    """Evaluate again what the command line names; return the exit status."""
    options = parse_rerun(arguments, program)
    if isinstance(options, int):
        return options
    from mpi.mpi_optimizer import launch

    return launch(options)

"""Run a study in one process by method gp: ``python -m sequential.seq_gaussian_process [STUDY] [options]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sequential.seq_optimizer import main as run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study that the command line names with method gp; return the exit status."""
    return run(arguments, "python -m sequential.seq_gaussian_process", "gp")


if __name__ == "__main__":
    sys.exit(main())

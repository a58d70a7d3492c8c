"""What is to be optimised, as text that crosses MPI."""

from __future__ import annotations

from typing import Any

import msgspec


class ObjectiveSpec(msgspec.Struct, frozen=True):
    """An objective by its name, or a command line.

    Attributes
    ----------
    objective
        ``train.py:objective``, ``package.module:function`` or a benchmark's name; None for a command.
    command
        Program and arguments with ``{parameter}`` placeholders; None for an objective.
    folder
        Folder of the study file: relative paths start there, and it is the working folder of the evaluation.
    objectives
        Names of several objectives; None where there is one.
    metrics
        Names of the metrics that constraints are on.
    """

    objective: str | None = None
    command: list[str] | None = None
    folder: str = "."
    objectives: list[str] | None = None
    metrics: list[str] = []

    @property
    def benchmark(self) -> str | None:
        """The benchmark's name: an objective without a colon."""
        return None if self.objective is None or ":" in self.objective else self.objective

    @property
    def label(self) -> str:
        """The objective in a few words, for messages."""
        return self.objective if self.objective is not None else " ".join(self.command or ())

    def as_message(self) -> dict[str, Any]:
        """Fields as the child process receives them."""
        return msgspec.structs.asdict(self)

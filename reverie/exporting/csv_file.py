"""The table of trials as a file of its own, as trials.csv has it."""

from __future__ import annotations

from pathlib import Path

from reverie.exporting.attributes import settled
from utilities.storage.chronicle import Chronicle
from utilities.storage.trials_csv import TrialsCsv


def write(chronicle: Chronicle, path: Path) -> None:
    """Write a row for each trial that ended, in that order, then for those that are paused, as pruned."""
    names, budgets = list(chronicle.replay.space.parameters), chronicle.header.fidelity is not None
    TrialsCsv(path, names, chronicle.goals, budgets=budgets).restore(settled(chronicle))

"""A run folder in which something happened, for the tests of what becomes of it."""

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from utilities.space import Space
from utilities.storage.run_folder import RunFolder
from utilities.storage.study import Study
from utilities.trial import Config, Outcome, Trial, TrialState

SPACE: dict[str, dict[str, Any]] = {
    "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True},
    "model": {"type": "categorical", "choices": ["additive", "multiplicative"]},
    "factors": {"type": "int", "low": 10, "high": 200, "when": {"model": "multiplicative"}},
}
CONFIG: Config = {"lr": 0.001, "model": "multiplicative", "factors": 20}
GOOD = Outcome(TrialState.COMPLETE, 0.25, {"loss": 1.5}, 2.0)
BAD = Outcome(TrialState.FAIL, message="ValueError: no\nTraceback")


def study(space: dict[str, Any] = SPACE, **changes: Any) -> Study:
    fields = {"name": "digits", "objective": "train.py:objective", "folder": Path(), "source": "study.toml", **changes}
    return Study(space=Space.from_dict(space), **fields)


@contextmanager
def opened(root: Path, a_study: Study | None = None) -> Iterator[RunFolder]:
    run = RunFolder.open(root, a_study or study())
    try:
        yield run
    finally:
        run.close()


def play(run: RunFolder) -> None:
    """Two trials end, one runs, one waits."""
    run.session(4, 1000.0)
    for number in range(4):
        run.asked(Trial(number, CONFIG, seed=number), "initial")
    for number in range(3):
        run.started(number, f"{number + 1}@node7", 1001.0 + number)
    run.reported(2, 1, math.inf, 1004.0)
    run.finished(1, GOOD, 1005.0)
    run.finished(0, BAD, 1006.0)
    run.sync()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))

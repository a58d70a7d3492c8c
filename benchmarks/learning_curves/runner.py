"""A run of a subject on a task in virtual time, an epoch the unit, and the file of all runs."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.learning_curves.subjects import Subject
from benchmarks.learning_curves.tasks import EPOCHS
from utilities.surrogate import Array
from utilities.trial import Config


class Run(NamedTuple):
    """What came of a run: a row of the file.

    Attributes
    ----------
    subject, task, workers, seed
        Which.
    budget
        Epochs after which it ended, all workers' together.
    epochs
        Those it took: fewer where it ended at its target.
    trials, complete
        Begun, and trained to the end.
    seconds
        That it took, evaluations aside from none.
    path
        ``epochs:error`` at each new best error of a completed trial, epochs of all workers counted.
    """

    subject: str
    task: str
    workers: int
    seed: int
    budget: int
    epochs: int
    trials: int
    complete: int
    seconds: float
    path: tuple[tuple[int, float], ...]

    def error_at(self, epochs: int) -> float:
        """Best error of a trial that completed within so many epochs; infinite before the first."""
        return next((error for spent, error in reversed(self.path) if spent <= epochs), float("inf"))

    def ended_before(self, target: float) -> bool:
        """Whether it ended at a target that was easier than this one, which it has not reached."""
        return self.epochs < self.budget and self.epochs_to(target) > self.epochs

    def epochs_to(self, target: float) -> float:
        """Epochs after which a completed trial had at most the target's error; infinite where none had."""
        return next((spent for spent, error in self.path if error <= target), float("inf"))


class _Trial(NamedTuple):
    number: int
    curve: Array
    epoch: int


def run(
    subject: Subject, curve: Callable[[Config], Array], workers: int, budget: int, target: float
) -> tuple[int, int, int, tuple[tuple[int, float], ...]]:
    """Epochs, trials begun, trials completed and path (see `Run`).

    Each worker trains an epoch in a unit of time; all report, and then those that are to end do. The run ends with its
    budget, or once a completed trial has at most the `target` error.
    """
    running: list[_Trial | None] = [None] * workers
    spent = trials = complete = 0
    path: list[tuple[int, float]] = []
    while spent < budget and (not path or path[-1][1] > target):
        for place, trial in enumerate(running):
            if trial is None:
                number, config = subject.ask()
                trial, trials = _Trial(number, curve(config), 0), trials + 1
            trial = trial._replace(epoch=trial.epoch + 1)
            running[place], spent = trial, spent + 1
            error = float(trial.curve[trial.epoch - 1])
            if trial.epoch < EPOCHS:
                subject.report(trial.number, trial.epoch, error)
                continue
            subject.tell(trial.number, error, complete=True)
            running[place], complete = None, complete + 1
            if not path or error < path[-1][1]:
                path.append((spent, error))
        reported = [trial.number for trial in running if trial is not None]
        ended = set(subject.ended(reported)) if reported else set()
        for place, trial in enumerate(running):
            if trial is not None and trial.number in ended:
                subject.tell(trial.number, float(trial.curve[trial.epoch - 1]), complete=False)
                running[place] = None
    return spent, trials, complete, tuple(path)


def timed(
    names: tuple[str, str, int, int],
    subject: Subject,
    curve: Callable[[Config], Array],
    budget: int,
    target: float = float("-inf"),
) -> Run:
    """Run, and note how long it took; `names` are subject, task, workers and seed."""
    began = time.perf_counter()
    epochs, trials, complete, path = run(subject, curve, names[2], budget, target)
    return Run(*names, budget, epochs, trials, complete, round(time.perf_counter() - began, 1), path)


def read(file: Path) -> list[Run]:
    """All runs in the file, none where there is none."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return [_parse(row) for row in csv.DictReader(stream)]


def append(file: Path, row: Run) -> None:
    """Put a run behind the others."""
    new = not file.exists()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow(Run._fields)
        writer.writerow(_format(row))


def remove(file: Path, row: Run) -> None:
    """Take a run out of the file."""
    rows = [_format(other) for other in read(file) if other != row]
    with file.open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([Run._fields, *rows])


def _format(row: Run) -> list[object]:
    return [*row[:-1], ";".join(f"{epochs}:{error:.5f}" for epochs, error in row.path)]


def _parse(row: dict[str, str]) -> Run:
    path = tuple(
        (int(epochs), float(error)) for epochs, error in (place.split(":") for place in row["path"].split(";") if place)
    )
    numbers = [int(row[name]) for name in ("workers", "seed", "budget", "epochs", "trials", "complete")]
    return Run(row["subject"], row["task"], *numbers, float(row["seconds"]), path)

"""Finished runs on disk: one csv an optimiser, one row a run.

``improvements`` holds ``evaluation:value`` of every new incumbent, evaluations counted from 1 in the order in which
they end; an incumbent has the best observed value, and `value` is what it is worth without noise.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data" / "regret_analysis" / "runs"
COLUMNS = (
    *("problem", "pending", "seed", "evaluations", "improvements", "failed"),
    *("cpu_total", "cpu_median", "versions", "error"),
)

Improvements = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Record:
    """One finished run; `cpu_total` and `cpu_median` in seconds, per run and per proposal."""

    problem: str
    pending: int
    seed: int
    evaluations: int
    improvements: Improvements
    failed: tuple[int, ...]
    cpu_total: float
    cpu_median: float
    versions: str
    error: str = ""

    @property
    def key(self) -> tuple[str, int, int]:
        """What a run is, besides its optimiser."""
        return self.problem, self.pending, self.seed

    def to_row(self) -> dict[str, str]:
        """Row of the csv."""
        return {
            "problem": self.problem,
            "pending": str(self.pending),
            "seed": str(self.seed),
            "evaluations": str(self.evaluations),
            "improvements": " ".join(f"{number}:{value:.8g}" for number, value in self.improvements),
            "failed": " ".join(str(number) for number in self.failed),
            "cpu_total": f"{self.cpu_total:.4g}",
            "cpu_median": f"{self.cpu_median:.4g}",
            "versions": self.versions,
            "error": " ".join(self.error.split()),
        }

    @classmethod
    def from_row(cls, row: dict[str, str]) -> Record:
        """Record of a row of the csv."""
        pairs = [entry.split(":") for entry in row["improvements"].split()]
        return cls(
            problem=row["problem"],
            pending=int(row["pending"]),
            seed=int(row["seed"]),
            evaluations=int(row["evaluations"]),
            improvements=tuple((int(number), float(value)) for number, value in pairs),
            failed=tuple(int(number) for number in row["failed"].split()),
            cpu_total=float(row["cpu_total"]),
            cpu_median=float(row["cpu_median"]),
            versions=row["versions"],
            error=row["error"],
        )

    def incumbents(self, evaluations: int) -> np.ndarray:
        """Value of the incumbent after 1, 2, ... evaluations, (evaluations,); NaN before the first success."""
        values = np.full(evaluations, np.nan)
        for number, value in self.improvements:
            values[number - 1 :] = value
        return values


def append(optimiser: str, record: Record, folder: Path = FOLDER) -> None:
    """Add a row, in one write, so that a stopped process leaves no half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{optimiser}.csv"
    lines = io.StringIO()
    writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
    if not file.exists():
        writer.writeheader()
    writer.writerow(record.to_row())
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, lines.getvalue().encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(optimiser: str, folder: Path = FOLDER) -> list[Record]:
    """Records of one optimiser, none where it has no file."""
    file = folder / f"{optimiser}.csv"
    if not file.exists():
        return []
    with open(file, newline="") as opened:
        return [Record.from_row(row) for row in csv.DictReader(opened)]


def read_all(folder: Path = FOLDER) -> dict[str, list[Record]]:
    """Records of every optimiser that has any."""
    return {file.stem: read(file.stem, folder) for file in sorted(folder.glob("*.csv"))}


def unfinished(wanted: Iterable[tuple[str, tuple[str, int, int]]], folder: Path = FOLDER) -> list[bool]:
    """Whether each (optimiser, key of a run) has no record yet."""
    done: dict[str, set[tuple[str, int, int]]] = {}
    result = []
    for optimiser, key in wanted:
        if optimiser not in done:
            done[optimiser] = {record.key for record in read(optimiser, folder)}
        result.append(key not in done[optimiser])
    return result

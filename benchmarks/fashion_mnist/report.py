"""Table and figure of `benchmarks.fashion_mnist`.

An incumbent is the complete trial of least validation error so far. A run reaches its target when its incumbent is as
good as that of full-length `auto` at the end of the run of the same seed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.fashion_mnist.race import COMPLETE, PRUNED
from benchmarks.scaling.results import COLOURS, DATA, interval, new_figure, read, table, versions

FOLDER = DATA / "fashion_mnist"
FULL = "auto"
"""The subject whose last incumbents are the targets."""

Run = list[dict[str, str]]


class Incumbent(NamedTuple):
    """The best complete trial, from `spent` epochs on."""

    spent: int
    error: float
    test_error: float


def incumbents(run: Run) -> list[Incumbent]:
    """Each new incumbent of a run."""
    found: list[Incumbent] = []
    for row in sorted((row for row in run if row["state"] == COMPLETE), key=lambda row: int(row["spent"])):
        if not found or float(row["error"]) < found[-1].error:
            found.append(Incumbent(int(row["spent"]), float(row["error"]), float(row["test_error"])))
    return found


def reached(run: Run, target: float) -> float:
    """Epochs that a run had spent when its incumbent was as good as `target`; infinite where it never was."""
    return next((float(one.spent) for one in incumbents(run) if one.error <= target), math.inf)


class Results:
    """The runs of all subjects, by subject and seed.

    Parameters
    ----------
    rows
        Of the csv file.
    """

    def __init__(self, rows: Run) -> None:
        self.runs: dict[str, dict[str, Run]] = {}
        for row in sorted(rows, key=lambda row: row["subject"]):
            self.runs.setdefault(row["subject"], {}).setdefault(row["seed"], []).append(row)
        self.total = int(rows[0]["total"])

    def epochs(self, subject: str) -> dict[str, float]:
        """Epochs until the target, by seed, where there is one."""
        full = self.runs.get(FULL, {})
        return {
            seed: reached(run, ends[-1].error)
            for seed, run in self.runs[subject].items()
            if seed in full and (ends := incumbents(full[seed]))
        }

    def ratios(self, subject: str) -> list[float]:
        """Epochs until the target over those of full-length `auto`, seed by seed."""
        base = self.epochs(FULL) if FULL in self.runs else {}
        return [own / base[seed] for seed, own in self.epochs(subject).items()]

    def ends(self, subject: str) -> list[Incumbent]:
        """Last incumbents."""
        found = (incumbents(run) for run in self.runs[subject].values())
        return [ones[-1] for ones in found if ones]

    def sooner(self, subject: str, other: str) -> str:
        """In how many of the seeds that both have a subject reached its target before another."""
        ours, theirs = self.epochs(subject), self.epochs(other)
        shared = ours.keys() & theirs.keys()
        return f"{sum(ours[seed] < theirs[seed] for seed in shared)} of {len(shared)}"


def report(folder: Path = FOLDER) -> None:
    """Write both from `runs.csv`; nothing where that has no rows."""
    rows = read(folder / "runs.csv")
    if not rows:
        return
    results = Results(rows)
    lines = [*_words(results), *_table(results), "", *_sooner(results), "", _versions(), ""]
    (folder / "fashion_mnist.md").write_text("\n".join(lines), encoding="utf-8")
    _figure(results, folder / "fashion_mnist.png")


def _words(results: Results) -> list[str]:
    return [
        "# Early stopping on Fashion-MNIST",
        "",
        "The network and the twelve parameters of `examples/fashion_mnist`: 10,000 images to train, 5,000 to validate,",
        "at most 9 epochs a trial. Two workers in virtual time, an epoch being the unit; a run ends after",
        f"{results.total} epochs. Target: the validation error of the best complete trial of `{FULL}`, which ends no",
        "trial early, at the end of its run of the same seed. Epochs until then are those of all trials; over those",
        f"that `{FULL}` had spent when it came there itself, and over all of its run. Medians over seeds, of ratios",
        "with a 95 % bootstrap interval. Test error: of the last incumbent, on 10,000 images that nobody chooses by.",
        "Regenerate: `python -m benchmarks.fashion_mnist`.",
        "",
    ]


def _table(results: Results) -> list[str]:
    head = (
        *("subject", "seeds", "trials", "of these ended early", "error at the end, %", "test error, %"),
        *("reached the target", "epochs until then", f"over {FULL}'s", f"over all of {FULL}'s run"),
    )
    return table(head, [_row(results, subject) for subject in results.runs])


def _row(results: Results, subject: str) -> Sequence[object]:
    runs = list(results.runs[subject].values())
    ends, epochs = results.ends(subject), list(results.epochs(subject).values())
    return (
        f"`{subject}`",
        len(runs),
        _median([len(run) for run in runs]),
        _median([sum(row["state"] == PRUNED for row in run) for run in runs]),
        _median([100.0 * end.error for end in ends]),
        _median([100.0 * end.test_error for end in ends]),
        f"{sum(map(math.isfinite, epochs))} of {len(epochs)}",
        _median(epochs),
        _with_interval(results.ratios(subject)),
        _with_interval([value / results.total for value in epochs]),
    )


def _sooner(results: Results) -> list[str]:
    """How often those of ours that learn and stop early were at the target before the others."""
    ours = [subject for subject in results.runs if subject.startswith(f"{FULL}+")]
    if not ours or FULL not in results.runs:
        return []
    head = ("at the target sooner than", *(f"`{subject}`" for subject in results.runs))
    rows = [
        (f"`{own}`", *("" if other == own else results.sooner(own, other) for other in results.runs)) for own in ours
    ]
    return table(head, rows)


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "not reached"


def _median(values: Sequence[float]) -> str:
    return _number(statistics.median(values)) if values else ""


def _with_interval(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = interval(values, np.median)
    return f"{_median(values)} ({_number(low)} to {_number(high)})"


def _versions() -> str:
    said = [versions()]
    for name in ("torch", "optuna"):
        with suppress(metadata.PackageNotFoundError):
            said.append(f"{name} {metadata.version(name)}")
    return ", ".join(said)


def _curve(run: Run, total: int) -> np.ndarray:
    """Validation error of the incumbent after 1, 2, ... epochs, (total,); infinite before the first."""
    curve = np.full(total, np.inf)
    for one in incumbents(run):
        curve[one.spent - 1 :] = one.error
    return curve


def _figure(results: Results, path: Path) -> None:
    figure, (left, right) = new_figure(2, (8.0, 3.2))
    names = list(results.runs)
    at = np.arange(1, results.total + 1)
    least, most = math.inf, 0.0
    for colour, name in zip(COLOURS, names, strict=False):
        curves = np.array([_curve(run, results.total) for run in results.runs[name].values()])
        middle = np.median(curves, axis=0)
        known = np.isfinite(middle)
        left.step(at[known], 100.0 * middle[known], where="post", color=colour, label=name)
        settled = middle[results.total // 10 :]
        most = max([most, *settled[np.isfinite(settled)][:1]])
        least = min([least, *middle[-1:]])
    if most > least:
        left.set_ylim(100.0 * (least - 0.05 * (most - least)), 100.0 * (most + 0.05 * (most - least)))
    left.set(xlabel="epochs of training, all trials", ylabel="validation error of the incumbent, %")
    left.legend(frameon=False)
    beyond = 1.1 * results.total
    for row, (colour, name) in enumerate(zip(COLOURS, names, strict=False)):
        for value in results.epochs(name).values():
            there = math.isfinite(value)
            right.plot(value if there else beyond, row, "o", color=colour, fillstyle="full" if there else "none")
    right.set(xlabel=f"epochs to the last error of {FULL} (hollow: never)", xlim=(0.0, 1.15 * results.total))
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    figure.savefig(path)

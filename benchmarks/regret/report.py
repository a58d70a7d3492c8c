"""Tables and figures of data/regret_analysis from records alone: ranks.md, three csv, a figure of all, one of each."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.regret import records, references
from benchmarks.regret.comparison import FLOOR, Regrets, losses, ratio, sharpened, standings
from benchmarks.regret.problem import Reference
from benchmarks.regret.records import Record
from benchmarks.regret.subsets import EVALUATIONS

OURS = "reverie-auto"
OWN = "reverie"
CHECKPOINTS = (25, 50, 100, 200)
FOLDER = records.FOLDER.parent

_HEAD = f"""# Regret against other optimisers

Written by `python -m benchmarks.regret report` from the csv in `runs/`. Normalised regret is 0 at the best value known
and 1 at a median random point, of the incumbent's value without noise. Every table compares only what all its
optimisers ran: the same problems, the same seeds, the same noise and durations; each problem has the same weight.
Ranks share ties and, like the geometric means, take regrets below {FLOOR:g} as equal. With several pending, runs are in
virtual time: the workers are always busy, and what a proposal takes is not charged.
"""


@dataclass
class Page:
    """Parts of ranks.md, and the rows of the csv files beside it."""

    parts: list[str]
    ranks: list[dict[str, Any]]
    ratios: list[dict[str, Any]]
    losses: list[dict[str, Any]]


def write_report(runs: Path = records.FOLDER, folder: Path = FOLDER, figures: bool = True) -> None:
    """Read every record and write all of it."""
    found = records.read_all(runs)
    known = sharpened(references.read(), found)
    page = Page([_HEAD], [], [], [])
    for pending in sorted({record.pending for several in found.values() for record in several}):
        _pending(page, found, known, pending)
    page.parts.append(_seconds(found))
    page.parts.append(_crashes(found))
    page.parts.append(_errors(found))
    (folder / "ranks.md").write_text("\n".join(part for part in page.parts if part))
    for name, rows in (("ranks", page.ranks), ("ratios", page.ratios), ("losses", page.losses)):
        _write_csv(folder / f"{name}.csv", rows)
    if figures:
        from benchmarks.regret.figures import draw_all
        from benchmarks.regret.overview import draw_overview

        draw_all(found, known, folder / "figures")
        draw_overview(found, known, folder / "overview.png")


def _pending(page: Page, found: dict[str, list[Record]], known: dict[str, Reference], pending: int) -> None:
    page.parts.append(f"## {pending} pending\n" if pending > 1 else "## One at a time\n")
    last = EVALUATIONS.get(pending, max(CHECKPOINTS))
    for evaluations in (count for count in CHECKPOINTS if count <= last):
        regrets = Regrets.at(found, known, pending, evaluations)
        _ranks(page, regrets, pending, evaluations)
        _ratios(page, regrets, pending, evaluations)
    _losses(page, Regrets.at(found, known, pending, last), pending, last)


def _ranks(page: Page, regrets: Regrets, pending: int, evaluations: int) -> None:
    for names, pairs in regrets.groups():
        rows = standings(regrets, names, pairs)
        problems = len({problem for problem, _ in pairs})
        page.parts.append(
            f"### After {evaluations}: {len(names)} optimisers, {problems} problems, {len(pairs)} runs each\n"
        )
        page.parts.append(
            _table(
                ("optimiser", "average rank", "mean regret", "geometric mean"),
                [(row.optimiser, f"{row.rank:.2f}", f"{row.mean:.4f}", f"{row.geometric:.5f}") for row in rows],
            )
        )
        page.ranks += [
            {
                "pending": pending,
                "evaluations": evaluations,
                "optimisers": len(names),
                "problems": problems,
                "runs": len(pairs),
                "optimiser": row.optimiser,
                "rank": f"{row.rank:.3f}",
                "mean": f"{row.mean:.5g}",
                "geometric": f"{row.geometric:.5g}",
            }
            for row in rows
        ]


def _ratios(page: Page, regrets: Regrets, pending: int, evaluations: int) -> None:
    rows = []
    for name in regrets.values:
        found = ratio(regrets, OURS, name) if name != OURS else None
        if found is None:
            continue
        mean, geometric = (
            (f"{value:.3g}", f"{interval[0]:.3g} to {interval[1]:.3g}")
            for value, interval in (
                (found.mean, found.mean_interval),
                (found.geometric, found.geometric_interval),
            )
        )
        rows.append((name, found.problems, found.pairs, *mean, *geometric))
    if not rows:
        return
    head = ("peer", "problems", "runs", "of means", "95 %", "of geometric means", "95 %")
    page.parts.append(f"Regret of {OURS} over each other's after {evaluations}; below 1, {OURS} is better.\n")
    page.parts.append(_table(head, rows))
    columns = ("peer", "problems", "runs", "mean", "mean_interval", "geometric", "geometric_interval")
    page.ratios += [
        {"pending": pending, "evaluations": evaluations, **dict(zip(columns, row, strict=True))} for row in rows
    ]


def _losses(page: Page, regrets: Regrets, pending: int, evaluations: int) -> None:
    peers = [name for name in regrets.values if not name.startswith(OWN)]
    rows = losses(regrets, OURS, peers)
    if OURS not in regrets.values:
        page.parts.append(f"{OURS} has no runs here yet.\n")
        return
    page.parts.append(f"### Where a peer beats {OURS} after {evaluations}\n")
    lines = []
    for problem in sorted({row.problem for row in rows}):
        entries = [
            f"{row.peer} {row.theirs:.4g} against {row.ours:.4g} ({row.worse} of {row.seeds} seeds)"
            for row in rows
            if row.problem == problem
        ]
        lines.append(f"- {problem}: {'; '.join(entries)}")
    page.parts.append("\n".join(lines) + "\n" if lines else "Nowhere.\n")
    page.losses += [{"pending": pending, "evaluations": evaluations, **vars(row)} for row in rows]


def _seconds(found: dict[str, list[Record]]) -> str:
    """CPU seconds of a proposal, by how many are pending: those of a median run, all its proposals together."""
    counts = sorted({record.pending for several in found.values() for record in several})
    rows = []
    for name, several in found.items():
        cells = []
        for pending in counts:
            costs = [r.cpu_total / r.evaluations for r in several if r.pending == pending and r.evaluations]
            cells.append(f"{np.median(costs):.3g}" if costs else "")
        rows.append((name, several[-1].versions, *cells))
    head = ("optimiser", "version", *(f"{count} pending" for count in counts))
    return f"## CPU seconds per proposal, ask and tell\n\n{_table(head, rows)}"


def _crashes(found: dict[str, list[Record]]) -> str:
    """Share of evaluations that crashed."""
    keys = sorted({(r.problem, r.pending) for several in found.values() for r in several if r.failed})
    rows = []
    for name, several in found.items():
        cells = []
        for key in keys:
            runs = [r for r in several if (r.problem, r.pending) == key and r.evaluations]
            cells.append(f"{np.mean([len(r.failed) / r.evaluations for r in runs]):.0%}" if runs else "")
        rows.append((name, *cells))
    head = ("optimiser", *(f"{problem}, {pending} pending" for problem, pending in keys))
    return f"## Evaluations that crashed\n\n{_table(head, rows)}" if keys else ""


def _errors(found: dict[str, list[Record]]) -> str:
    """Runs that an optimiser ended by raising."""
    lines = [
        f"- {name}, {r.problem}, {r.pending} pending, seed {r.seed}, after {r.evaluations}: {r.error}"
        for name, several in found.items()
        for r in several
        if r.error
    ]
    if not lines:
        return ""
    intro = "The optimiser raised or did not answer; the run counts with what it had by then."
    return "\n".join(["## Runs that ended early\n", intro + "\n", *lines, ""])


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def _write_csv(file: Path, rows: list[dict[str, Any]]) -> None:
    with open(file, "w", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)

"""Table and figure of `benchmarks.scaling.busy`."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence

from benchmarks.scaling.results import COLOURS, DATA, new_figure, read, table, versions
from benchmarks.scaling.runners.catalogue import FLOOR, SUBJECTS, WORKERS

FOLDER = DATA / "utilisation"
RUNS = FOLDER / "measured.csv"
Row = dict[str, str]


def report() -> None:
    """Write both."""
    rows = read(RUNS)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "measured.md").write_text("\n".join([*_words(rows), *busy_table(rows), "", _versions(rows), ""]))
    _figure(rows)


def _words(rows: list[Row]) -> list[str]:
    """What the table needs said."""
    loads = [float(row["load"]) for row in rows]
    limits = " or ".join(sorted({row["limit"] for row in rows}))
    return [
        "# Utilisation, measured against others",
        "",
        f"{WORKERS} workers on {os.cpu_count()} cores, which all processes share, one thread a rank, MPICH; load",
        f"before a run {_span(loads)}. An evaluation sleeps, then is Hartmann's function of six parameters. Busy: the",
        f"seconds that evaluations took, as they noted themselves, over {WORKERS} times those from the beginning of",
        "the first to the end of the last; later: without the first tenth. A run that took longer was ended",
        f"{limits} s after its first evaluation began, and what it had done by then counts. Beside an evaluation: what",
        "else a worker's time went into, over the number of evaluations. Medians over repeats, each of which has all",
        "subjects one after the other; ranges in brackets; ratios are within a repeat. Where cores are short, an",
        f"evaluation itself takes longer, which counts as busy; medians of a run were {_took(rows)}.",
        "Regenerate: `python -m benchmarks.scaling.busy`.",
        "",
        "Raw polling is a master that spins, hands out ready points and keeps nothing: what MPI and these cores give.",
        "libEnsemble uses its local communication, faster here than MPI; DeepHyper its MPI evaluator with the storage",
        "in memory, faster here than its processes. Optuna has no master: eight processes share a journal. Ours keep a",
        "journal, on disk before an outcome is acted on, and let workers hold their next trials where evaluations are",
        "short, which raw polling does not.",
        "",
    ]


def busy_table(rows: list[Row]) -> list[str]:
    """Lines of a Markdown table: a row for each subject and length of an evaluation."""
    head = (
        "evaluation, s",
        "subject",
        "beside the workers",
        "repeats",
        "evaluations",
        "busy",
        "over raw polling",
        "busy, later",
        "ms beside an evaluation",
    )
    floor = {(row["seconds"], row["seed"]): float(row["busy"]) for row in rows if row["subject"] == FLOOR}
    body = []
    for seconds, name in _cases(rows):
        own = [row for row in rows if (row["seconds"], row["subject"]) == (seconds, name)]
        ratios = [float(row["busy"]) / base for row in own if (base := floor.get((seconds, row["seed"])))]
        body.append(
            (
                seconds,
                SUBJECTS[name].title,
                SUBJECTS[name].others,
                len(own),
                _done(own),
                _percent(own, "busy"),
                f"{statistics.median(ratios):.3f}" if ratios else "",
                _percent(own, "busy_later"),
                f"{statistics.median(map(beside, own)):.3g}",
            )
        )
    return table(head, body)


def beside(row: Row) -> float:
    """Milliseconds of a worker's time that went into something else, over the evaluations."""
    idle = WORKERS * float(row["span"]) * (1.0 - float(row["busy"]))
    return 1e3 * idle / int(row["evaluations"])


def _took(rows: list[Row]) -> str:
    """Milliseconds that evaluations took, for each length."""
    took: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: float(row["seconds"])):
        took.setdefault(row["seconds"], []).append(1e3 * float(row["took"]))
    return ", ".join(f"{_span(values)} ms" for values in took.values())


def _cases(rows: list[Row]) -> list[tuple[str, str]]:
    """Seconds and subject of each case, in the order of the catalogue."""
    order = list(SUBJECTS)
    cases = dict.fromkeys((row["seconds"], row["subject"]) for row in rows)
    return sorted(cases, key=lambda case: (float(case[0]), order.index(case[1])))


def _done(rows: Sequence[Row]) -> str:
    """Evaluations, and of how many where runs were ended."""
    middle, asked = statistics.median(int(row["evaluations"]) for row in rows), int(rows[0]["asked"])
    return f"{asked:,}" if middle == asked else f"{middle:,.0f} of {asked:,}"


def _percent(rows: Sequence[Row], column: str) -> str:
    values = [100.0 * float(row[column]) for row in rows]
    return f"{statistics.median(values):.1f} % ({_span(values)})"


def _span(values: Sequence[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}"


def _versions(rows: list[Row]) -> str:
    """Versions of all that ran, in one line."""
    packages = {f"{SUBJECTS[row['subject']].package} {row['version']}" for row in rows}
    return ", ".join([versions(), *sorted(packages)])


def _figure(rows: list[Row]) -> None:
    """Bars of the busy share for each length of an evaluation, with ranges; a dot where the start does not count."""
    lengths = list(dict.fromkeys(seconds for seconds, _ in _cases(rows)))
    names = [name for name in SUBJECTS if any(row["subject"] == name for row in rows)]
    figure, axes = new_figure(len(lengths), (3.0 + 2.2 * len(lengths), 0.8 + 0.27 * len(names)))
    for ax, seconds in zip(axes, lengths, strict=True):
        for place, name in enumerate(names):
            own = [row for row in rows if (row["seconds"], row["subject"]) == (seconds, name)]
            if not own:
                continue
            shares = [100.0 * float(row["busy"]) for row in own]
            middle = statistics.median(shares)
            later = statistics.median(100.0 * float(row["busy_later"]) for row in own)
            colour = COLOURS[4] if SUBJECTS[name].study is not None else COLOURS[7]
            ax.barh(place, middle, color=colour, height=0.65)
            ax.plot([min(shares), max(shares)], [place, place], color=COLOURS[0], linewidth=0.8)
            ax.plot(later, place, "o", color=COLOURS[1], markersize=3)
            ax.text(103.0, place, f"{middle:.1f}", va="center")
        titles = [SUBJECTS[name].title.replace("`", "") for name in names]
        ax.set_yticks(range(len(names)), titles if ax is axes[0] else [""] * len(names))
        ax.set(xlim=(0.0, 118.0), ylim=(len(names) - 0.5, -0.5), xticks=range(0, 101, 25), title=f"{seconds} s")
        ax.grid(visible=False, axis="y")
        ax.set_axisbelow(True)
    figure.supxlabel("% of eight workers' time in evaluations (dot: without the first tenth)", fontsize=8)
    figure.savefig(FOLDER / "measured.png")

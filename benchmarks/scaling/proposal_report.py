"""The table and the figure of `benchmarks.scaling.proposals`."""

from __future__ import annotations

from collections import defaultdict

from benchmarks.scaling.results import COLOURS, DATA, exponent, new_figure, read, table, versions

FOLDER = DATA / "gp_v_nn_time_comparison"
PROPOSALS, FITS = FOLDER / "proposals.csv", FOLDER / "refits.csv"
OURS = ("gp", "dngo", "dngo-paper", "auto")
FIT_FROM = 1000
"""Exponents are those from so many observations on."""

SHOWN = (100, 1000, 10_000, 100_000)

Curve = dict[int, float]


def curves(column: str) -> dict[tuple[str, int, int], Curve]:
    """Seconds by observations, of each subject, pending and batch."""
    found: dict[tuple[str, int, int], Curve] = defaultdict(dict)
    for row in read(PROPOSALS):
        key = (row["subject"], int(row["pending"]), int(row["batch"]))
        found[key][int(row["observations"])] = float(row[column])
    return dict(found)


def refits() -> dict[tuple[str, str], Curve]:
    """Seconds of all refits up to so many observations, by subject and kind; the mean over cases that got there."""
    by_case: dict[tuple[str, str, str, str], Curve] = defaultdict(dict)
    for row in read(FITS):
        case = by_case[row["subject"], row["fit"], row["pending"], row["batch"]]
        case[int(row["observations"])] = float(row["seconds"]) + (list(case.values())[-1] if case else 0.0)
    longest: dict[tuple[str, str], Curve] = {}
    for (subject, kind, *_), curve in by_case.items():
        if max(curve) >= max(longest.get((subject, kind), {0: 0.0})):
            longest[subject, kind] = curve
    return longest


def exponent_of(curve: Curve, low: int = FIT_FROM) -> str:
    """Exponent of a curve from `low` observations on, with how far it goes."""
    sizes = [size for size in curve if size >= low]
    if len(sizes) < 3:
        return ""
    return f"{exponent(sizes, [curve[size] for size in sizes]):.2f}"


def report() -> None:
    """Write the table and the figure."""
    means, medians = curves("mean"), curves("median")
    lines = [
        "# What a proposal costs",
        "",
        "CPU milliseconds of one core for a proposal and the outcome that it follows, by the number of observations,",
        "mean over up to 40 rounds; empty where it was not reached (a minute a proposal or a refit, `--limit` a case).",
        f"Exponent: from {FIT_FROM:,} observations on. Refits of ours are the trainer's, and below. A case 64 x 16 has",
        "64 pending trials, of which 16 end and are replaced at a time. A function of six columns with a little noise.",
        "Regenerate: `python -m benchmarks.scaling.proposals`.",
        "",
    ]
    head = ["optimiser", "pending x batch", *(f"{size:,}" for size in SHOWN), "reached", "exponent"]
    rows = []
    for key in sorted(means, key=lambda key: (key[1], key[2], key[0] not in OURS, key[0])):
        curve = means[key]
        cells = ["" if size not in curve else f"{1e3 * curve[size]:.3g}" for size in SHOWN]
        rows.append([key[0], f"{key[1]} x {key[2]}", *cells, f"{max(curve):,}", exponent_of(curve)])
    lines += [*table(head, rows), "", "## Goals", ""]
    goals = []
    for key, size, goal in ((("dngo", 64, 16), 10_000, 10.0), (("dngo", 1000, 64), 100_000, 10.0)):
        if size in medians.get(key, {}):
            what = f"`dngo`, {size:,} observations, {key[1]} pending, {key[2]} at a time: median ms"
            goals.append([what, f"{1e3 * medians[key][size]:.2f}", f"at most {goal:g}"])
    for key in (("dngo", 1, 1), ("dngo", 64, 1), ("dngo", 64, 16)):
        what = f"`dngo`, exponent of a proposal's cost, {key[1]} pending, {key[2]} at a time"
        goals.append([what, exponent_of(means.get(key, {})), "at most 0.2"])
    totals = refits()
    for (subject, kind), curve in totals.items():
        if subject == "dngo":
            goals.append([f"`{kind}`, exponent of the total of refits", exponent_of(curve), "at most 1.1"])
    lines += [*table(["what", "measured", "goal"], goals), "", "## Refits, on the trainer", ""]
    lines += ["CPU seconds of all refits of a run up to so many observations, warm-started as in a run.", ""]
    rows = []
    for (subject, kind), curve in sorted(totals.items()):
        cells = [_up_to(curve, size) for size in SHOWN]
        rows.append([subject, kind, *cells, f"{max(curve):,}", exponent_of(curve)])
    lines += table(["method", "surrogate", *(f"{size:,}" for size in SHOWN), "reached", "exponent"], rows)
    names = sorted({row["version"] for row in read(PROPOSALS)})
    lines += ["", f"{', '.join(names)}; {versions()}", ""]
    (FOLDER / "proposals.md").write_text("\n".join(lines))
    _draw(means, totals)


def _up_to(curve: Curve, size: int) -> str:
    reached = [total for rows, total in curve.items() if rows <= size]
    return f"{reached[-1]:.3g}" if reached and max(curve) >= 0.8 * size else ""


def _draw(means: dict[tuple[str, int, int], Curve], totals: dict[tuple[str, str], Curve]) -> None:
    cases = sorted({pending for _, pending, _ in means})
    figure, axes = new_figure(len(cases) + 1, (4.2 * (len(cases) + 1), 3.6))
    subjects = list(dict.fromkeys(key[0] for key in means))
    colours = dict(zip(subjects, COLOURS, strict=False))
    for one, pending in zip(axes, cases, strict=False):
        for subject in subjects:
            for (name, out, batch), curve in sorted(means.items()):
                if (name, out) == (subject, pending):
                    label = subject if batch == 1 else f"{subject}, {batch} at a time"
                    style = "o-" if batch == 1 else "s--"
                    look = {"color": colours[subject], "label": label, "markersize": 3}
                    one.plot(list(curve), list(curve.values()), style, **look)
        title = f"{pending:,} pending"
        one.set(xscale="log", yscale="log", xlabel="observations", ylabel="CPU seconds of a proposal", title=title)
        one.sharey(axes[0])
        one.legend(frameon=False, fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for (subject, kind), curve in sorted(totals.items()):
        if subject == kind:
            axes[-1].plot(list(curve), list(curve.values()), color=colours[subject], label=subject)
    axes[-1].set(
        xscale="log", yscale="log", xlabel="observations", ylabel="CPU seconds", title="refits of a run, total"
    )
    axes[-1].legend(frameon=False, fontsize=6)
    figure.savefig(FOLDER / "proposals.png")

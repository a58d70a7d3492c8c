"""Several objectives: the trials that no other dominates, and how the volume that they dominate grew.

Symbols
-------
n   feasible trials      k   objectives, to be minimised      r (k,)   reference point
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from reverie.report.evidence import Evidence
from reverie.report.figure import BLUE, GREEN, GREY, RED, Figure, Row, Spec, axis, beside, data, layered, thinned, told
from reverie.report.progress import time_unit
from utilities.display.text import counted, listed, number, setting
from utilities.pareto import non_dominated
from utilities.trial import TrialRecord

Array = NDArray[np.float64]

MARGIN = 0.1
"""How far the reference point lies behind the worst of the front, in the front's range."""

POINTS = 2**13
"""Points of the box between the best values and the reference point by which its dominated share is measured."""

MOST_PANELS = 6
_MOST_ROWS = 60
_SEED = 20021204
_KINDS = {"on the front": GREEN, "dominated": GREY, "infeasible": RED}


def front(evidence: Evidence) -> list[Figure]:
    """Figures of the front; none before a trial has completed."""
    trials = [trial for trial in evidence.completed if _values(evidence, trial) is not None]
    feasible = [trial for trial in trials if evidence.feasible(trial)]
    if not trials:
        return []
    values = np.array([_values(evidence, trial) for trial in feasible]).reshape(-1, len(evidence.goals.names))
    on_front = non_dominated(values * evidence.goals.signs)
    best = {trial.trial.number for trial, is_best in zip(feasible, on_front, strict=True) if is_best}
    figures = [_scatter(evidence, trials, best)]
    if len(feasible) > 1:
        figures.append(_volume(evidence, feasible, values * evidence.goals.signs))
    return figures


def ends(evidence: Evidence) -> list[tuple[str, TrialRecord]]:
    """The trial with the best value of each objective, and what it is best in, in words."""
    found = []
    for place, name in enumerate(evidence.goals.names):
        own = evidence.of(place)
        if own.best is not None:
            found.append((f"{'lowest' if own.sign > 0 else 'highest'} {name}", own.best))
    return found


def in_words(evidence: Evidence, trial: TrialRecord) -> str:
    """Values of a trial with the names of the objectives."""
    values = _values(evidence, trial) or ()
    return listed([f"{name} {number(value)}" for name, value in zip(evidence.goals.names, values, strict=False)])


def _values(evidence: Evidence, trial: TrialRecord) -> tuple[float, ...] | None:
    return None if trial.outcome is None else evidence.goals.values_of(trial.outcome)


# --- the front --------------------------------------------------------------------------------------------------------


def _scatter(evidence: Evidence, trials: list[TrialRecord], best: set[int]) -> Figure:
    names = evidence.goals.names
    rows: list[dict[str, Any]] = []
    for trial in trials:
        number_, values = trial.trial.number, _values(evidence, trial) or ()
        kind = "on the front" if number_ in best else "dominated" if evidence.feasible(trial) else "infeasible"
        config = ", ".join(f"{name} = {setting(item)}" for name, item in trial.trial.config.items())
        rows.append({"trial": number_, "kind": kind, "config": config} | {f"v{i}": v for i, v in enumerate(values)})
    others = thinned([row for row in rows if row["kind"] != "on the front"], 2500)
    shown = others + [row for row in rows if row["kind"] == "on the front"]
    pairs = list(itertools.combinations(range(len(names)), 2))
    panels = [_panel(evidence, shown, pair) for pair in pairs[:MOST_PANELS]]
    spec = layered_alone(panels[0]) if len(panels) == 1 else beside(panels, 2, 84)
    on = f"{len(best):,} {'is' if len(best) == 1 else 'are'} on the front: no other is better in one objective and at "
    says = f"Of {counted(len(trials), 'completed trial')}, "
    says += f"{on}least as good in all others. " if best else "none keeps the constraints on metrics. "
    if len(names) > 2:
        says += "Which are on it is by all objectives, so in a pair of them such a trial may lie behind another. "
    if len(pairs) > MOST_PANELS:
        says += f"Drawn are the first {MOST_PANELS} of {len(pairs)} pairs of objectives. "
    says += "Values far off are drawn at the edge."
    ranked = sorted((row for row in rows if row["kind"] == "on the front"), key=lambda row: row["v0"])
    table = [
        {"trial": row["trial"]} | {name: number(row[f"v{i}"]) for i, name in enumerate(names)} | _config(evidence, row)
        for row in thinned(ranked, _MOST_ROWS)
    ]
    return Figure("front", "The front", says, spec, table, wide=True)


def _config(evidence: Evidence, row: dict[str, Any]) -> dict[str, str]:
    config = evidence.trials[row["trial"]].trial.config
    return {name: setting(config[name]) if name in config else "" for name in evidence.space.names}


def layered_alone(panel: Spec) -> Spec:
    """A panel that has the page's width to itself."""
    return panel | {"width": "container", "height": 340}


def _panel(evidence: Evidence, rows: list[dict[str, Any]], pair: tuple[int, int]) -> Spec:
    names, kinds = evidence.goals.names, [kind for kind in _KINDS if any(row["kind"] == kind for row in rows)]
    channels = {}
    for channel, place in zip("xy", pair, strict=True):
        scale = {"domain": _range(evidence, rows, place), "clamp": True}
        better = "lower" if evidence.goals.signs[place] > 0 else "higher"
        channels[channel] = axis(f"v{place}", f"{names[place]} ({better} is better)", scale=scale)
    points: Spec = {
        "data": data(rows),
        "mark": {"type": "point", "filled": True},
        "encoding": {
            **channels,
            "color": {
                "field": "kind",
                "type": "nominal",
                "title": None,
                "scale": {"domain": kinds, "range": [_KINDS[kind] for kind in kinds]},
                "legend": {"orient": "top"},
            },
            "size": {"condition": {"test": "datum.kind === 'on the front'", "value": 60}, "value": 22},
            "opacity": {"condition": {"test": "datum.kind === 'on the front'", "value": 1}, "value": 0.4},
            "tooltip": told(
                ("trial", "trial"), *((f"v{i}", name) for i, name in enumerate(names)), ("config", "configuration")
            ),
        },
    }
    if len(names) > 2:
        return layered(points, width=430)
    edge = sorted((row for row in rows if row["kind"] == "on the front"), key=lambda row: row[f"v{pair[0]}"])
    # From one point of the front the border runs along what is worse in the first objective, then to the next one.
    corner = "step-after" if evidence.goals.signs[pair[0]] > 0 else "step-before"
    border: Spec = {
        "data": data(edge),
        "mark": {"type": "line", "interpolate": corner, "color": GREEN, "opacity": 0.6},
        "encoding": channels,
    }
    return layered(border, points, width=430)


def _range(evidence: Evidence, rows: list[dict[str, Any]], place: int) -> list[float]:
    """Range of an axis: that of the front, and of nine in ten of the other trials."""
    sign = evidence.goals.signs[place]
    signed = np.array([sign * row[f"v{place}"] for row in rows])
    best = np.array([sign * row[f"v{place}"] for row in rows if row["kind"] == "on the front"])
    low, high = signed.min(), max(float(np.quantile(signed, 0.9)), best.max(initial=-np.inf))
    if signed.max() - low <= 2.0 * (high - low):
        high = signed.max()
    span = (high - low) or abs(high) or 1.0
    return sorted((float(sign * (low - 0.05 * span)), float(sign * (high + 0.05 * span))))


# --- what it dominates ------------------------------------------------------------------------------------------------


def dominated_shares(values: Array) -> Array:
    """Share (n,) of the box up to the reference point that the first 1, 2, ... n of `values` (n, k) dominate.

    The box is that between the best values and the reference point, which lies behind the worst values of the last
    front by `MARGIN` of its range. The share is that of `POINTS` quasi-random points in it.
    """
    last = values[non_dominated(values)]
    ideal, nadir = last.min(axis=0), last.max(axis=0)
    reach = np.where(nadir > ideal, (1.0 + MARGIN) * (nadir - ideal), np.maximum(np.abs(ideal), 1.0) * MARGIN)
    points = ideal + reach * qmc.Sobol(values.shape[1], seed=_SEED).random(POINTS)
    dominated = np.zeros(POINTS, dtype=bool)
    shares = np.empty(len(values))
    for place, value in enumerate(values):
        if np.all(value < ideal + reach):
            dominated |= np.all(points >= value, axis=1)
        shares[place] = dominated.mean()
    return shares


def _volume(evidence: Evidence, trials: list[TrialRecord], values: Array) -> Figure:
    shares = dominated_shares(values)
    unit, length = time_unit(evidence.latest - evidence.began)
    place = {trial.trial.number: i for i, trial in enumerate(evidence.ended, 1)}
    rows: list[Row] = [
        {
            "place": place[trial.trial.number],
            "when": ((trial.completed or evidence.began) - evidence.began) / length,
            "share": float(share),
            "trial": trial.trial.number,
        }
        for trial, share in zip(trials, shares, strict=True)
    ]
    steps = np.flatnonzero(np.diff(shares, prepend=0.0) > 0.0)
    rows = thinned(rows)
    panels = [_growth(rows, "place", "trials ended"), _growth(rows, "when", f"{unit} since the start")]
    says = (
        f"Share of the box between the best values and a reference point that the front dominates (its hypervolume), "
        f"{shares[-1]:.1%} at last. The reference point lies a tenth of the front's range behind its worst values. "
        f"{counted(len(steps), 'trial')} made it larger"
    )
    says += f", the last of them trial {trials[steps[-1]].trial.number}." if len(steps) else "."
    table = [
        {"trial": trials[i].trial.number, "after": place[trials[i].trial.number], "share": f"{shares[i]:.2%}"}
        for i in reversed(steps.tolist())
    ]
    return Figure("hypervolume", "What the front dominates", says, beside(panels, 2, 84), table[:_MOST_ROWS], wide=True)


def _growth(rows: list[Row], x: str, title: str) -> Spec:
    line: Spec = {
        "data": data(rows),
        "mark": {"type": "line", "interpolate": "step-after", "color": BLUE, "strokeWidth": 2, "point": {"size": 14}},
        "encoding": {
            "x": axis(x, title) | ({"axis": {"tickMinStep": 1}} if x == "place" else {}),
            "y": axis("share", "share dominated", scale={"domain": [0, 1]}, axis={"format": ".0%"}),
            "tooltip": told(("trial", "trial"), (x, title), ("share", "share")),
        },
    }
    return layered(line, width=430, height=220)

"""What trials reported on the way: learning curves, and the rungs at which they were ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reverie.report.evidence import Evidence
from reverie.report.figure import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, WORDS, Figure, Spec, axis, data, layered, told
from reverie.report.progress import good_range
from utilities.budgets import as_fidelity
from utilities.display.text import counted, number
from utilities.trial import TrialState

MOST_CURVES = 150
"""Curves drawn: those of the best trials, and of the others evenly."""

_STEPS = 120
_COLOURS = {"best": GREEN, "completed": GREY, "paused": PURPLE, "ended early": ORANGE, "failed": RED, "under way": BLUE}


def curves(evidence: Evidence) -> list[Figure]:
    """Figure of the learning curves; none where nothing was reported twice."""
    reported = {number: steps for number, steps in evidence.reports.items() if len(steps) > 1}
    if not reported:
        return []
    chosen = _chosen(evidence, reported)
    best = None if evidence.best is None else evidence.best.trial.number
    rows: list[dict[str, Any]] = []
    for trial in sorted(chosen, key=lambda number_: number_ == best):  # what comes last is drawn above the others
        steps = sorted(evidence.reports[trial].items())
        if len(steps) > _STEPS:
            places = np.unique(np.linspace(0, len(steps) - 1, _STEPS).astype(int))
            steps = [steps[place] for place in places]
        state = "best" if trial == best else WORDS[evidence.trials[trial].state]
        rows += [
            {"trial": trial, "step": step, "value": value, "state": state, "worth": int(trial == best)}
            for step, value in steps
            if np.isfinite(value)
        ]
    if not rows:
        return []
    lines = drawn(rows, evidence.sign, "step", "reported value")
    rungs = rungs_of(evidence.tables, max(row["step"] for row in rows))
    layers = [lines]
    if rungs:
        rule: Spec = {
            "data": data([{"rung": rung} for rung in rungs]),
            "mark": {"type": "rule", "strokeDash": [4, 4], "color": GREY, "opacity": 0.7},
            "encoding": {"x": axis("rung", "step"), "tooltip": told(("rung", "rung at step"))},
        }
        layers = [rule, lines]
    spent = sum(max(steps) for steps in evidence.reports.values())
    pruned = sum(trial.state is TrialState.PRUNED for trial in evidence.ended)
    paused = sum(evidence.trials[number_].paused for number_ in evidence.reports)
    how = f"{paused:,} of them are paused at a rung" if paused else f"{pruned:,} of them were ended early"
    says = f"{counted(len(evidence.reports), 'trial')} reported {spent:,} steps in all; {how}."
    if len(chosen) < len(reported):
        says += f" Drawn are {len(chosen)} curves: of the best trials, and of the others evenly."
    if rungs:
        says += f" Dashed lines are rungs: steps {', '.join(map(str, rungs))}."
    return [Figure("learning-curves", "Learning curves", says, layered(*layers), _table(evidence), wide=True)]


def drawn(rows: list[dict[str, Any]], sign: float, x: str, y: str, *, log: bool = False, points: bool = False) -> Spec:
    """Lines of ``value`` over ``step``, one a ``trial``, coloured by ``state``; thick where ``worth`` is 1.

    Parameters
    ----------
    rows
        With these keys.
    sign
        1 where low values are good, -1 where high ones are.
    x, y
        Titles of the axes.
    log
        Whether steps are on a logarithmic scale.
    points
        Whether lines have points.
    """
    domain = good_range(np.array([row["value"] for row in rows]), sign)
    states = [state for state in _COLOURS if any(row["state"] == state for row in rows)]
    along = axis("step", x)
    if log:
        ticks = sorted({row["step"] for row in rows})
        along = axis("step", x, scale={"type": "log", "padding": 12}, axis={"values": ticks, "format": "~g"})
        along["scale"].pop("zero")
    return {
        "data": data(rows),
        "mark": {"type": "line", "clip": True, **({"point": {"size": 24}} if points else {})},
        "encoding": {
            "x": along,
            "y": axis("value", y, scale={"domain": domain}),
            "detail": {"field": "trial"},
            "strokeWidth": {"condition": {"test": "datum.worth === 1", "value": 3}, "value": 1.2},
            "opacity": {"field": "worth", "type": "quantitative", "legend": None, "scale": {"range": [0.45, 1.0]}},
            "color": {
                "field": "state",
                "type": "nominal",
                "title": "trial",
                "scale": {"domain": states, "range": [_COLOURS[state] for state in states]},
                "legend": {"orient": "top"},
            },
            "tooltip": told(("trial", "trial"), ("step", x), ("value", y), ("state", "state")),
        },
    }


def rungs_of(tables: Mapping[str, Any], furthest: int) -> list[int]:
    """Steps at which trials are compared by successive halving or by budgets, up to the `furthest` reported."""
    if fidelity := tables.get("fidelity"):
        return [budget for budget in as_fidelity(fidelity).budgets if isinstance(budget, int) and budget <= furthest]
    table = tables.get("early_stopping") or {}
    if table.get("rule") not in ("asha", "hyperband"):
        return []
    rung, eta = table.get("min_steps") or 1, table.get("eta") or 3
    found = []
    while rung <= furthest:
        found.append(rung)
        rung *= eta
    return found


def _chosen(evidence: Evidence, reported: Mapping[int, Any]) -> list[int]:
    def worth(trial: int) -> float:
        values = [value for value in evidence.reports[trial].values() if np.isfinite(value)]
        return float(evidence.sign * values[-1]) if values else np.inf

    if len(reported) <= MOST_CURVES:
        return list(reported)
    ranked = sorted(reported, key=worth)
    others = ranked[MOST_CURVES // 3 :]
    evenly = np.linspace(0, len(others) - 1, MOST_CURVES - MOST_CURVES // 3).astype(int)
    return [*ranked[: MOST_CURVES // 3], *(others[place] for place in np.unique(evenly))]


def _table(evidence: Evidence) -> list[dict[str, Any]]:
    ended: dict[int, int] = {}
    for trial in evidence.ended:
        if trial.state is TrialState.PRUNED and trial.trial.number in evidence.reports:
            last = max(evidence.reports[trial.trial.number])
            ended[last] = ended.get(last, 0) + 1
    return [{"ended early at step": step, "trials": number(count)} for step, count in sorted(ended.items())]

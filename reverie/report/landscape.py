"""What the objective looks like: which parameters matter, all at once and one by one, and how well that is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import spearmanr

from reverie.report.evidence import Evidence
from reverie.report.figure import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Figure,
    Row,
    Spec,
    axis,
    beside,
    data,
    layered,
    parameter_axis,
    places_along,
    shown_value,
    thinned,
    told,
)
from reverie.report.importance import importance
from reverie.report.knowledge import Knowledge
from reverie.report.pairs import pairs
from reverie.report.progress import good_range
from utilities.display.text import counted, number, setting
from utilities.fitting import family
from utilities.parameters import Varied
from utilities.ranges import FloatParameter, IntParameter
from utilities.trial import TrialRecord

MOST_LINES = 240
"""Trials in the parallel coordinates: the best third, and of the others evenly."""

MOST_PAIRED = 4
"""Parameters that are shown in pairs, the most important ones."""

_ALONG = 41
_MOST_SLICES = 24


def landscape(evidence: Evidence, knowledge: Knowledge) -> list[Figure]:
    """Figures of the objective over the parameters."""
    shares = importance(evidence)
    order = [name for name in (row.name for row in shares.rows) if name in evidence.space.varied]
    order += [name for name in evidence.space.names if name not in order]
    figures = [_importance(shares)] if shares.rows or shares.why_not else []
    figures += [
        _foresight(evidence, knowledge),
        *([_parallel(evidence, order)] if len(order) > 1 else []),
        _slices(evidence, knowledge, order[:_MOST_SLICES]),
    ]
    if len(order) > 1:
        figures.append(pairs(evidence, knowledge, order[:MOST_PAIRED]))
    return figures


def _importance(shares: Any) -> Figure:
    if not shares.rows:
        return Figure("importance", "Which parameters matter", shares.why_not)
    rows: list[Row] = [
        {"parameter": row.name, "share": row.share, "low": row.low, "high": row.high} for row in shares.rows
    ]
    encoding = {"y": axis("parameter", "", "nominal", sort=[row["parameter"] for row in rows])}
    bars: Spec = {
        "data": data(rows),
        "mark": {"type": "bar", "color": BLUE, "opacity": 0.75},
        "encoding": encoding
        | {
            "x": {"field": "share", "type": "quantitative", "title": "share of the importance"},
            "tooltip": told(("parameter", "parameter"), ("share", "share"), ("low", "from"), ("high", "to")),
        },
    }
    rule: Spec = {
        "data": data(rows),
        "mark": {"type": "rule", "color": ORANGE, "strokeWidth": 2},
        "encoding": encoding | {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}},
    }
    spec = layered(bars, rule, height=24 * len(rows))
    first = rows[0]
    says = (
        f"{first['parameter']} matters most, with {first['share']:.0%} of the importance. {shares.how} Orange lines "
        "are 90 % intervals over resampled trials."
    )
    table = [
        {
            "parameter": row["parameter"],
            "share": f"{row['share']:.1%}",
            "90 %": f"{row['low']:.1%} to {row['high']:.1%}",
        }
        for row in rows
    ]
    return Figure("importance", "Which parameters matter", says, spec, table)


# --- all parameters at once -------------------------------------------------------------------------------------------


def _parallel(evidence: Evidence, order: list[str]) -> Figure:
    ranked = sorted(evidence.completed, key=lambda trial: evidence.sign * evidence.value(trial))
    good, others = ranked[: MOST_LINES // 3], ranked[MOST_LINES // 3 :]
    chosen = good + (thinned(others, MOST_LINES - len(good)) if len(others) > 1 else others)
    names, place = order, {trial.trial.number: i for i, trial in enumerate(ranked)}
    rows: list[Row] = []
    for trial in reversed(chosen):
        worth = 1.0 - place[trial.trial.number] / max(1, len(ranked) - 1)
        for name in names:
            value = trial.trial.config.get(name)
            rows.append(
                {
                    "parameter": name,
                    "place": None if value is None else evidence.space.varied[name].unit(value),
                    "trial": trial.trial.number,
                    "worth": worth,
                    "weight": worth,
                    "objective": evidence.value(trial),
                    "value": "inactive" if value is None else setting(value),
                }
            )
    lines: Spec = {
        "data": data(rows),
        "mark": {"type": "line", "strokeWidth": 1.2, "invalid": "break-paths-show-domains", "point": {"size": 8}},
        "encoding": {
            "x": axis("parameter", "", "nominal", sort=names, axis={"labelAngle": -25, "grid": True}),
            "y": axis("place", "low to high, on each one's own scale", axis={"labels": False, "ticks": False}),
            "detail": {"field": "trial"},
            "order": {"field": "worth", "type": "quantitative"},
            "opacity": {
                "field": "weight",
                "type": "quantitative",
                "legend": None,
                "scale": {"range": [0.12, 1.0], "type": "pow", "exponent": 3},
            },
            "color": {
                "field": "worth",
                "type": "quantitative",
                "title": "share beaten",
                "scale": {"range": [GREY, GREEN, ORANGE]},
                "legend": {"format": ".0%"},
            },
            "tooltip": told(
                ("trial", "trial"), ("objective", evidence.objective), ("parameter", "parameter"), ("value", "value")
            ),
        },
    }
    says = (
        f"Each line is a trial: {evidence.told(len(chosen))} of {len(ranked)}, the warmer the better. "
        "A line breaks where a parameter is inactive. Where warm lines meet, good trials agree."
    )
    table = [
        {"trial": trial.trial.number, evidence.objective: number(evidence.value(trial))}
        | {
            name: setting(trial.trial.config[name]) if name in trial.trial.config else ""
            for name in evidence.space.names
        }
        for trial in ranked[:10]
    ]
    return Figure("parallel", "All parameters at once", says, layered(lines, height=300), table, wide=True)


# --- one by one -------------------------------------------------------------------------------------------------------


def _slices(evidence: Evidence, knowledge: Knowledge, names: list[str]) -> Figure:
    shown = thinned(evidence.completed, 400)
    values = np.array([evidence.value(trial) for trial in evidence.completed])
    domain = good_range(values, evidence.sign)
    panels, table = [], []
    for name in names:
        parameter = evidence.space.varied[name]
        column = evidence.space.names.index(name)
        places = places_along(parameter, _ALONG)
        along = knowledge.slice_along(column, places)
        at = [shown_value(parameter, parameter.value(place)) for place in places]
        rows: list[Row] = [
            {"value": value, "middle": m, "low": low, "high": high}
            for value, m, low, high in zip(at, along.middle, along.low, along.high, strict=True)
        ]
        panels.append(_slice(evidence, name, parameter, rows, shown, domain))
        best = int(np.argmin(evidence.sign * along.middle))
        table.append(
            {
                "parameter": name,
                "best on average at": setting(parameter.value(float(places[best]))),
                "predicted there": number(float(along.middle[best])),
                "worst on average": number(float(along.middle[np.argmax(evidence.sign * along.middle)])),
            }
        )
    says = (
        f"Points are {evidence.scored_trials}. The line is the surrogate's prediction averaged over all other "
        f"parameters, with the 90 % interval of that average: {family(knowledge.kind)}, given "
        f"{counted(len(knowledge), 'trial')}."
    )
    return Figure("slices", "Parameters one by one", says, beside(panels, 3, 84), table, wide=True)


def _slice(
    evidence: Evidence,
    name: str,
    parameter: Varied,
    rows: list[Row],
    shown: list[TrialRecord],
    domain: list[float],
) -> Spec:
    numeric = isinstance(parameter, FloatParameter | IntParameter)
    x = parameter_axis("value", name, parameter)
    limits = {"domain": domain, "clamp": True}
    y = axis("objective", evidence.objective, scale=limits)
    points: Spec = {
        "data": data(
            [
                {
                    "value": shown_value(parameter, trial.trial.config[name]),
                    "objective": evidence.value(trial),
                    "trial": trial.trial.number,
                }
                for trial in shown
                if name in trial.trial.config
            ]
        ),
        "mark": {"type": "point", "filled": True, "size": 18, "opacity": 0.4, "color": GREY},
        "encoding": {
            "x": x,
            "y": y,
            "tooltip": told(("trial", "trial"), ("value", name), ("objective", evidence.objective)),
        },
    }
    band: Spec = {
        "data": data(rows),
        "mark": {"type": "area" if numeric else "rule", "opacity": 0.25 if numeric else 0.8, "color": BLUE},
        "encoding": {"x": x, "y": axis("low", evidence.objective, scale=limits), "y2": {"field": "high"}},
    }
    line: Spec = {
        "data": data(rows),
        "mark": {"type": "line" if numeric else "tick", "color": BLUE, "strokeWidth": 2, "thickness": 3},
        "encoding": {
            "x": x,
            "y": axis("middle", evidence.objective, scale=limits),
            "tooltip": told(("value", name), ("middle", "predicted"), ("low", "from"), ("high", "to")),
        },
    }
    return layered(points, band, line, width=262, height=170)


# --- how well that is known -------------------------------------------------------------------------------------------


def _foresight(evidence: Evidence, knowledge: Knowledge) -> Figure:
    found = knowledge.foresight()
    rows = [
        {"trial": int(trial), "observed": o, "predicted": m, "low": low, "high": high}
        for trial, o, m, low, high in zip(
            found.numbers, found.observed, found.middle, found.low, found.high, strict=True
        )
    ]
    rows = thinned(rows, 500)
    domain = good_range(found.observed, evidence.sign)
    limits = {"domain": domain, "clamp": True}
    x = axis("observed", "observed", scale=limits)
    bars: Spec = {
        "data": data(rows),
        "mark": {"type": "rule", "opacity": 0.35, "color": BLUE},
        "encoding": {"x": x, "y": axis("low", "predicted from other trials", scale=limits), "y2": {"field": "high"}},
    }
    points: Spec = {
        "data": data(rows),
        "mark": {"type": "point", "filled": True, "size": 22, "color": BLUE},
        "encoding": {
            "x": x,
            "y": axis("predicted", "predicted from other trials", scale=limits),
            "tooltip": told(
                ("trial", "trial"),
                ("observed", "observed"),
                ("predicted", "predicted"),
                ("low", "from"),
                ("high", "to"),
            ),
        },
    }
    ends: Spec = {
        "data": data([{"observed": end, "predicted": end} for end in domain]),
        "mark": {"type": "line", "strokeDash": [5, 4], "color": GREEN},
        "encoding": {"x": x, "y": axis("predicted", "predicted from other trials", scale=limits)},
    }
    agreement = float(spearmanr(found.observed, found.middle).statistic) if np.ptp(found.middle) > 0 else 0.0
    says = (
        f"Each trial predicted from the other four fifths. {found.coverage:.0%} of them lie within their 90 % "
        "intervals: much less would mean that the surrogate is too sure of itself. Predictions and outcomes have a "
        f"rank correlation of {agreement:.2f}; the dashed line is perfect foresight."
    )
    table: list[Row] = _calibration(evidence)
    return Figure("foresight", "Predicted and observed", says, layered(bars, points, ends), table)


def _calibration(evidence: Evidence) -> list[Row]:
    """What the study itself recorded at its refits: how well the surrogate foresaw the outcomes since."""
    if evidence.model is None:
        return []
    return [
        {
            "surrogate": family(kind),
            "fitted to": f"{row[0]:.0f}",
            "outcomes judged": f"{row[1]:.0f}",
            "log density": number(float(row[2]), 3),
            "within 50 %": f"{row[3]:.0%}",
            "within 90 %": f"{row[4]:.0%}",
        }
        for kind, table in evidence.model.calibration.items()
        if evidence.rung is None and evidence.owns(kind)
        for row in table[-12:]
    ]

"""What the objective looks like over two parameters at a time."""

from __future__ import annotations

import itertools
import json
from typing import Any

from reverie.report.evidence import Evidence
from reverie.report.figure import ORANGE, Figure, Spec, axis, beside, data, layered, places_along, thinned, told
from reverie.report.knowledge import Knowledge
from utilities.display.text import setting, shorten
from utilities.parameters import Varied
from utilities.ranges import FloatParameter, IntParameter
from utilities.trial import TrialRecord

_ACROSS = 19
_MOST_LABELS, _LABEL = 5, 14
_OVERLAP = 0.004
"""Cells of a map overlap by this share of its side: a gap of a fraction of a pixel would look like a grid."""


def pairs(evidence: Evidence, knowledge: Knowledge, names: list[str]) -> Figure:
    """Figure of the surrogate over each two of the parameters `names`."""
    space, shown = evidence.space, thinned(evidence.completed, 200)
    panels = []
    for first, second in itertools.combinations(names, 2):
        columns = space.names.index(first), space.names.index(second)
        places = places_along(space.varied[first], _ACROSS), places_along(space.varied[second], _ACROSS)
        surface = knowledge.surface(*columns, places)
        rows = [
            {
                "a": float(a),
                "b": float(b),
                "first": setting(space.varied[first].value(float(a))),
                "second": setting(space.varied[second].value(float(b))),
                "predicted": float(surface[i, j]),
            }
            for i, a in enumerate(places[0])
            for j, b in enumerate(places[1])
        ]
        panels.append(_pair(evidence, (first, second), rows, places, shown))
    says = (
        f"The surrogate's prediction over the {len(names)} most important parameters, two at a time, averaged over all "
        "others; darker is better. Axes run from low to high on each parameter's own scale; circles are trials, the "
        "orange one is the best."
    )
    return Figure("pairs", "Parameters in pairs", says, beside(panels, 3, 170), (), wide=True)


def _pair(
    evidence: Evidence,
    names: tuple[str, str],
    rows: list[dict[str, Any]],
    places: tuple[Any, Any],
    shown: list[TrialRecord],
) -> Spec:
    space = evidence.space
    for key, along in zip("ab", places, strict=True):
        middles = 0.5 * (along[1:] + along[:-1])
        low = dict(zip(along.tolist(), [0.0, *middles.tolist()], strict=True))
        high = dict(zip(along.tolist(), [*(middles + _OVERLAP).tolist(), 1.0], strict=True))
        for row in rows:
            row[f"{key}0"], row[f"{key}1"] = low[row[key]], high[row[key]]
    x: Spec = axis("a0", names[0], scale={"domain": [0, 1]}, axis=_ends(space.varied[names[0]]))
    y: Spec = axis("b0", names[1], scale={"domain": [0, 1]}, axis=_ends(space.varied[names[1]]))
    tooltip = told(("first", names[0]), ("second", names[1]), ("predicted", "predicted"))
    heat: Spec = {
        "data": data(rows),
        "mark": {"type": "rect"},
        "encoding": {
            "x": x,
            "x2": {"field": "a1"},
            "y": y,
            "y2": {"field": "b1"},
            "color": {
                "field": "predicted",
                "type": "quantitative",
                "title": "predicted",
                "scale": {"scheme": "viridis", "reverse": evidence.sign < 0},
            },
            "tooltip": tooltip,
        },
    }
    best = evidence.best
    points = [
        {
            "a0": space.varied[names[0]].unit(trial.trial.config[names[0]]),
            "b0": space.varied[names[1]].unit(trial.trial.config[names[1]]),
            "trial": trial.trial.number,
            "objective": evidence.value(trial),
            "first": setting(trial.trial.config[names[0]]),
            "second": setting(trial.trial.config[names[1]]),
            "best": trial is best,
        }
        for trial in (shown if best is None or best in shown else [*shown, best])
        if names[0] in trial.trial.config and names[1] in trial.trial.config
    ]
    dots: Spec = {
        "data": data(points),
        "mark": {"type": "point", "strokeWidth": 1},
        "encoding": {
            "x": x,
            "y": y,
            "color": {"condition": {"test": "datum.best", "value": ORANGE}, "value": "#ffffff"},
            "size": {"condition": {"test": "datum.best", "value": 110}, "value": 14},
            "strokeWidth": {"condition": {"test": "datum.best", "value": 3}, "value": 0.8},
            "tooltip": told(
                ("trial", "trial"), ("objective", evidence.objective), ("first", names[0]), ("second", names[1])
            ),
        },
    }
    return layered(heat, dots, width=222, height=200) | {"resolve": {"scale": {"color": "independent"}}}


def _ends(parameter: Varied) -> Spec:
    """Axis along [0, 1] with a parameter's own values for labels: choices, or the ends and the middle of a range."""
    places = [0.0, 0.5, 1.0]
    if not isinstance(parameter, FloatParameter | IntParameter):
        places = thinned(parameter.places().tolist(), _MOST_LABELS)
    labels = [shorten(setting(parameter.value(place), 3), _LABEL) for place in places]
    pairs = json.dumps(dict(zip(map(str, range(len(places))), labels, strict=True)), ensure_ascii=False)
    nearest = " : ".join(f"abs(datum.value - {place}) < 1e-9 ? '{i}'" for i, place in enumerate(places))
    return {"values": places, "labelExpr": f"({pairs})[{nearest} : '']", "grid": False}

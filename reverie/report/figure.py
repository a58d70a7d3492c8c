"""A figure: what it shows in a sentence, and how, as a Vega-Lite specification (https://vega.github.io/vega-lite)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from utilities.parameters import Varied
from utilities.ranges import FloatParameter, IntParameter
from utilities.trial import TrialState

Spec: TypeAlias = dict[str, Any]
Row: TypeAlias = Mapping[str, Any]

BLUE, ORANGE, GREEN, RED, GREY, PURPLE = "#3b7dd8", "#e08a1e", "#3a9d5d", "#d1495b", "#8a8f98", "#8e6bbf"
WORDS = {
    TrialState.COMPLETE: "completed",
    TrialState.PAUSED: "paused",
    TrialState.PRUNED: "ended early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "under way",
    TrialState.WAITING: "waiting",
}
"""States of trials as figures call them."""

INFEASIBLE = "infeasible"
"""What figures call a completed trial that does not keep the constraints on metrics."""

STATES = dict(zip((*WORDS.values(), INFEASIBLE), (BLUE, PURPLE, ORANGE, RED, GREEN, GREY, "#c98a94"), strict=True))
"""Colours of these."""

MOST_POINTS = 3000
"""Points of a figure at most: more make a browser slow, and show nothing more."""


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    Attributes
    ----------
    name
        Identifies it in the page and as a file: lower-case words with hyphens.
    title
        A few words.
    says
        What can be seen: plain sentences, also for those who cannot see it.
    spec
        Vega-Lite specification without a schema; None where words and the table say all.
    rows
        A table of the figures behind it, the most important first.
    wide
        Whether it takes the whole width of the page.
    """

    name: str
    title: str
    says: str
    spec: Spec | None = None
    rows: Sequence[Row] = field(default_factory=list)
    wide: bool = False


def layered(*layers: Spec, width: int | str = "container", height: int = 260) -> Spec:
    """Several layers on shared axes."""
    return {"width": width, "height": height, "layer": list(layers)}


def beside(panels: Sequence[Spec], columns: int, room: int) -> Spec:
    """Panels beside each other, at most so many in a row, each with `room` pixels for axes and legends beside it."""
    return {"concat": list(panels), "columns": min(columns, len(panels)), "spacing": 18, "usermeta": {"beside": room}}


def data(rows: Sequence[Row]) -> Spec:
    """Inline data, with null for what is not finite: JSON has no NaN."""
    return {"values": [{key: finite(value) for key, value in row.items()} for row in rows]}


def finite(value: Any) -> Any:
    """`value`, or None where it is a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def axis(field_name: str, title: str, kind: str = "quantitative", **more: Any) -> Spec:
    """Encoding of a channel; numbers need not begin at zero."""
    found: Spec = {"field": _escaped(field_name), "type": kind, "title": title}
    if kind == "quantitative":
        found["scale"] = {"zero": False, "nice": False, **more.pop("scale", {})}
    return found | more


def parameter_axis(field_name: str, name: str, parameter: Varied, **more: Any) -> Spec:
    """Encoding of a parameter's values, on its own scale."""
    if isinstance(parameter, FloatParameter | IntParameter):
        domain: Spec = {"domain": [parameter.low, parameter.high], "nice": False}
        scale = domain | ({"type": "log"} if parameter.log else {"zero": False})
        ticks = {"tickCount": 5, "format": "~g", "labelOverlap": True}
        return {
            "field": _escaped(field_name),
            "type": "quantitative",
            "title": name,
            "scale": scale,
            "axis": ticks,
        } | more
    options = [str(option) for option in parameter.options]
    angle = 0 if sum(map(len, options)) <= 28 else -35
    return axis(field_name, name, "ordinal", sort=options, axis={"labelAngle": angle, "labelOverlap": False}, **more)


def shown_value(parameter: Varied, value: Any) -> Any:
    """A parameter's value as a figure's data has it: numbers of ranges, choices as text, by which they are sorted."""
    return value if isinstance(parameter, FloatParameter | IntParameter) else str(value)


def told(*fields: tuple[str, str]) -> list[Spec]:
    """Tooltip of fields, each with its title."""
    return [{"field": _escaped(name), "title": title} for name, title in fields]


def thinned(rows: Sequence[Any], most: int = MOST_POINTS) -> list[Any]:
    """At most `most` of the rows, evenly, the last among them."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def _escaped(name: str) -> str:
    """Field name for Vega, which takes dots and brackets for paths."""
    return "".join("\\" + letter if letter in ".[]\\'\"" else letter for letter in name)


def places_along(parameter: Varied, count: int) -> NDArray[np.float64]:
    """Places along a parameter: canonical ones of all its values where these are few, else evenly."""
    if parameter.levels <= count:
        return parameter.places()
    return np.unique(parameter.snap(np.linspace(0.0, 1.0, count)))

"""Who did what when: a line a worker, with the gaps in which it had nothing to do."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import numpy as np

from reverie.report.evaluations import evaluations
from reverie.report.evidence import Evidence
from reverie.report.figure import BLUE, GREY, STATES, WORDS, Figure, Row, Spec, axis, data, told
from reverie.report.progress import time_unit
from utilities.display.text import counted, duration

MOST_WORKERS = 48
"""Workers with a line each; of more it is shown how many are busy."""

_MOST_BARS = 4000
_PARTS = 200
_LONGEST_TABLE = 50


def workers(evidence: Evidence) -> list[Figure]:
    """Figure of the workers' time; none before a trial has ended."""
    spans = _spans(evidence)
    if not spans:
        return []
    unit, length = time_unit(evidence.latest - evidence.began)
    own: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for span in spans:
        own[span["worker"]].append(span)
    table = sorted((_line(worker, of_worker) for worker, of_worker in own.items()), key=lambda row: row["busy share"])
    busy = float(np.mean([row["busy share"] for row in table]))
    says = f"{counted(len(own), 'worker')}, busy {busy:.1%} of the time between the first trial and the last of each."
    if len(own) <= MOST_WORKERS and len(spans) <= _MOST_BARS:
        spec = _bars(spans, unit, length, len(own))
        what = f"an evaluation with {_part(evidence)}" if any(span["part"] for span in spans) else "a trial"
        says += f" A bar is {what}; what is empty is time in which a worker had none."
    else:
        spec = _busy(spans, unit, length)
        says += " Drawn is how many of them evaluated a trial."
    shown = [row | {"busy share": f"{row['busy share']:.1%}"} for row in table[:_LONGEST_TABLE]]
    return [Figure("workers", "Workers", says, spec, shown, wide=True)]


def _spans(evidence: Evidence) -> list[dict[str, Any]]:
    return [
        {
            "trial": found.trial.trial.number,
            "start": found.started - evidence.began,
            "end": found.completed - evidence.began,
            "worker": found.worker,
            "state": WORDS[found.state],
            "value": found.value,
            "part": found.part,
        }
        for found in evaluations(evidence)
    ]


def _part(evidence: Evidence) -> str:
    return "one of the budgets" if evidence.header.instances is None else "one of the instances"


def _line(worker: str, spans: list[dict[str, Any]]) -> dict[str, Any]:
    first, last = min(span["start"] for span in spans), max(span["end"] for span in spans)
    spent = sum(span["end"] - span["start"] for span in spans)
    ordered = sorted(spans, key=lambda span: span["start"])
    gaps = [b["start"] - a["end"] for a, b in itertools.pairwise(ordered)]
    return {
        "worker": worker,
        "evaluations" if any(span["part"] for span in spans) else "trials": len(spans),
        "busy share": min(1.0, spent / (last - first)) if last > first else 1.0,
        "longest gap": duration(max([0.0, *gaps])),
    }


def _bars(spans: list[dict[str, Any]], unit: str, length: float, count: int) -> Spec:
    rows: list[Row] = [
        span
        | {"from": span["start"] / length, "to": span["end"] / length, "took": duration(span["end"] - span["start"])}
        for span in spans
    ]
    states = [state for state in STATES if any(span["state"] == state for span in spans)]
    return {
        "width": "container",
        "height": count * max(10, min(26, 480 // count)),
        "data": data(rows),
        "mark": {"type": "bar", "stroke": "#00000066", "strokeWidth": 0.4},
        "encoding": {
            "x": axis("from", f"{unit} since the start", scale={"domainMin": 0}, axis={"tickCount": 10}),
            "x2": {"field": "to"},
            "y": axis("worker", "worker", "nominal", sort=_by_rank(spans)),
            "color": {
                "field": "state",
                "type": "nominal",
                "title": "trial",
                "scale": {"domain": states, "range": [STATES[state] for state in states]},
                "legend": {"orient": "top"},
            },
            "tooltip": told(
                ("trial", "trial"),
                *([("part", "with")] if any(span["part"] for span in spans) else []),
                *(("worker", "worker"), ("took", "took"), ("state", "state")),
                *([("value", "value")] if any(np.isfinite(span["value"]) for span in spans) else []),
            ),
        },
    }


def _by_rank(spans: list[dict[str, Any]]) -> list[str]:
    def rank(worker: str) -> tuple[int, str]:
        first = worker.partition("@")[0]
        return (int(first) if first.isdigit() else 1 << 30, worker)

    return sorted({span["worker"] for span in spans}, key=rank)


def _busy(spans: list[dict[str, Any]], unit: str, length: float) -> Spec:
    starts, ends = np.sort([span["start"] for span in spans]), np.sort([span["end"] for span in spans])
    times = np.linspace(0.0, ends[-1], _PARTS)
    running = np.searchsorted(starts, times, "right") - np.searchsorted(ends, times, "right")
    rows = [{"when": time / length, "busy": int(count)} for time, count in zip(times, running, strict=True)]
    return {
        "width": "container",
        "height": 220,
        "data": data(rows),
        "mark": {"type": "area", "color": BLUE, "opacity": 0.6, "line": {"color": GREY}, "interpolate": "step"},
        "encoding": {
            "x": axis("when", f"{unit} since the start"),
            "y": {"field": "busy", "type": "quantitative", "title": "workers that evaluate"},
            "tooltip": told(("when", unit), ("busy", "workers that evaluate")),
        },
    }

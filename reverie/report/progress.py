"""How the search went: the best so far, and the scores of all trials as a density."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from reverie.report.evidence import Evidence
from reverie.report.figure import (
    GREEN,
    INFEASIBLE,
    STATES,
    WORDS,
    Figure,
    Row,
    Spec,
    axis,
    beside,
    data,
    layered,
    thinned,
    told,
)
from reverie.report.stages import began, boundaries, stages
from utilities.display.text import counted, duration, number, setting
from utilities.rungs import in_order
from utilities.trial import TrialRecord, TrialState

_UNITS = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
_BINS = 40
_FEW = 20


def progress(evidence: Evidence, scored: Evidence) -> list[Figure]:
    """Figures of how the search went; `scored` is the same study by values that enough trials have."""
    events = _events(evidence)
    if not any(np.isfinite(event.value) for event in events):
        return []
    return [
        _best_so_far(evidence, events),
        *stages(evidence),
        *([_density(scored)] if len(scored.completed) >= _FEW else []),
    ]


class _Event(NamedTuple):
    """A trial ended, or an evaluation of it with less than the full budget."""

    trial: TrialRecord
    state: TrialState
    value: float
    time: float


def _events(evidence: Evidence) -> list[_Event]:
    found = []
    for trial, rung in in_order(evidence.trials.values()):
        if rung is not None:
            value = float("nan") if rung.outcome.objective is None else rung.outcome.objective
            found.append(_Event(trial, TrialState.PAUSED, value, rung.completed))
        elif trial.rungs[-1:] and trial.rungs[-1].budget == trial.budget:
            continue  # ended where it had been paused, without another evaluation
        else:
            found.append(_Event(trial, trial.state, evidence.value(trial), trial.completed or evidence.began))
    return found


def time_unit(seconds: float) -> tuple[str, float]:
    """Unit in which a span of so many seconds is told, and its length in seconds."""
    return next(((name, length) for name, length in _UNITS if seconds >= 2.0 * length), _UNITS[-1])


def view(low: float, high: float, values: Any) -> list[float]:
    """Range of an axis that shows the good values well: a few very bad ones are cut off at its edge."""
    span = high - low
    if span <= 1e-9 * max(abs(low), abs(high), 1e-300):
        span = abs(high) if abs(high) > 1e-100 else 1.0
    return [low - 0.03 * span, high + 0.03 * span] if len(values) else [0.0, 1.0]


def good_range(values: np.ndarray[Any, Any], sign: float) -> list[float]:
    """Range from the best value to the 90 % best, or to the worst where that is not much further."""
    signed = np.sort(sign * values)
    best, most, worst = signed[0], signed[int(0.9 * (len(signed) - 1))], signed[-1]
    end = worst if worst - best <= 3.0 * (most - best) else most
    low, high = sorted((sign * float(best), sign * float(end)))
    return view(low, high, values)


def _best_so_far(evidence: Evidence, events: list[_Event]) -> Figure:
    unit, length = time_unit(evidence.latest - evidence.began)
    rows: list[Row] = []
    improvements: list[dict[str, Any]] = []
    best = np.inf
    for place, event in enumerate(events, 1):
        value, trial = event.value, event.trial
        if not np.isfinite(value):
            continue
        when = (event.time - evidence.began) / length
        full = event.state is TrialState.COMPLETE and evidence.feasible(trial)
        if full and evidence.sign * value < best:
            best = evidence.sign * value
            improvements.append({"place": place, "when": when, "best": value, "trial": trial.trial.number})
        config = ", ".join(f"{name} = {setting(item)}" for name, item in trial.trial.config.items())
        own = {"place": place, "when": when, "value": value, "state": _state(event, evidence)}
        rows.append(own | {"trial": trial.trial.number, "config": config})
    steps = [*improvements]
    if improvements:
        steps.append({**improvements[-1], "place": len(events), "when": rows[-1]["when"]})
    domain = good_range(np.array([row["value"] for row in rows]), evidence.sign)
    ended = "trials ended" if evidence.header.fidelity is None else "evaluations ended"
    times = np.array([event.time for event in events])
    marks: list[Row] = [
        {
            "stage": f"stage {stage.stage + 1}",
            "place": int(np.sum(times < time)) + 0.5,
            "when": (time - evidence.began) / length,
        }
        for stage, time in began(evidence)
    ]
    panels = [
        _best_panel(thinned(rows), steps, marks, "place", ended, (evidence.objective, domain)),
        _best_panel(thinned(rows), steps, marks, "when", f"{unit} since the start", (evidence.objective, domain)),
    ]
    found = evidence.best
    says = f"{counted(len(events), ended.partition('s ')[0])} in {duration(evidence.latest - evidence.began)}"
    if found is not None:
        says += f"; the best, trial {found.trial.number}, has {number(evidence.value(found))}"
        says += f" and is improvement {len(improvements)}."
    else:
        says += "; none has had the full budget yet." if evidence.header.fidelity is not None else "."
    says += " Points are trials, the line is the best so far. Values far off are drawn at the edge."
    table = [
        {"trial": row["trial"], "after": row["place"], unit: number(row["when"]), "best": number(row["best"])}
        for row in reversed(improvements)
    ]
    return Figure("best-so-far", "Best so far", says, beside(panels, 2, 84), table, wide=True)


def _state(event: _Event, evidence: Evidence) -> str:
    infeasible = event.state is TrialState.COMPLETE and not evidence.feasible(event.trial)
    return INFEASIBLE if infeasible else WORDS[event.state]


def _best_panel(
    rows: list[Row],
    steps: list[dict[str, Any]],
    marks: list[Row],
    x: str,
    title: str,
    along_y: tuple[str, list[float]],
) -> Spec:
    name, domain = along_y
    along = axis(x, title) | ({"axis": {"tickMinStep": 1}} if x == "place" else {})
    y: Spec = axis("value", name, scale={"domain": domain, "clamp": True})
    states = [state for state in STATES if any(row["state"] == state for row in rows)]
    points: Spec = {
        "data": data(rows),
        "mark": {"type": "point", "filled": True, "size": 28, "opacity": 0.6},
        "encoding": {
            "x": along,
            "y": y,
            "color": {
                "field": "state",
                "type": "nominal",
                "title": "state",
                "scale": {"domain": states, "range": [STATES[state] for state in states]},
                "legend": None if len(states) == 1 else {"orient": "top"},
            },
            "tooltip": told(("trial", "trial"), ("value", name), ("state", "state"), ("config", "configuration")),
        },
    }
    line: Spec = {
        "data": data(steps),
        "mark": {"type": "line", "interpolate": "step-after", "color": GREEN, "strokeWidth": 2.5},
        "encoding": {"x": along, "y": axis("best", name, scale={"domain": domain, "clamp": True})},
    }
    return layered(*([boundaries(marks, x, title, rows[-1][x])] if marks else []), points, line, width=430)


def _density(evidence: Evidence) -> Figure:
    values = np.array([evidence.value(trial) for trial in evidence.completed])
    low, high = good_range(values, evidence.sign)
    columns = min(_BINS, max(4, len(values) // 5))
    heights = min(_BINS, max(8, round(2.0 * len(values) ** 0.5)))
    at = np.minimum(np.arange(len(values)) * columns // len(values), columns - 1)
    level = np.clip(((values - low) / (high - low) * heights).astype(int), 0, heights - 1)
    counts = np.zeros((columns, heights))
    np.add.at(counts, (at, level), 1.0)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    edge = np.linspace(0, len(values), columns + 1)
    side = np.linspace(low, high, heights + 1)
    rows = [
        {
            "from": edge[i],
            "to": edge[i + 1],
            "low": side[j],
            "high": side[j + 1],
            "share": share[i, j],
            "trials": int(counts[i, j]),
        }
        for i in range(columns)
        for j in range(heights)
        if counts[i, j]
    ]
    spec: Spec = {
        "width": "container",
        "height": 260,
        "data": data(rows),
        "mark": "rect",
        "encoding": {
            "x": axis("from", f"{evidence.scored_trials}, in the order in which they ended"),
            "x2": {"field": "to"},
            "y": axis("low", evidence.objective),
            "y2": {"field": "high"},
            "color": {
                "field": "share",
                "type": "quantitative",
                "title": "share",
                "scale": {"domainMin": 0},
                "legend": {"format": ".0%"},
            },
            "tooltip": told(("trials", "trials"), ("low", f"{evidence.objective} from"), ("high", "to")),
        },
    }
    half = len(values) // 2
    first, second = np.median(values[:half]), np.median(values[half:])
    says = (
        f"How the scores of {evidence.told(len(values))} are spread, column by column: each is the share "
        f"of the trials that ended then. The median was {number(float(first))} in the first half and "
        f"{number(float(second))} in the second. Values beyond the edge count into its row."
    )
    table = [
        {"trials": f"{part * len(values) // 4 + 1} to {(part + 1) * len(values) // 4}"}
        | {
            name: number(float(np.quantile(values[part * len(values) // 4 : (part + 1) * len(values) // 4], share)))
            for name, share in (("quarter below", 0.25), ("median", 0.5), ("quarter above", 0.75))
        }
        for part in range(4)
    ]
    return Figure("scores", "Scores of all trials", says, spec, table, wide=True)

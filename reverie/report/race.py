"""Studies on instances: how far each configuration went, how certain its objective is, whether the winner is real."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reverie.report.evaluations import instance_names
from reverie.report.evidence import Evidence
from reverie.report.figure import BLUE, GREEN, GREY, ORANGE, Figure, Row, Spec, axis, data, layered, thinned, told
from reverie.report.progress import good_range
from utilities.display.comparison import as_table, comparison_lines
from utilities.display.text import clean, counted, number, setting, uncertain
from utilities.race_results import comparison
from utilities.trial import TrialRecord, TrialState

MOST_CONFIGURATIONS = 60
"""Configurations drawn with their errors, the best ones."""

MOST_COMPARED = 12
"""Configurations whose values on each instance are drawn."""

_KINDS = {"on all instances": GREEN, "given up": ORANGE}


def race(evidence: Evidence) -> list[Figure]:
    """Figures of the race; none of a study without instances, or before a configuration's end."""
    if evidence.header.instances is None:
        return []
    ended = [trial for trial in evidence.ended if trial.parts and np.isfinite(evidence.value(trial))]
    if not ended:
        return []
    ranked = sorted(ended, key=lambda trial: (trial.state.value, evidence.sign * evidence.value(trial)))
    found = [_standing(evidence, ended), _distances(evidence, ended)]
    table = significance(evidence)
    if table and table["trials"]:
        found.append(_winner(evidence, table))
    whole = [trial for trial in ranked if trial.state is TrialState.COMPLETE][:MOST_COMPARED]
    if len(whole) > 1:
        found.append(_by_instance(evidence, whole))
    return found


def significance(evidence: Evidence) -> Mapping[str, Any]:
    """How the best configurations compare, as summary.json has it; empty where they cannot be compared."""
    told_of = evidence.summary.get("significance")
    if isinstance(told_of, Mapping):
        return told_of
    if evidence.header.instances is None or evidence.goals.several:
        return {}
    found = comparison(evidence.trials.values(), evidence.header.direction, len(evidence.header.instances))
    return {} if found is None else as_table(found)


def _kind(trial: TrialRecord) -> str:
    return "on all instances" if trial.state is TrialState.COMPLETE else "given up"


def _colour(rows: Sequence[Row]) -> Spec:
    kinds = [kind for kind in _KINDS if any(row["kind"] == kind for row in rows)]
    return {
        "field": "kind",
        "type": "nominal",
        "title": None,
        "scale": {"domain": kinds, "range": [_KINDS[kind] for kind in kinds]},
        "legend": {"orient": "top"},
    }


# --- where configurations stand ---------------------------------------------------------------------------------------


def _standing(evidence: Evidence, ended: list[TrialRecord]) -> Figure:
    ranked = sorted(ended, key=lambda trial: evidence.sign * evidence.value(trial))
    shown = ranked[:MOST_CONFIGURATIONS]
    rows: list[Row] = []
    for place, trial in enumerate(shown, 1):
        value, error = evidence.value(trial), _error(trial)
        config = ", ".join(f"{name} = {setting(item)}" for name, item in trial.trial.config.items())
        rows.append(
            {
                "place": place,
                "value": value,
                "low": value - error,
                "high": value + error,
                "kind": _kind(trial),
                "instances": len(trial.parts),
                "trial": trial.trial.number,
                "config": config,
            }
        )
    ends = [row[key] for row in rows for key in ("low", "high", "value") if np.isfinite(row[key])]
    limits = {"domain": good_range(np.array(ends), evidence.sign), "clamp": True}
    x = axis(
        "place", "configurations, the best first", scale={"domain": [0.5, len(shown) + 0.5]}, axis={"tickMinStep": 1}
    )
    bars: Spec = {
        "data": data(rows),
        "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.6},
        "encoding": {
            "x": x,
            "y": axis("low", evidence.objective, scale=limits),
            "y2": {"field": "high"},
            "color": _colour(rows),
        },
    }
    points: Spec = {
        "data": data(rows),
        "mark": {"type": "point", "filled": True, "size": 46},
        "encoding": {
            "x": x,
            "y": axis("value", evidence.objective, scale=limits),
            "color": _colour(rows),
            "tooltip": told(
                *(
                    ("trial", "trial"),
                    ("value", evidence.objective),
                    ("low", "less an error"),
                    ("high", "and an error"),
                ),
                *(("instances", "instances"), ("kind", "state"), ("config", "configuration")),
            ),
        },
    }
    says = (
        f"The mean of each configuration over its instances, and one standard error on each side: the best "
        f"{len(shown)} of {len(ended):,}."
    )
    if any(row["kind"] == "given up" for row in rows):
        says += (
            " Those that were given up have the mean of what they had, adjusted for how hard these instances are. Only "
            "one that has all instances can win."
        )
    table = [
        {
            "trial": row["trial"],
            evidence.objective: uncertain(row["value"], row["value"] - row["low"]),
            "instances": row["instances"],
            "state": row["kind"],
        }
        for row in rows
    ]
    return Figure("race", "Configurations and their errors", says, layered(bars, points), table, wide=True)


def _error(trial: TrialRecord) -> float:
    error = None if trial.outcome is None else trial.outcome.standard_error
    return 0.0 if error is None or not np.isfinite(error) else error


def _distances(evidence: Evidence, ended: list[TrialRecord]) -> Figure:
    """How many configurations were evaluated on how many instances."""
    counts = Counter((len(trial.parts), _kind(trial)) for trial in ended)
    rows: list[Row] = [
        {"instances": str(length), "kind": kind, "configurations": count} for (length, kind), count in counts.items()
    ]
    order = [str(length) for length in sorted({length for length, _ in counts})]
    spec: Spec = {
        "width": "container",
        "height": 230,
        "data": data(rows),
        "mark": "bar",
        "encoding": {
            "x": axis("instances", "instances that it was evaluated on", "ordinal", sort=order, axis={"labelAngle": 0}),
            "y": {"field": "configurations", "type": "quantitative", "axis": {"tickMinStep": 1}},
            "color": _colour(rows),
            "tooltip": told(("instances", "instances"), ("kind", "state"), ("configurations", "configurations")),
        },
    }
    made, whole = sum(len(trial.parts) for trial in ended), len(ended) * len(evidence.header.instances or ())
    says = (
        f"{counted(made, 'evaluation')} of {counted(len(ended), 'configuration')}; all instances for all of them would "
        f"have been {whole:,}. One is given up once it looks worse than the best three."
    )
    return Figure(
        "race-lengths", "How far configurations went", says, spec, sorted(rows, key=lambda row: -int(row["instances"]))
    )


# --- is it real -------------------------------------------------------------------------------------------------------


def _winner(evidence: Evidence, table: Mapping[str, Any]) -> Figure:
    """The best configurations by how much worse each is than the winner."""
    lines = comparison_lines(table)
    winner = table["trials"][0]["number"]
    against = {pair["trials"][1]: pair for pair in table["comparisons"] if pair["trials"][0] == winner}
    rows: list[dict[str, Any]] = []
    for trial in table["trials"][1:]:
        pair = against.get(trial["number"])
        if pair is not None:
            gap, error = evidence.sign * -pair["difference"], pair["standard_error"]
            rows.append(
                {"trial": f"trial {trial['number']}", "gap": gap, "low": gap - 2 * error, "high": gap + 2 * error}
                | {"objective": trial["objective"], "p": number(pair["corrected_p"], 2)}
            )
    y = axis("trial", "", "nominal", sort=[row["trial"] for row in rows])
    title = f"worse than trial {winner} by"
    bars: Spec = {
        "data": data(rows),
        "mark": {"type": "rule", "color": BLUE, "strokeWidth": 2},
        "encoding": {"y": y, "x": axis("low", title), "x2": {"field": "high"}},
    }
    points: Spec = {
        "data": data(rows),
        "mark": {"type": "point", "filled": True, "size": 60, "color": BLUE},
        "encoding": {
            "y": y,
            "x": axis("gap", title),
            "tooltip": told(("trial", "trial"), ("gap", title), ("p", "corrected p"), ("objective", "its objective")),
        },
    }
    zero: Spec = {
        "data": data([{"at": 0.0}]),
        "mark": {"type": "rule", "strokeDash": [5, 4], "color": GREY},
        "encoding": {"x": axis("at", title)},
    }
    says = (
        f"{clean(lines[0])}. Lines are two standard errors of the paired difference on each side: one that reaches "
        "over the dashed line may be as good as the winner."
    )
    if evidence.summary.get("rerun"):
        says += " Trials have the numbers here that they had before they were evaluated again."
    told_of = [
        {
            "trial": trial["number"],
            evidence.objective: uncertain(trial["objective"], trial["standard_error"]),
            "worse by": uncertain(abs(pair["difference"]), pair["standard_error"]) if pair else "",
            "corrected p": number(pair["corrected_p"], 2) if pair else "",
        }
        for trial in table["trials"]
        for pair in [against.get(trial["number"])]
    ]
    spec = layered(zero, bars, points, height=max(110, 34 * len(rows)))
    return Figure("significance", "Is the winner real?", says, spec, told_of)


def _by_instance(evidence: Evidence, whole: list[TrialRecord]) -> Figure:
    """Each of the best configurations on each instance, against the mean of these."""
    instances = evidence.header.instances or []
    shown = thinned(range(len(instances)), 40)
    values = {trial.trial.number: [_on(trial, part) for part in shown] for trial in whole}
    every = [name.removeprefix("instance ") for name in instance_names(instances)]
    names = [every[part] for part in shown]
    short = sum(len(name) + 2 for name in names) <= 44
    rows: list[Row] = []
    for column, part in enumerate(shown):
        middle = float(np.mean([own[column] for own in values.values()]))
        rows += [
            {
                "trial": f"trial {number_}",
                "instance": every[part],
                "value": own[column],
                "gap": own[column] - middle,
            }
            for number_, own in values.items()
        ]
    spec: Spec = {
        "width": "container",
        "height": 22 * len(whole),
        "data": data(rows),
        "mark": "rect",
        "encoding": {
            "x": axis("instance", "instance", "nominal", sort=names, axis={"labelAngle": 0 if short else -35}),
            "y": axis("trial", "", "nominal", sort=[f"trial {trial.trial.number}" for trial in whole]),
            "color": {
                "field": "gap",
                "type": "quantitative",
                "title": "against the mean",
                "scale": {"scheme": "blueorange", "domainMid": 0, "reverse": evidence.sign < 0},
                "legend": {"format": "~g"},
            },
            "tooltip": told(
                ("trial", "trial"), ("instance", "instance"), ("value", evidence.objective), ("gap", "against the mean")
            ),
        },
    }
    says = (
        f"The best {counted(len(whole), 'configuration')} that have all instances, the best on top, each value against "
        "the mean of these configurations on that instance. Blue is better, orange worse. A row of one colour is "
        "better or worse throughout."
    )
    return Figure("by-instance", "Who is better on which instance", says, spec, _instance_table(rows))


def _on(trial: TrialRecord, part: int) -> float:
    """Objective of a trial on an instance: those that completed have one on all."""
    value = trial.parts[part].objective if part in trial.parts else None
    return float("nan") if value is None else value


def _instance_table(rows: list[Row]) -> list[Row]:
    table: dict[str, dict[str, Any]] = {}
    for row in rows:
        table.setdefault(row["trial"], {"trial": row["trial"]})[row["instance"]] = number(row["value"])
    return list(table.values())

"""Budgets: how many trials came to each rung and were promoted from it, and what they came to on the way."""

from __future__ import annotations

from typing import Any

import numpy as np

from reverie.report.curves import MOST_CURVES, drawn
from reverie.report.evidence import Evidence
from reverie.report.figure import GREEN, PURPLE, WORDS, Figure, Spec, axis, data, layered, told
from utilities.budgets import Budget
from utilities.display.text import clean, counted, duration, number
from utilities.rungs import rung_counts
from utilities.trial import TrialRecord, TrialState

FEWEST = 20
"""Trials with a value at a budget from which on figures of the parameters can be made of it."""


def rungs(evidence: Evidence) -> list[Figure]:
    """Figures of the rungs; none of a study without budgets, or before a trial came to a value."""
    fidelity = evidence.header.fidelity
    if fidelity is None or evidence.header.instances is not None:
        return []
    counts = rung_counts(fidelity, evidence.trials.values())
    if not any(rung["trials"] for rung in counts["rungs"]):
        return []
    return [_counts(evidence, counts), _courses(evidence)]


def scored(evidence: Evidence, fewest: int = FEWEST) -> Evidence:
    """The study by the values that enough trials have: with the full budget, else with the largest that will do.

    On instances, all that ended the race have one.
    """
    fidelity = evidence.header.fidelity
    if evidence.header.instances is not None:
        return evidence.with_given_up()
    if fidelity is None or len(evidence.completed) >= fewest:
        return evidence
    views = [evidence.at(budget) for budget in reversed(fidelity.budgets[:-1])]
    enough = next((view for view in views if len(view.completed) >= fewest), None)
    most = max([evidence, *views], key=lambda view: len(view.completed))
    return enough or most


def _counts(evidence: Evidence, counts: dict[str, Any]) -> Figure:
    name = clean(counts["name"])
    rows: list[dict[str, Any]] = []
    table = []
    for rung in counts["rungs"]:
        view = evidence.at(rung["budget"])
        values = np.array([evidence.sign * evidence_value for evidence_value in map(view.value, view.completed)])
        full = rung["budget"] == counts["rungs"][-1]["budget"]
        label = f"{rung['budget']:g}"
        rows += [
            {"budget": label, "order": rung["budget"], "what": what, "trials": count}
            for what, count in (("came to it", rung["trials"]), ("promoted", rung["promoted"]))
            if count and not (full and what == "promoted")
        ]
        table.append(
            {
                name: label,
                "trials": rung["trials"],
                "promoted": "" if full else rung["promoted"],
                "best": number(evidence.sign * float(values.min())) if len(values) else "",
                "median": number(evidence.sign * float(np.median(values))) if len(values) else "",
                "time spent": duration(_seconds(evidence, rung["budget"])),
            }
        )
    spec: Spec = {
        "width": "container",
        "height": 44 * len(table),
        "data": data(rows),
        "mark": {"type": "bar"},
        "encoding": {
            "y": axis("budget", name, "nominal", sort=[row[name] for row in table]),
            "yOffset": {"field": "what", "sort": ["came to it", "promoted"]},
            "x": {"field": "trials", "type": "quantitative", "title": "trials", "axis": {"tickMinStep": 1}},
            "color": {
                "field": "what",
                "type": "nominal",
                "title": None,
                "scale": {"domain": ["came to it", "promoted"], "range": [PURPLE, GREEN]},
                "legend": {"orient": "top"},
            },
            "tooltip": told(("budget", name), ("what", "what"), ("trials", "trials")),
        },
    }
    begun = sum(trial.state is not TrialState.WAITING for trial in evidence.trials.values())
    whole = begun * counts["rungs"][-1]["budget"]
    says = (
        f"{counts['spent']:g} {name} were spent on {counted(begun, 'trial')}; to give each the full "
        f"{counts['rungs'][-1]['budget']:g} would have taken {whole:g}. Of the trials that came to a budget the best "
        "were promoted to the next."
    )
    return Figure("rungs", "Budgets and promotions", says, spec, table)


def _seconds(evidence: Evidence, budget: Budget) -> float:
    spent = 0.0
    for trial in evidence.trials.values():
        spent += sum(rung.outcome.seconds for rung in trial.rungs if rung.budget == budget)
        own = trial.outcome is not None and trial.budget == budget
        if own and trial.outcome is not None and not any(rung.budget == budget for rung in trial.rungs):
            spent += trial.outcome.seconds
    return spent


def _courses(evidence: Evidence) -> Figure:
    """Lines of what trials came to with one budget after the other."""
    best = None if evidence.best is None else evidence.best.trial.number
    courses = {number_: steps for number_, trial in evidence.trials.items() if (steps := _course(trial, evidence))}
    ranked = sorted(courses, key=lambda number_: (-courses[number_][-1][0], evidence.sign * courses[number_][-1][1]))
    chosen = ranked[:MOST_CURVES]
    rows = [
        {"trial": number_, "step": budget, "value": value, "worth": int(number_ == best)}
        | {"state": "best" if number_ == best else WORDS[evidence.trials[number_].state]}
        for number_ in sorted(chosen, key=lambda number_: number_ == best)  # what comes last is drawn above the others
        for budget, value in courses[number_]
    ]
    name = evidence.budget_name
    lines = drawn(rows, evidence.sign, name, evidence.objective, log=True, points=True)
    says = (
        f"What {counted(len(chosen), 'trial')} came to with each budget, on a logarithmic scale; the thick line is the "
        "best. Lines that cross say that small budgets tell little of large ones."
    )
    if len(chosen) < len(courses):
        says += f" Drawn are those of {len(courses):,} that went furthest."
    table = [
        {"trial": number_} | {f"{budget:g} {name}": number(value) for budget, value in courses[number_]}
        for number_ in ranked[:20]
    ]
    return Figure("budget-courses", "Values by budget", says, layered(lines), table)


def _course(trial: TrialRecord, evidence: Evidence) -> list[tuple[Budget, float]]:
    """Budgets, ascending, and what a trial came to with each."""
    steps = {rung.budget: rung.outcome.objective for rung in trial.rungs}
    if trial.outcome is not None and trial.budget is not None:
        steps.setdefault(trial.budget, trial.outcome.objective)
    return [(budget, value) for budget, value in sorted(steps.items()) if value is not None and np.isfinite(value)]

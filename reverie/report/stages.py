"""The stages of a study: where they begin on the figures of the search, and where each looked."""

from __future__ import annotations

import msgspec
import numpy as np

from reverie.report.evidence import Evidence
from reverie.report.figure import GREY, Figure, Row, Spec, axis, data, told
from utilities.display.text import clean, counted, number
from utilities.stage_plan import Begun, Stage, describe

_LATE = 0.75
"""Share of an axis from which on the name of a stage stands before its line, where there is room."""


def began(evidence: Evidence) -> list[tuple[Begun, float]]:
    """Stages whose first trial has begun, and when that was, in seconds since the epoch; none of a study without."""
    found = []
    for stage in evidence.stages:
        trial = evidence.trials.get(stage.first)
        if trial is not None and trial.begun is not None:
            found.append((stage, trial.begun))
    return found


def boundaries(rows: list[Row], x: str, title: str, end: float) -> Spec:
    """Lines where stages begin: `rows` have the place along ``x``, which goes to `end`, and the ``stage``."""
    spread = [{**row, "late": row[x] > _LATE * end} for row in rows]
    rule: Spec = {
        "mark": {"type": "rule", "strokeDash": [5, 4], "color": GREY},
        "encoding": {"x": axis(x, title), "tooltip": told(("stage", "begins"))},
    }
    names: list[Spec] = [
        {
            "transform": [{"filter": f"{'' if late else '!'}datum.late"}],
            "mark": {"type": "text", "align": align, "baseline": "top", "dx": shift, "dy": 4, "color": GREY},
            "encoding": {"x": axis(x, title), "y": {"value": 0}, "text": {"field": "stage"}},
        }
        for late, align, shift in ((False, "left", 4), (True, "right", -4))
    ]
    return {"data": data(spread), "layer": [rule, *names]}


def stages(evidence: Evidence) -> list[Figure]:
    """Table of the stages; none of a study without."""
    found = began(evidence)
    if not found:
        return []
    told_of = evidence.sessions[-1].stages if evidence.sessions else evidence.header.stages
    plan = msgspec.convert(told_of, list[Stage])
    ends = [stage.first for stage, _ in found[1:]] + [len(evidence.trials)]
    rows = []
    for (stage, _), end in zip(found, ends, strict=True):
        own = [trial for trial in evidence.completed if stage.first <= trial.trial.number < end]
        values = np.array([evidence.sign * evidence.value(trial) for trial in own if evidence.feasible(trial)])
        rows.append(
            {
                "stage": stage.stage + 1,
                "first trial": stage.first,
                "trials": end - stage.first,
                "best": number(evidence.sign * float(values.min())) if len(values) else "",
                "looked at": clean(describe(stage, plan).partition(": ")[2]),
            }
        )
    says = (
        f"{counted(len(found), 'stage')} of {max(len(plan), len(found))} began: each looks at a part of the space that "
        "the outcomes before it suggest. Dashed lines above are where they began."
    )
    return [Figure("stages", "Stages", says, None, rows, wide=True)]

"""Where and why trials fail."""

from __future__ import annotations

from collections import Counter

import numpy as np

from reverie.report.evidence import Evidence
from reverie.report.figure import (
    GREY,
    RED,
    Figure,
    Spec,
    axis,
    beside,
    data,
    layered,
    parameter_axis,
    shown_value,
    told,
)
from reverie.report.knowledge import learn_validity
from utilities.display.text import clean, counted, setting, shorten

_PLACES = 31
_BACKGROUND = 64
_MOST = 6
_LEAST_SPREAD = 0.05


def failures(evidence: Evidence) -> list[Figure]:
    """Figures of the failed trials; none where none failed."""
    if not evidence.failed:
        return []
    return [_reasons(evidence), *_region(evidence)]


def _reasons(evidence: Evidence) -> Figure:
    counts = Counter(
        shorten(clean(trial.outcome.reason), 90) for trial in evidence.failed if trial.outcome is not None
    ).most_common(12)
    rows = [{"reason": reason or "no reason given", "trials": count} for reason, count in counts]
    spec: Spec = {
        "width": "container",
        "height": 24 * len(rows),
        "data": data(rows),
        "mark": {"type": "bar", "color": RED, "opacity": 0.8},
        "encoding": {
            "x": {"field": "trials", "type": "quantitative", "title": "trials", "axis": {"tickMinStep": 1}},
            "y": axis("reason", "", "nominal", sort=None, axis={"labelLimit": 330}),
            "tooltip": told(("reason", "reason"), ("trials", "trials")),
        },
    }
    share = len(evidence.failed) / len(evidence.settled)
    says = f"{len(evidence.failed):,} of {counted(len(evidence.settled), 'trial')} failed, {share:.1%}."
    return Figure("failures", "Failures by reason", says, spec, rows)


def _region(evidence: Evidence) -> list[Figure]:
    """Probability that a trial is valid, along the parameters that change it most."""
    validity, space = learn_validity(evidence), evidence.space
    if validity is None:
        return []
    rng = np.random.default_rng(0)
    background = rng.random((_BACKGROUND, len(space)))
    along = []
    for column, (name, parameter) in enumerate(space.varied.items()):
        places = (
            parameter.places()
            if parameter.levels <= _PLACES
            else np.unique(parameter.snap(np.linspace(0.0, 1.0, _PLACES)))
        )
        grid = np.repeat(background[None], len(places), axis=0)
        grid[:, :, column] = places[:, None]
        logs = validity.log_probability(space.features(grid.reshape(-1, len(space))))
        chance = np.exp(logs).reshape(len(places), -1).mean(axis=1)
        along.append((float(np.ptp(chance)), name, parameter, places, chance))
    along.sort(key=lambda entry: -entry[0])
    telling = [entry for entry in along if entry[0] >= _LEAST_SPREAD][:_MOST] or along[:1]
    panels, table = [], []
    failed = {trial.trial.number for trial in evidence.failed}
    for _, name, parameter, places, chance in telling:
        x = parameter_axis("value", name, parameter)
        rows = [
            {"value": shown_value(parameter, parameter.value(float(place))), "chance": float(share)}
            for place, share in zip(places, chance, strict=True)
        ]
        ticks = [
            {
                "value": shown_value(parameter, trial.trial.config[name]),
                "at": 0.0 if trial.trial.number in failed else 1.0,
            }
            for trial in evidence.settled[-600:]
            if name in trial.trial.config
        ]
        line: Spec = {
            "data": data(rows),
            "mark": {
                "type": "line",
                "color": RED,
                "strokeWidth": 2,
                "point": {"color": RED} if parameter.levels <= _PLACES else False,
            },
            "encoding": {
                "x": x,
                "y": axis("chance", "P(valid)", scale={"domain": [-0.04, 1.04]}, axis={"format": ".0%"}),
                "tooltip": told(("value", name), ("chance", "P(valid)")),
            },
        }
        marks: Spec = {
            "data": data(ticks),
            "mark": {"type": "tick", "orient": "vertical", "opacity": 0.35, "color": GREY, "size": 9},
            "encoding": {"x": x, "y": axis("at", "P(valid)")},
        }
        panels.append(layered(marks, line, width=262, height=150))
        worst = int(np.argmin(chance))
        table.append(
            {
                "parameter": name,
                "least valid at": setting(parameter.value(float(places[worst]))),
                "P(valid) there": f"{chance[worst]:.0%}",
                "at best": f"{chance.max():.0%}",
            }
        )
    says = (
        "The probability that a trial does not fail, as learned from all that ended, averaged over the other "
        "parameters; those that change it most come first. Marks above are trials that gave a value, marks below "
        "trials that failed."
    )
    return [Figure("validity", "Where trials are valid", says, beside(panels, 3, 84), table, wide=True)]

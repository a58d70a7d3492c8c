"""Which ranges end too early: parameters whose best values crowd at a border of the study's range.

A value is at a border when it lies within `NEAR` of the range of it, on the parameter's own scale; the outermost of
finitely many always does. How many of the best trials would be there by chance follows from where each could have been:
a parameter that does not matter is spread evenly over the range of its trial's stage. A border is reported where so
many are there by chance with a probability below `ERROR`, divided by the number of borders that are looked at, and
where the model, if there is one, expects worse `INWARDS` from it. The latter keeps parameters out that do not matter:
models like to look at borders, for there they know least.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from utilities.optimizer import Optimizer
from utilities.ranges import FloatParameter, IntParameter
from utilities.space import Space
from utilities.trial import Config, TrialRecord, TrialState

BEST_SHARE, BEST_FEWEST = 0.1, 5
"""The best trials: a share of those that completed, and a number at least."""

NEAR = 0.02
ERROR = 0.05

INWARDS, WORSE = 0.1, 0.01
"""How far from the border, as a share of the range, the model is asked, and how much worse it must expect: a share of
the distance from the median of all trials to the best."""

FEWEST = 10
"""Completed trials without which nothing is said."""

_MOST = 512
"""Trials by which the distance from the median to the best is told."""

_PLACES = (np.arange(4096) + 0.5) / 4096

Number = FloatParameter | IntParameter


class Border(NamedTuple):
    """A range that may end too early.

    Attributes
    ----------
    parameter
        Its name.
    border
        ``low`` or ``high``.
    value
        What that is.
    trials, of
        How many of how many best trials lie there, of those in which the parameter varied.
    predicted
        Whether the predicted best does.
    widen_to
        What the border might be instead.
    """

    parameter: str
    border: str
    value: float
    trials: int
    of: int
    predicted: bool
    widen_to: float


def find_borders(optimizer: Optimizer, records: Iterable[TrialRecord], predicted: Config | None) -> list[Border]:
    """Find the borders at which the best feasible trials crowd; none with several objectives.

    Parameters
    ----------
    optimizer
        Of the study, told of all outcomes.
    records
        The study's trials.
    predicted
        The predicted best configuration; None without a model.
    """
    space, sign = optimizer.space, 1.0 if optimizer.direction == "minimize" else -1.0
    completed = [
        (sign * record.outcome.objective, record.trial.number, record.trial.config)
        for record in records
        if record.outcome is not None
        and record.outcome.state is TrialState.COMPLETE
        and record.outcome.objective is not None
        and optimizer.goals.keeps(record.outcome)
    ]
    if optimizer.goals.several:
        return []
    if len(completed) < FEWEST:
        return []
    completed.sort(key=lambda entry: entry[:2])
    configs = [config for _, _, config in completed]
    best = completed[: max(BEST_FEWEST, math.ceil(BEST_SHARE * len(completed)))]
    numbers = {name: p for name, p in space.varied.items() if isinstance(p, FloatParameter | IntParameter)}
    found: list[Border] = []
    for name, parameter in numbers.items():
        here = [(config, optimizer.stages.part_of(number)) for _, number, config in best if name in config]
        varied = [(config, part) for config, part in here if _varies(part, name)]
        for side in ("low", "high"):
            there = [config for config, _ in varied if _near(parameter, config[name], side)]
            wider = _wider(parameter, side)
            if not there or wider is None:
                continue
            chance = _chance(name, parameter, side, [part for _, part in varied])
            if _beyond_chance(len(there), len(varied), chance, len(numbers)) and _worse_inwards(
                optimizer, name, side, there, configs
            ):
                also = predicted is not None and name in predicted and _near(parameter, predicted[name], side)
                value = parameter.low if side == "low" else parameter.high
                found.append(Border(name, side, value, len(there), len(varied), also, wider))
    return found


def _varies(part: Space, name: str) -> bool:
    return part.axes[part.names.index(name)].levels > 1


def _scaled(parameter: Number, value: Any) -> float:
    """Place of a value between the ends, 0 and 1, on its own scale."""
    low, high, here = (math.log(x) if parameter.log else float(x) for x in (parameter.low, parameter.high, value))
    return float((here - low) / (high - low))


def _near(parameter: Number, value: Any, side: str) -> bool:
    place = _scaled(parameter, value)
    return (place if side == "low" else 1.0 - place) <= NEAR


def _chance(name: str, parameter: Number, side: str, parts: Sequence[Space]) -> float:
    """Probability that a value spread evenly over one of these parts of the space lies at a border."""
    shares = {id(part): _share(part, name, parameter, side) for part in parts}
    return float(np.mean([shares[id(part)] for part in parts]))


def _beyond_chance(hits: int, trials: int, chance: float, count: int) -> bool:
    """Whether so many trials at a border of one of `count` parameters are too many for chance."""
    from scipy.stats import binom  # here, not above: few runs come to it

    return bool(binom.sf(hits - 1, trials, chance) < ERROR / (2 * count))


def _share(part: Space, name: str, parameter: Number, side: str) -> float:
    """Share of a part of the space that lies at a border."""
    column = part.names.index(name)
    points = np.full((len(_PLACES), len(part)), 0.5)
    points[:, column] = _PLACES
    values = parameter.values(part.spread(points)[:, column])
    low, high = parameter.low, parameter.high
    scaled, ends = (np.log(values), (math.log(low), math.log(high))) if parameter.log else (values, (low, high))
    shares = (scaled - ends[0]) / (ends[1] - ends[0])
    return float(np.mean((shares if side == "low" else 1.0 - shares) <= NEAR))


def _worse_inwards(
    optimizer: Optimizer, name: str, side: str, there: Sequence[Config], configs: Sequence[Config]
) -> bool:
    """Whether the model expects worse of trials at a border with this parameter moved away from it.

    `configs` are those of all trials. True where there is no model.
    """
    space = optimizer.space
    inwards = space.varied[name].value(INWARDS if side == "low" else 1.0 - INWARDS)
    moved = [(config, {**config, name: inwards}) for config in there]
    kept = [pair for pair in moved if space.holds(pair[1])]
    expected = optimizer.foresee(configs[:: 1 + len(configs) // _MOST]) if kept else None
    before = optimizer.foresee([config for config, _ in kept]) if kept else None
    after = optimizer.foresee([config for _, config in kept]) if kept else None
    if expected is None or before is None or after is None:
        return True
    return float(np.mean(after - before)) > WORSE * float(np.median(expected) - np.min(expected))


def _wider(parameter: Number, side: str) -> float | None:
    """Border beyond this one: half of the range further, on its scale, in one digit; None where none is possible.

    It never crosses 0, beyond which there are seldom values of the same meaning.
    """
    low, high = float(parameter.low), float(parameter.high)
    outwards = -1.0 if side == "low" else 1.0
    end = low if side == "low" else high
    if parameter.log:
        wider = end * math.exp(outwards * 0.5 * (math.log(high) - math.log(low)))
    else:
        wider = end + outwards * 0.5 * (high - low)
        if end != 0.0 and wider * end < 0.0:
            wider = 0.0
    digit = 10.0 ** math.floor(math.log10(abs(wider))) if wider else 1.0
    rounded = (math.floor if outwards < 0 else math.ceil)(wider / digit - outwards * 1e-9) * digit
    if isinstance(parameter, IntParameter):
        whole = round(rounded)
        if side == "low" and parameter.log and parameter.low <= 1:
            return None
        whole = max(whole, 1) if parameter.log else whole
        return min(whole, parameter.low - 1) if side == "low" else max(whole, parameter.high + 1)
    return float(f"{rounded:.12g}")

"""Where the next stage of a study looks: a part of the last one's part, about the places where the optimum may be.

Symbols
-------
d   coordinates     U (m, d)   canonical points: places of the optimum, as often as they are likely

Of a number or an order, what is left is the interval of the wanted length that holds most of the points, placed about
their middle; of choices, the fewest that hold `PLAUSIBLE` of them. The best point known is always in it. A parameter
counts where it is active; one that is active nowhere, or had one value, stays as it was.
"""

from __future__ import annotations

import numpy as np

from utilities.choices import OrdinalParameter
from utilities.parameters import Varied
from utilities.ranges import FloatParameter, IntParameter
from utilities.scales import Array
from utilities.space import Axis
from utilities.stage_plan import Limit, Limits
from utilities.subspace import Subspace

PLAUSIBLE = 0.9
"""Share of the places of the optimum that the choices hold which are kept."""

FEWEST = 2
"""Values of a number or an order that are kept at least, so that the next stage can still move."""

_MANY, _CLOSE = 1000, 1e-12


def narrow(part: Subspace, points: Array, best: Array | None, shrink: float) -> Limits:
    """Limits of the next part.

    Parameters
    ----------
    part
        In which `points` lie.
    points : array (m, d)
        Where the optimum may be.
    best : array (1, d)
        The best point known; None where none is.
    shrink
        Length of an interval as a share of the last one, on the parameter's own scale.

    Returns
    -------
    dict
        Of the parameters that become narrower; of others, those of `part` hold on.
    """
    active = part.active(points)
    best_active = None if best is None else part.active(best)[0]
    low, high = part.bounds
    limits: Limits = {}
    for column, (name, parameter) in enumerate(part.varied.items()):
        axis, here = part.axes[column], np.sort(points[active[:, column], column])
        if not len(here) or axis.levels <= 1:
            continue
        also = None if best is None or best_active is None or not best_active[column] else float(best[0, column])
        if isinstance(parameter, FloatParameter | IntParameter | OrdinalParameter):
            first, last = _interval(here, (low[column], high[column]), shrink, also)
            limits[name] = _numbers(parameter, axis, first, last)
        else:
            kept = _choices(parameter, axis, here, also)
            if len(kept) < axis.levels:
                limits[name] = {"choices": kept}
    return limits


def _interval(places: Array, ends: tuple[float, float], shrink: float, also: float | None) -> tuple[float, float]:
    """Ends of the interval for sorted `places` (m,) within `ends`, and reaching `also`."""
    length = shrink * (ends[1] - ends[0])
    counts = np.searchsorted(places, places + length * (1.0 + 1e-12), side="right") - np.arange(len(places))
    start = int(np.argmax(counts))
    inside = places[start : start + int(counts[start])]
    first = 0.5 * (inside[0] + inside[-1] - length)
    if also is not None:
        first = min(max(first, also - length), also)
    first = min(max(first, ends[0]), ends[1] - length)
    return float(first), float(first + length)


def _numbers(parameter: Varied, axis: Axis, first: float, last: float) -> Limit:
    """Limit to the values between two places; of finitely many, to `FEWEST` at least."""
    if axis.levels > _MANY:
        return {"low": parameter.value(first), "high": parameter.value(last)}
    places = axis.places()
    nearest = np.argsort(np.abs(places - 0.5 * (first + last)), kind="stable")[:FEWEST]
    inside = (places >= first - _CLOSE) & (places <= last + _CLOSE)
    inside[nearest] = True
    kept = [parameter.value(place) for place in places[inside]]
    return {"choices": kept} if isinstance(parameter, OrdinalParameter) else {"low": kept[0], "high": kept[-1]}


def _choices(parameter: Varied, axis: Axis, places: Array, also: float | None) -> list[object]:
    """The fewest choices that hold `PLAUSIBLE` of the places, in order, that at `also` among them.

    Each counts once more than it is there (Laplace's rule): where there are few places, none is given up.
    """
    cells = axis.places()
    counts = 1 + np.array([np.sum(places == cell) for cell in cells])
    order = np.argsort(-counts, kind="stable")
    held = np.cumsum(counts[order])
    count = int(np.searchsorted(held, PLAUSIBLE * held[-1] - 1e-9)) + 1
    kept = set(cells[order[:count]].tolist()) | ({also} if also is not None else set())
    return [parameter.value(place) for place in sorted(kept)]

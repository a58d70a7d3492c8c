"""Pareto dominance, for minimisation: fronts, the order of trials by them, and volumes.

Symbols
-------
n   points      k   objectives      r (k,)   reference point      b   boxes

A point dominates another that it is nowhere worse than and somewhere better. The points that none dominates are the
front; equal points do not dominate each other. The hypervolume is what the front dominates of the space below r.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from utilities.surrogate import Array

_Box: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]


class Boxes(NamedTuple):
    """Disjoint boxes: their lower and upper corners, (b, k) each; lower ones may be minus infinity."""

    lower: Array
    upper: Array


def non_dominated(points: Array) -> NDArray[np.bool_]:
    """Which of `points` (n, k) are on the front (n,). Costs O(n times the size of the front)."""
    on_front = np.ones(len(points), dtype=bool)
    order = np.lexsort(points.T[::-1])  # a point can only be dominated by one before it
    front: Array = np.empty((0, points.shape[1]))
    for i in order:
        point = points[i]
        on_front[i] = not np.any(np.all(front <= point, axis=1) & np.any(front < point, axis=1))
        if on_front[i]:
            front = np.vstack([front, point])
    return on_front


def fronts(points: Array) -> NDArray[np.intp]:
    """Rank (n,) of each of `points` (n, k): 0 on the front, 1 on that of all others, and so on (Deb et al. 2002)."""
    rank = np.zeros(len(points), dtype=np.intp)
    left = np.arange(len(points))
    level = 0
    while len(left):
        first = non_dominated(points[left])
        rank[left[first]] = level
        left, level = left[~first], level + 1
    return rank


def crowding(points: Array) -> Array:
    """Crowding distance (n,) of `points` (n, k): the sides of the box between its neighbours, in the points' ranges.

    Infinite for the extremes of each objective (Deb et al. 2002, section III B).
    """
    distance = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]] if len(order) else 0.0
        distance[order[:1]] = distance[order[-1:]] = math.inf
        if span > 0.0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance


def preference(points: Array) -> NDArray[np.intp]:
    """Indices (n,) of `points` (n, k), best first: by front, in it by crowding distance, then by index."""
    rank = fronts(points)
    distance = np.zeros(len(points))
    for level in np.unique(rank):
        distance[rank == level] = crowding(points[rank == level])
    return np.lexsort((-distance, rank))


def open_boxes(points: Array, reference: Array) -> Boxes:
    """Boxes of what none of `points` (n, k) dominates below `reference` (k,): disjoint, and all of it.

    A sweep along the last objective: between two points of it, what is open in the others is what was open at the first
    of them. A box goes on through all those points that leave it as it is, so that there are O(n) boxes of 2 and of 3
    objectives.
    """
    inside = points[np.all(points < reference, axis=1)]
    found = _sweep([tuple(row) for row in inside.tolist()], tuple(reference.tolist()))
    corners = np.array(found).reshape(-1, 2, len(reference))
    return Boxes(corners[:, 0], corners[:, 1])


def _sweep(points: Sequence[tuple[float, ...]], reference: tuple[float, ...]) -> list[_Box]:
    if len(reference) == 1:
        return [((-math.inf,), (min((point[0] for point in points), default=reference[0]),))]
    begun: dict[_Box, float] = dict.fromkeys(_sweep([], reference[:-1]), -math.inf)
    found: list[_Box] = []
    below: list[tuple[float, ...]] = []
    for point in sorted(points, key=lambda point: point[-1]):
        front, level = point[:-1], point[-1]
        if any(all(a <= b for a, b in zip(other, front, strict=True)) for other in below):
            continue
        below = [other for other in below if not all(a <= b for a, b in zip(front, other, strict=True))] + [front]
        now = dict.fromkeys(_sweep(below, reference[:-1]))
        for box in [box for box in begun if box not in now]:
            found += _closed(box, begun.pop(box), level)
        for box in now:
            begun.setdefault(box, level)
    for box, start in begun.items():
        found += _closed(box, start, reference[-1])
    return found


def _closed(box: _Box, start: float, end: float) -> list[_Box]:
    """The box from `start` to `end` along one more objective; none where that has no length."""
    return [((*box[0], start), (*box[1], end))] if end > start else []


def hypervolume(points: Array, reference: Array) -> float:
    """Volume that `points` (n, k) dominate below `reference` (k,), exactly.

    What the open boxes leave of the box between the ideal point and the reference point.
    """
    inside = points[np.all(points < reference, axis=1)]
    if not len(inside):
        return 0.0
    inside = inside[non_dominated(inside)]
    ideal = inside.min(axis=0)
    lower, upper = open_boxes(inside, reference)
    free = np.prod(np.maximum(upper - np.maximum(lower, ideal), 0.0), axis=1).sum()
    return float(np.prod(reference - ideal) - free)

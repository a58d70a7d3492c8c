"""Maximise an acquisition function over a mixed space: candidates, gradient ascent, discrete moves.

Symbols
-------
U (m, d)   canonical points of the unit cube       X (m, p)   their features

A quasi-random sweep with perturbations of good points finds the basins; a rough score screens them, and the acquisition
itself ranks the best. L-BFGS climbs along the floats; exhaustive or multi-scale moves change one integer or category at
a time. The last two alternate until neither gains.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from utilities.acquisition import Acquisition
from utilities.designs import sobol_points
from utilities.parameters import Varied
from utilities.space import Space
from utilities.surrogate import Array

SWEEP = 1024
"""Quasi-random candidates, and as many perturbed ones."""

SCREENED = 100
"""Candidates that a rough score leaves for the acquisition."""

STARTS = 5
FINEST = 2000
"""Points of a finite space that are scored in full."""

ASCENT_STEPS, ASCENT_TOLERANCE = 40, 1e-4
"""An ascent ends after so many steps, or once one gains less than so much of the sum over the starts: 0.01 nat of log
EI a start is lost by that on average, and two steps in five are spared."""

ROUNDS = 3
_SCALES = (0.2, 0.05, 0.01)
_EXHAUSTIVE = 12

_REFILLS = 4
"""Times that more candidates are drawn in place of those that constraints refuse."""

_HALVINGS = 6
"""Times that a way is halved that leads to where constraints are broken."""


class Whole(NamedTuple):
    """A small finite space: all its points (m, d) and their features (m, p)."""

    points: Array
    x: Array

    @classmethod
    def of(cls, space: Space) -> Whole | None:
        """All of `space`; None where it is too large."""
        points = space.enumerate_points()
        return None if points is None else cls(points, space.features(points))


def maximise(
    space: Space,
    acquisition: Acquisition,
    rng: np.random.Generator,
    anchors: Array,
    whole: Whole | None = None,
) -> Array:
    """Rank points by an acquisition function.

    Parameters
    ----------
    acquisition
        To be maximised over feature rows.
    anchors : array (a, d)
        Good points, to perturb and to start from.
    whole
        All points of a small finite space: these are scored instead of searching, the best by a rough score in full.

    Returns
    -------
    array (k, d)
        Canonical points, best first: the local maxima found, then the best candidates. Distinct ones are not promised.
    """
    if whole is not None:
        order = _best(acquisition.rough(), whole.x)
        finest = order[:FINEST]
        ranked = np.concatenate([finest[_best(acquisition, whole.x[finest])], order[FINEST:]])
        return np.asarray(whole.points[ranked])
    candidates = candidates_around(space, anchors, rng, SWEEP)
    candidates = candidates[_best(acquisition.rough(), space.features(candidates))[:SCREENED]]
    candidates = candidates[_best(acquisition, space.features(candidates))]
    starts = _spread_out(candidates, STARTS)
    points, values = _ascend(space, acquisition, starts, rng)
    order = np.argsort(-values, kind="stable")
    return np.vstack([points[order], candidates])


def candidates_around(space: Space, anchors: Array, rng: np.random.Generator, count: int) -> Array:
    """Canonical points (2 count + a, d): a quasi-random sweep, perturbations of the anchors (a, d), and these.

    Under constraints, the allowed ones among them and among more random points, at least one.
    """
    sweep = sobol_points(len(space), count, rng)
    perturbed = perturb(space.gather(anchors), count, len(space), rng)
    points = space.snap(np.vstack([space.spread(np.vstack([sweep, perturbed])), anchors]))
    return points if space.example is None else _allowed(space, points, space.example, anchors, rng)


def _allowed(space: Space, points: Array, example: Array, anchors: Array, rng: np.random.Generator) -> Array:
    """Allowed points among `points` (m, d), and where few are, others in their place; never none."""
    kept, wanted = [space.allowed(points)], len(points) // 2
    for _ in range(_REFILLS):
        if sum(map(len, kept)) >= wanted:
            break
        known = np.vstack(kept)
        sweep = rng.random((wanted, len(space)))
        start = known if len(known) else np.vstack([anchors, example])
        around = perturb(space.gather(start), wanted, len(space), rng)
        kept.append(space.allowed(space.snap(space.spread(np.vstack([sweep, around])))))
    found = np.vstack(kept)[: len(points)]
    return found if len(found) else example


def _best(acquisition: Acquisition, x: Array) -> NDArray[np.intp]:
    """Indices of the rows of `x` (m, p), best first."""
    return np.argsort(-acquisition.value(x), kind="stable")


def perturb(anchors: Array, count: int, dimension: int, rng: np.random.Generator) -> Array:
    """Points (count, d) made from anchors by changing about 20 of their coordinates, at one of several scales.

    Each coordinate changes with probability min(1, 20/d), at least one does (the mask of TuRBO, Eriksson et al. 2019).
    """
    base = anchors[rng.integers(len(anchors), size=count)]
    mask = rng.random((count, dimension)) < min(1.0, 20.0 / dimension)
    single = rng.random(count) < 0.25
    mask[single] = False
    mask[np.arange(count), rng.integers(dimension, size=count)] = True
    scale = np.asarray(_SCALES)[rng.integers(len(_SCALES), size=count)]
    moved = base + scale[:, None] * rng.standard_normal((count, dimension))
    jump = rng.random((count, dimension)) < 0.1
    moved = np.where(jump, rng.random((count, dimension)), np.abs(moved))
    moved = np.where(moved > 1.0, np.maximum(2.0 - moved, 0.0), moved)
    return np.where(mask, moved, base)


def _spread_out(ranked: Array, count: int) -> Array:
    """Take the first `count` points of which no two lie within 0.01 of each other in every coordinate."""
    chosen = [0]
    for i in range(1, min(len(ranked), 50 * count)):
        if len(chosen) == count:
            break
        if np.abs(ranked[chosen] - ranked[i]).max(axis=1).min() > 0.01:
            chosen.append(i)
    return ranked[chosen]


def _ascend(space: Space, acquisition: Acquisition, points: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    values = acquisition.value(space.features(points))
    discrete = len(space.continuous) < len(space)
    for _ in range(ROUNDS if discrete else 1):
        before = values
        if len(space.continuous):
            points, values = _climb(space, acquisition, points, values)
        if discrete:
            points, values = _move(space, acquisition, points, values, rng)
        if np.all(values <= before + 1e-6):
            break
    return points, values


def polish(space: Space, acquisition: Acquisition, points: Array, others: Array) -> Array:
    """Ascend from `points` (b, d) along their floats, each in a box of its own: they cannot meet.

    A box reaches half way to the nearest of the other points and of `others` (q, d), in the largest difference of a
    coordinate.
    """
    if not len(space.continuous) or not len(points):
        return points
    everything = np.vstack([points, others])
    distance = np.stack([np.abs(everything - point).max(axis=1) for point in points])
    distance[np.arange(len(points)), np.arange(len(points))] = 1.0
    reach = 0.5 * distance.min(axis=1, keepdims=True)
    values = acquisition.value(space.features(points))
    low, high = space.bounds
    return _climb(
        space, acquisition, points, values, np.maximum(points - reach, low), np.minimum(points + reach, high)
    )[0]


def _climb(
    space: Space,
    acquisition: Acquisition,
    points: Array,
    values: Array,
    low: Array | None = None,
    high: Array | None = None,
) -> tuple[Array, Array]:
    """One L-BFGS-B ascent of the sum over all points along their floats; a point that did not gain stays.

    The points stay within `low` and `high` (m, d), by default the bounds of the space.
    """
    floats = space.continuous
    ends = zip((low, high), space.bounds, strict=True)
    low, high = (np.broadcast_to(own if end is None else end, points.shape)[:, floats] for end, own in ends)

    def negative(flat: Array) -> tuple[float, Array]:
        here = points.copy()
        here[:, floats] = flat.reshape(len(points), -1)
        value, grad = acquisition.value_and_gradient(space.features(here))
        return -float(value.sum()), -space.feature_pullback(here, grad)[:, floats].ravel()

    flat = points[:, floats].ravel()
    limits = {"maxiter": ASCENT_STEPS, "ftol": ASCENT_TOLERANCE}
    bounds = np.column_stack([low.ravel(), high.ravel()])
    found = minimize(negative, flat, jac=True, method="L-BFGS-B", bounds=bounds, options=limits)
    moved = points.copy()
    moved[:, floats] = np.clip(found.x.reshape(len(points), -1), low, high)
    moved = _stop_short(space, points, moved)
    reached = acquisition.value(space.features(moved))
    better = reached > values
    return np.where(better[:, None], moved, points), np.where(better, reached, values)


def _stop_short(space: Space, points: Array, moved: Array) -> Array:
    """Points on the ways from `points` (m, d), which keep the constraints, to `moved` (m, d), as far as these do."""
    if not space.constraints:
        return moved
    reached, share = moved.copy(), 1.0
    for _ in range(_HALVINGS):
        refused = ~space.constraints.allowed(reached)
        if not refused.any():
            return reached
        share *= 0.5
        reached[refused] = points[refused] + share * (moved[refused] - points[refused])
    refused = ~space.constraints.allowed(reached)
    reached[refused] = points[refused]
    return reached


def _move(
    space: Space, acquisition: Acquisition, points: Array, values: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """For each point, the best change of one discrete coordinate, where it gains."""
    owners, moves = [np.arange(len(points))], [points]
    for column, parameter in enumerate(space.varied.values()):
        if parameter.continuous:
            continue
        for place in _neighbours(parameter, points[:, column], rng):
            moved = points.copy()
            moved[:, column] = place
            owners.append(np.arange(len(points)))
            moves.append(moved)
    owner, all_moves = np.concatenate(owners), space.snap(np.vstack(moves))
    scores = acquisition.value(space.features(all_moves))
    if space.constraints:
        scores = np.where(space.constraints.allowed(all_moves), scores, -np.inf)
    best = np.array([np.flatnonzero(owner == i)[np.argmax(scores[owner == i])] for i in range(len(points))])
    gained = scores[best] > values
    return np.where(gained[:, None], all_moves[best], points), np.where(gained, scores[best], values)


def _neighbours(parameter: Varied, places: Array, rng: np.random.Generator) -> list[Array]:
    """Places to try instead of `places` (m,): every value of a short list, else steps at several scales both ways."""
    if parameter.levels <= _EXHAUSTIVE:
        return [np.full_like(places, place) for place in parameter.places()]
    if parameter.one_hot:
        return [rng.random(len(places)) for _ in range(_EXHAUSTIVE)]
    step = 1.0 / parameter.levels
    scales = np.geomspace(step, 0.25, max(2, min(6, math.ceil(math.log2(0.25 / step) + 1e-9) or 2)))
    next_value = [parameter.shifted(places, sign) for sign in (-1, 1)]
    return next_value + [np.clip(places + sign * scale, 0.0, 1.0) for scale in scales for sign in (-1.0, 1.0)]

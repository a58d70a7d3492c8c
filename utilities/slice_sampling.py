"""Slice sampling of a log density along random directions (Neal 2003, "Slice sampling", Annals of Statistics 31).

Symbols
-------
k       dimension of the density            z       a point, shape (k,)
level   log height of the slice: log density at z minus an Exponential(1) draw
u       direction (k,): a move goes along z + t u, where one unit of t is one initial interval

It needs a rough width and no gradient, and copes with regions of zero density (log density -inf).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LogDensity = Callable[[Array], float]

_SMALLEST_INTERVAL = 1e-12  # relative to the width: below it the slice is the point itself up to rounding


def slice_sample(
    log_density: LogDensity,
    start: Array,
    rng: np.random.Generator,
    *,
    sweeps: int,
    width: float | Array = 1.0,
    step_out: int = 10,
    coordinates: bool = False,
) -> Array:
    """Run one chain and return its last point.

    Parameters
    ----------
    log_density
        Log of a density known up to a constant. A point where it is -inf or NaN is never visited.
    start : array (k,)
        First point; the density there must be positive.
    rng
        Source of randomness.
    sweeps
        Length of the chain. A sweep is one move in a random direction.
    width : float or array (k,)
        Rough scale of the density, per coordinate: length of the initial interval.
    step_out
        The most times that the initial interval grows by its own length (Neal's m - 1); 0 leaves it as it is.
    coordinates
        Whether a sweep also moves along each coordinate, in random order. Pays where the scales differ widely.

    Returns
    -------
    array (k,)
        The last point of the chain.

    Raises
    ------
    ValueError
        The log density at `start` is not finite.
    """
    point = np.array(start, dtype=np.float64)
    height = float(log_density(point))
    if not np.isfinite(height):
        raise ValueError(f"a chain must start where the log density is finite: it is {height} at {point}")
    scale = np.broadcast_to(np.asarray(width, dtype=np.float64), point.shape)
    for _ in range(sweeps):
        for direction in _directions(scale, rng, coordinates):
            point, height = _move(log_density, point, height, direction, rng, step_out)
    return point


def slice_samples(
    log_density: LogDensity,
    start: Array,
    rng: np.random.Generator,
    *,
    count: int,
    burn_in: int,
    thin: int = 1,
    width: float | Array = 1.0,
    step_out: int = 10,
    coordinates: bool = False,
) -> Array:
    """Run one chain and return points (count, k), `thin` sweeps apart, after `burn_in` sweeps.

    The other arguments, and the error raised, are those of `slice_sample`.
    """
    point = np.array(start, dtype=np.float64)
    samples = np.empty((count, point.size))
    for row in range(count):
        sweeps = burn_in + thin if row == 0 else thin
        point = slice_sample(
            log_density, point, rng, sweeps=sweeps, width=width, step_out=step_out, coordinates=coordinates
        )
        samples[row] = point
    return samples


def _directions(scale: Array, rng: np.random.Generator, coordinates: bool) -> Iterator[Array]:
    """Yield the directions of one sweep: one drawn uniformly on the sphere, scaled, then perhaps the axes."""
    random = rng.standard_normal(scale.size)
    yield scale * random / np.linalg.norm(random)
    if coordinates:
        for axis in rng.permutation(scale.size):
            direction = np.zeros(scale.size)
            direction[axis] = scale[axis]
            yield direction


def _move(
    log_density: LogDensity, point: Array, height: float, direction: Array, rng: np.random.Generator, step_out: int
) -> tuple[Array, float]:
    """Draw a point uniformly from the slice along `direction`; return it and its log density."""

    def along(t: float) -> float:
        return float(log_density(point + t * direction))

    level = height - rng.exponential()
    left, right = _step_out(along, level, rng, step_out)
    return _shrink(log_density, point, height, direction, level, left, right, rng)


def _step_out(
    along: Callable[[float], float], level: float, rng: np.random.Generator, limit: int
) -> tuple[float, float]:
    """Grow an interval around 0 until both ends leave the slice, `limit` steps at most (Neal 2003, figure 3).

    The limit is split at random between the two ends, without which the move would not be reversible.
    """
    left = -float(rng.random())
    right = left + 1.0
    left_steps = int(rng.integers(limit + 1))
    for _ in range(left_steps):
        if not along(left) > level:
            break
        left -= 1.0
    for _ in range(limit - left_steps):
        if not along(right) > level:
            break
        right += 1.0
    return left, right


def _shrink(
    log_density: LogDensity,
    point: Array,
    height: float,
    direction: Array,
    level: float,
    left: float,
    right: float,
    rng: np.random.Generator,
) -> tuple[Array, float]:
    """Draw from the interval, cutting it at each draw that falls outside the slice (Neal 2003, figure 5)."""
    while right - left > _SMALLEST_INTERVAL:
        t = float(rng.uniform(left, right))
        proposal = point + t * direction
        proposed = float(log_density(proposal))
        if proposed > level:
            return proposal, proposed
        if t < 0.0:
            left = t
        else:
            right = t
    return point, height

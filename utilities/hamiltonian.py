"""Hamiltonian Monte Carlo for a density close to a standard normal (Neal 2011, "MCMC using Hamiltonian dynamics").

Symbols
-------
k   dimension      u (k,)   position, in coordinates in which the density is nearly N(0, I)      v (k,)   velocity
h   step of the leapfrog integrator

On a standard normal a trajectory of length pi / 2 forgets where it began, so a handful of gradients buys an independent
draw, whatever k. Steps are drawn anew for each trajectory: a fixed length would return to its start where some
coordinate's period divides it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LogDensity = Callable[[Array], tuple[float, Array]]
"""Log of a density known up to a constant, and its gradient (k,); (-inf, anything) where the density vanishes."""

LEAPS = 4
STEP = (0.1, 0.45)
"""Shortest and longest step h: four of them make a trajectory of 0.4 to 1.8."""


def hmc_samples(
    log_density: LogDensity, start: Array, rng: np.random.Generator, *, count: int, burn_in: int, leaps: int = LEAPS
) -> Array:
    """Run one chain and return its points (count, k), a trajectory apart, after `burn_in` trajectories.

    Parameters
    ----------
    log_density
        Close to that of N(0, I), so that `STEP` suits it; another density is sampled correctly, but slowly.
    start : array (k,)
        First point; the density there must be positive.
    rng
        Source of randomness.
    count, burn_in
        Trajectories kept, and run before these.
    leaps
        Leapfrog steps, each one evaluation, of a trajectory.

    Raises
    ------
    ValueError
        The log density at `start` is not finite.
    """
    point = np.array(start, dtype=np.float64)
    height, slope = log_density(point)
    if not np.isfinite(height):
        raise ValueError(f"a chain must start where the log density is finite: it is {height} at {point}")
    samples = np.empty((count, point.size))
    for row in range(-burn_in, count):
        velocity = rng.standard_normal(point.size)
        energy = height - 0.5 * float(velocity @ velocity)
        end = _leapfrog(log_density, point, slope, velocity, float(rng.uniform(*STEP)), leaps)
        accept = np.log(rng.random())
        if end is not None and accept < end[1] - 0.5 * float(end[3] @ end[3]) - energy:
            point, height, slope = end[:3]
        if row >= 0:
            samples[row] = point
    return samples


def _leapfrog(
    log_density: LogDensity, point: Array, slope: Array, velocity: Array, step: float, leaps: int
) -> tuple[Array, float, Array, Array] | None:
    """Point, log density, gradient and velocity at the end of a trajectory; None where it leaves the support."""
    velocity = velocity + 0.5 * step * slope
    for leap in range(leaps):
        point = point + step * velocity
        height, slope = log_density(point)
        if not np.isfinite(height):
            return None
        velocity = velocity + (step if leap < leaps - 1 else 0.5 * step) * slope
    return point, height, slope, velocity

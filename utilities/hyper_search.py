"""Search of a hyperposterior: its mode, the curvature there, the warps that pay, and samples.

Symbols
-------
theta (k,)     hyperparameters (see `utilities.hyperposterior`)      mode (k,)   maximiser of their log density
Sigma (k, k)   minus the inverse Hessian of the log density at the mode: Laplace's approximation
u              whitened coordinates: theta = mode + R u with R R^T = Sigma

In u the density is close to a standard normal, so that a short Hamiltonian trajectory forgets most of where it began,
whereas along theta's own axes noise, outputscale and lengthscales hold each other back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from utilities.cholesky import NotPositiveDefiniteError
from utilities.hamiltonian import hmc_samples
from utilities.hyperposterior import WARP_PRIOR, Hyperposterior

Array = NDArray[np.float64]

_REACH = 4.0  # half-width of the box searched, in prior standard deviations
_FARTHEST = 6.0  # of a sample, likewise: beyond, a trajectory has run away
_BARRIER = 1e12  # loss where the density vanishes: L-BFGS steps back from it, and cannot from infinity
_STEP = 1e-4  # of the central differences of the gradient


def find_mode(density: Hyperposterior, starts: Iterable[Array], iterations: int) -> Array:
    """Best of the maxima that L-BFGS reaches from `starts`, within four prior standard deviations of the prior mean."""
    low = density.prior_mean - _REACH * density.prior_deviation
    high = density.prior_mean + _REACH * density.prior_deviation

    def loss(theta: Array) -> tuple[float, Array]:
        try:
            value, gradient = density.value_and_gradient(theta)
        except NotPositiveDefiniteError:
            return _BARRIER, np.zeros(theta.size)
        return -value, -gradient

    results = [
        minimize(
            loss,
            np.clip(start, low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([low, high], axis=1),
            options={"maxiter": iterations, "ftol": 1e-7, "gtol": 1e-3},
        )
        for start in starts
    ]
    return np.asarray(min(results, key=lambda result: float(result.fun)).x)


def laplace_covariance(density: Hyperposterior, mode: Array) -> Array:
    """Sigma (k, k), by central differences of the gradient.

    Directions in which the density is much flatter than the prior (the mode is not quite reached, or the density is not
    normal) are given four times the widest prior variance.
    """
    steps = _STEP * np.eye(mode.size)
    rows = [density.value_and_gradient(mode + s)[1] - density.value_and_gradient(mode - s)[1] for s in steps]
    hessian = np.stack(rows) / (2.0 * _STEP)
    curvatures, axes = np.linalg.eigh(-0.5 * (hessian + hessian.T))
    least = 0.25 / float(np.max(density.prior_deviation)) ** 2
    return np.asarray((axes / np.maximum(curvatures, least)) @ axes.T)


def warp_evidence(density: Hyperposterior, mode: Array, covariance: Array) -> Array:
    """Log Bayes factor (w,) of warping each column against leaving it alone, all else integrated out.

    By the Savage-Dickey ratio: prior over posterior density at a = b = 1, the latter by Laplace's approximation.
    """
    count = density.layout.warped.size
    first = density.layout.group_count + 2
    log_prior = -np.log(2.0 * np.pi * WARP_PRIOR[1] ** 2) - (WARP_PRIOR[0] / WARP_PRIOR[1]) ** 2
    factors = np.empty(count)
    for i in range(count):
        pair = [first + i, first + count + i]
        block, distance = covariance[np.ix_(pair, pair)], mode[pair]
        log_posterior = -np.log(2.0 * np.pi) - 0.5 * np.linalg.slogdet(block)[1]
        factors[i] = log_prior - (log_posterior - 0.5 * distance @ np.linalg.solve(block, distance))
    return factors


def draw(
    density: Hyperposterior,
    mode: Array,
    root: Array,
    start: Array,
    rng: np.random.Generator,
    *,
    count: int,
    burn_in: int,
) -> Array:
    """Draw `count` samples (count, k) by Hamiltonian Monte Carlo in whitened coordinates.

    Parameters
    ----------
    density
        To be sampled.
    mode : array (k,)
        Centre of the whitened coordinates.
    root : array (k, k)
        R. Mode and R may be those of fewer observations: the samples are right all the same.
    start : array (k,)
        Where the chain begins, unless the density there is e^k below the mode's, more than a sample's usually is: from
        so far away no trajectory would be accepted. Then it begins at the mode.
    count, burn_in
        Trajectories kept, and run before these.
    """

    def whitened(u: Array) -> tuple[float, Array]:
        theta = mode + root @ u
        if not np.all(np.abs(theta - density.prior_mean) < _FARTHEST * density.prior_deviation):
            return -math.inf, u
        try:
            value, gradient = density.value_and_gradient(theta)
        except NotPositiveDefiniteError:
            return -math.inf, u
        return value, gradient @ root

    first: Array = np.asarray(np.linalg.solve(root, start - mode), dtype=np.float64)
    if not whitened(first)[0] > whitened(np.zeros(mode.size))[0] - mode.size:
        first = np.zeros(mode.size)
    return np.asarray(mode + hmc_samples(whitened, first, rng, count=count, burn_in=burn_in) @ root.T)

"""Posterior density of a GP's hyperparameters: evidence times priors, with its analytic gradient.

Symbols
-------
n   observations      p   columns      g   groups of columns that share a lengthscale      w   warped columns
theta (k,)   log lengthscales (g), log outputscale, log noise, log a (w), log b (w); k = g + 2 + 2 w
z (n, p)     embedded inputs (see `utilities.kernels`)      C (n, n)   covariance of y
W            inverse Cholesky factor of C      alpha = C^-1 y

Priors, all normal in theta, that is log-normal in the hyperparameter:

    lengthscale   LogNormal(log 0.2 + 1/2 log g, 0.75)   scaled as in Hvarfner et al. 2024, arXiv 2402.02229
    outputscale   LogNormal(0, 0.5)
    noise         LogNormal(-8, 3), `NOISE_FLOOR` added
    a, b          LogNormal(0, 0.75)                    Snoek et al. 2014

The lengthscale prior is shorter than theirs, LogNormal(sqrt2 + 1/2 log g, sqrt3), whose median of 10 in six dimensions
takes a parameter for irrelevant as soon as it is so in one basin: on Hartmann6 the optimiser then needs about ten more
evaluations to reach the bottom of a basin.

The noise prior is wide. Its lower half lets a function without noise be polished, which the usual LogNormal(-4, 1)
does not (1.0 nat of one-step-ahead log density an observation, at 40 to 60 of Hartmann6). Two deviations up, noise is a
third of the signal, without which a rugged or noisy function is taken for one of tiny lengthscales.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from utilities.cholesky import NotPositiveDefiniteError, cholesky, inverse_of_triangle
from utilities.input_warp import LogCoordinates
from utilities.kernels import MEAN_VARIANCE, distance_pullback, matern52, matern52_and_slope, squared_distances

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

NOISE_FLOOR = 1e-6
OUTPUTSCALE_PRIOR = (0.0, 0.5)
NOISE_PRIOR = (-8.0, 3.0)
WARP_PRIOR = (0.0, 0.75)
_LOG_2PI = math.log(2.0 * math.pi)


def lengthscale_prior(groups: int) -> tuple[float, float]:
    """Location and scale of the normal prior on each log lengthscale."""
    return math.log(0.2) + 0.5 * math.log(groups), 0.75


@dataclass(frozen=True)
class Layout:
    """Where each hyperparameter stands in theta.

    Attributes
    ----------
    groups : integer array (p,)
        Group of each column.
    warped : integer array (w,)
        Columns that are warped.
    """

    groups: Indices
    warped: Indices

    @property
    def group_count(self) -> int:
        """Number of lengthscales, g."""
        return int(self.groups.max()) + 1

    @property
    def size(self) -> int:
        """Length k of theta."""
        return self.group_count + 2 + 2 * self.warped.size

    def within(self, other: Layout) -> Indices:
        """Positions (k,) of these hyperparameters in the theta of a layout that warps these columns and others."""
        head = self.group_count + 2
        warps = np.searchsorted(other.warped, self.warped)
        return np.concatenate([np.arange(head), head + warps, head + other.warped.size + warps])

    def prior(self) -> tuple[Array, Array]:
        """Mean (k,) and standard deviation (k,) of the normal prior on theta."""
        rows = [lengthscale_prior(self.group_count)] * self.group_count
        rows += [OUTPUTSCALE_PRIOR, NOISE_PRIOR] + [WARP_PRIOR] * (2 * self.warped.size)
        table = np.array(rows)
        return table[:, 0], table[:, 1]

    def split(self, theta: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Log lengthscales (..., g), log outputscale (...), log noise (...), log a (..., w), log b (..., w)."""
        g, w = self.group_count, self.warped.size
        head, log_a, log_b = theta[..., : g + 2], theta[..., g + 2 : g + 2 + w], theta[..., g + 2 + w :]
        return head[..., :g], head[..., g], head[..., g + 1], log_a, log_b


class Hyperposterior:
    """log p(y | X, theta) + log p(theta), as a function of theta.

    Parameters
    ----------
    x : array (n, p)
        Inputs.
    y : array (n,)
        Standardised observations.
    layout
        Which columns share lengthscales, which are warped.
    variance : array (n,), optional
        Known variance of each observation's noise, in standardised units: the noise learned comes on top.
    """

    def __init__(self, x: Array, y: Array, layout: Layout, variance: Array | None = None) -> None:
        self.layout = layout
        self.prior_mean, self.prior_deviation = layout.prior()
        self._x = x
        self._y = y
        self._floor: Array | float = NOISE_FLOOR if variance is None else NOISE_FLOOR + variance
        self._log_x = LogCoordinates.of(x[:, layout.warped])
        self._membership = np.eye(layout.group_count)[layout.groups]
        self._buffers = np.empty((4, y.size, y.size))

    def log_prior(self, theta: Array) -> float:
        """Log prior density at `theta` (k,)."""
        standard = (theta - self.prior_mean) / self.prior_deviation
        normaliser = float(np.log(self.prior_deviation).sum()) + 0.5 * self.prior_mean.size * _LOG_2PI
        return -0.5 * float(standard @ standard) - normaliser

    def log_evidence(self, theta: Array) -> float:
        """Log evidence log p(y | X, theta)  (Rasmussen & Williams 2006, equation 2.30).

        Raises
        ------
        NotPositiveDefiniteError
            The covariance under `theta` has no Cholesky factor.
        """
        lengths, log_outputscale, log_noise, log_a, log_b = self.layout.split(theta)
        z = self._unscaled(log_a, log_b) * np.exp(-lengths)[self.layout.groups]
        covariance = matern52(squared_distances(z, z, out=self._buffers[0]), self._buffers[1])
        covariance *= math.exp(log_outputscale)
        factor = cholesky(_add_mean_and_noise(covariance, self._floor + math.exp(log_noise)), overwrite=True)
        whitened, _ = lapack.dtrtrs(factor, self._y, lower=1)
        return _log_gaussian(whitened, factor)

    def __call__(self, theta: Array) -> float:
        """Log density at `theta` (k,) up to a constant; -inf where the covariance cannot be factorised."""
        try:
            return self.log_evidence(theta) + self.log_prior(theta)
        except NotPositiveDefiniteError:
            return -math.inf

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Log density at `theta` and its gradient (k,).

        With G = 1/2 (alpha alpha^T - C^-1), the gradient of the evidence with respect to C (Rasmussen & Williams 2006,
        equation 5.9), everything else is the chain rule back to theta.

        Raises
        ------
        NotPositiveDefiniteError
            The covariance under `theta` has no Cholesky factor.
        """
        lengths, log_outputscale, log_noise, log_a, log_b = self.layout.split(theta)
        inverse_lengths = np.exp(-lengths)[self.layout.groups]
        z = self._unscaled(log_a, log_b) * inverse_lengths
        signal, slope = self._signal_and_slope(z, math.exp(log_outputscale))
        np.copyto(self._buffers[2], signal)
        factor = cholesky(_add_mean_and_noise(self._buffers[2], self._floor + math.exp(log_noise)), overwrite=True)
        whitened, _ = lapack.dtrtrs(factor, self._y, lower=1)
        value = _log_gaussian(whitened, factor) + self.log_prior(theta)
        grad_covariance = self._covariance_gradient(whitened, factor)
        grad_outputscale = float(np.vdot(grad_covariance, signal))
        grad_noise = math.exp(log_noise) * float(np.trace(grad_covariance))
        slope *= grad_covariance
        grad_z = 2.0 * distance_pullback(z, z, slope)
        grad_lengths = -np.einsum("np,np->p", grad_z, z) @ self._membership
        grad_a, grad_b = self._warp_gradient(grad_z * inverse_lengths, log_a, log_b)
        gradient = np.concatenate([grad_lengths, [grad_outputscale, grad_noise], grad_a, grad_b])
        gradient -= (theta - self.prior_mean) / self.prior_deviation**2
        return value, gradient

    def _signal_and_slope(self, z: Array, outputscale: float) -> tuple[Array, Array]:
        """Covariance (n, n) of the function about its mean, in buffer 0, and its slope in d2, in buffer 1."""
        d2 = squared_distances(z, z, out=self._buffers[0])
        signal, slope = matern52_and_slope(d2, self._buffers[1], self._buffers[2])
        signal *= outputscale
        slope *= outputscale
        return signal, slope

    def _covariance_gradient(self, whitened: Array, factor: Array) -> Array:
        """1/2 (alpha alpha^T - C^-1), in the memory of `factor`, with buffer 3 in between."""
        inverse = inverse_of_triangle(factor, overwrite=True)
        alpha = whitened @ inverse
        precision = np.matmul(inverse.T, inverse, out=self._buffers[3])
        gradient = np.outer(alpha, alpha, out=inverse.T)
        gradient -= precision
        gradient *= 0.5
        return gradient

    def _unscaled(self, log_a: Array, log_b: Array) -> Array:
        """Inputs after the warp, before division by lengthscales: (n, p)."""
        if not self.layout.warped.size:
            return self._x
        unscaled = self._x.copy()
        unscaled[:, self.layout.warped] = self._log_x.warp(log_a, log_b)
        return unscaled

    def _warp_gradient(self, grad_unscaled: Array, log_a: Array, log_b: Array) -> tuple[Array, Array]:
        """Gradients (w,) with respect to log a and log b."""
        slope_a, slope_b = self._log_x.shape_slopes(log_a, log_b)
        grad = grad_unscaled[:, self.layout.warped]
        return np.einsum("nw,nw->w", grad, slope_a), np.einsum("nw,nw->w", grad, slope_b)


def _add_mean_and_noise(covariance: Array, noise: Array | float) -> Array:
    """Add the variances of the constant mean and of the noise, in place."""
    covariance += MEAN_VARIANCE
    covariance.flat[:: covariance.shape[0] + 1] += noise
    return covariance


def _log_gaussian(whitened: Array, factor: Array) -> float:
    """Log N(y; 0, L L^T) from L^-1 y and L."""
    log_determinant = float(np.log(np.diagonal(factor)).sum())
    return -0.5 * float(whitened @ whitened) - log_determinant - 0.5 * whitened.size * _LOG_2PI

"""Matern-5/2 kernel with one lengthscale per group of columns, on warped inputs, stacked over hyperparameter samples.

Symbols
-------
S    hyperparameter samples          p    feature columns           m, n   points
z    embedded points (S, m, p): warped where the column is warped, then divided by the column's lengthscale
d2   squared distance between embedded points, (S, m, n); r = sqrt(d2)

    k(x, x') = outputscale (1 + sqrt5 r + 5/3 r^2) exp(-sqrt5 r) + `MEAN_VARIANCE`

(Rasmussen & Williams 2006, equation 4.17). The second term is an unknown constant mean c ~ N(0, `MEAN_VARIANCE`),
integrated out (their section 2.7): far from the data the posterior returns to a mean that the data choose, not to their
average, which in an optimisation run is that of a good region.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utilities.input_warp import LogCoordinates

Array = NDArray[np.float64]

MEAN_VARIANCE = 1.0
_ROOT5 = float(np.sqrt(5.0))


def squared_distances(a: Array, b: Array, out: Array | None = None) -> Array:
    """Squared Euclidean distances (..., m, n) between rows of `a` (..., m, p) and `b` (..., n, p), into `out` if given.

    By |a|^2 + |b|^2 - 2 a.b: the rounding error, some 1e-16 of |a|^2, is harmless since the kernel is smooth in d2.
    """
    distances = np.matmul(a, np.swapaxes(b, -1, -2), out=out)
    distances *= -2.0
    distances += np.einsum("...ij,...ij->...i", a, a)[..., :, None]
    distances += np.einsum("...ij,...ij->...i", b, b)[..., None, :]
    return np.asarray(np.maximum(distances, 0.0, out=distances))


def matern52(d2: Array, scratch: Array | None = None) -> Array:
    """Value (1 + sqrt5 r + 5/3 r^2) exp(-sqrt5 r), written over `d2`.

    Working in place halves the time beyond 128 KiB, where each new array would be fresh memory from the system;
    `scratch` (of d2's shape) spares the last one.
    """
    t = _scaled_root(d2)
    polynomial = np.multiply(t, 1.0 / 3.0, out=scratch)
    polynomial += 1.0
    polynomial *= t
    polynomial += 1.0
    decay = _decay(t, out=t)
    decay *= polynomial
    return decay


def matern52_and_slope(d2: Array, slope: Array | None = None, scratch: Array | None = None) -> tuple[Array, Array]:
    """`matern52`, written over `d2`, and its derivative with respect to d2, written to `slope` if given.

    The derivative is -5/6 (1 + sqrt5 r) exp(-sqrt5 r), finite also at 0.
    """
    t = _scaled_root(d2)
    decay = _decay(t, out=scratch)
    slope = np.add(t, 1.0, out=slope)
    t *= t
    t *= 1.0 / 3.0
    t += slope
    t *= decay
    slope *= decay
    slope *= -5.0 / 6.0
    return t, slope


def _scaled_root(d2: Array) -> Array:
    root = np.sqrt(d2, out=d2)
    root *= _ROOT5
    return root


def _decay(t: Array, out: Array | None) -> Array:
    negative = np.negative(t, out=out)
    return np.exp(negative, out=negative)


@dataclass(frozen=True)
class Kernel:
    """The kernel under S settings of its hyperparameters.

    Attributes
    ----------
    inverse_lengthscale : array (S, p)
        One over the lengthscale of each column.
    outputscale : array (S,)
        Variance of the function about its mean.
    warped : integer array (w,)
        Columns that are warped.
    log_a, log_b : array (S, w)
        Shape of the warp of those columns.
    """

    inverse_lengthscale: Array
    outputscale: Array
    warped: NDArray[np.intp]
    log_a: Array
    log_b: Array

    @property
    def variance(self) -> Array:
        """k(x, x), the same at all x: (S,)."""
        return self.outputscale + MEAN_VARIANCE

    def component(self, kept: slice) -> Kernel:
        """Some of the S settings by themselves."""
        return Kernel(
            self.inverse_lengthscale[kept], self.outputscale[kept], self.warped, self.log_a[kept], self.log_b[kept]
        )

    def embed(self, x: Array) -> Array:
        """Warp and scale points `x` (m, p): (S, m, p)."""
        z = x[None] * self.inverse_lengthscale[:, None]
        if self.warped.size:
            warped = LogCoordinates.of(x[None, :, self.warped]).warp(self.log_a[:, None], self.log_b[:, None])
            z[:, :, self.warped] = warped * self.inverse_lengthscale[:, None, self.warped]
        return z

    def between(self, z: Array, other: Array) -> Array:
        """Kernel (S, m, n) between embedded points (S, m, p) and (S, n, p)."""
        values = matern52(squared_distances(z, other))
        values *= self.outputscale[:, None, None]
        values += MEAN_VARIANCE
        return values

    def between_and_slope(self, z: Array, other: Array) -> tuple[Array, Array]:
        """`between`, and its derivative with respect to the squared distance."""
        values, slope = matern52_and_slope(squared_distances(z, other))
        values *= self.outputscale[:, None, None]
        values += MEAN_VARIANCE
        slope *= self.outputscale[:, None, None]
        return values, slope

    def pullback(self, x: Array, grad_z: Array) -> Array:
        """Gradient (m, p) with respect to `x` from one with respect to `embed(x)`, (S, m, p)."""
        slopes = np.broadcast_to(self.inverse_lengthscale[:, None], grad_z.shape).copy()
        if self.warped.size:
            log_x = LogCoordinates.of(x[None, :, self.warped])
            slopes[:, :, self.warped] *= log_x.slope(self.log_a[:, None], self.log_b[:, None])
        return np.asarray(np.einsum("smp,smp->mp", grad_z, slopes))


def distance_pullback(z: Array, other: Array, grad_d2: Array) -> Array:
    """Gradient (..., m, p) with respect to `z` of sum(grad_d2 * squared_distances(z, other)), `other` held fixed."""
    return np.asarray(2.0 * (grad_d2.sum(axis=-1)[..., None] * z - grad_d2 @ other))

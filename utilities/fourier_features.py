"""Random Fourier features of the Matern-5/2 kernel: basis functions that know nothing of y but its lengthscales.

Symbols
-------
M   draws (members of an ensemble)     p   feature columns     R   frequencies of each draw
m   points                             omega (M, p, R)   frequencies, angular
ell (p,)   lengthscales                phi (M, m, 2R)    sqrt(2/3) [cos(x omega), sin(x omega)]

By Bochner's theorem k(x - x') = E cos(omega . (x - x')) for omega drawn from the spectral density of k (Rahimi & Recht
2007, "Random features for large-scale kernel machines"), so ``phi(x) . phi(x')`` is 2R/3 times an estimate of k. That
of Matern-5/2 is a multivariate Student t of 5 degrees of freedom (Rasmussen & Williams 2006, equation 4.15), scaled by
1 / ell. Frequencies come in orthogonal blocks of p, which takes variance off the estimate and leaves its mean as it is
(Yu et al. 2016, "Orthogonal random features").

The factor 2/3 makes |phi|^2 a third of the number of functions, as in a layer of tanh units: so the two weigh alike in
one regression, under the prior of `utilities.linear_regressor`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utilities.hyper_search import find_mode
from utilities.hyperposterior import Hyperposterior, Layout

Array = NDArray[np.float64]

DEGREES = 5.0
"""Of freedom of the spectral density: twice the smoothness 5/2."""

AMPLITUDE = math.sqrt(2.0 / 3.0)

SEARCHED = 150
"""Observations from which lengthscales are estimated, at most: the search costs O(n^3)."""

ITERATIONS = 40


@dataclass(frozen=True)
class FourierFeatures:
    """Draws of frequencies.

    Attributes
    ----------
    frequencies : array (M, p, R)
        omega.
    """

    frequencies: Array

    @classmethod
    def draw(cls, lengthscale: Array, members: int, count: int, rng: np.random.Generator) -> FourierFeatures:
        """Draw `count` frequencies for each of `members`, given lengthscales (p,)."""
        columns = lengthscale.size
        directions = np.concatenate([_rotations(columns, members, rng) for _ in range(-(-count // columns))], axis=1)
        lengths = np.sqrt(rng.chisquare(columns, (members, count)) * DEGREES / rng.chisquare(DEGREES, (members, count)))
        frequencies = directions[:, :count] * lengths[:, :, None] / lengthscale
        return cls(np.ascontiguousarray(frequencies.transpose(0, 2, 1)))

    @property
    def size(self) -> int:
        """Number of basis functions of each draw, 2R."""
        return 2 * int(self.frequencies.shape[2])

    def phi(self, x: Array) -> Array:
        """Return the basis functions (M, m, 2R) at `x` (m, p)."""
        angles = np.asarray(x, dtype=self.frequencies.dtype) @ self.frequencies
        phi = np.concatenate([np.cos(angles), np.sin(angles)], axis=2)
        phi *= AMPLITUDE
        return phi

    def backward(self, phi: Array, grad_phi: Array) -> Array:
        """Gradient (m, p) of ``sum(grad_phi * phi(x))`` with respect to the x that gave `phi`; both (M, m, 2R)."""
        half = self.frequencies.shape[2]
        grad_angles = phi[:, :, :half] * grad_phi[:, :, half:] - phi[:, :, half:] * grad_phi[:, :, :half]
        return np.asarray((grad_angles @ self.frequencies.transpose(0, 2, 1)).sum(axis=0))


def _rotations(columns: int, members: int, rng: np.random.Generator) -> Array:
    """Orthogonal matrices (M, p, p), each row uniform on the sphere."""
    basis, triangle = np.linalg.qr(rng.standard_normal((members, columns, columns)))
    signs = np.sign(np.diagonal(triangle, axis1=1, axis2=2))
    return np.asarray((basis * signs[:, None, :]).transpose(0, 2, 1))


def search_lengthscales(x: Array, y: Array, rng: np.random.Generator, previous: Array | None = None) -> Array:
    """Lengthscales (p,) of greatest posterior density under a Gaussian process, without input warp.

    Parameters
    ----------
    x : array (n, p)
        Feature rows.
    y : array (n,)
        Objectives in standardised units. Of more than `SEARCHED`, the lowest half as many and some others are used.
    rng
        Chooses the others.
    previous : array (p,), optional
        Lengthscales to begin from; the mode of their prior otherwise (see `utilities.hyperposterior`).
    """
    rows = np.argsort(y, kind="stable")
    if len(rows) > SEARCHED:
        best = SEARCHED // 2
        rows = np.concatenate([rows[:best], rng.permutation(rows[best:])[: SEARCHED - best]])
    columns = x.shape[1]
    density = Hyperposterior(x[rows], y[rows], Layout(np.arange(columns), np.empty(0, dtype=np.intp)))
    start = density.prior_mean.copy()
    start[:columns] -= density.prior_deviation[:columns] ** 2
    if previous is not None:
        start[:columns] = np.log(previous)
    return np.exp(find_mode(density, [start], ITERATIONS)[:columns])

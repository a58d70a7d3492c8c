"""Functions drawn from posteriors, that can be evaluated anywhere, with their gradients.

Symbols
-------
m   points                    n   observations, pending ones included      p   feature columns
R   random features           D   basis functions
z   embedded points (see `utilities.kernels`)

A draw of a Gaussian process is a draw f of the prior, corrected by what the data say otherwise (Matheron's rule; Wilson
et al. 2020, arXiv 2002.09309, eq. 13):

    f(x) + k(x, X) C^-1 (y - f(X) - eps)        eps ~ N(0, noise), C the covariance of y

The prior draw is a sum of cosines with random frequencies (Rahimi & Recht 2007). Those of the Matern-5/2 kernel follow
Student's t distribution of 5 degrees of freedom, in units of one over the lengthscale. Only the prior is approximated:
near the data the exact kernel takes over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from utilities.kernels import MEAN_VARIANCE, Kernel, distance_pullback
from utilities.linear_regressor import quadratic_basis
from utilities.surrogate import Array

if TYPE_CHECKING:
    from utilities.basis import LinearBasis

FEATURES = 1024
_DEGREES = 5.0


@dataclass(frozen=True)
class PriorDraw:
    """A function of embedded points, drawn from the prior.

    Attributes
    ----------
    constant
        The mean, itself drawn.
    frequencies : array (p, R)
    phases, weights : array (R,)
        ``f(z) = constant + sum weights cos(z frequencies + phases)``.
    """

    constant: float
    frequencies: Array
    phases: Array
    weights: Array

    @classmethod
    def of(cls, kernel: Kernel, rng: np.random.Generator) -> PriorDraw:
        """Draw from the prior of a kernel with S = 1."""
        columns = kernel.inverse_lengthscale.shape[1]
        frequencies = rng.standard_normal((columns, FEATURES))
        frequencies *= np.sqrt(_DEGREES / rng.chisquare(_DEGREES, FEATURES))
        phases = rng.uniform(0.0, 2.0 * np.pi, FEATURES)
        weights = rng.standard_normal(FEATURES) * np.sqrt(2.0 * kernel.outputscale[0] / FEATURES)
        return cls(float(rng.standard_normal() * np.sqrt(MEAN_VARIANCE)), frequencies, phases, weights)

    def value(self, z: Array) -> Array:
        """Value (m,) at embedded points (m, p)."""
        angles = z @ self.frequencies
        angles += self.phases
        return np.asarray(self.constant + np.cos(angles, out=angles) @ self.weights)

    def gradient(self, z: Array) -> Array:
        """Gradient (m, p) with respect to embedded points (m, p)."""
        return np.asarray(-(np.sin(z @ self.frequencies + self.phases) * self.weights) @ self.frequencies.T)


@dataclass(frozen=True)
class GaussianDraw:
    """A function drawn from the posterior of a Gaussian process.

    Attributes
    ----------
    kernel
        With S = 1.
    prior
        The prior draw f.
    embedded : array (1, n, p)
        Observations.
    correction : array (n,)
        ``C^-1 (y - f(X) - eps)``.
    """

    kernel: Kernel
    prior: PriorDraw
    embedded: Array
    correction: Array

    def value(self, x: Array) -> Array:
        """Value (m,) at `x` (m, p)."""
        z = self.kernel.embed(x)
        return np.asarray(self.prior.value(z[0]) + self.kernel.between(z, self.embedded)[0] @ self.correction)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Value (m,) and gradient (m, p)."""
        z = self.kernel.embed(x)
        cross, slope = self.kernel.between_and_slope(z, self.embedded)
        gradient = self.prior.gradient(z[0])[None] + distance_pullback(z, self.embedded, slope * self.correction)
        return self.prior.value(z[0]) + cross[0] @ self.correction, self.kernel.pullback(x, gradient)


@dataclass(frozen=True)
class RegressionDraw:
    """A function drawn from a Bayesian linear regression on a basis: exact, O(D) beyond the basis.

    Attributes
    ----------
    basis
        Of a single network.
    weights : array (D,)
        Of its basis functions.
    theta : array (1 + 2p,)
        Of [1, x, x^2].
    """

    basis: LinearBasis
    weights: Array
    theta: Array

    def value(self, x: Array) -> Array:
        """Value (m,) at `x` (m, p)."""
        return np.asarray(self.basis.phi(x)[0] @ self.weights + quadratic_basis(x) @ self.theta)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Value (m,) and gradient (m, p)."""
        tape, columns = self.basis.tape(x), x.shape[1]
        value = tape.phi[0] @ self.weights + quadratic_basis(x) @ self.theta
        by_basis = self.basis.backward(tape, np.broadcast_to(self.weights, tape.phi.shape))
        return value, by_basis + self.theta[1 : 1 + columns] + 2.0 * x * self.theta[1 + columns :]

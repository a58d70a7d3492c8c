"""Posterior of DNGO: prediction, its gradient, more observations, fantasies and draws (Snoek et al. 2015, [P]).

Symbols
-------
M   networks                          p   feature columns                 m   points to predict at
s   hyperparameter samples of each    D   basis functions of a network    q   pending points
S   components, M s, networks outermost                                   F   fantasies of the pending outcomes
V           (M, D, D)     eigenvectors of each network's ``Phi^T Phi``, its ``values`` are (M, D)
psi         (M, m, D)     rotated basis ``phi V``: in it, K ([P] eq 6) of all s samples of a network is diagonal
precision   (M, s, D)     that diagonal, ``beta values + alpha``
weights     (M, s, F, D)  posterior mean of the rotated weights, ``V^T m`` of [P] eq 5
theta       (M, s, 1 + 2p)   prior mean's coefficients on [1, x, x^2]

So a network's samples share one eigendecomposition, and so do its fantasies: ``Phi^T Phi`` of observed and pending
points is decomposed once, whatever s and F.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from utilities.basis import Basis, single
from utilities.drawn_functions import RegressionDraw
from utilities.linear_regressor import Gram, mean_coefficients, quadratic_basis

Array = NDArray[np.float64]

TINY = 1e-16
"""Least variance predicted, in standardised units: log EI divides by its root."""


@dataclass(frozen=True, eq=False)
class DNGOPosterior:
    """Mixture of the S regressions' predictive distributions; shapes are those of the module's table.

    Attributes
    ----------
    offset, scale
        Of the standardisation.
    basis
        Learned and Fourier features.
    hyperparameters : array (M, s, 3 + 2p)
        z of `utilities.linear_regressor`.
    grams
        Each network's sufficient statistics; None once there are fantasies, which they do not hold.
    vectors, values, precision, weights, theta : arrays
        See the module.
    """

    offset: float
    scale: float
    basis: Basis
    hyperparameters: Array
    grams: tuple[Gram, ...] | None
    vectors: Array
    values: Array
    precision: Array
    weights: Array
    theta: Array

    @classmethod
    def given(
        cls, offset: float, scale: float, basis: Basis, hyperparameters: Array, grams: Sequence[Gram]
    ) -> DNGOPosterior:
        """Posterior given the observations in `grams` ([P] eq 5 and 6)."""
        spectra = [gram.spectrum for gram in grams]
        values = np.array([spectrum.values for spectrum in spectra])
        theta = mean_coefficients(hyperparameters)
        t = np.concatenate([-theta, np.ones((*theta.shape[:2], 1))], axis=2)
        response = t @ np.array([spectrum.cross.T for spectrum in spectra])
        precision = _precision(hyperparameters, values)
        weights = np.exp(hyperparameters[:, :, 1, None]) * response / precision
        vectors = np.array([spectrum.vectors for spectrum in spectra])
        return cls(
            offset,
            scale,
            basis,
            hyperparameters,
            tuple(grams),
            vectors,
            values,
            precision,
            weights[:, :, None],
            theta,
        )

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean (S, F, m) and variance (S, m) at `x` (m, p): [P] eq 3 and 4, the noise 1/beta left out."""
        members, samples, fantasies, features = self.weights.shape
        psi = (self.basis.phi(x) @ self.vectors).transpose(0, 2, 1)
        mean = self.weights.reshape(members, samples * fantasies, features) @ psi
        bowl = (self.theta @ quadratic_basis(x).T).reshape(members * samples, 1, len(x))
        mean = mean.reshape(members * samples, fantasies, len(x)) + bowl
        variance = ((1.0 / self.precision) @ (psi * psi)).reshape(members * samples, len(x))
        return mean, np.maximum(variance, TINY)

    def pullback(self, x: Array, grad_mean: Array, grad_variance: Array) -> Array:
        """Gradient (m, p) with respect to `x` (m, p) of sum(grad_mean * mean) + sum(grad_variance * variance).

        `grad_mean` is (S, F, m), `grad_variance` is (S, m).
        """
        members, samples, fantasies, features = self.weights.shape
        by_mean = grad_mean.reshape(members, samples * fantasies, len(x)).transpose(0, 2, 1)
        by_variance = grad_variance.reshape(members, samples, len(x)).transpose(0, 2, 1)
        tape = self.basis.tape(x)
        psi = tape.phi @ self.vectors
        grad_psi = by_mean @ self.weights.reshape(members, samples * fantasies, features)
        grad_psi += 2.0 * psi * (by_variance @ (1.0 / self.precision))
        by_theta = grad_mean.sum(axis=1).T @ self.theta.reshape(members * samples, -1)
        slope, curvature = by_theta[:, 1 : 1 + x.shape[1]], by_theta[:, 1 + x.shape[1] :]
        by_basis = self.basis.backward(tape, grad_psi @ self.vectors.transpose(0, 2, 1))
        return np.asarray(by_basis + slope + 2.0 * x * curvature)

    def noise(self) -> Array:
        """Variance (S,) of the observation noise of each component, 1/beta."""
        return np.exp(-self.hyperparameters[:, :, 1]).ravel()

    def extend(self, x: Array, y: Array) -> DNGOPosterior:
        """Posterior with `k` more observations: `x` (k, p), `y` (k,) in the user's units. Costs O(D^2 k + D^3).

        Raises
        ------
        ValueError
            The posterior holds fantasies: they would be lost.
        """
        if self.grams is None:
            raise ValueError("a posterior with fantasies cannot be extended: extend the one they were drawn from")
        standardised = (y - self.offset) / self.scale
        grams = [gram.add(phi, x, standardised) for gram, phi in zip(self.grams, self.basis.phi(x), strict=True)]
        return DNGOPosterior.given(self.offset, self.scale, self.basis, self.hyperparameters, grams)

    def fantasize(self, x_pending: Array, count: int, rng: np.random.Generator) -> DNGOPosterior:
        """Posterior with `count` sampled outcomes at the pending points (q, p): F = count.

        Outcomes, with their noise, are drawn jointly over the q points, separately for each component.

        Raises
        ------
        ValueError
            The posterior holds fantasies already.
        """
        return self.given_outcomes(x_pending, self.draw_outcomes(x_pending, count, rng))

    def draw_outcomes(self, x: Array, count: int, rng: np.random.Generator) -> Array:
        """Draw `count` joint outcomes, with noise, from each component: (S, count, q) at `x` (q, p), standardised.

        Raises
        ------
        ValueError
            The posterior holds fantasies.
        """
        if self.grams is None:
            raise ValueError("fantasies are drawn from a posterior without any: this one holds some already")
        members, samples, _, features = self.weights.shape
        spread = rng.standard_normal((members, samples, count, features)) / np.sqrt(self.precision)[:, :, None]
        psi = (self.basis.phi(x) @ self.vectors).transpose(0, 2, 1)
        outcomes = (self.weights + spread) @ psi[:, None]
        outcomes += (self.theta @ quadratic_basis(x).T)[:, :, None]
        outcomes = outcomes.reshape(members * samples, count, len(x))
        return outcomes + rng.standard_normal(outcomes.shape) * np.sqrt(self.noise())[:, None, None]

    def given_outcomes(self, x: Array, outcomes: Array) -> DNGOPosterior:
        """Posterior with F = count sets of outcomes (S, count, q), standardised, all at the points `x` (q, p).

        With ``K_p = K + beta Phi_p^T Phi_p`` and residuals ``R`` of the outcomes, the new weights are
        ``K_p^-1 (K m 1^T + beta Phi_p^T R^T)``: one matrix for all fantasies.
        """
        members, samples, _, _ = self.weights.shape
        psi = self.basis.phi(x) @ self.vectors
        gram = psi.transpose(0, 2, 1) @ psi
        diagonal = np.arange(gram.shape[1])
        gram[:, diagonal, diagonal] += self.values
        values, turn = np.linalg.eigh(gram)
        values = np.maximum(values, 0.0)
        prior = (self.theta @ quadratic_basis(x).T)[:, :, None]
        residual = outcomes.reshape(members, samples, outcomes.shape[1], len(x)) - prior
        beta = np.exp(self.hyperparameters[:, :, 1])[:, :, None, None]
        response = self.precision[:, :, None] * self.weights + beta * (residual @ psi[:, None])
        precision = _precision(self.hyperparameters, values)
        return replace(
            self,
            grams=None,
            vectors=self.vectors @ turn,
            values=values,
            precision=precision,
            weights=(response @ turn[:, None]) / precision[:, :, None],
        )

    def thin(self, components: int) -> DNGOPosterior:
        """Posterior of at most `components` components, all of the first network, in single precision; no `grams`.

        Fantasies are averaged over. What costs is the basis: of one network, in single precision, it costs a ninth. The
        digits lost so, some 1e-6 of the weights, matter less to a ranking of points than the other networks.
        """
        kept = slice(None, None, -(-self.precision.shape[1] // components))
        return replace(
            self,
            basis=self.basis.first(),
            hyperparameters=self.hyperparameters[:1, kept],
            grams=None,
            vectors=single(self.vectors[:1]),
            values=self.values[:1],
            precision=single(self.precision[:1, kept]),
            weights=single(self.weights[:1, kept].mean(axis=2, keepdims=True)),
            theta=self.theta[:1, kept],
        )

    def affordable(self, pending: int) -> DNGOPosterior:
        """Itself: pending points cost next to nothing."""
        return self

    def draw(self, rng: np.random.Generator) -> RegressionDraw:
        """Draw a function of a component and fantasy chosen at random, to be evaluated anywhere."""
        members, samples, fantasies, features = self.weights.shape
        m, s, f = (int(rng.integers(count)) for count in (members, samples, fantasies))
        rotated = self.weights[m, s, f] + rng.standard_normal(features) / np.sqrt(self.precision[m, s])
        return RegressionDraw(self.basis.member(m), self.vectors[m] @ rotated, self.theta[m, s])

    def sample(self, x: Array, count: int, rng: np.random.Generator) -> Array:
        """Draw `count` functions at `x` (m, p): (count, m), of components and fantasies chosen at random."""
        members, samples, fantasies, features = self.weights.shape
        network, hyper = np.divmod(rng.integers(members * samples, size=count), samples)
        weights = self.weights[network, hyper, rng.integers(fantasies, size=count)]
        weights = weights + rng.standard_normal((count, features)) / np.sqrt(self.precision[network, hyper])
        functions = self.theta[network, hyper] @ quadratic_basis(x).T
        for member, psi in enumerate(self.basis.phi(x) @ self.vectors):
            functions[network == member] += weights[network == member] @ psi.T
        return np.asarray(functions)


def _precision(hyperparameters: Array, values: Array) -> Array:
    """Eigenvalues (M, s, D) of K = beta Phi^T Phi + alpha I, given those of Phi^T Phi (M, D)."""
    alpha, beta = np.exp(hyperparameters[:, :, 0, None]), np.exp(hyperparameters[:, :, 1, None])
    return np.asarray(beta * values[:, None] + alpha)

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
narrowing   (M, D, s, r)     G: r points told or pending since the decomposition make ``K^-1`` to ``K^-1 - G G^T``

So a network's samples share one eigendecomposition, and so do its fantasies, whatever s and F. A few more points
need none: with ``C = psi K^-1 psi^T + 1/beta`` of them and its Cholesky factor L, ``G = K^-1 psi^T L^-T`` and the
weights gain ``G L^-1 (y - mean)``, as in the conditioning of any Gaussian. Decomposing costs O(D^3), this O(D r) a
component.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from utilities.basis import LinearBasis, single
from utilities.cholesky import inverse_of_triangle, jittered_cholesky
from utilities.drawn_functions import RegressionDraw
from utilities.linear_regressor import Gram, mean_coefficients, quadratic_basis, row_weights
from utilities.surrogate import Pullback

Array = NDArray[np.float64]

TINY = 1e-16
"""Least variance predicted, in standardised units: log EI divides by its root."""

RECENT = 16
"""Observations beyond a decomposition that are kept apart from it, before the next one."""

FEW = 64
"""Points, observed or pending, that are cheaper apart than by another decomposition."""


@dataclass(frozen=True, eq=False)
class DNGOPosterior:
    """Mixture of the S regressions' predictive distributions; shapes are those of the module's table.

    Attributes
    ----------
    offset, scale
        Of the standardisation.
    basis
        Of DNGO: learned and Fourier features.
    hyperparameters : array (M, s, 3 + 2p)
        z of `utilities.linear_regressor`.
    grams
        Each network's sufficient statistics; None once there are fantasies, which they do not hold.
    vectors, values, precision, weights, theta, narrowing : arrays
        See the module.
    """

    offset: float
    scale: float
    basis: LinearBasis
    hyperparameters: Array
    grams: tuple[Gram, ...] | None
    vectors: Array
    values: Array
    precision: Array
    weights: Array
    theta: Array
    narrowing: Array

    @classmethod
    def given(
        cls, offset: float, scale: float, basis: LinearBasis, hyperparameters: Array, grams: Sequence[Gram]
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
        samples, features = hyperparameters.shape[1], values.shape[1]
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
            np.empty((len(grams), features, samples, 0)),
        )

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean (S, F, m) and variance (S, m) at `x` (m, p): [P] eq 3 and 4, the noise 1/beta left out."""
        mean, variance, _ = self._moments(x, self.basis.phi(x) @ self.vectors)
        return mean, variance

    def differentiate(self, x: Array) -> tuple[Array, Array, Pullback]:
        """`predict` at `x` (m, p), and what turns weights of these into a gradient (m, p)."""
        tape = self.basis.tape(x)
        psi = tape.phi @ self.vectors
        mean, variance, narrowed = self._moments(x, psi)
        members, samples, fantasies, features = self.weights.shape

        def pullback(grad_mean: Array, grad_variance: Array) -> Array:
            by_mean = grad_mean.reshape(members, samples * fantasies, len(x)).transpose(0, 2, 1)
            by_variance = grad_variance.reshape(members, samples, len(x)).transpose(0, 2, 1)
            grad_psi = by_mean @ self.weights.reshape(members, samples * fantasies, features)
            grad_psi += 2.0 * psi * (by_variance @ (1.0 / self.precision))
            if narrowed.size:
                pulled = (narrowed * by_variance[..., None]).reshape(*psi.shape[:2], -1)
                grad_psi -= 2.0 * (pulled @ self.narrowing.reshape(members, features, -1).transpose(0, 2, 1))
            by_theta = grad_mean.sum(axis=1).T @ self.theta.reshape(members * samples, -1)
            slope, curvature = by_theta[:, 1 : 1 + x.shape[1]], by_theta[:, 1 + x.shape[1] :]
            by_basis = self.basis.backward(tape, grad_psi @ self.vectors.transpose(0, 2, 1))
            return np.asarray(by_basis + slope + 2.0 * x * curvature)

        return mean, variance, pullback

    def _moments(self, x: Array, psi: Array) -> tuple[Array, Array, Array]:
        """Mean (S, F, m), variance (S, m), and ``psi G`` (M, m, s, r), at `x` (m, p) with rotated basis (M, m, D)."""
        members, samples, fantasies, features = self.weights.shape
        count = len(x)
        mean = self.weights.reshape(members, samples * fantasies, features) @ psi.transpose(0, 2, 1)
        bowl = (self.theta @ quadratic_basis(x).T).reshape(members * samples, 1, count)
        mean = mean.reshape(members * samples, fantasies, count) + bowl
        variance = (1.0 / self.precision) @ (psi * psi).transpose(0, 2, 1)
        recent = self.narrowing.shape[3]
        narrowed = (psi @ self.narrowing.reshape(members, features, -1)).reshape(members, count, samples, recent)
        if recent:
            variance -= np.einsum("mksr,mksr->msk", narrowed, narrowed)
        return mean, np.maximum(variance.reshape(members * samples, count), TINY), narrowed

    def noise(self) -> Array:
        """Variance (S,) of the observation noise of each component, 1/beta."""
        return np.exp(-self.hyperparameters[:, :, 1]).ravel()

    def noise_of(self, variance: Array | None) -> Array:
        """Variance (S, 1), or (S, k) given the known `variance` (k,), of the noise of observations: 1/(beta w)."""
        weights = row_weights(None if variance is None else variance / self.scale**2)
        return self.noise()[:, None] if weights is None else self.noise()[:, None] / weights

    def extend(self, x: Array, y: Array, variance: Array | None = None) -> DNGOPosterior:
        """Posterior with `k` more observations: `x` (k, p), `y` (k,) in the user's units.

        What is known of the `variance` (k,) of their noise gives them `row_weights`. Costs O(D r) a component;
        O(D^2 k + D^3) where more than `RECENT` came since the last decomposition.

        Raises
        ------
        ValueError
            The posterior holds fantasies: they would be lost.
        """
        if self.grams is None:
            raise ValueError("a posterior with fantasies cannot be extended: extend the one they were drawn from")
        if len(x) == 0:
            return self
        standardised = (y - self.offset) / self.scale
        phi = self.basis.phi(x)
        weights = row_weights(None if variance is None else variance / self.scale**2)
        grams = tuple(gram.add(rows, x, standardised, weights) for gram, rows in zip(self.grams, phi, strict=True))
        if self.narrowing.shape[3] + len(x) > RECENT:
            return DNGOPosterior.given(self.offset, self.scale, self.basis, self.hyperparameters, grams)
        psi = phi @ self.vectors
        factor = self._factor(psi, variance)
        mean, _, _ = self._moments(x, psi)
        return replace(self._narrowed(psi, factor, _whiten(factor, standardised - mean)), grams=grams)

    def fantasize(self, x_pending: Array, count: int, rng: np.random.Generator) -> DNGOPosterior:
        """Posterior with `count` sampled outcomes at the pending points (q, p): F = count.

        Outcomes, with their noise, are drawn jointly over the q points, separately for each component. An outcome drawn
        from its own prediction is a standard normal once whitened.

        Raises
        ------
        ValueError
            The posterior holds fantasies already.
        """
        if self.grams is None:
            raise ValueError("fantasies are drawn from a posterior without any: this one holds some already")
        members, samples, _, _ = self.weights.shape
        if len(x_pending) == 0 or self.narrowing.shape[3] + len(x_pending) > FEW:
            whole = self._decomposed()
            return whole._decomposed_with(x_pending, whole._draw_outcomes(x_pending, count, rng))
        psi = self.basis.phi(x_pending) @ self.vectors
        white = rng.standard_normal((members * samples, count, len(x_pending)))
        return self._narrowed(psi, self._factor(psi), white)

    def _decomposed(self) -> DNGOPosterior:
        """Return the same posterior, decomposed anew if points are kept apart."""
        if self.grams is None or not self.narrowing.shape[3]:
            return self
        return DNGOPosterior.given(self.offset, self.scale, self.basis, self.hyperparameters, self.grams)

    def _factor(self, psi: Array, variance: Array | None = None) -> Array:
        """Inverse Cholesky factor (M, s, q, q) of the covariance of outcomes at points with rotated basis (M, q, D).

        Of the outcomes' noise, `variance` (q,) is known.
        """
        members, samples, _, features = self.weights.shape
        count, recent = psi.shape[1], self.narrowing.shape[3]
        covariance = (psi[:, None] / self.precision[:, :, None]) @ psi[:, None].transpose(0, 1, 3, 2)
        narrowed = (psi @ self.narrowing.reshape(members, features, -1)).reshape(members, count, samples, recent)
        narrowed = narrowed.transpose(0, 2, 1, 3)
        covariance -= narrowed @ narrowed.transpose(0, 1, 3, 2)
        diagonal = np.arange(count)
        covariance[:, :, diagonal, diagonal] += self.noise_of(variance).reshape(members, samples, -1)
        factors = [[inverse_of_triangle(jittered_cholesky(c)) for c in matrices] for matrices in covariance]
        return np.array(factors).reshape(members, samples, count, count)

    def _narrowed(self, psi: Array, factor: Array, white: Array) -> DNGOPosterior:
        """Posterior with outcomes, whitened (S, F, q), at points with rotated basis (M, q, D); without `grams`."""
        members, samples, _, features = self.weights.shape
        recent = self.narrowing.shape[3]
        narrowed = (psi @ self.narrowing.reshape(members, features, -1)).reshape(*psi.shape[:2], samples, recent)
        cross = psi[:, None] / self.precision[:, :, None]
        cross -= narrowed.transpose(0, 2, 1, 3) @ self.narrowing.transpose(0, 2, 3, 1)
        gain = factor @ cross
        weights = self.weights + white.reshape(members, samples, *white.shape[1:]) @ gain
        narrowing = np.concatenate([self.narrowing, gain.transpose(0, 3, 1, 2)], axis=3)
        return replace(self, grams=None, weights=weights, narrowing=narrowing)

    def _draw_outcomes(self, x: Array, count: int, rng: np.random.Generator) -> Array:
        """Draw `count` joint outcomes, with noise, from each component: (S, count, q) at `x` (q, p).

        No points may be kept apart.
        """
        members, samples, _, features = self.weights.shape
        spread = rng.standard_normal((members, samples, count, features)) / np.sqrt(self.precision)[:, :, None]
        psi = (self.basis.phi(x) @ self.vectors).transpose(0, 2, 1)
        outcomes = (self.weights + spread) @ psi[:, None]
        outcomes += (self.theta @ quadratic_basis(x).T)[:, :, None]
        outcomes = outcomes.reshape(members * samples, count, len(x))
        return outcomes + rng.standard_normal(outcomes.shape) * np.sqrt(self.noise())[:, None, None]

    def _decomposed_with(self, x: Array, outcomes: Array) -> DNGOPosterior:
        """Posterior with F = count sets of outcomes (S, count, q) at the points `x` (q, p); none kept apart before.

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
            narrowing=single(self.narrowing[:1, :, kept]),
        )

    def affordable(self, pending: int) -> DNGOPosterior:
        """Itself: pending points cost next to nothing."""
        return self

    def relevant(self, x_pending: Array) -> Array:
        """All of them: they cost little more than their basis."""
        return x_pending

    def for_batch(self, turn: int, pending: int) -> DNGOPosterior:
        """Posterior of a single network, another one each turn, decomposed."""
        one = slice(turn % len(self.weights), turn % len(self.weights) + 1)
        member = replace(
            self,
            basis=self.basis.member(one.start),
            hyperparameters=self.hyperparameters[one],
            grams=None if self.grams is None else self.grams[one],
            vectors=self.vectors[one],
            values=self.values[one],
            precision=self.precision[one],
            weights=self.weights[one],
            theta=self.theta[one],
            narrowing=self.narrowing[one],
        )
        return member._decomposed()

    def root(self, x: Array) -> Array:
        """Root A (S, m, R) of the covariance at `x` (m, p), without noise: it is ``A A^T`` for each component.

        R is D. Where points are kept apart, ``K^-1 - G G^T`` is factorised.
        """
        psi = self.basis.phi(x) @ self.vectors
        members, samples, _, features = self.weights.shape
        if not self.narrowing.shape[3]:
            scaled = psi[:, None] / np.sqrt(self.precision)[:, :, None]
            return np.asarray(scaled.reshape(members * samples, len(x), features))
        narrowing = self.narrowing.transpose(0, 2, 1, 3)
        covariance = -narrowing @ narrowing.transpose(0, 1, 3, 2)
        diagonal = np.arange(features)
        covariance[:, :, diagonal, diagonal] += 1.0 / self.precision
        factors = np.array([[jittered_cholesky(c) for c in of_one] for of_one in covariance])
        return np.asarray((psi[:, None] @ factors).reshape(members * samples, len(x), features))

    def draw(self, rng: np.random.Generator) -> RegressionDraw:
        """Draw a function of a component and fantasy chosen at random, to be evaluated anywhere."""
        members, samples, fantasies, features = self.weights.shape
        m, s, f = (int(rng.integers(count)) for count in (members, samples, fantasies))
        weights, narrowing = self.weights[m, s, f], self.narrowing[m, :, s]
        factor = jittered_cholesky(np.diag(1.0 / self.precision[m, s]) - narrowing @ narrowing.T)
        weights = self.vectors[m] @ (weights + factor @ rng.standard_normal(features))
        return RegressionDraw(self.basis.member(m), weights, self.theta[m, s])


def _whiten(factor: Array, residual: Array) -> Array:
    """Residuals (S, F, q) times the inverse Cholesky factors (M, s, q, q) of their covariances."""
    return np.asarray(residual @ factor.reshape(-1, *factor.shape[2:]).transpose(0, 2, 1))


def _precision(hyperparameters: Array, values: Array) -> Array:
    """Eigenvalues (M, s, D) of K = beta Phi^T Phi + alpha I, given those of Phi^T Phi (M, D)."""
    alpha, beta = np.exp(hyperparameters[:, :, 0, None]), np.exp(hyperparameters[:, :, 1, None])
    return np.asarray(beta * values[:, None] + alpha)

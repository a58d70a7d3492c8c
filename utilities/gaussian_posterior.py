"""Posterior of a Gaussian process: prediction, its gradient, new observations, fantasies, draws.

Symbols
-------
S   hyperparameter samples      n   observations, pending ones included      p   columns      F   fantasies
m   points to predict at        k   new observations                         q   pending points
z   embedded points (S, m, p) (see `utilities.kernels`)
W   inverse Cholesky factor (S, n, n) of the covariance of y, noise included
V   whitened cross-covariance (S, m, n): k(x, X) W^T
e   whitened observations (S, n, F): W y

    mean = V e        variance = k(x, x) - |V|^2        (Rasmussen & Williams 2006, algorithm 2.1, with W for L^-1)

An outcome drawn from its own prediction has whitened value ~ N(0, 1), so a fantasy appends standard normals to e.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from utilities.cholesky import extended_inverse_factors, jittered_cholesky
from utilities.drawn_functions import GaussianDraw, PriorDraw
from utilities.kernels import Kernel, distance_pullback
from utilities.surrogate import Pullback

Array = NDArray[np.float64]

_BLOCK = 2**17  # entries of the cross-covariance worked on at a time: they stay in the cache
_WORK = 10 * 300**2  # components x squared rows that a search through a fantasised posterior can afford
_BATCHED = 4  # components that a batch is chosen by
_MOST_PENDING, _HOPE = 200, 2.0  # pending points to condition on, by mean less so many deviations
_LEAST_VARIANCE = 1e-12  # of the prior variance: below it a variance is rounding error


@dataclass(frozen=True)
class GaussianPosterior:
    """Mixture of S Gaussian process posteriors. Attributes as in the module's table of symbols.

    Attributes
    ----------
    kernel
        Kernel with S settings.
    noise_variance : array (S,)
        Variance of the observation noise.
    offset, scale
        Standardisation of y.
    embedded : array (S, n, p)
        Observed and pending inputs, embedded.
    inverse_factor : array (S, n, n)
        W.
    whitened : array (S, n, F)
        e.
    """

    kernel: Kernel
    noise_variance: Array
    offset: float
    scale: float
    embedded: Array
    inverse_factor: Array
    whitened: Array

    @classmethod
    def prior(cls, kernel: Kernel, noise_variance: Array, offset: float, scale: float) -> GaussianPosterior:
        """Posterior given nothing."""
        samples, columns = kernel.inverse_lengthscale.shape
        nothing = np.empty((samples, 0, 0))
        return cls(
            kernel, noise_variance, offset, scale, np.empty((samples, 0, columns)), nothing, np.empty((samples, 0, 1))
        )

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Predict at `x` (m, p): mean (S, F, m) and variance (S, m), without observation noise."""
        samples, count = self.whitened.shape[0], self.whitened.shape[2]
        mean = np.empty((samples, count, x.shape[0]))
        variance = np.empty((samples, x.shape[0]))
        for rows in self._blocks(x.shape[0]):
            mean[:, :, rows], variance[:, rows] = self._moments(self._whitened_cross(self.kernel.embed(x[rows])))
        return mean, variance

    def differentiate(self, x: Array) -> tuple[Array, Array, Pullback]:
        """`predict` at `x` (m, p), and what turns weights of these into a gradient (m, p); for few points.

        d mean = dk(x, X) W^T e and d variance = -2 dk(x, X) W^T V^T.
        """
        z = self.kernel.embed(x)
        cross, slope = self.kernel.between_and_slope(z, self.embedded)
        whitened = cross @ np.swapaxes(self.inverse_factor, 1, 2)
        mean, variance = self._moments(whitened)

        def pullback(grad_mean: Array, grad_variance: Array) -> Array:
            pulled = whitened * (-2.0 * grad_variance[:, :, None])
            pulled += np.swapaxes(grad_mean, 1, 2) @ np.swapaxes(self.whitened, 1, 2)
            grad_z = distance_pullback(z, self.embedded, slope * (pulled @ self.inverse_factor))
            return self.kernel.pullback(x, grad_z)

        return mean, variance, pullback

    def _moments(self, whitened: Array) -> tuple[Array, Array]:
        """Mean (S, F, m) and variance (S, m) of points with V (S, m, n)."""
        prior = self.kernel.variance[:, None]
        variance = np.maximum(prior - np.einsum("smn,smn->sm", whitened, whitened), _LEAST_VARIANCE * prior)
        return np.swapaxes(whitened @ self.whitened, 1, 2), variance

    def noise(self) -> Array:
        """Variance (S,) of the observation noise of each component."""
        return self.noise_variance

    def noise_of(self, variance: Array | None) -> Array:
        """Variance (S, 1), or (S, k) given the known `variance` (k,), of the noise of observations."""
        learned = self.noise_variance[:, None]
        return learned if variance is None else learned + variance / self.scale**2

    def extend(self, x: Array, y: Array, variance: Array | None = None) -> GaussianPosterior:
        """Posterior with `k` more observations: `x` (k, p), `y` (k,) in the user's units. Costs O(S n^2 k).

        On a posterior with fantasies, every fantasy receives the same observations. What is known of the `variance`
        (k,) of their noise adds to the noise learned.
        """
        z, cross, inverse_factor = self._extended(x, variance)
        standardised = (y - self.offset) / self.scale
        residual = standardised[None, :, None] - cross @ self.whitened
        known = self.embedded.shape[1]
        whitened = np.concatenate([self.whitened, inverse_factor[:, known:, known:] @ residual], axis=1)
        return self._grown(z, inverse_factor, whitened)

    def fantasize(self, x_pending: Array, count: int, rng: np.random.Generator) -> GaussianPosterior:
        """Posterior with `count` sampled outcomes, noise included, at the pending points (q, p): F = count.

        Outcomes are drawn jointly over the q points, separately for each component. All fantasies share one factor.

        Raises
        ------
        ValueError
            This posterior has fantasies already.
        """
        samples, known, present = self.whitened.shape
        if present != 1:
            raise ValueError(f"fantasies are drawn once, for all pending points: there are {present} already")
        z, _, inverse_factor = self._extended(x_pending)
        observed = np.broadcast_to(self.whitened, (samples, known, count))
        drawn = rng.standard_normal((samples, x_pending.shape[0], count))
        return self._grown(z, inverse_factor, np.concatenate([observed, drawn], axis=1))

    def thin(self, components: int) -> GaussianPosterior:
        """Posterior of at most `components` of the components, evenly spaced, fantasies averaged over."""
        samples = self.noise_variance.size
        return self._some(np.unique(np.linspace(0, samples - 1, min(components, samples)).round().astype(np.intp)))

    def affordable(self, pending: int) -> GaussianPosterior:
        """Posterior thinned to what predicts in about the time of ten components of 300 rows, or to a single one."""
        rows = self.embedded.shape[1] + pending
        components = max(1, _WORK // (rows * rows))
        return self if components >= self.noise_variance.size else self.thin(components)

    def relevant(self, x_pending: Array) -> Array:
        """At most `_MOST_PENDING` of the pending points (q, p): those with the lowest confidence bounds."""
        if len(x_pending) <= _MOST_PENDING:
            return x_pending
        mean, variance = self.thin(1).predict(x_pending)
        bound = mean[0, 0] - _HOPE * np.sqrt(variance[0])
        return x_pending[np.sort(np.argsort(bound, kind="stable")[:_MOST_PENDING])]

    def for_batch(self, turn: int, pending: int) -> GaussianPosterior:
        """Posterior of at most `_BATCHED` of the components, the same in every turn, and as `affordable`."""
        return self.thin(_BATCHED).affordable(pending)

    def root(self, x: Array) -> Array:
        """Root A (S, m, m) of the covariance at `x` (m, p), without noise: it is ``A A^T`` for each component."""
        z = self.kernel.embed(x)
        whitened = self._whitened_cross(z)
        covariance = self.kernel.between(z, z) - whitened @ np.swapaxes(whitened, 1, 2)
        return np.array([jittered_cholesky(c) for c in covariance])

    def draw(self, rng: np.random.Generator) -> GaussianDraw:
        """Draw a function of a component and fantasy chosen at random, to be evaluated anywhere. Costs O(n^2)."""
        s, fantasy = int(rng.integers(self.noise_variance.size)), int(rng.integers(self.whitened.shape[2]))
        kernel, factor = self.kernel.some(np.array([s])), self.inverse_factor[s]
        prior = PriorDraw.of(kernel, rng)
        noisy = prior.value(self.embedded[s])
        noisy += np.sqrt(self.noise_variance[s]) * rng.standard_normal(noisy.shape)
        correction = factor.T @ (self.whitened[s, :, fantasy] - factor @ noisy)
        return GaussianDraw(kernel, prior, self.embedded[s : s + 1], correction)

    def _blocks(self, count: int) -> Iterator[slice]:
        """Rows to work on at a time."""
        samples, known, _ = self.whitened.shape
        length = max(1, _BLOCK // max(1, samples * known))
        return (slice(begin, begin + length) for begin in range(0, count, length))

    def _whitened_cross(self, z: Array) -> Array:
        """V (S, m, n) of embedded points (S, m, p)."""
        return np.asarray(self.kernel.between(z, self.embedded) @ np.swapaxes(self.inverse_factor, 1, 2))

    def _extended(self, x: Array, variance: Array | None = None) -> tuple[Array, Array, Array]:
        """Embedded points (S, k, p), their V (S, k, n), and the inverse factor with them (S, n + k, n + k)."""
        z = self.kernel.embed(x)
        cross = self._whitened_cross(z)
        corner = self.kernel.between(z, z) + self.noise_of(variance)[:, None, :] * np.eye(x.shape[0])
        return z, cross, extended_inverse_factors(self.inverse_factor, cross, corner)

    def _grown(self, z: Array, inverse_factor: Array, whitened: Array) -> GaussianPosterior:
        embedded = np.concatenate([self.embedded, z], axis=1)
        return replace(self, embedded=embedded, inverse_factor=inverse_factor, whitened=whitened)

    def _some(self, which: NDArray[np.intp]) -> GaussianPosterior:
        """Components `which` by themselves, their fantasies averaged."""
        return replace(
            self,
            kernel=self.kernel.some(which),
            noise_variance=self.noise_variance[which],
            embedded=self.embedded[which],
            inverse_factor=self.inverse_factor[which],
            whitened=self.whitened[which].mean(axis=2, keepdims=True),
        )

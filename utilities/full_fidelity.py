"""A posterior over features and fidelity, seen at full fidelity: a posterior over the features alone.

What chooses, compares and fantasises sees the objective at full length, whatever else the surrogate was told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utilities.surrogate import Array, DrawnFunction, Posterior, Pullback


def at_full(x: Array) -> Array:
    """Rows (m, p + 1): the features `x` (m, p) at fidelity 1."""
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


@dataclass(frozen=True)
class FullFidelity:
    """A Posterior of p columns.

    Attributes
    ----------
    inner
        Posterior of p + 1 columns, the last of which is the fidelity.
    """

    inner: Posterior

    @property
    def offset(self) -> float:
        """Objective that stands at 0 in standardised units."""
        return self.inner.offset

    @property
    def scale(self) -> float:
        """Length of the standardised unit, in the user's."""
        return self.inner.scale

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Predict at `x` (m, p): mean (S, F, m) and variance (S, m)."""
        return self.inner.predict(at_full(x))

    def differentiate(self, x: Array) -> tuple[Array, Array, Pullback]:
        """`predict` at `x`, and its pullback."""
        mean, variance, pullback = self.inner.differentiate(at_full(x))
        return mean, variance, lambda by_mean, by_variance: pullback(by_mean, by_variance)[:, :-1]

    def noise(self) -> Array:
        """Variance (S,) of the observation noise."""
        return self.inner.noise()

    def noise_of(self, variance: Array | None) -> Array:
        """Variance of the noise of observations, given what is known of it."""
        return self.inner.noise_of(variance)

    def extend(self, x: Array, y: Array, variance: Array | None = None) -> FullFidelity:
        """Posterior with more observations at full fidelity."""
        return FullFidelity(self.inner.extend(at_full(x), y, variance))

    def fantasize(self, x_pending: Array, count: int, rng: np.random.Generator) -> FullFidelity:
        """Posterior with sampled outcomes at the pending points (q, p), at full fidelity."""
        return FullFidelity(self.inner.fantasize(at_full(x_pending), count, rng))

    def thin(self, components: int) -> FullFidelity:
        """Posterior of about so many of the components."""
        return FullFidelity(self.inner.thin(components))

    def affordable(self, pending: int) -> FullFidelity:
        """Posterior thinned to what is affordable."""
        return FullFidelity(self.inner.affordable(pending))

    def relevant(self, x_pending: Array) -> Array:
        """Most promising ones of the pending points (q, p)."""
        return self.inner.relevant(at_full(x_pending))[:, :-1]

    def for_batch(self, turn: int, pending: int) -> FullFidelity:
        """Few of the components."""
        return FullFidelity(self.inner.for_batch(turn, pending))

    def root(self, x: Array) -> Array:
        """Root (S, m, R) of the covariance at `x` (m, p)."""
        return self.inner.root(at_full(x))

    def draw(self, rng: np.random.Generator) -> DrawnFunction:
        """Draw a function of the features."""
        return DrawnAtFull(self.inner.draw(rng))


@dataclass(frozen=True)
class DrawnAtFull:
    """A drawn function at full fidelity.

    Attributes
    ----------
    inner
        Of p + 1 columns.
    """

    inner: DrawnFunction

    def value(self, x: Array) -> Array:
        """Value (m,) at `x` (m, p)."""
        return self.inner.value(at_full(x))

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Value (m,) and gradient (m, p)."""
        value, gradient = self.inner.value_and_gradient(at_full(x))
        return value, gradient[:, :-1]

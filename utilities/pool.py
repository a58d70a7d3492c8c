"""A pool of candidates from which a whole batch is chosen, each choice known to those after it.

Symbols
-------
m   candidates       S   mixture components     F   fantasies        b   candidates chosen so far
mean (S, F, m), var (S, m)    predictive moments at the candidates, chosen ones included
A (S, m, R)     root of the covariance before any choice: cov = A A^T
C (S, m, b)     what the choices took off it: cov = A A^T - C C^T

To choose candidate j conditions on an outcome there, drawn from its own prediction: with ``k = A a_j - C c_j`` and
``s = var_j + noise``, C gains the column ``k / sqrt(s)``, var loses its square, and the means gain ``k e / sqrt(s)``,
e being a standard normal of each component and fantasy. That is a Cholesky factorisation with the choices for pivots,
as in any Gaussian conditioning, and costs O(S m (R + b)) a choice: no basis or kernel is computed again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utilities.acquisition import MIN_VARIANCE, confidence_bound, log_improvement, noise_of_next
from utilities.basis import single
from utilities.surrogate import Array, Posterior

LEADERS, STALE = 64, 16
"""Candidates that are scored again after a choice, and choices after which all are."""


class Pool:
    """Candidates under a posterior.

    Parameters
    ----------
    posterior
        Given all observations and fantasies of the pending trials.
    x : array (m, p)
        Candidates.
    best : array (S, F)
        Incumbent of each component and fantasy.
    weight : array (m,)
        Added to every score: what else speaks against a candidate.
    most
        Choices to be made, at most.
    rng
        Source of the outcomes.
    """

    def __init__(
        self, posterior: Posterior, x: Array, best: Array, weight: Array, most: int, rng: np.random.Generator
    ) -> None:
        self._rng, self._weight = rng, weight
        self.mean, self.variance = posterior.predict(x)
        self._posterior, self._noise = posterior, posterior.noise()
        self._root = single(posterior.root(x))
        self._taken = np.empty((*self.variance.shape, most), dtype=np.float32)
        self._count = 0
        self._best = best.copy()
        self._improvement: Array | None = None
        self._open = np.ones(len(x), dtype=np.bool_)

    def log_improvement(self, *, noise: float | None = None) -> Array:
        """Log expected improvement (m,) of the candidates; `noise` is as of `LogExpectedImprovement`.

        A choice takes improvement off the candidates around it, and little else changes. So only the `LEADERS`, those
        that were best, are scored again, and all of them after every `STALE` choices.
        """
        if self._count % STALE == 0 or self._improvement is None:
            self._improvement = self._log_improvement(np.arange(len(self._weight)), noise=noise)
        else:
            promise = np.where(self._open, self._improvement + self._weight, -np.inf)
            leaders = (
                np.argpartition(promise, -LEADERS)[-LEADERS:] if len(promise) > LEADERS else np.arange(len(promise))
            )
            self._improvement[leaders] = self._log_improvement(leaders, noise=noise)
        return self._improvement

    def _log_improvement(self, which: NDArray[np.intp], *, noise: float | None) -> Array:
        of_next = noise_of_next(self._posterior, noise)
        return log_improvement(self.mean[:, :, which], self.variance[:, which], self._best, of_next)

    def bound(self, kappa: float) -> Array:
        """Confidence bound (m,) of the candidates, `kappa` standard deviations below the mean, as a score."""
        return confidence_bound(self.mean, self.variance, kappa)

    @property
    def deviation(self) -> Array:
        """Standard deviation (S, m)."""
        return np.asarray(np.sqrt(np.maximum(self.variance, MIN_VARIANCE)))

    def uncertainty(self) -> Array:
        """Log of the mean standard deviation (m,), as a score."""
        return np.asarray(np.log(self.deviation.mean(axis=0)))

    def draw(self) -> Array:
        """Minus a joint draw (m,) from a component and fantasy chosen at random, as a score.

        Choices lower its variance no more than they lower theirs: draws differ by themselves.
        """
        s, f = int(self._rng.integers(len(self.mean))), int(self._rng.integers(self.mean.shape[1]))
        white = self._rng.standard_normal(self._root.shape[2], dtype=np.float32)
        return np.asarray(-self.mean[s, f] - self._root[s] @ white)

    def take(self, score: Array) -> int | None:
        """Take the open candidate of the highest `score` (m,); None where none is open."""
        if not self._open.any():
            return None
        j = int(np.argmax(np.where(self._open, score + self._weight, -np.inf)))
        self._open[j] = False
        return j

    def choose(self, score: Array) -> int | None:
        """Take the open candidate of the highest `score` (m,), and condition on an outcome there.

        None where none is open, or as many as wanted were chosen.
        """
        found = None if self._count == self._taken.shape[2] else self.take(score)
        if found is not None:
            self._condition(found)
        return found

    def _condition(self, j: int) -> None:
        column = (self._root @ self._root[:, j, :, None])[:, :, 0]
        taken = self._taken[:, :, : self._count]
        column -= (taken @ taken[:, j, :, None])[:, :, 0]
        column /= np.sqrt(np.maximum(self.variance[:, j], MIN_VARIANCE) + self._noise)[:, None]
        self.variance = np.maximum(self.variance - column * column, MIN_VARIANCE)
        white = self._rng.standard_normal(self.mean.shape[:2])
        self.mean = self.mean + white[:, :, None] * column[:, None]
        self._best = np.minimum(self._best, self.mean[:, :, j])
        self._taken[:, :, self._count] = column
        self._count += 1

"""What to propose by, when many trials are pending: a portfolio, since no single acquisition fits every proposal.

Symbols
-------
n   completed trials          P   pending trials          m   points          S   mixture components

Expected improvement with fantasies of hundreds of pending trials asks a model for more than n outcomes can tell. So it
makes a share n / (n + P) of the proposals. The others are Thompson samples, which need no fantasies, and exploration of
the promising region, which wants the pending trials' places alone; where n is far below P, points of the design.

The share of each is kept by a sequence of low discrepancy, the multiples of the golden section modulo 1: after N
proposals with n and P fixed, no acquisition is more than a few (O(log N)) away from its share.
"""

from __future__ import annotations

import math

import numpy as np

from utilities.acquisition import MIN_VARIANCE, ROUGH, Acquisition
from utilities.surrogate import Array, Posterior

BEGIN = 32
"""Pending trials from which other acquisitions than expected improvement have a share."""

EXPLORING = 0.5
"""Share of exploration in what expected improvement leaves."""

SPARSE = 8
"""Pending trials for each completed one from which the design explores, for want of a model."""

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_SLOPE = 10.0


def choose(completed: int, pending: int, turn: int) -> str:
    """``ei``, ``thompson``, ``explore`` or ``design`` for the proposal number `turn` of a study."""
    place, share = turn * _GOLDEN % 1.0, completed / (completed + pending)
    if pending < BEGIN or place < share:
        return "ei"
    if (place - share) / (1.0 - share) >= EXPLORING:
        return "thompson"
    return "design" if pending > SPARSE * completed else "explore"


class PureExploration:
    """Log of sigma, pending trials included, where the minimum may still be (Contal et al. 2013, GP-UCB-PE).

    That is where the lower confidence bound lies below the lowest upper bound of a known point, both without pending
    trials and averaged over components. Elsewhere the score falls by 10 for each standardised unit in between, as
    Vizier's does (Song et al. 2024, arXiv 2408.11527).

    Parameters
    ----------
    posterior
        Conditioned on all observations.
    fantasised
        The same with all pending trials.
    x_known : array (k, p)
        Observed points.
    kappa
        Standard deviations from the mean to a bound.
    """

    def __init__(self, posterior: Posterior, fantasised: Posterior, x_known: Array, kappa: float) -> None:
        self._posterior, self._fantasised, self._kappa = posterior, fantasised, kappa
        self._x_known = x_known
        mean, sigma = self._predict(x_known)
        self._limit = float((mean + kappa * sigma).min(axis=1).mean())

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        return self._score(self._excess(*self._predict(x)), self._fantasised.predict(x)[1])

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        means, spread, pullback = self._posterior.differentiate(x)
        mean, sigma = means[:, 0], _root(spread)
        excess = self._excess(mean, sigma)
        outcomes, variance, narrowed_pullback = self._fantasised.differentiate(x)
        narrowed = _root(variance)
        gradient = narrowed_pullback(np.zeros_like(outcomes), 0.5 / (narrowed * narrowed.sum(axis=0)))
        outside = np.broadcast_to(-_SLOPE / len(mean) * (excess > 0.0), mean.shape)
        gradient += pullback(outside[:, None], -0.5 * self._kappa * outside / sigma)
        return self._score(excess, variance), gradient

    def rough(self) -> Acquisition:
        """Return the same over a few components."""
        return PureExploration(self._posterior.thin(ROUGH), self._fantasised.thin(ROUGH), self._x_known, self._kappa)

    def penalty(self, x: Array) -> Array:
        """What `value` takes off the log of sigma (m,) at `x` (m, p)."""
        return np.asarray(_SLOPE * np.maximum(self._excess(*self._predict(x)), 0.0))

    def _predict(self, x: Array) -> tuple[Array, Array]:
        """Mean (S, m), of a posterior without fantasies, and sigma (S, m)."""
        mean, variance = self._posterior.predict(x)
        return mean[:, 0], _root(variance)

    def _excess(self, mean: Array, sigma: Array) -> Array:
        """How far the lower bound (m,) lies above the limit."""
        return np.asarray((mean - self._kappa * sigma).mean(axis=0) - self._limit)

    @staticmethod
    def _score(excess: Array, variance: Array) -> Array:
        return np.asarray(np.log(_root(variance).mean(axis=0)) - _SLOPE * np.maximum(excess, 0.0))


def _root(variance: Array) -> Array:
    return np.asarray(np.sqrt(np.maximum(variance, MIN_VARIANCE)))

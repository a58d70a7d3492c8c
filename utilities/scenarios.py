"""Independent posteriors of several objectives, taken together: scenarios of what each could be.

Symbols
-------
k   objectives      m   points      q   known points      p   feature columns      T   scenarios
S, F   mixture components, and fantasies, of one posterior; they differ from objective to objective

A scenario is a component and a fantasy of each objective. Under it the objectives are independent Gaussians. There are
as many as the richest posterior has components times fantasies: all of these are in one or more, paired at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from utilities.acquisition import ROUGH
from utilities.surrogate import Array, Posterior

MOST = 64
"""Most scenarios."""

Pullback: TypeAlias = Callable[[Array, Array], Array]
"""Gradient (m, p) by x, called with gradients by mean and by variance, (k, T, m) each."""

_Pick: TypeAlias = NDArray[np.intp]


class Scenarios:
    """Predictions of all objectives under each scenario.

    Parameters
    ----------
    posteriors
        One an objective, by fantasies conditioned on all pending trials.
    x_known : array (q, p)
        Observed and pending points.
    rng
        Pairs components and fantasies.

    Attributes
    ----------
    known : array (k, T, q)
        Means at the known points.
    """

    def __init__(self, posteriors: Sequence[Posterior], x_known: Array, rng: np.random.Generator) -> None:
        self._posteriors, self._x_known = posteriors, x_known
        means = [posterior.predict(x_known)[0] for posterior in posteriors]
        count = min(MOST, max(mean.shape[0] * mean.shape[1] for mean in means))
        self._picks: list[tuple[_Pick, _Pick]] = []
        for components, fantasies, _ in (mean.shape for mean in means):
            order = rng.permutation(components * fantasies)
            component, fantasy = np.divmod(np.resize(order, count), fantasies)
            self._picks.append((component, fantasy))
        self.known: Array = np.array([mean[pick] for mean, pick in zip(means, self._picks, strict=True)])

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and variance (k, T, m) at `x` (m, p)."""
        means, variances = [], []
        for posterior, (component, fantasy) in zip(self._posteriors, self._picks, strict=True):
            mean, variance = posterior.predict(x)
            means.append(mean[component, fantasy])
            variances.append(variance[component])
        return np.array(means), np.array(variances)

    def differentiate(self, x: Array) -> tuple[Array, Array, Pullback]:
        """`predict` at `x`, and a function that turns weights of the predictions into a gradient."""
        parts = [posterior.differentiate(x) for posterior in self._posteriors]
        picked = list(zip(parts, self._picks, strict=True))
        mean = np.array([part[0][component, fantasy] for part, (component, fantasy) in picked])
        variance = np.array([part[1][component] for part, (component, _) in picked])

        def pullback(by_mean: Array, by_variance: Array) -> Array:
            gradient = np.zeros_like(x)
            for i, ((own_mean, own_variance, own_pullback), (component, fantasy)) in enumerate(picked):
                grad_mean, grad_variance = np.zeros_like(own_mean), np.zeros_like(own_variance)
                np.add.at(grad_mean, (component, fantasy), by_mean[i])
                np.add.at(grad_variance, component, by_variance[i])
                gradient += own_pullback(grad_mean, grad_variance)
            return gradient

        return mean, variance, pullback

    def thin(self) -> Scenarios:
        """Return a few scenarios over the average fantasies."""
        thinned = [posterior.thin(ROUGH) for posterior in self._posteriors]
        return Scenarios(thinned, self._x_known, np.random.default_rng(0))

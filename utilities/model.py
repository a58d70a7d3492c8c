"""The surrogate of a study as it stands: which kind, how it was last fitted, and its posterior given all outcomes."""

from __future__ import annotations

import numpy as np

from utilities.space import Space
from utilities.surrogate import Dataset, Parameters, Posterior, Surrogate

AUTO_SWITCH = 500
"""Observations from which ``auto`` takes dngo in place of gp."""


def make_surrogate(kind: str, space: Space) -> Surrogate:
    """Build the surrogate `kind` (gp, dngo, dngo-paper) for the features of `space`."""
    if kind == "gp":
        from utilities.gaussian_process import GaussianProcess

        return GaussianProcess(space.groups, space.warped)
    from utilities.dngo import DNGO

    return DNGO(len(space.groups), members=1 if kind == "dngo-paper" else 3)


def fit_surrogate(surrogate: Surrogate, data: Dataset, seed: int, previous: Parameters | None) -> Parameters:
    """Fit with randomness that depends on the seed and on the number of observations alone."""
    return surrogate.fit(data, np.random.default_rng([seed, 2, len(data)]), previous)


class Model:
    """Keeps the latest fit, says when another is due, and conditions on outcomes as they come.

    Parameters
    ----------
    space
        Gives the layout of the features.
    method
        One of MODEL_METHODS.
    seed
        Of the fits.
    """

    def __init__(self, space: Space, method: str, seed: int) -> None:
        self._space, self._method, self._seed = space, method, seed
        self._surrogate: Surrogate | None = None
        self._posterior: Posterior | None = None
        self._conditioned = 0
        self.kind = ""
        self.parameters: Parameters | None = None
        self.fitted = 0

    def kind_for(self, count: int) -> str:
        """Kind of surrogate for `count` observations."""
        if self._method == "auto":
            return "gp" if count < AUTO_SWITCH else "dngo"
        return self._method

    def due(self, count: int) -> bool:
        """Whether a refit is worth its time with `count` observations."""
        if self.parameters is None or self.kind != self.kind_for(count):
            return True
        grown = count - self.fitted
        return grown >= (max(1, count // 50) if self.kind == "gp" else max(1, round(0.15 * self.fitted)))

    def overdue(self, count: int) -> bool:
        """Whether to propose any further would waste evaluations: nothing was learned yet, or from too few data."""
        return self.parameters is None or count > 1.5 * self.fitted + 5

    def fit(self, data: Dataset) -> None:
        """Refit here and now."""
        kind = self.kind_for(len(data))
        surrogate = make_surrogate(kind, self._space)
        previous = self.parameters if kind == self.kind else None
        self.adopt(kind, fit_surrogate(surrogate, data, self._seed, previous), len(data))

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take the result of a fit to the first `fitted` observations, made here or elsewhere."""
        if kind != self.kind or self._surrogate is None:
            self._surrogate = make_surrogate(kind, self._space)
        self.kind, self.parameters, self.fitted = kind, parameters, fitted
        self._posterior = None

    def posterior(self, data: Dataset) -> Posterior:
        """Posterior given `data`, whose first rows are those of the last call."""
        if self._surrogate is None or self.parameters is None:
            raise RuntimeError("the model must be fitted before it is asked for a posterior")
        if self._posterior is None:
            self._posterior = self._surrogate.condition(self.parameters, data)
        elif len(data) > self._conditioned:
            new = slice(self._conditioned, None)
            self._posterior = self._posterior.extend(data.x[new], data.y[new])
        self._conditioned = len(data)
        return self._posterior

"""The surrogate of a study as it stands: which kind, how it was last fitted, and its posterior given all outcomes."""

from __future__ import annotations

import numpy as np

from utilities.output_transform import OutputTransform, identity_transform
from utilities.space import Space
from utilities.surrogate import Array, Dataset, Parameters, Posterior, Surrogate

AUTO_SWITCH = 500
"""Observations from which ``auto`` takes dngo in place of gp."""


def make_surrogate(kind: str, space: Space) -> Surrogate:
    """Build the surrogate `kind` (gp, dngo, dngo-paper) for the features of `space`."""
    if kind == "gp":
        from utilities.gaussian_process import GaussianProcess

        return GaussianProcess(space.groups, space.warped)
    from utilities.dngo import DNGO

    return DNGO(len(space.groups), members=1 if kind == "dngo-paper" else 3)


def fit_surrogate(kind: str, space: Space, data: Dataset, seed: int, previous: Parameters | None) -> Parameters:
    """Fit the output transform and the surrogate `kind` to objectives in the user's units.

    The randomness depends on the seed and on the number of observations alone. The transform's knots and images are
    among the parameters; ``dngo-paper`` has none.
    """
    transform = identity_transform() if kind == "dngo-paper" else OutputTransform.fit(data.y)
    rng = np.random.default_rng([seed, 2, len(data)])
    fitted = make_surrogate(kind, space).fit(Dataset(data.x, transform.apply(data.y)), rng, previous)
    return {**fitted, "output_knots": transform.knots, "output_images": transform.images}


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
        self._transform = identity_transform()
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
        previous = self.parameters if kind == self.kind else None
        self.adopt(kind, fit_surrogate(kind, self._space, data, self._seed, previous), len(data))

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take the result of a fit to the first `fitted` observations, made here or elsewhere."""
        if kind != self.kind or self._surrogate is None:
            self._surrogate = make_surrogate(kind, self._space)
        self._transform = OutputTransform(parameters["output_knots"], parameters["output_images"])
        self.kind, self.parameters, self.fitted = kind, parameters, fitted
        self._posterior = None

    def posterior(self, data: Dataset) -> Posterior:
        """Posterior given `data`, whose first rows are those of the last call."""
        if self._surrogate is None or self.parameters is None:
            raise RuntimeError("the model must be fitted before it is asked for a posterior")
        if self._posterior is None:
            self._posterior = self._surrogate.condition(self.parameters, Dataset(data.x, self._transform.apply(data.y)))
        elif len(data) > self._conditioned:
            new = slice(self._conditioned, None)
            self._posterior = self._posterior.extend(data.x[new], self._transform.apply(data.y[new]))
        self._conditioned = len(data)
        return self._posterior

    def lengthscale(self) -> Array | None:
        """Lengthscale (p,) of each feature column in a GP, the geometric mean of its samples; None for other kinds."""
        if self.kind != "gp" or self.parameters is None:
            return None
        scale: Array = np.exp(self.parameters["log_lengthscale"].mean(axis=0))[self._space.groups]
        return scale

    def to_user(self, mean: float, sd: float) -> tuple[float, float]:
        """Median, and half the width of the central 68 % interval, of a standardised prediction in the user's units."""
        if self._posterior is None:
            raise RuntimeError("the model has no posterior yet")
        places = self._posterior.offset + self._posterior.scale * np.array([mean, mean - sd, mean + sd])
        middle, low, high = self._transform.invert(places)
        return float(middle), float(high - low) / 2.0

"""The surrogate of a study as it stands: which kind, how it was last fitted, and its posteriors given all outcomes.

A fit may hold two surrogates: the one of the study's method, and a Gaussian process on part of the observations, the
companion, that proposes in turn with it:

- ``gp``, once a basin is exhausted (see `utilities.basins`): fitted to the observations outside of it, since what was
  learned while it was polished misleads elsewhere;
- ``dngo``: fitted to the observations around the incumbent, since a network's basis is too coarse to polish an optimum.

``dngo-paper`` has neither a companion nor an output transform.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utilities.basins import Closed, exhausted
from utilities.output_transform import OutputTransform, identity_transform
from utilities.space import Space
from utilities.surrogate import Array, Dataset, Parameters, Posterior, Surrogate

AUTO_SWITCH = 500
"""Observations from which ``auto`` takes dngo in place of gp."""

COMPANION_ROWS = 100
"""Most observations that the companion of ``dngo`` is fitted to."""

_FEWEST = 5
_PREFIX = "companion_"


@dataclass(frozen=True)
class View:
    """A posterior, and what of the search it is good for.

    Attributes
    ----------
    posterior
        Given the observations `rows`.
    rows : array (k,)
        Indices of these.
    closed
        Region in which it must not propose, None without.
    """

    posterior: Posterior
    rows: NDArray[np.intp]
    closed: Closed | None = None


def make_surrogate(kind: str, space: Space) -> Surrogate:
    """Build the surrogate `kind` (gp, dngo, dngo-paper) for the features of `space`."""
    if kind == "gp":
        from utilities.gaussian_process import GaussianProcess

        return GaussianProcess(space.groups, space.warped)
    from utilities.dngo import DNGO

    return DNGO(len(space.groups), members=1 if kind == "dngo-paper" else 3)


def fit_surrogate(kind: str, space: Space, data: Dataset, seed: int, previous: Parameters | None) -> Parameters:
    """Fit the surrogate `kind`, its companion and their output transforms to objectives in the user's units.

    The randomness depends on the seed and on the number of observations alone. The companion's parameters have names of
    their own prefix; ``rows`` and ``inside`` among them say which observations it was fitted to, and which lie in
    exhausted basins.
    """
    rng = np.random.default_rng([seed, 2, len(data)])
    fitted = _fit_one(kind, space, data, rng, previous)
    rows, inside = _companion_rows(kind, space, data, fitted)
    if len(rows) < _FEWEST:
        return fitted
    part = Dataset(data.x[rows], data.y[rows])
    before = None if previous is None else _of_companion(previous)
    companion = _fit_one("gp", space, part, rng, before or None)
    companion |= {"rows": rows.astype(np.float64), "inside": inside.astype(np.float64)}
    return {**fitted, **{_PREFIX + name: array for name, array in companion.items()}}


def _fit_one(
    kind: str, space: Space, data: Dataset, rng: np.random.Generator, previous: Parameters | None
) -> dict[str, Array]:
    transform = identity_transform() if kind == "dngo-paper" else OutputTransform.fit(data.y)
    fitted = make_surrogate(kind, space).fit(Dataset(data.x, transform.apply(data.y)), rng, previous)
    return {**fitted, "output_knots": transform.knots, "output_images": transform.images}


def _condition(kind: str, space: Space, parameters: Parameters, data: Dataset) -> Posterior:
    transform = _transform(parameters)
    return make_surrogate(kind, space).condition(parameters, Dataset(data.x, transform.apply(data.y)))


def _transform(parameters: Parameters) -> OutputTransform:
    return OutputTransform(parameters["output_knots"], parameters["output_images"])


def _of_companion(parameters: Parameters) -> dict[str, Array]:
    return {name.removeprefix(_PREFIX): array for name, array in parameters.items() if name.startswith(_PREFIX)}


def _companion_rows(
    kind: str, space: Space, data: Dataset, fitted: Parameters
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Observations for the companion, and which of all (n,) lie in exhausted basins."""
    nowhere = np.zeros(len(data), dtype=bool)
    if kind == "dngo":
        distance = np.sum((data.x - data.x[np.argmin(data.y)]) ** 2, axis=1)
        return np.sort(np.argsort(distance, kind="stable")[:COMPANION_ROWS]), nowhere
    if kind == "gp":
        posterior = _condition(kind, space, fitted, data)
        inside = exhausted(data.x, data.y, lambda x: posterior.predict(x)[0].mean(axis=(0, 1)))
        return (np.flatnonzero(~inside), inside) if inside.any() else (np.empty(0, dtype=np.intp), nowhere)
    return np.empty(0, dtype=np.intp), nowhere


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
        self._posterior: Posterior | None = None
        self._conditioned = 0
        self._companion: View | None = None
        self._companion_conditioned = 0
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
        return self.parameters is None or count > 1.25 * self.fitted + 2

    def fit(self, data: Dataset) -> None:
        """Refit here and now."""
        kind = self.kind_for(len(data))
        previous = self.parameters if kind == self.kind else None
        self.adopt(kind, fit_surrogate(kind, self._space, data, self._seed, previous), len(data))

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take the result of a fit to the first `fitted` observations, made here or elsewhere."""
        self.kind, self.parameters, self.fitted = kind, parameters, fitted
        self._posterior, self._companion = None, None

    def view(self, data: Dataset) -> View:
        """Posterior of the study's own surrogate given `data`, whose first rows are those of the last call."""
        parameters = self._known()
        if self._posterior is None:
            self._posterior = _condition(self.kind, self._space, parameters, data)
        elif len(data) > self._conditioned:
            new = slice(self._conditioned, None)
            self._posterior = self._posterior.extend(data.x[new], _transform(parameters).apply(data.y[new]))
        self._conditioned = len(data)
        return View(self._posterior, np.arange(len(data)))

    def companion(self, data: Dataset) -> View | None:
        """Posterior of the companion given its part of `data` and all newer rows outside the closed region."""
        own = _of_companion(self._known())
        if not own:
            return None
        if self._companion is None:
            self._companion = self._first_companion(own, data)
            self._companion_conditioned = self.fitted
        view = self._companion
        new = np.arange(self._companion_conditioned, len(data))
        if view.closed is not None:
            new = new[view.closed.depth(data.x[new])[0] <= 0.0]
        if len(new):
            posterior = view.posterior.extend(data.x[new], _transform(own).apply(data.y[new]))
            self._companion = View(posterior, np.concatenate([view.rows, new]), view.closed)
        self._companion_conditioned = len(data)
        return self._companion

    def _first_companion(self, own: Parameters, data: Dataset) -> View:
        rows, inside = own["rows"].astype(np.intp), own["inside"] > 0.5
        posterior = _condition("gp", self._space, own, Dataset(data.x[rows], data.y[rows]))
        if not inside.any():
            return View(posterior, rows)
        lengthscale = np.exp(own["log_lengthscale"].mean(axis=0))[self._space.groups]
        return View(posterior, rows, Closed(data.x[: self.fitted], inside, lengthscale))

    def to_user(self, mean: float, sd: float) -> tuple[float, float]:
        """Median, and half the width of the central 68 % interval, of a standardised prediction in the user's units."""
        parameters = self._known()
        places = parameters["offset"] + parameters["scale"] * np.array([mean, mean - sd, mean + sd])
        middle, low, high = _transform(parameters).invert(places)
        return float(middle), float(high - low) / 2.0

    def _known(self) -> Parameters:
        if self.parameters is None:
            raise RuntimeError("the model must be fitted before it is asked for a posterior")
        return self.parameters

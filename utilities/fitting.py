"""Fit a surrogate to a study's observations: output transform, the surrogate itself, and its companion.

A fit may hold two surrogates: the one of the study's method, and a Gaussian process on part of the observations, the
companion, that proposes in turn with it:

- ``gp``, once a basin is exhausted (see `utilities.basins`): fitted to the observations outside of it, since what was
  learned while it was polished misleads elsewhere;
- ``dngo``: fitted to the observations around the incumbent, since a network's basis is too coarse to polish an optimum.

``dngo-paper`` has neither a companion nor an output transform.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utilities.basins import exhausted
from utilities.output_transform import OutputTransform, identity_transform
from utilities.space import Space
from utilities.surrogate import Array, Dataset, Parameters, Posterior, Surrogate

COMPANION_ROWS = 100
"""Most observations that the companion of ``dngo`` is fitted to."""

MOST_DIVIDED = 1000
"""Most observations that are divided into basins: what a proposal costs grows with their number."""

LOCAL_SAMPLES = 4
"""Hyperparameter samples of that companion: near the incumbent data are dense, and its proposals must be quick."""

_FEWEST = 5
_PREFIX = "companion_"


def make_surrogate(kind: str, space: Space) -> Surrogate:
    """Build the surrogate `kind` (gp, dngo, dngo-paper, or local: a companion) for the features of `space`."""
    if kind in ("gp", "local"):
        from utilities.gaussian_process import GaussianProcess

        return GaussianProcess(space.groups, space.warped, samples=8 if kind == "gp" else LOCAL_SAMPLES)
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
    before = None if previous is None else of_companion(previous)
    companion = _fit_one("gp" if kind == "gp" else "local", space, part, rng, before or None)
    companion |= {"rows": rows.astype(np.float64), "inside": inside.astype(np.float64)}
    return {**fitted, **{_PREFIX + name: array for name, array in companion.items()}}


def _fit_one(
    kind: str, space: Space, data: Dataset, rng: np.random.Generator, previous: Parameters | None
) -> dict[str, Array]:
    transform = identity_transform() if kind == "dngo-paper" else OutputTransform.fit(data.y)
    fitted = make_surrogate(kind, space).fit(Dataset(data.x, transform.apply(data.y)), rng, previous)
    return {**fitted, "output_knots": transform.knots, "output_images": transform.images}


def condition(kind: str, space: Space, parameters: Parameters, data: Dataset) -> Posterior:
    """Posterior of the surrogate `kind` given `data` in the user's units."""
    transform = transform_of(parameters)
    return make_surrogate(kind, space).condition(parameters, Dataset(data.x, transform.apply(data.y)))


def transform_of(parameters: Parameters) -> OutputTransform:
    """Output transform of a fit."""
    return OutputTransform(parameters["output_knots"], parameters["output_images"])


def of_companion(parameters: Parameters) -> dict[str, Array]:
    """Parameters of the companion in a fit, without the prefix of their names; empty where it has none."""
    return {name.removeprefix(_PREFIX): array for name, array in parameters.items() if name.startswith(_PREFIX)}


def _companion_rows(
    kind: str, space: Space, data: Dataset, fitted: Parameters
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Observations for the companion, and which of all (n,) lie in exhausted basins."""
    nowhere = np.zeros(len(data), dtype=bool)
    if kind == "dngo-paper":
        return np.empty(0, dtype=np.intp), nowhere
    inside = nowhere
    if len(data) <= MOST_DIVIDED:
        posterior = condition(kind, space, fitted, data)
        inside = exhausted(data.x, data.y, lambda x: posterior.predict(x)[0].mean(axis=(0, 1)))
    outside = np.flatnonzero(~inside)
    if kind == "gp":
        return (outside, inside) if inside.any() else (np.empty(0, dtype=np.intp), nowhere)
    if len(outside) < _FEWEST:
        outside, inside = np.arange(len(data)), nowhere
    return around_incumbent(data, outside), inside


def around_incumbent(data: Dataset, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of `rows` (k,) of the observations, the `COMPANION_ROWS` nearest to the best of them, in ascending order."""
    if len(rows) <= COMPANION_ROWS:
        return rows
    distance = np.sum((data.x[rows] - data.x[rows[np.argmin(data.y[rows])]]) ** 2, axis=1)
    return np.sort(rows[np.argpartition(distance, COMPANION_ROWS)[:COMPANION_ROWS]])

"""Fit a surrogate to a study's observations: output transform, the surrogate itself, and its companion.

A fit may hold two surrogates: the one of the study's method, and a Gaussian process on part of the observations, the
companion, that proposes in turn with it:

- ``gp``, once a basin is exhausted (see `utilities.basins`): fitted to the observations outside of it, since what was
  learned while it was polished misleads elsewhere;
- ``dngo``: fitted to the observations around the incumbent, since a network's basis is too coarse to polish an optimum.

``dngo-paper`` has neither a companion nor an output transform. The surrogate of one target among several has a kind
such as ``gp@seconds``, and no companion: what that exploits is the optimum of a single objective.

Where the data have one column more than the space's features, they are the rows of learning curves, and that column is
the fidelity (see `utilities.learning_curves`). A Gaussian process is fitted to a choice of them then, and a companion
to the chosen ones around the incumbent; the output transform to each curve's latest value.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from utilities.basins import exhausted
from utilities.dngo_parts import MEMBERS, members_of, merge_members
from utilities.output_transform import OutputTransform, identity_transform
from utilities.returned import OBJECTIVE
from utilities.space import Space
from utilities.surrogate import Array, Dataset, Parameters, Posterior, Surrogate
from utilities.surrogate_kinds import KINDS, LOCAL, Columns, SurrogateKind
from utilities.thinning import latest_values, nearby, thin

COMPANION_ROWS = 100
"""Most observations that the companion of ``dngo`` is fitted to."""

MOST_DIVIDED = 1000
"""Most observations that are divided into basins: what a proposal costs grows with their number."""

MOST_ROWS = 300
"""Most rows of learning curves that a Gaussian process is fitted to."""

FIDELITY = "fidelity"
"""Name among the parameters of a fit that says, by 1, that its last column is the fidelity."""

COMPANION = "local"
"""Name that a companion around the incumbent has in place of a kind."""

_FEWEST = 5
_PREFIX = "companion_"


def labelled(kind: str, name: str) -> str:
    """Kind of the surrogate of the target `name`; `kind` itself without a name. It can be a part of a path."""
    return f"{kind}@{quote(name, safe='')}" if name else kind


def family(kind: str) -> str:
    """Kind of a surrogate without the target's name."""
    return kind.partition("@")[0]


def label_of(kind: str) -> str:
    """Name of the target as it stands in the kind of its surrogate; empty where there is one target."""
    return kind.partition("@")[2]


def kind_of(kind: str) -> SurrogateKind:
    """What sort of surrogate that is, whatever its target; `COMPANION` is the one around the incumbent."""
    return LOCAL if kind == COMPANION else KINDS[family(kind)]


def make_surrogate(kind: str, space: Space, part: tuple[int, int] = (0, 1), *, curves: bool = False) -> Surrogate:
    """Build the surrogate `kind`, or a `COMPANION`, for the features of `space`.

    A `part` of it, of so many, can be fitted by itself: see `most_parts`. For `curves` it has the fidelity besides.
    """
    groups, warped = space.groups, space.warped
    if curves:
        groups, warped = np.append(groups, groups.max(initial=-1) + 1), np.append(warped, True)
    return kind_of(kind).make(Columns(groups, warped, curves), part)


def of_curves(space: Space, data: Dataset) -> bool:
    """Whether the data are rows of learning curves."""
    return bool(data.x.shape[1] > len(space.groups))


def most_parts(kind: str) -> int:
    """Parts in which the surrogate `kind` can be fitted side by side."""
    return MEMBERS if kind_of(kind).divisible else 1


def fit_surrogate(
    kind: str, space: Space, data: Dataset, seed: int, previous: Parameters | None, *, part: tuple[int, int] = (0, 1)
) -> Parameters:
    """Fit the surrogate `kind`, its companion and their output transforms to objectives in the user's units.

    The randomness depends on the seed, the number of observations and the part alone. The companion's parameters have
    names of their own prefix; ``rows`` and ``inside`` among them say which observations it was fitted to, and which lie
    in exhausted basins.

    Parameters
    ----------
    part
        Which part of the surrogate, of how many: see `most_parts`, `merge_parts`. The last has the companion with it.
    """
    place, parts = part
    rng = np.random.default_rng([seed, 2, len(data)] if parts == 1 else [seed, 2, len(data), place])
    curves = of_curves(space, data)
    latest = latest_values(data) if curves else data.y
    sort = kind_of(kind)
    if curves and sort.few_rows:
        some = thin(data, MOST_ROWS)
        data = data.some(some)
    fitted = _fit_one(kind, make_surrogate(kind, space, part, curves=curves), data, rng, previous, latest)
    if curves:
        fitted[FIDELITY] = np.array(1.0)
    if sort.companion is None or place + 1 < parts or label_of(kind) or (curves and sort.companion == "outside"):
        return fitted
    rows, inside = _companion_rows(kind, space, data, fitted)
    if len(rows) < _FEWEST:
        return fitted
    part_data = data.some(rows)
    before = None if previous is None else of_companion(previous)
    local = kind if sort.companion == "outside" else COMPANION
    surrogate = make_surrogate(local, space, curves=curves)
    companion = _fit_one(local, surrogate, part_data, rng, before or None, part_data.y)
    if not curves:
        companion |= {"rows": rows.astype(np.float64), "inside": inside.astype(np.float64)}
    return {**fitted, **{_PREFIX + name: array for name, array in companion.items()}}


def part_of(parameters: Parameters, part: tuple[int, int]) -> Parameters:
    """What a fit of that part goes on from, of the parameters of a whole fit."""
    place, parts = part
    if parts == 1:
        return parameters
    own, companion = _divided(parameters)
    return {**members_of(own, range(place, MEMBERS, parts)), **companion}


def merge_parts(parts: Sequence[Parameters]) -> Parameters:
    """Parameters of a whole fit, from those of its parts in their order."""
    if len(parts) == 1:
        return parts[0]
    divided = [_divided(part) for part in parts]
    return {**merge_members([own for own, _ in divided]), **divided[-1][1]}


def _divided(parameters: Parameters) -> tuple[dict[str, Array], dict[str, Array]]:
    """Parameters of the surrogate itself, and those of its companion, by the names that they have in the fit."""
    own = {name: array for name, array in parameters.items() if not name.startswith(_PREFIX)}
    return own, {name: array for name, array in parameters.items() if name.startswith(_PREFIX)}


def _fit_one(
    kind: str,
    surrogate: Surrogate,
    data: Dataset,
    rng: np.random.Generator,
    previous: Parameters | None,
    objectives: Array,
) -> dict[str, Array]:
    curves = objectives is not data.y
    transform = _transform(kind, objectives)
    if curves and not kind_of(kind).transformed and objectives.min() < objectives.max():
        transform = identity_transform(float(objectives.min()), float(objectives.max()))
    fitted = surrogate.fit(transform.apply_to(data, bounded=curves), rng, previous)
    return {**fitted, "output_knots": transform.knots, "output_images": transform.images}


def _transform(kind: str, y: Array) -> OutputTransform:
    """Output transform for objectives `y` (n,).

    Of several targets, low values are not all that matters. Networks want them spread out all the same: without, `dngo`
    missed three times as much of ZDT1's hypervolume.
    """
    sort = kind_of(kind)
    if not sort.transformed:
        return identity_transform()
    if sort.spread or label_of(kind) in ("", OBJECTIVE):
        return OutputTransform.fit(y)
    return OutputTransform.without_outliers(y)


def condition(kind: str, space: Space, parameters: Parameters, data: Dataset) -> Posterior:
    """Posterior of the surrogate `kind` given `data` in the user's units."""
    curves = of_curves(space, data)
    seen = transform_of(parameters).apply_to(data, bounded=curves)
    return make_surrogate(kind, space, curves=curves).condition(parameters, seen)


def without_observations(parameters: Parameters) -> Parameters:
    """Parameters of a fit without what it keeps of the observations, by which conditioning passes over these."""
    return {name: array for name, array in parameters.items() if name != "gram"}


def transform_of(parameters: Parameters) -> OutputTransform:
    """Output transform of a fit."""
    return OutputTransform(parameters["output_knots"], parameters["output_images"])


def of_companion(parameters: Parameters) -> dict[str, Array]:
    """Parameters of the companion in a fit, without the prefix of their names; empty where it has none."""
    return {name.removeprefix(_PREFIX): array for name, array in _divided(parameters)[1].items()}


def _companion_rows(
    kind: str, space: Space, data: Dataset, fitted: Parameters
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Observations for the companion, and which of all (n,) lie in exhausted basins."""
    nowhere = np.zeros(len(data), dtype=bool)
    if of_curves(space, data):
        ends = np.flatnonzero(data.x[:, -1] >= 1.0)
        best = ends[np.argmin(data.y[ends])] if len(ends) else np.argmin(data.y)
        return nearby(data, thin(data, len(data)), data.x[best, :-1], COMPANION_ROWS), nowhere
    inside = nowhere
    if len(data) <= MOST_DIVIDED:
        posterior = condition(kind, space, fitted, data)
        inside = exhausted(data.x, data.y, lambda x: posterior.predict(x)[0].mean(axis=(0, 1)))
    outside = np.flatnonzero(~inside)
    if kind_of(kind).companion == "outside":
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

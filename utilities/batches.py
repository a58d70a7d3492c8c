"""Choose many configurations in one pass: what is slow about a proposal is done once for the whole batch.

One draw of fantasies, one set of candidates with their basis or kernel, one decomposition; then each choice conditions
the pool of the best candidates on itself (`utilities.pool`), and all of them are polished at once. A single proposal by
`utilities.candidate_search` starts from scratch instead, and searches more finely.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from utilities.acquisition import Acquisition, ConfidenceBound, LogExpectedImprovement, NoPreference
from utilities.basins import Closed, Outside
from utilities.candidate_search import SWEEP, Whole, candidates_around, polish
from utilities.feasible import Feasible, Weighed
from utilities.metric_feasibility import Feasibility, Meeting
from utilities.pool import Pool
from utilities.portfolio import PureExploration
from utilities.prior import Believed, Prior
from utilities.space import Space
from utilities.surrogate import Array, Posterior
from utilities.validity import Validity

FANTASIES = 2
"""Of each component, in a batch."""

SCREENED, FOR_EACH, MOST_SCREENED = 128, 4, 512
"""Candidates in the pool: the first, and so many for each choice, up to the last."""

HASTY = 256
"""Candidates of each sort where time is short."""

HOPE = 3.0
"""Standard deviations of the bound by which half of the pool is screened: draws have their minima there."""


class Knowledge(NamedTuple):
    """What a batch is chosen by.

    Attributes
    ----------
    posterior
        Given all observations; of few components.
    pending : array (q, d)
        Points of the pending trials and proposals.
    x_pending : array (r, p)
        Features of those that the posterior is to be conditioned on.
    known : array (k, p)
        Features of observed and pending points among which the incumbent is.
    observed : array (o, p)
        Features of observed points that bound the promising region.
    anchors : array (a, d)
        Good points.
    validity, closed
        Of `utilities.feasible` and `utilities.basins`, None without.
    noise
        Of the next outcome, as of `LogExpectedImprovement`.
    kappa
        Standard deviations of confidence bounds.
    prior, observations
        Of `utilities.prior`, None without.
    feasibility
        Of `utilities.metric_feasibility`, None without.
    survival
        Of `utilities.survival`, None without.
    """

    posterior: Posterior
    pending: Array
    x_pending: Array
    known: Array
    observed: Array
    anchors: Array
    validity: Validity | None
    closed: Closed | None
    noise: float | None
    kappa: float
    prior: Prior | None = None
    observations: int = 0
    feasibility: Feasibility | None = None
    survival: Validity | None = None


def choose(
    space: Space, knowledge: Knowledge, names: Sequence[str], rng: np.random.Generator, whole: Whole | None = None
) -> Array:
    """Choose points, one by each acquisition of `names` (``ei``, ``ucb``, ``thompson`` or ``explore``).

    Parameters
    ----------
    whole
        All points of a small finite space: these are the candidates then.

    Returns
    -------
    array (k, d)
        Canonical points: those chosen, in the order of `names`, then the other candidates of the pool, best first, to
        fall back on. Distinct ones are not promised.
    """
    fantasised = knowledge.posterior
    if len(knowledge.x_pending):
        fantasised = knowledge.posterior.fantasize(knowledge.x_pending, FANTASIES, rng)
    improvement = LogExpectedImprovement(fantasised, knowledge.known, noise=knowledge.noise)
    points = candidates_around(space, knowledge.anchors, rng, SWEEP) if whole is None else whole.points
    x = space.features(points)
    weight = _constrained(NoPreference(), knowledge).value(x)
    kept = _screen(improvement, fantasised, x, weight, len(names))
    points, x, weight = points[kept], x[kept], weight[kept]
    score = improvement.value(x) + weight
    pool = Pool(fantasised, x, improvement.best, weight, len(names), rng)
    chosen = np.array(_choose_from(pool, x, names, knowledge, fantasised), dtype=np.intp)
    places = points.copy()
    for name, acquisition in (("ei", improvement), ("ucb", ConfidenceBound(fantasised, knowledge.kappa))):
        searched = [i for i, by in zip(chosen, names, strict=False) if by == name]
        others = np.vstack([knowledge.pending, points[np.setdiff1d(chosen, searched)]])
        places[searched] = polish(space, _constrained(acquisition, knowledge), points[searched], others)
    rest = np.setdiff1d(np.arange(len(points)), chosen)
    return np.vstack([places[chosen], points[rest[np.argsort(-score[rest], kind="stable")]]])


def draw(space: Space, knowledge: Knowledge, count: int, rng: np.random.Generator, whole: Whole | None = None) -> Array:
    """Draw `count` Thompson samples over a few candidates: a fraction of what `choose` costs, for when time is short.

    Returns as `choose` does.
    """
    if whole is None:
        points = candidates_around(space, knowledge.anchors, rng, HASTY)
    else:
        points = whole.points[rng.permutation(len(whole.points))[: 2 * HASTY]]
    x = space.features(points)
    mean, _ = knowledge.posterior.predict(x)
    weight = _constrained(NoPreference(), knowledge).value(x)
    pool = Pool(knowledge.posterior, x, mean.min(axis=2), weight, 0, rng)
    taken = (pool.take(pool.draw()) for _ in range(count))
    chosen = [found for found in taken if found is not None]
    rest = np.setdiff1d(np.arange(len(points)), chosen)
    return np.asarray(points[np.concatenate([np.array(chosen, dtype=np.intp), rest])])


def _screen(
    improvement: LogExpectedImprovement, posterior: Posterior, x: Array, weight: Array, count: int
) -> NDArray[np.intp]:
    """Candidates (k,) for the pool: half by rough improvement, half by what may be hoped for."""
    size = min(SCREENED + FOR_EACH * count, MOST_SCREENED)
    if len(x) <= size:
        return np.arange(len(x))
    promise = improvement.rough().value(x) + weight
    hope = ConfidenceBound(posterior, HOPE).rough().value(x) + weight
    by_promise = np.argpartition(-promise, size // 2)[: size // 2]
    hope[by_promise] = -np.inf
    return np.concatenate([by_promise, np.argpartition(-hope, size - size // 2)[: size - size // 2]])


def _constrained(acquisition: Acquisition, knowledge: Knowledge) -> Acquisition:
    if knowledge.feasibility is not None:
        acquisition = Meeting(acquisition, knowledge.feasibility)
    if knowledge.validity is not None:
        acquisition = Feasible(acquisition, knowledge.validity)
    if knowledge.survival is not None:
        acquisition = Weighed(acquisition, knowledge.survival)
    if knowledge.closed is not None:
        acquisition = Outside(acquisition, knowledge.closed)
    if knowledge.prior is None:
        return acquisition
    return Believed(acquisition, knowledge.prior, knowledge.observations)


def _choose_from(pool: Pool, x: Array, names: Sequence[str], knowledge: Knowledge, fantasised: Posterior) -> list[int]:
    """Candidates chosen, fewer than `names` where the pool is empty."""
    outside = np.zeros(len(x))
    if "explore" in names:
        exploration = PureExploration(knowledge.posterior, fantasised, knowledge.observed, knowledge.kappa)
        outside = exploration.penalty(x)
    chosen: list[int] = []
    for name in names:
        match name:
            case "ei":
                score = pool.log_improvement(noise=knowledge.noise)
            case "ucb":
                score = pool.bound(knowledge.kappa)
            case "thompson":
                score = pool.draw()
            case _:
                score = pool.uncertainty() - outside
        found = pool.choose(score)
        if found is None:
            break
        chosen.append(found)
    return chosen

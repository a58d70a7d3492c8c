"""How a model chooses the next configuration of several objectives: by what each would add to the front.

One surrogate an objective. Of two objectives, proposals maximise the log of the expected hypervolume improvement; of
three and four, that and the improvement of a random Chebyshev scalarisation in turn; of more, the latter alone. Many in
one pass are Thompson samples of all objectives, each the minimum of a random scalarisation over a few candidates.

Symbols
-------
k   objectives      n   completed trials      m   candidates      p   feature columns      q   pending trials
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from utilities.acquisition import Acquisition, NoPreference
from utilities.aims import ANCHORS, FANTASIES
from utilities.basis import single
from utilities.candidate_search import candidates_around
from utilities.chebyshev import LogScalarisedImprovement, draw_weights, scalarised
from utilities.feasible import Feasible
from utilities.history import History
from utilities.hypervolume_improvement import LogHypervolumeImprovement
from utilities.metric_feasibility import Meeting
from utilities.model_proposer import ModelProposer
from utilities.pareto import preference
from utilities.prior import Believed
from utilities.proposals import PredictedBest, Proposal, new_configs
from utilities.scenarios import Scenarios
from utilities.surrogate import Array, Posterior
from utilities.trial import Config

SCALARISED = {2: 0.0, 3: 0.5, 4: 0.5}
"""Share of the proposals by a scalarisation, by the number of objectives. A front of two has two ends. Of more it has
edges, behind which lies most of the volume: hypervolume improvement alone spent nearly all on them on DTLZ2."""

KNOWN = 100
"""Observations, the best by fronts, among which the front of a scenario is."""

RANKED = 1000
"""Observations that are put in order by fronts at a time."""

CANDIDATES = 256
"""Candidates of each sort for Thompson samples."""


class FrontProposer(ModelProposer):
    """As `ModelProposer`, for several objectives.

    There is no predicted best, and no configuration is evaluated twice: noise moves points within the front.
    """

    def _noise(self, history: History) -> float:
        return 0.0

    def predict_best(self, history: History) -> PredictedBest | None:
        """None: no single point is best."""
        return None

    def _propose_several(self, history: History, ready: list[Config], count: int, *, repeats: bool) -> list[Proposal]:
        points = self._draw(history, ready, count)
        fresh = new_configs(self._space, points, history, ready, repeats=repeats)
        return [Proposal(config, "model") for config in itertools.islice(fresh, count)]

    def _aim(
        self, name: str, turn: int, history: History, x_pending: Array, likely: Array, rng: np.random.Generator
    ) -> tuple[Acquisition, Array]:
        """What is to be maximised where trials are valid, and good points (a, d)."""
        posteriors = [self._fantasised(history, target, x_pending, rng) for target in range(len(self._goals.names))]
        best = self._best_rows(history)
        anchors = history.points[best[:ANCHORS]]
        feasibility = self._aims.feasibility(history, x_pending, rng)
        if feasibility is not None and not history.feasible.any():
            return Meeting(NoPreference(), feasibility), anchors
        if feasibility is not None:
            likely = likely[feasibility.likely(likely)]
        known = np.vstack([history.data.x[best], likely])
        scenarios = Scenarios(posteriors, known, rng)
        acquisition: Acquisition
        share = SCALARISED.get(len(posteriors), 1.0)
        if math.floor((turn + 1) * share) == math.floor(turn * share):
            acquisition = LogHypervolumeImprovement(scenarios)
        else:
            acquisition = LogScalarisedImprovement(scenarios, draw_weights(len(posteriors), rng))
        return acquisition if feasibility is None else Meeting(acquisition, feasibility), anchors

    def _fantasised(self, history: History, target: int, x_pending: Array, rng: np.random.Generator) -> Posterior:
        """Posterior of an objective with the pending trials (q, p) fantasised."""
        posterior = self._models.posterior(history, target)
        x_pending = posterior.relevant(x_pending)
        posterior = posterior.affordable(len(x_pending))
        if not len(x_pending):
            return posterior
        return posterior.fantasize(x_pending, max(2, -(-FANTASIES // len(posterior.noise()))), rng)

    def _best_rows(self, history: History) -> NDArray[np.intp]:
        """The best `KNOWN` of the completed trials: by fronts of the feasible ones, else by what they violate."""
        feasible = np.flatnonzero(history.feasible)
        if not len(feasible):
            violation = self._goals.violation(history.targets)
            return np.argsort(violation, kind="stable")[:KNOWN]
        values = history.targets[:, : len(self._goals.names)]
        best = feasible[:0]
        for begin in range(0, len(feasible), RANKED):
            rows = np.concatenate([best, feasible[begin : begin + RANKED]])
            best = rows[preference(values[rows])[:KNOWN]]
        return best

    def _draw(self, history: History, ready: list[Config], count: int) -> Array:
        """Points (m, d): at most `count` Thompson samples first, others to fall back on, best first."""
        self._passes += 1
        pending = np.vstack([history.pending, self._space.to_unit(ready)])
        rng = np.random.default_rng([self._seed, 5, history.told, len(pending)])
        best = self._best_rows(history)
        if self._whole is None:
            points = candidates_around(self._space, history.points[best[:ANCHORS]], rng, CANDIDATES)
        else:
            points = self._whole.points[rng.permutation(len(self._whole.points))[: 2 * CANDIDATES]]
        x = self._space.features(points)
        weight = self._weight(history, x)
        everything = np.vstack([x, history.data.x[best]])
        draws = [self._functions(history, target, everything, count, rng) for target in range(len(self._goals.names))]
        chosen: dict[int, None] = {}
        for values in np.moveaxis(np.array(draws), 1, 0):
            known = values[:, len(x) :]
            ideal, span = known.min(axis=1), known.max(axis=1) - known.min(axis=1)
            drawn = draw_weights(len(draws), rng)
            score = weight - scalarised(values[:, : len(x)], drawn, ideal, span)
            score[list(chosen)] = -math.inf
            if len(chosen) < len(points):
                chosen[int(np.argmax(score))] = None
        rest = np.setdiff1d(np.arange(len(points)), list(chosen))
        order = [*chosen, *rest[np.argsort(-weight[rest], kind="stable")].tolist()]
        return np.asarray(points[order])

    def _functions(self, history: History, target: int, x: Array, count: int, rng: np.random.Generator) -> Array:
        """Values (count, m) at `x` (m, p) of functions drawn from the posterior of an objective."""
        posterior = self._models.posterior(history, target).for_batch(self._passes, 0)
        mean, root = posterior.predict(x)[0][:, 0], single(posterior.root(x))
        which = rng.integers(len(mean), size=count)
        white = rng.standard_normal((count, root.shape[2]), dtype=np.float32)
        return np.array([mean[s] + root[s] @ noise for s, noise in zip(which, white, strict=True)])

    def _weight(self, history: History, x: Array) -> Array:
        """What speaks against candidates (m,): failures, broken constraints, the user's hints."""
        acquisition: Acquisition = NoPreference()
        feasibility = self._aims.feasibility(history, x[:0], np.random.default_rng(0))
        if feasibility is not None:
            acquisition = Meeting(acquisition, feasibility)
        validity = self._constraint.validity(*history.outcomes)
        if validity is not None:
            acquisition = Feasible(acquisition, validity)
        if self._prior:
            acquisition = Believed(acquisition, self._prior, len(history.data))
        return acquisition.value(x)

"""How a model chooses the next configuration, after an initial design."""

from __future__ import annotations

import itertools
import math

import numpy as np

from utilities import batches
from utilities.acquisition import (
    Acquisition,
    NegativeMean,
    NoPreference,
)
from utilities.aims import PROMISING, Aims, best_points, known_noise, promising
from utilities.basins import Outside
from utilities.candidate_search import SWEEP, Whole, candidates_around, maximise, perturb
from utilities.designs import sobol_points
from utilities.errors import SpaceExhaustedError
from utilities.feasible import Constraint, Feasible, Probably, Weighed, promise
from utilities.goal import Goal
from utilities.goals import Goals
from utilities.history import History
from utilities.metric_feasibility import Meeting
from utilities.model_upkeep import ModelUpkeep
from utilities.prior import Believed, Prior
from utilities.proposals import DesignProposer, PredictedBest, Proposal, new_config, new_configs
from utilities.space import Space
from utilities.subspace import Subspace
from utilities.surrogate import Array
from utilities.survival import Survival
from utilities.target_models import FEWEST
from utilities.trial import Config
from utilities.validity import Validity

LEISURE = 2e-3
"""Seconds for a proposal of a batch, below which it is a Thompson sample."""

PROSPECTS = 32
"""Candidates of each sort in the search for valid trials."""

DOUBTFUL_NOISE = 0.1
"""Estimated variance of the noise, as a share of that of all observations, above which the best configuration is
evaluated again: a rugged objective without noise looks noisy, and only that tells. If it is, more may be repeated."""

OPTIMA = 64
"""Functions drawn to see where the optimum may be."""


class ModelProposer(ModelUpkeep):
    """Maximises an acquisition under a surrogate, after an initial Sobol design.

    Failed trials say where others would fail: the acquisition is weighed by the probability of a valid outcome. After a
    single valid trial that probability alone is searched; before the first the design goes on. Likewise it is weighed
    by the probability that the constraints on metrics are kept, which alone is searched until a trial has kept them,
    and, where trials are ended early, by that of running to the end.

    Parameters
    ----------
    initial
        Trials of the design. Once they are handed out and `ENOUGH` of them told, the surrogate takes over.
    goal
        The acquisition.
    goals
        What trials are judged by.
    inline
        Whether propose() refits the surrogate when that is due.
    """

    def __init__(
        self, space: Space, method: str, seed: int, initial: int, goal: Goal, goals: Goals, *, inline: bool
    ) -> None:
        super().__init__(space, method, seed, initial, goals, inline=inline)
        self._seed, self._goals = seed, goals
        self._part: Space = space
        self._prior = Prior(space)
        self._design = DesignProposer(space, "sobol", seed, origin="initial", prior=self._prior)
        self._aims = Aims(self._models, goal, goals)
        self._constraint, self._survival = Constraint(space.groups), Survival(space.groups)
        self._everything = self._whole = Whole.of(space)
        self._passes = 0

    def confine(self, part: Subspace, initial: int) -> None:
        """From now on, propose within a part of the space; begin with a design while fewer trials were handed out."""
        self._part, self._whole, self._initial = part, Whole.of(part), max(2, initial)
        self._first = min(self._first, self._initial)
        self._design.confine(part, initial, Prior(part))

    def optima(self, history: History) -> Array | None:
        """Minimisers (m, d) in the part of functions drawn from the posterior; None where there is no model yet.

        Each is the best of some thousand candidates, those aside that would fail or break a constraint on metrics.
        """
        if self._in_design(history):
            return None
        self._update(history)
        if not self._model.fitted:
            return None
        view = self._model.trusted(len(history.data)).view(history.data)
        rng = np.random.default_rng([self._seed, 8, history.told])
        anchors = best_points(view, view.posterior, history)
        points = candidates_around(self._part, anchors, rng, SWEEP) if self._whole is None else self._whole.points
        x = self._space.features(points)
        validity = self._constraint.validity(*history.outcomes)
        if validity is not None and (valid := validity.likely(x)).any():
            points, x = points[valid], x[valid]
        feasibility = self._aims.feasibility(history, history.data.x[:0], rng)
        if feasibility is not None and (kept := feasibility.likely(x)).any():
            points, x = points[kept], x[kept]
        draws = (view.posterior.draw(rng).value(x) for _ in range(OPTIMA))
        return np.asarray(points[[int(np.argmin(values)) for values in draws]])

    def propose(self, history: History, ready: list[Config]) -> Proposal:
        """Next configuration: of the design while too little is known, then of the model."""
        self._update(history)
        if self._in_design(history):
            return self._design.propose(history, ready)
        noise = self._noise(history)
        if self._doubtful(noise, history):
            config = new_config(self._space, history.best_point(), history, ready, repeats=True)
            if config is not None:
                return Proposal(config, "model")
        ranked = self._ranked(history, ready)
        repeats = history.noisy and noise > DOUBTFUL_NOISE
        config = None if ranked is None else new_config(self._space, ranked, history, ready, repeats=repeats)
        return self._design.propose(history, ready) if config is None else Proposal(config, "model")

    def propose_batch(
        self, history: History, ready: list[Config], count: int, seconds: float = math.inf
    ) -> list[Proposal]:
        """Several configurations of the model in one pass; one where `propose` would not search, or `count` is 1.

        A whole pass is by one surrogate: they take turns from pass to pass. With less than `LEISURE` seconds for each,
        expected improvement and exploration make way for Thompson samples.
        """
        self._models.hurry(seconds < LEISURE)
        self._update(history)
        aimless = bool(self._goals.constraints) and not history.feasible.any()
        if count == 1 or aimless or self._unfit(history) or not self._models.fitted(history):
            return [self.propose(history, ready)]
        noise = self._noise(history)
        if self._doubtful(noise, history):
            return [self.propose(history, ready)]
        proposals = self._propose_several(history, ready, count, repeats=history.noisy and noise > DOUBTFUL_NOISE)
        while len(proposals) < count:
            known = ready + [proposal.config for proposal in proposals]
            try:
                proposals.append(self._design.propose(history, known))
            except SpaceExhaustedError:
                if not proposals:
                    raise
                break
        return proposals

    def _propose_several(self, history: History, ready: list[Config], count: int, *, repeats: bool) -> list[Proposal]:
        """At most `count` proposals of the model; points of the design make up for those that lack."""
        pending = np.vstack([history.pending, self._space.to_unit(ready)])
        turn = history.told + len(pending)
        names = [self._aims.name_of(history, len(pending) + i, turn + i) for i in range(count)]
        if self._model.hasty:
            names = ["thompson" if name in ("ei", "explore") else name for name in names]
        searched = [name for name in names if name != "design"]
        if not searched:
            return []
        points = self._choose(history, pending, searched)
        fresh = new_configs(self._space, points, history, ready, repeats=repeats)
        return [Proposal(config, "model") for config in itertools.islice(fresh, len(searched))]

    def _choose(self, history: History, pending: Array, names: list[str]) -> Array:
        """Points for a batch, one by each acquisition of `names`, and others to fall back on."""
        self._passes += 1
        rng = np.random.default_rng([self._seed, 5, history.told, len(pending)])
        view = self._model.choose(history.data, self._passes)
        x_pending = view.posterior.relevant(self._space.features(pending))
        posterior = view.posterior.for_batch(self._passes, len(x_pending))
        validity = self._constraint.validity(*history.outcomes)
        likely = x_pending[-PROMISING:]
        if validity is not None:
            likely = likely[validity.likely(likely)]
        feasibility = self._aims.feasibility(history, x_pending, rng)
        if feasibility is not None:
            likely = likely[feasibility.likely(likely)]
        observed = history.data.x[promising(view, history)]
        known = np.vstack([observed, likely])
        anchors = best_points(view, posterior, history)
        knowledge = batches.Knowledge(
            posterior,
            pending,
            x_pending,
            known,
            observed,
            anchors,
            validity,
            view.closed,
            known_noise(view, history),
            self._aims.kappa,
            self._prior if self._prior else None,
            len(history.data),
            feasibility,
            self._survival.chance(history),
        )
        if set(names) == {"thompson"}:
            return batches.draw(self._part, knowledge, len(names), rng, self._whole)
        return batches.choose(self._part, knowledge, names, rng, self._whole)

    def _doubtful(self, noise: float, history: History) -> bool:
        """Whether the best configuration is to be evaluated again, to tell noise from ruggedness."""
        if noise <= DOUBTFUL_NOISE or history.repeated:
            return False
        return not isinstance(self._part, Subspace) or bool(self._part.holds_points(history.best_point())[0])

    def _ranked(self, history: History, ready: list[Config]) -> Array | None:
        """Points, best first; None where a point of the design is wanted."""
        pending = np.vstack([history.pending, self._space.to_unit(ready)])
        turn = history.told + len(pending)
        if len(history.data) == 0:
            return None  # failures alone say nothing of where trials are valid: the design goes on
        few = len(history.data) < FEWEST
        name = self._aims.name_of(history, len(pending), turn)
        if not few and (name == "design" or not self._models.fitted(history)):
            return None
        rng = np.random.default_rng([self._seed, 5, history.told, len(pending)])
        x_pending = self._space.features(pending)
        validity = self._constraint.validity(*history.outcomes)
        likely = x_pending if validity is None else x_pending[validity.likely(x_pending)]
        if validity is not None:
            validity = validity.with_pending(x_pending, rng)
        if few:
            return None if validity is None else self._search_valid(history, validity, rng)
        acquisition, anchors = self._aim(name, turn, history, x_pending, likely, rng)
        if validity is not None:
            acquisition = Feasible(acquisition, validity)
        survival = self._survival.pending(history, x_pending, rng)
        if survival is not None:
            acquisition = Weighed(acquisition, survival)
        if self._prior:
            acquisition = Believed(acquisition, self._prior, len(history.data))
        return maximise(self._part, acquisition, rng, anchors, self._whole)

    def _aim(
        self, name: str, turn: int, history: History, x_pending: Array, likely: Array, rng: np.random.Generator
    ) -> tuple[Acquisition, Array]:
        """What is to be maximised where trials are valid, and good points (a, d); as `Aims.acquisition`."""
        view = self._model.choose(history.data, turn)
        feasibility = self._aims.feasibility(history, x_pending, rng)
        if feasibility is None:
            acquisition = self._aims.acquisition(name, view, history, x_pending, likely, rng)
        elif history.feasible[view.rows].any():
            likely = likely[feasibility.likely(likely)]
            acquisition = Meeting(self._aims.acquisition(name, view, history, x_pending, likely, rng), feasibility)
        else:
            acquisition = Meeting(NoPreference(), feasibility)
        if view.closed is not None:
            acquisition = Outside(acquisition, view.closed)
        return acquisition, best_points(view, view.posterior, history)

    def _search_valid(self, history: History, validity: Validity, rng: np.random.Generator) -> Array:
        # Few candidates: the very maximum lies in a corner, far from all failures, as long as there are corners left.
        part = self._part
        points = part.spread(sobol_points(len(part), PROSPECTS, rng)) if self._whole is None else self._whole.points
        around = perturb(part.gather(history.points), PROSPECTS, len(part), rng)
        points = part.snap(np.vstack([points, part.spread(around)]))
        return points[np.argsort(-promise(validity, self._space.features(points)), kind="stable")]

    def skip(self, origin: str) -> None:
        """Count a point of the design drawn earlier."""
        self._design.skip(origin)

    def predict_best(self, history: History) -> PredictedBest | None:
        """Minimiser of the posterior mean over the space."""
        self._model.follow(history.data)
        if not self._model.fitted:
            return None
        self._model.heed(history.revisions, history.data)
        expert = self._model.trusted(len(history.data))
        view = expert.view(history.data)
        rng = np.random.default_rng([self._seed, 6, history.told])
        acquisition: Acquisition = NegativeMean(view.posterior)
        feasibility = self._aims.feasibility(history, history.data.x[:0], rng)
        if feasibility is not None:
            acquisition = Probably(acquisition, feasibility)
        validity = self._constraint.validity(*history.outcomes)
        if validity is not None:
            acquisition = Probably(acquisition, validity)
        ranked = maximise(self._space, acquisition, rng, best_points(view, view.posterior, history), self._everything)
        point = next((row[None] for row in ranked if self._space.allows(self._space.from_unit(row)[0])), ranked[:1])
        mean, variance = view.posterior.predict(self._space.features(point))
        spread = float(np.sqrt(np.mean(variance) + np.var(mean)))
        return PredictedBest(*expert.to_user(float(np.mean(mean)), spread), self._space.from_unit(point)[0])

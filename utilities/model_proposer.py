"""How a model chooses the next configuration, after an initial design."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from utilities import batches, portfolio
from utilities.acquisition import (
    Acquisition,
    ConfidenceBound,
    LogExpectedImprovement,
    NegativeDraw,
    NegativeMean,
    NoPreference,
)
from utilities.basins import Outside
from utilities.candidate_search import SWEEP, Whole, candidates_around, maximise, perturb
from utilities.designs import sobol_points
from utilities.errors import SpaceExhaustedError
from utilities.expert import View
from utilities.feasible import Constraint, Feasible, Probably, promise
from utilities.forecast import Forecast
from utilities.goal import Goal
from utilities.goals import Goals
from utilities.history import History
from utilities.learning_curves import CurveData
from utilities.metric_feasibility import Feasibility, Limit, Meeting
from utilities.prior import Believed, Prior
from utilities.proposals import DesignProposer, PredictedBest, Proposal, new_config, new_configs
from utilities.space import Space
from utilities.subspace import Subspace
from utilities.surrogate import Array, Dataset, FitState, Parameters, Posterior
from utilities.target_models import FEWEST, TargetModels
from utilities.trial import Config, Trial
from utilities.validity import Validity

FANTASIES = 40
"""Mixture components x fantasies over which EI is averaged, at least."""

EARLY = 128
"""Trials before which a refit is worth waiting for."""

LEISURE = 2e-3
"""Seconds for a proposal of a batch, below which it is a Thompson sample."""

VALIDITY_FANTASIES = 16
PROSPECTS = 32
"""Candidates of each sort in the search for valid trials."""

ANCHORS = 10
PROMISING = 256
"""Observations, those of lowest objective, among which the lowest posterior mean is looked for."""

DOUBTFUL_NOISE = 0.1
"""Estimated variance of the noise, as a share of that of all observations, above which the best configuration is
evaluated again: a rugged objective without noise looks noisy, and only that tells. If it is, more may be repeated."""

ENOUGH = 3
"""Outcomes of the design that the surrogate needs, the rest of it pending: fantasised, they keep its proposals apart.
With 16 pending, to wait for all of them instead left regret a fifth higher after 50 evaluations."""

OPTIMA = 64
"""Functions drawn to see where the optimum may be."""


class ModelProposer:
    """Maximises an acquisition under a surrogate, after an initial Sobol design.

    Failed trials say where others would fail: the acquisition is weighed by the probability of a valid outcome. After a
    single valid trial that probability alone is searched; before the first the design goes on. Likewise it is weighed
    by the probability that the constraints on metrics are kept, which alone is searched until a trial has kept them.

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
        self._space, self._seed, self._goal, self._goals, self._inline = space, seed, goal, goals, inline
        self._part: Space = space
        self._initial = self._first = max(2, initial)
        self._prior = Prior(space)
        self._design = DesignProposer(space, "sobol", seed, origin="initial", prior=self._prior)
        self._models = TargetModels(space, method, seed, goals)
        self._model = self._models.first
        self._constraint = Constraint(space.groups)
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
        anchors = self._anchors(view, view.posterior, history)
        points = candidates_around(self._part, anchors, rng, SWEEP) if self._whole is None else self._whole.points
        x = self._space.features(points)
        validity = self._constraint.validity(*history.outcomes)
        if validity is not None and (valid := validity.likely(x)).any():
            points, x = points[valid], x[valid]
        feasibility = self._feasibility(history, history.data.x[:0], rng)
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
        pending = np.vstack([history.pending, self._space.to_unit(ready)])
        turn = history.told + len(pending)
        names = [self._acquisition_name(history, len(pending) + i, turn + i) for i in range(count)]
        if self._model.hasty:
            names = ["thompson" if name in ("ei", "explore") else name for name in names]
        searched = [name for name in names if name != "design"]
        proposals: list[Proposal] = []
        if searched:
            points = self._choose(history, pending, searched)
            repeats = history.noisy and noise > DOUBTFUL_NOISE
            fresh = new_configs(self._space, points, history, ready, repeats=repeats)
            proposals = [Proposal(config, "model") for config in itertools.islice(fresh, len(searched))]
        while len(proposals) < count:
            known = ready + [proposal.config for proposal in proposals]
            try:
                proposals.append(self._design.propose(history, known))
            except SpaceExhaustedError:
                if not proposals:
                    raise
                break
        return proposals

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
        feasibility = self._feasibility(history, x_pending, rng)
        if feasibility is not None:
            likely = likely[feasibility.likely(likely)]
        observed = history.data.x[_promising(view, history)]
        known = np.vstack([observed, likely])
        anchors = self._anchors(view, posterior, history)
        knowledge = batches.Knowledge(
            posterior,
            pending,
            x_pending,
            known,
            observed,
            anchors,
            validity,
            view.closed,
            history.noisy,
            self._goal.kappa,
            self._prior if self._prior else None,
            len(history.data),
            feasibility,
        )
        if set(names) == {"thompson"}:
            return batches.draw(self._part, knowledge, len(names), rng, self._whole)
        return batches.choose(self._part, knowledge, names, rng, self._whole)

    def foresee(self, history: History, points: Array) -> Array | None:
        """Posterior mean (m,) at points (m, d), standardised; None where there is no model yet."""
        if not self._model.fitted:
            return None
        posterior = self._model.trusted(len(history.data)).view(history.data).posterior
        return np.asarray(posterior.predict(self._space.features(points))[0].mean(axis=(0, 1)))

    def _doubtful(self, noise: float, history: History) -> bool:
        """Whether the best configuration is to be evaluated again, to tell noise from ruggedness."""
        if noise <= DOUBTFUL_NOISE or history.repeated:
            return False
        return not isinstance(self._part, Subspace) or bool(self._part.holds_points(history.best_point())[0])

    def _acquisition_name(self, history: History, pending: int, turn: int) -> str:
        name = self._goal.acquisition
        return portfolio.choose(len(history.data), pending, turn) if name == "ei" else name

    def _update(self, history: History) -> None:
        """Take what is new, and refit if that is due and to be done here."""
        self._models.observe(history)
        needed = self._foreseeable(history) or not self._in_design(history)
        if self._inline and needed and self.fit_due(history):
            self._models.refit(history)

    def _noise(self, history: History) -> float:
        """Estimated variance of the objective's noise, as a share of that of all observations; 0 without a model."""
        return self._model.noise(history.data) if self._model.fitted else 0.0

    def _ranked(self, history: History, ready: list[Config]) -> Array | None:
        """Points, best first; None where a point of the design is wanted."""
        pending = np.vstack([history.pending, self._space.to_unit(ready)])
        turn = history.told + len(pending)
        if len(history.data) == 0:
            return None  # failures alone say nothing of where trials are valid: the design goes on
        few = len(history.data) < FEWEST
        name = self._acquisition_name(history, len(pending), turn)
        if not few and (name == "design" or not self._models.fitted(history)):
            return None
        rng = np.random.default_rng([self._seed, 5, history.told, len(pending)])
        x_pending = self._space.features(pending)
        validity = self._constraint.validity(*history.outcomes)
        likely = x_pending if validity is None else x_pending[validity.likely(x_pending)]
        if validity is not None and len(pending):
            validity = validity.fantasize(validity.relevant(x_pending), VALIDITY_FANTASIES, rng)
        if few:
            return None if validity is None else self._search_valid(history, validity, rng)
        acquisition, anchors = self._aim(name, turn, history, x_pending, likely, rng)
        if validity is not None:
            acquisition = Feasible(acquisition, validity)
        if self._prior:
            acquisition = Believed(acquisition, self._prior, len(history.data))
        return maximise(self._part, acquisition, rng, anchors, self._whole)

    def _aim(
        self, name: str, turn: int, history: History, x_pending: Array, likely: Array, rng: np.random.Generator
    ) -> tuple[Acquisition, Array]:
        """What is to be maximised where trials are valid, and good points (a, d); as `_acquisition`."""
        view = self._model.choose(history.data, turn)
        feasibility = self._feasibility(history, x_pending, rng)
        if feasibility is None:
            acquisition = self._acquisition(name, view, history, x_pending, likely, rng)
        elif history.feasible[view.rows].any():
            likely = likely[feasibility.likely(likely)]
            acquisition = Meeting(self._acquisition(name, view, history, x_pending, likely, rng), feasibility)
        else:
            acquisition = Meeting(NoPreference(), feasibility)
        if view.closed is not None:
            acquisition = Outside(acquisition, view.closed)
        return acquisition, self._anchors(view, view.posterior, history)

    def _feasibility(self, history: History, x_pending: Array, rng: np.random.Generator) -> Feasibility | None:
        """Probability that the constraints on metrics are kept, with pending trials (q, p) fantasised; None without."""
        limits: list[Limit] = []
        for bound in self._goals.bounds:
            if not self._models.models[bound.target].fitted:
                continue
            posterior = self._models.posterior(history, bound.target).affordable(len(x_pending))
            if len(x_pending):
                count = max(2, -(-FANTASIES // len(posterior.noise())))
                posterior = posterior.fantasize(posterior.relevant(x_pending), count, rng)
            value = self._models.to_standard(history, bound.target, bound.value)
            limits.append(Limit(posterior, value, 1.0 if bound.upper else -1.0))
        return Feasibility(limits) if limits else None

    def _search_valid(self, history: History, validity: Validity, rng: np.random.Generator) -> Array:
        # Few candidates: the very maximum lies in a corner, far from all failures, as long as there are corners left.
        part = self._part
        points = part.spread(sobol_points(len(part), PROSPECTS, rng)) if self._whole is None else self._whole.points
        around = perturb(part.gather(history.points), PROSPECTS, len(part), rng)
        points = part.snap(np.vstack([points, part.spread(around)]))
        return points[np.argsort(-promise(validity, self._space.features(points)), kind="stable")]

    def _acquisition(
        self, name: str, view: View, history: History, x_pending: Array, likely: Array, rng: np.random.Generator
    ) -> Acquisition:
        """What is to be maximised, with pending trials fantasised where that matters.

        `x_pending` (q, p) are the features of all of these, `likely` (k, p) of those that may well be valid: an
        incumbent can be among them.
        """
        if name == "thompson":
            return NegativeDraw(view.posterior.draw(rng))
        x_pending = view.posterior.relevant(x_pending)
        posterior = fantasised = view.posterior.affordable(len(x_pending))
        if len(x_pending):
            count = 1 if name == "explore" else max(2, -(-FANTASIES // len(posterior.noise())))
            fantasised = posterior.fantasize(x_pending, count, rng)
        if name == "ucb":
            return ConfidenceBound(fantasised, self._goal.kappa)
        observed = history.data.x[_promising(view, history)]
        if name == "explore":
            return portfolio.PureExploration(posterior, fantasised, observed, self._goal.kappa)
        known = np.vstack([observed, likely])
        return LogExpectedImprovement(fantasised, known, noisy=history.noisy)

    def _anchors(self, view: View, posterior: Posterior, history: History) -> Array:
        """Return the observed points with the lowest mean of a posterior."""
        rows = _promising(view, history)
        mean = posterior.predict(history.data.x[rows])[0].mean(axis=(0, 1))
        return history.points[rows[np.argsort(mean, kind="stable")[:ANCHORS]]]

    def _in_design(self, history: History) -> bool:
        """Whether the design goes on: until it is handed out, and enough of its outcomes are there to fit to."""
        return _few(history, self._initial)

    def _unfit(self, history: History) -> bool:
        """Whether there is too little to fit the surrogate to."""
        return self._in_design(history) or len(history.data) < FEWEST

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
        feasibility = self._feasibility(history, history.data.x[:0], rng)
        if feasibility is not None:
            acquisition = Probably(acquisition, feasibility)
        validity = self._constraint.validity(*history.outcomes)
        if validity is not None:
            acquisition = Probably(acquisition, validity)
        ranked = maximise(self._space, acquisition, rng, self._anchors(view, view.posterior, history), self._everything)
        point = next((row[None] for row in ranked if self._space.allows(self._space.from_unit(row)[0])), ranked[:1])
        mean, variance = view.posterior.predict(self._space.features(point))
        spread = float(np.sqrt(np.mean(variance) + np.var(mean)))
        return PredictedBest(*expert.to_user(float(np.mean(mean)), spread), self._space.from_unit(point)[0])

    def fit_due(self, history: History) -> str | None:
        """Kind of surrogate due for a refit, None where none is; one may be while a later stage has its design."""
        few = _few(history, self._first) or len(history.data) < FEWEST
        if few and not self._foreseeable(history):
            return None
        return self._models.due(history)

    def data_of(self, kind: str, history: History) -> Dataset:
        """Observations that a surrogate of that kind is fitted to."""
        return self._models.data_of(kind, history)

    def must_wait(self, history: History) -> bool:
        """Whether the design is through and what is known of the surrogate comes from far too few data.

        From `EARLY` trials on nobody is to wait for a refit: there are few of them, and they change little.
        """
        early = not self._models.fitted(history) or history.told < EARLY
        return early and not self._inline and not self._unfit(history) and self._models.overdue(history)

    def forecast(self, history: History, trials: Sequence[Trial]) -> Forecast | None:
        """What is foreseen of trials that may have reported, None where too little is known."""
        data = history.data
        if not isinstance(data, CurveData) or not self._model.fitted:
            return None
        x = self._space.features(self._space.to_unit([trial.config for trial in trials]))
        running = np.array([history.is_pending(trial.number) for trial in trials])
        return self._model.forecast(data, x, running)

    def foresees(self, history: History) -> bool:
        """Whether a trial may be ended by its forecast: enough completed that reported, and were learned from."""
        return self._foreseeable(history) and self._model.fitted

    def _foreseeable(self, history: History) -> bool:
        """Whether curves tell enough to fit the surrogate to, whether or not the design is through."""
        enough = history.curves.active and history.curves.completed >= ENOUGH
        return enough and len(history.data) >= FEWEST

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take a fit made elsewhere."""
        self._models.adopt(kind, parameters, fitted)

    def refit_inline(self) -> None:
        """From now on, refit when asked for a proposal, where a refit is due."""
        self._inline = True

    @property
    def fits(self) -> dict[str, FitState]:
        """Latest fit of each surrogate, by its kind."""
        return self._models.fits

    @property
    def calibration(self) -> dict[str, Array]:
        """How well each surrogate foresaw, see `Model.calibration`."""
        return self._models.calibration()

    def restore_calibration(self, tables: Mapping[str, Array]) -> None:
        """Take back the calibration of an earlier life of the study."""
        self._models.restore_calibration(tables)


def _few(history: History, design: int) -> bool:
    """Whether a design of so many trials is not handed out yet, or too few outcomes are there to fit to."""
    return history.told + history.waiting < design or history.told < min(ENOUGH, design)


def _promising(view: View, history: History) -> NDArray[np.intp]:
    """Rows of the view with the lowest objectives: few enough for a proposal's cost not to grow with the run.

    Feasible ones alone, where there are any.
    """
    feasible = history.feasible[view.rows]
    rows = view.rows[feasible] if feasible.any() else view.rows
    if len(rows) <= PROMISING:
        return rows
    return rows[np.argpartition(history.data.y[rows], PROMISING)[:PROMISING]]

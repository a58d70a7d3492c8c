"""How the next configuration is chosen: by a design, or by a model after an initial design."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

import numpy as np

from utilities import portfolio
from utilities.acquisition import Acquisition, ConfidenceBound, LogExpectedImprovement, NegativeDraw, NegativeMean
from utilities.basins import Outside
from utilities.candidate_search import maximise
from utilities.designs import Grid, SobolSequence
from utilities.errors import SpaceExhaustedError
from utilities.expert import View
from utilities.history import History
from utilities.methods import ACQUISITIONS, KAPPA, MODEL_METHODS
from utilities.model import Model
from utilities.space import Space
from utilities.surrogate import Array, Parameters
from utilities.trial import Config

FANTASIES = 40
"""Mixture components x fantasies over which EI is averaged, at least."""

REMEMBERED_FAILURES = 50
ANCHORS = 10


class Proposal(NamedTuple):
    """A configuration and where it came from: "initial", "model", "enqueued", or the design's name."""

    config: Config
    origin: str


class PredictedBest(NamedTuple):
    """Minimiser of the posterior mean, with its mean and standard deviation, for minimisation in user's units."""

    mean: float
    sd: float
    config: Config


class Proposer(Protocol):
    """Chooses the next configuration, given what is known and what else is about to be handed out."""

    def propose(self, history: History, ready: list[Config]) -> Proposal:
        """Next configuration, none of those known or ready; SpaceExhaustedError where there is none."""

    def skip(self, origin: str) -> None:
        """Note that a proposal of that origin was made in an earlier life of the study."""

    def predict_best(self, history: History) -> PredictedBest | None:
        """Minimiser of the posterior mean, None without a model."""

    def fit_due(self, history: History) -> str | None:
        """Kind of surrogate due for a refit, None where none is."""

    def must_wait(self, history: History) -> bool:
        """Whether a fit elsewhere must come first."""

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take a fit made elsewhere."""

    @property
    def fit_state(self) -> tuple[str, Parameters, int] | None:
        """Kind, parameters and number of rows of the latest fit."""

    @property
    def calibration(self) -> dict[str, Array]:
        """How well each surrogate foresaw, by kind; empty without a model."""

    def restore_calibration(self, tables: Mapping[str, Array]) -> None:
        """Take back the calibration of an earlier life of the study."""


class Goal(NamedTuple):
    """What a model maximises to choose: one of ACQUISITIONS, and the standard deviations that ``ucb`` hopes for."""

    acquisition: str = ACQUISITIONS[0]
    kappa: float = KAPPA


def make_proposer(method: str, space: Space, seed: int, initial: int, goal: Goal, *, inline: bool) -> Proposer:
    """Proposer of a method; `goal` is for its model, `inline` lets it refit that when asked."""
    if method in MODEL_METHODS:
        return ModelProposer(space, method, seed, initial, goal, inline=inline)
    return DesignProposer(space, method, seed)


class DesignProposer:
    """Random, Sobol or grid points, each configuration at most once.

    Parameters
    ----------
    method
        ``random``, ``sobol`` or ``grid``; also the origin of its proposals, unless `origin` is given.
    """

    _ATTEMPTS = 1000

    def __init__(self, space: Space, method: str, seed: int, origin: str | None = None) -> None:
        self._space, self._method, self._seed = space, method, seed
        self.origin = origin or method
        self._sobol = SobolSequence(len(space), seed)
        self._grid: Iterator[Array] = iter(Grid(space))
        self._drawn = 0

    def propose(self, history: History, ready: list[Config]) -> Proposal:
        """Next point of the design that is new."""
        config = new_config(self._space, self._points(), history, ready)
        if config is None:
            config = self._any_left(history, ready)
        return Proposal(config, self.origin)

    def skip(self, origin: str) -> None:
        """Count a point drawn earlier; a grid finds its place by itself."""
        self._drawn += origin == self.origin

    def _points(self) -> Iterator[Array]:
        if self._method == "grid":
            # Not `yield from`, which would close the grid together with this generator.
            for point in self._grid:  # noqa: UP028
                yield point
            return
        for _ in range(self._ATTEMPTS):
            index = self._drawn
            self._drawn += 1
            if self._method == "sobol":
                yield self._sobol[index]
            else:
                yield np.random.default_rng([self._seed, 4, index]).random(len(self._space))

    def _any_left(self, history: History, ready: list[Config]) -> Config:
        everything = None if self._method == "grid" else self._space.enumerate_points()
        config = None if everything is None else new_config(self._space, everything, history, ready)
        if config is None:
            raise SpaceExhaustedError(f"every configuration of the {self._method} design has been proposed")
        return config

    def predict_best(self, history: History) -> PredictedBest | None:
        """None: there is no model."""
        return None

    def fit_due(self, history: History) -> str | None:
        """None: there is no model."""
        return None

    def must_wait(self, history: History) -> bool:
        """No: there is no model."""
        return False

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Refuse: there is no model."""
        raise RuntimeError(f"method {self._method} has no surrogate to adopt parameters for")

    @property
    def fit_state(self) -> tuple[str, Parameters, int] | None:
        """None: there is no model."""
        return None

    @property
    def calibration(self) -> dict[str, Array]:
        """Empty: there is no model."""
        return {}

    def restore_calibration(self, tables: Mapping[str, Array]) -> None:
        """Nothing to take: there is no model."""


class ModelProposer:
    """Maximises an acquisition under a surrogate, after an initial Sobol design.

    Parameters
    ----------
    initial
        Completed trials from which the surrogate takes over; trials asked before that many are told are of the design.
    goal
        The acquisition.
    inline
        Whether propose() refits the surrogate when that is due.
    """

    def __init__(self, space: Space, method: str, seed: int, initial: int, goal: Goal, *, inline: bool) -> None:
        self._space, self._seed, self._goal, self._inline = space, seed, goal, inline
        self._initial = max(2, initial)
        self._design = DesignProposer(space, "sobol", seed, origin="initial")
        self._model = Model(space, method, seed)
        self._whole = space.enumerate_points()

    def propose(self, history: History, ready: list[Config]) -> Proposal:
        """Next configuration: of the design while too little is known, then of the model."""
        self._model.observe(history.data)
        if self._inline and self.fit_due(history):
            self._model.refit(history.data)
        if self._in_design(history) or not self._model.fitted:
            return self._design.propose(history, ready)
        pending = np.vstack([history.pending, self._space.to_unit(ready)])
        turn = history.told + len(pending)
        acquisition = self._goal.acquisition
        if acquisition == "ei":
            acquisition = portfolio.choose(len(history.data), len(pending), turn)
        if acquisition == "design":
            return self._design.propose(history, ready)
        config = new_config(self._space, self._rank(history, pending, acquisition, turn), history, ready)
        if config is None:
            return self._design.propose(history, ready)
        return Proposal(config, "model")

    def _rank(self, history: History, pending: Array, name: str, turn: int) -> Array:
        rng = np.random.default_rng([self._seed, 5, history.told, len(pending)])
        view = self._model.choose(history.data, turn)
        acquisition = self._acquisition(name, view, history, pending, rng)
        if view.closed is not None:
            acquisition = Outside(acquisition, view.closed)
        return maximise(self._space, acquisition, rng, self._anchors(view, history), self._whole)

    def _acquisition(
        self, name: str, view: View, history: History, pending: Array, rng: np.random.Generator
    ) -> Acquisition:
        """What is to be maximised, with trials that are pending or failed fantasised where that matters."""
        if name == "thompson":
            return NegativeDraw(view.posterior.draw(rng))
        blocked = np.vstack([pending, history.failed[-REMEMBERED_FAILURES:]])
        posterior = fantasised = view.posterior.affordable(len(blocked))
        if len(blocked):
            count = 1 if name == "explore" else max(2, -(-FANTASIES // len(posterior.noise())))
            fantasised = posterior.fantasize(self._space.features(blocked), count, rng)
        if name == "ucb":
            return ConfidenceBound(fantasised, self._goal.kappa)
        observed = history.data.x[view.rows]
        if name == "explore":
            return portfolio.PureExploration(posterior, fantasised, observed, self._goal.kappa)
        return LogExpectedImprovement(fantasised, np.vstack([observed, self._space.features(pending)]))

    def _anchors(self, view: View, history: History) -> Array:
        """Return the observed points with the lowest posterior mean."""
        mean = view.posterior.predict(history.data.x[view.rows])[0].mean(axis=(0, 1))
        return history.points[view.rows[np.argsort(mean, kind="stable")[:ANCHORS]]]

    def _in_design(self, history: History) -> bool:
        return history.told < self._initial or len(history.data) < 2

    def skip(self, origin: str) -> None:
        """Count a point of the design drawn earlier."""
        self._design.skip(origin)

    def predict_best(self, history: History) -> PredictedBest | None:
        """Minimiser of the posterior mean over the space."""
        if not self._model.fitted:
            return None
        expert = self._model.trusted(len(history.data))
        view = expert.view(history.data)
        rng = np.random.default_rng([self._seed, 6, history.told])
        acquisition = NegativeMean(view.posterior)
        point = maximise(self._space, acquisition, rng, self._anchors(view, history), self._whole)[:1]
        mean, variance = view.posterior.predict(self._space.features(point))
        spread = float(np.sqrt(np.mean(variance) + np.var(mean)))
        return PredictedBest(*expert.to_user(float(np.mean(mean)), spread), self._space.from_unit(point)[0])

    def fit_due(self, history: History) -> str | None:
        """Kind of surrogate due for a refit, None where none is."""
        return None if self._in_design(history) else self._model.due(len(history.data))

    def must_wait(self, history: History) -> bool:
        """Whether the design is through and what is known of the surrogate comes from far too few data."""
        return not self._inline and not self._in_design(history) and self._model.overdue(len(history.data))

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take a fit made elsewhere."""
        self._model.adopt(kind, parameters, fitted)

    @property
    def fit_state(self) -> tuple[str, Parameters, int] | None:
        """Kind, parameters and number of rows of the latest fit."""
        latest = self._model.latest
        return None if latest is None or latest.parameters is None else (latest.kind, latest.parameters, latest.fitted)

    @property
    def calibration(self) -> dict[str, Array]:
        """How well each surrogate foresaw, see `Model.calibration`."""
        return self._model.calibration()

    def restore_calibration(self, tables: Mapping[str, Array]) -> None:
        """Take back the calibration of an earlier life of the study."""
        self._model.restore_calibration(tables)


def new_config(space: Space, points: Array | Iterator[Array], history: History, ready: list[Config]) -> Config | None:
    """First configuration among `points` (m, d) that is neither known nor ready, None where there is none."""
    waiting = {space.key(config) for config in ready}
    for point in points:
        config = space.from_unit(point[None])[0]
        if not history.knows(config) and space.key(config) not in waiting:
            return config
    return None

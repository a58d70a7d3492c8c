"""How the next configuration is chosen: by a design, or by a model after an initial design."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from utilities.acquisition import Acquisition, LogExpectedImprovement, NegativeMean
from utilities.basins import Outside
from utilities.candidate_search import maximise
from utilities.designs import Grid, SobolSequence
from utilities.errors import SpaceExhaustedError
from utilities.history import History
from utilities.methods import MODEL_METHODS
from utilities.model import Model, View
from utilities.space import Space
from utilities.surrogate import Array, Parameters
from utilities.trial import Config

FANTASIES = 40
"""Mixture components x fantasies over which EI is averaged, at least."""

REMEMBERED_FAILURES = 50
ANCHORS = 10

PROMISING = 256
"""Observations, those of lowest objective, among which the lowest posterior mean is looked for."""


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


def make_proposer(method: str, space: Space, seed: int, initial: int, *, inline: bool) -> Proposer:
    """Proposer of a method; `inline` lets it refit its model when asked."""
    if method in MODEL_METHODS:
        return ModelProposer(space, method, seed, initial, inline=inline)
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


class ModelProposer:
    """Maximises expected improvement under a surrogate, after an initial Sobol design.

    Parameters
    ----------
    initial
        Completed trials from which the surrogate takes over; trials asked before that many are told are of the design.
    inline
        Whether propose() refits the surrogate when that is due.
    """

    def __init__(self, space: Space, method: str, seed: int, initial: int, *, inline: bool) -> None:
        self._space, self._seed, self._inline = space, seed, inline
        self._initial = max(2, initial)
        self._design = DesignProposer(space, "sobol", seed, origin="initial")
        self._model = Model(space, method, seed)
        self._whole = space.enumerate_points()

    def propose(self, history: History, ready: list[Config]) -> Proposal:
        """Next configuration: of the design while too little is known, then of the model."""
        if self._inline and self.fit_due(history):
            self._model.fit(history.data)
        if self._in_design(history) or self._model.parameters is None:
            return self._design.propose(history, ready)
        ranked = self._rank(history, ready)
        config = new_config(self._space, ranked, history, ready)
        if config is None:
            return self._design.propose(history, ready)
        return Proposal(config, "model")

    def _rank(self, history: History, ready: list[Config]) -> Array:
        space = self._space
        pending = np.vstack([history.pending, space.to_unit(ready)])
        turn = history.told + len(pending)
        rng = np.random.default_rng([self._seed, 5, history.told, len(pending)])
        view = self._view(history, turn)
        posterior = view.posterior
        blocked = np.vstack([pending, history.failed[-REMEMBERED_FAILURES:]])
        if len(blocked):
            count = max(2, -(-FANTASIES // len(posterior.noise())))
            posterior = posterior.fantasize(space.features(blocked), count, rng)
        known = space.features(np.vstack([history.points[_promising(view, history)], pending]))
        acquisition: Acquisition = LogExpectedImprovement(posterior, known)
        if view.closed is not None:
            acquisition = Outside(acquisition, view.closed)
        return maximise(space, acquisition, rng, self._anchors(view, history), self._whole)

    def _view(self, history: History, turn: int) -> View:
        """Posterior whose turn it is: the companion's every second time, two times in three once a basin is closed."""
        companion = self._model.companion(history.data)
        if companion is None or turn % (2 if companion.closed is None else 3) == 0:
            return self._model.view(history.data)
        return companion

    def _anchors(self, view: View, history: History) -> Array:
        """Return the observed points with the lowest posterior mean."""
        rows = _promising(view, history)
        mean = view.posterior.predict(history.data.x[rows])[0].mean(axis=(0, 1))
        return history.points[rows[np.argsort(mean, kind="stable")[:ANCHORS]]]

    def _in_design(self, history: History) -> bool:
        return history.told < self._initial or len(history.data) < 2

    def skip(self, origin: str) -> None:
        """Count a point of the design drawn earlier."""
        self._design.skip(origin)

    def predict_best(self, history: History) -> PredictedBest | None:
        """Minimiser of the posterior mean over the space."""
        if self._model.parameters is None:
            return None
        view = self._model.view(history.data)
        rng = np.random.default_rng([self._seed, 6, history.told])
        acquisition = NegativeMean(view.posterior)
        point = maximise(self._space, acquisition, rng, self._anchors(view, history), self._whole)[:1]
        mean, variance = view.posterior.predict(self._space.features(point))
        spread = float(np.sqrt(np.mean(variance) + np.var(mean)))
        return PredictedBest(*self._model.to_user(float(np.mean(mean)), spread), self._space.from_unit(point)[0])

    def fit_due(self, history: History) -> str | None:
        """Kind of surrogate due for a refit, None where none is."""
        count = len(history.data)
        return None if self._in_design(history) or not self._model.due(count) else self._model.kind_for(count)

    def must_wait(self, history: History) -> bool:
        """Whether the design is through and what is known of the surrogate comes from far too few data."""
        return not self._inline and not self._in_design(history) and self._model.overdue(len(history.data))

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take a fit made elsewhere."""
        self._model.adopt(kind, parameters, fitted)

    @property
    def fit_state(self) -> tuple[str, Parameters, int] | None:
        """Kind, parameters and number of rows of the latest fit."""
        model = self._model
        return None if model.parameters is None else (model.kind, model.parameters, model.fitted)


def _promising(view: View, history: History) -> NDArray[np.intp]:
    """Rows of the view with the lowest objectives: few enough for a proposal's cost not to grow with the run."""
    if len(view.rows) <= PROMISING:
        return view.rows
    return view.rows[np.argsort(history.data.y[view.rows], kind="stable")[:PROMISING]]


def new_config(space: Space, points: Array | Iterator[Array], history: History, ready: list[Config]) -> Config | None:
    """First configuration among `points` (m, d) that is neither known nor ready, None where there is none."""
    waiting = {space.key(config) for config in ready}
    for point in points:
        config = space.from_unit(point[None])[0]
        if not history.knows(config) and space.key(config) not in waiting:
            return config
    return None

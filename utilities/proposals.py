"""What a proposal is, who can make one, and the designs: the proposers that learn nothing."""

from __future__ import annotations

import math
from collections import abc
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from utilities.designs import Filtered, RandomSequence, Sequence, SobolSequence, Spread
from utilities.errors import SpaceExhaustedError
from utilities.forecast import Forecast
from utilities.grid import Grid
from utilities.history import History
from utilities.prior import HalfByPrior, Prior
from utilities.space import Space
from utilities.subspace import Subspace
from utilities.surrogate import Array, Dataset, FitState, Parameters
from utilities.trial import Config, Trial


class Proposal(NamedTuple):
    """A configuration, where it came from ("initial", "model", "enqueued", or the method's name), and its stage."""

    config: Config
    origin: str
    stage: int | None = None


class PredictedBest(NamedTuple):
    """Minimiser of the posterior mean, with its mean and standard deviation, for minimisation in user's units."""

    mean: float
    sd: float
    config: Config


class Proposer(Protocol):
    """Chooses the next configuration, given what is known and what else is about to be handed out."""

    def propose(self, history: History, ready: list[Config]) -> Proposal:
        """Next configuration, none of those known or ready; SpaceExhaustedError where there is none."""

    def propose_batch(
        self, history: History, ready: list[Config], count: int, seconds: float = math.inf
    ) -> list[Proposal]:
        """At least one and at most `count` configurations, chosen in one pass; SpaceExhaustedError as `propose`.

        `seconds` are what each of them may cost.
        """

    def confine(self, part: Subspace, initial: int) -> None:
        """From now on, propose within a part of the space; begin with a design while fewer trials were handed out."""

    def optima(self, history: History) -> Array | None:
        """Canonical points (m, d) of the part where the optimum may be, as often as it is likely; None if unknown."""

    def foresee(self, history: History, points: Array) -> Array | None:
        """Expected outcome (m,) at canonical points (m, d), lower being better, on a scale of the model's own."""

    def skip(self, origin: str) -> None:
        """Note that a proposal of that origin was made in an earlier life of the study."""

    def predict_best(self, history: History) -> PredictedBest | None:
        """Minimiser of the posterior mean, None without a model."""

    def forecast(self, history: History, trials: abc.Sequence[Trial]) -> Forecast | None:
        """What is foreseen of trials by their curves; None where too little is known."""

    def foresees(self, history: History) -> bool:
        """Whether `forecast` is good enough to end a trial by."""

    def fit_due(self, history: History) -> str | None:
        """Kind of surrogate due for a refit, None where none is."""

    def data_of(self, kind: str, history: History) -> Dataset:
        """Observations that a surrogate of that kind is fitted to; none without a model."""

    def must_wait(self, history: History) -> bool:
        """Whether a fit elsewhere must come first."""

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take a fit made elsewhere."""

    def refit_inline(self) -> None:
        """From now on, refit when asked for a proposal, where a refit is due."""

    @property
    def fits(self) -> dict[str, FitState]:
        """Latest fit of each surrogate, by its kind; empty without a model."""

    @property
    def calibration(self) -> dict[str, Array]:
        """How well each surrogate foresaw, by kind; empty without a model."""

    def restore_calibration(self, tables: Mapping[str, Array]) -> None:
        """Take back the calibration of an earlier life of the study."""


class DesignProposer:
    """Random, Sobol or grid points, each configuration at most once.

    Parameters
    ----------
    method
        ``random``, ``sobol`` or ``grid``; also the origin of its proposals, unless `origin` is given.
    prior
        What the user believes: half of the points are drawn by it. None for what is to be evenly spread.
    """

    _ATTEMPTS = 1000

    def __init__(
        self, space: Space, method: str, seed: int, origin: str | None = None, prior: Prior | None = None
    ) -> None:
        self._method, self._seed = method, seed
        self.origin = origin or method
        self._drawn = 0
        self._take(space, prior)

    def _take(self, space: Space, prior: Prior | None) -> None:
        self._space = space
        sequence: Sequence = (RandomSequence if self._method == "random" else SobolSequence)(len(space), self._seed)
        if prior:
            sequence = HalfByPrior(sequence, prior)
        elif isinstance(space, Subspace):
            sequence = Spread(sequence, space)
        self._sequence = Filtered(sequence, space) if space.constraints else sequence
        self._grid: Iterator[Array] = iter(Grid(space) if self._method == "grid" else ())

    def confine(self, part: Subspace, initial: int, prior: Prior | None = None) -> None:
        """From now on, draw from a part of the space; a sequence goes on where it is, a grid begins anew."""
        self._take(part, prior)

    def optima(self, history: History) -> Array | None:
        """None: there is no model."""
        return None

    def propose(self, history: History, ready: list[Config]) -> Proposal:
        """Next point of the design that is new."""
        config = new_config(self._space, self._points(), history, ready)
        if config is None:
            config = self._any_left(history, ready)
        return Proposal(config, self.origin)

    def propose_batch(
        self, history: History, ready: list[Config], count: int, seconds: float = math.inf
    ) -> list[Proposal]:
        """One: they cost next to nothing."""
        return [self.propose(history, ready)]

    def foresee(self, history: History, points: Array) -> Array | None:
        """None: there is no model."""
        return None

    def skip(self, origin: str) -> None:
        """Count a point drawn earlier; a grid finds its place by itself."""
        self._drawn += origin == self.origin

    def _points(self) -> Iterator[Array]:
        if self._method == "grid":
            # Not `yield from`, which would close the grid together with this generator.
            for point in self._grid:
                yield point
            return
        for _ in range(self._ATTEMPTS):
            try:
                point = self._sequence[self._drawn]
            except IndexError:
                return
            self._drawn += 1
            yield point

    def _any_left(self, history: History, ready: list[Config]) -> Config:
        points = None if self._method == "grid" else self._space.enumerate_points()
        if points is None and self._method != "grid":
            points = self._space.example
        config = None if points is None else new_config(self._space, points, history, ready)
        if config is None:
            kept = " that was found to keep the constraints" if self._space.constraints else ""
            raise SpaceExhaustedError(f"every configuration of the {self.origin} design{kept} has been proposed")
        return config

    def predict_best(self, history: History) -> PredictedBest | None:
        """None: there is no model."""
        return None

    def forecast(self, history: History, trials: abc.Sequence[Trial]) -> Forecast | None:
        """None: there is no model."""
        return None

    def foresees(self, history: History) -> bool:
        """No: there is no model."""
        return False

    def fit_due(self, history: History) -> str | None:
        """None: there is no model."""
        return None

    def data_of(self, kind: str, history: History) -> Dataset:
        """None: there is no model."""
        return Dataset(history.data.x[:0], history.data.y[:0])

    def must_wait(self, history: History) -> bool:
        """No: there is no model."""
        return False

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Refuse: there is no model."""
        raise RuntimeError(f"method {self._method} has no surrogate to adopt parameters for")

    def refit_inline(self) -> None:
        """Nothing to refit: there is no model."""

    @property
    def fits(self) -> dict[str, FitState]:
        """Empty: there is no model."""
        return {}

    @property
    def calibration(self) -> dict[str, Array]:
        """Empty: there is no model."""
        return {}

    def restore_calibration(self, tables: Mapping[str, Array]) -> None:
        """Nothing to take: there is no model."""


def new_config(
    space: Space,
    points: Array | Iterator[Array],
    history: History,
    ready: list[Config],
    *,
    repeats: bool = False,
) -> Config | None:
    """First allowed configuration among `points` (m, d) that is neither known nor ready, None where there is none.

    With `repeats`, one that completed and is not pending will do as well.
    """
    return next(new_configs(space, points, history, ready, repeats=repeats), None)


def new_configs(
    space: Space,
    points: Array | Iterator[Array],
    history: History,
    ready: list[Config],
    *,
    repeats: bool = False,
) -> Iterator[Config]:
    """Allowed configurations among `points` (m, d), neither known nor ready, each once; as `new_config`."""
    waiting = {space.key(config) for config in ready}
    for point in points:
        config = space.from_unit(point[None])[0]
        wanted = not history.knows(config) or (repeats and history.is_repeatable(config))
        if wanted and space.allows(config) and (key := space.key(config)) not in waiting:
            waiting.add(key)
            yield config

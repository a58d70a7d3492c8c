"""What a surrogate makes of a study's trials, for the figures: predictions, slices, importance, foresight.

Symbols
-------
n   completed trials      d   parameters that vary      m   points      g   places along a parameter
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reverie.report.evidence import Evidence
from utilities.errors import ReverieError
from utilities.fitting import condition, fit_surrogate, transform_of
from utilities.space import Space
from utilities.surrogate import Dataset, Parameters, Posterior
from utilities.trial import Config
from utilities.validity import Validity
from utilities.validity import condition as condition_validity
from utilities.validity import fit as fit_validity

Array = NDArray[np.float64]

FEWEST = 8
"""Completed trials from which on a surrogate says anything."""

GP_UNTIL = 300
"""Completed trials up to which a Gaussian process is fitted where the study has no surrogate of its own."""

MOST_ROWS = 1500
"""Completed trials that a surrogate is conditioned on for the report: the best of them, and of the others evenly."""

PARTS = 5
"""Parts in which trials are predicted from the others."""

BACKGROUND = 64
"""Points over which a partial dependence averages."""

DRAWS, FEW = 16, 24
"""Functions drawn for the interval of a partial dependence, and the points over which each is averaged."""

_DRAWN = 2048

_SEED = 20150705
_Z90 = 1.6448536
"""Standard deviations on each side of the central 90 % of a normal distribution."""


@dataclass(frozen=True)
class Predictions:
    """What was predicted of trials from others, and what came.

    Attributes
    ----------
    numbers : array (m,)
        Of the trials.
    observed, middle, low, high : array (m,)
        The objective; the predictive median, and the borders of the central 90 % interval, noise included.
    """

    numbers: NDArray[np.int64]
    observed: Array
    middle: Array
    low: Array
    high: Array

    @property
    def coverage(self) -> float:
        """Share of the trials within their 90 % intervals."""
        return float(np.mean((self.observed >= self.low) & (self.observed <= self.high)))


@dataclass(frozen=True)
class Slice:
    """Partial dependence on one parameter: the prediction averaged over all others.

    Attributes
    ----------
    places : array (g,)
        In [0, 1].
    middle, low, high : array (g,)
        Median, and the borders of the central 90 % interval of the averaged function.
    """

    places: Array
    middle: Array
    low: Array
    high: Array


class Knowledge:
    """A surrogate of a study's objective.

    The latest fit of the study itself where there is one, conditioned on the trials; else one that is made here.

    Parameters
    ----------
    evidence
        Of a study with at least `FEWEST` completed trials.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._space, self._sign = evidence.space, evidence.sign
        trials = [trial for trial in evidence.completed if np.isfinite(evidence.value(trial))]
        y = evidence.sign * np.array([evidence.value(trial) for trial in trials])
        kept = _kept(y)
        self.numbers = np.array([trials[row].trial.number for row in kept])
        self.configs: list[Config] = [trials[row].trial.config for row in kept]
        points = self._space.to_unit(self.configs)
        self._points = points
        self._data = Dataset(self._space.features(points), y[kept])
        self.kind, self._parameters = self._fit(evidence)

    def _fit(self, evidence: Evidence) -> tuple[str, Parameters]:
        stored = [] if evidence.model is None else list(evidence.model.fits.values())
        fits = [fit for fit in stored if evidence.owns(fit.kind)]
        paused = any(trial.rungs for trial in evidence.trials.values())
        if paused or len(evidence.completed) + len(evidence.failed) < len(evidence.ended):
            fits = []  # what was learned from trials that were ended early, or paused, is not of full ones alone
        own = max(fits, key=lambda fit: fit.rows, default=None)
        if own is not None and 2 * own.rows >= min(len(self._data), MOST_ROWS):
            try:
                condition(own.kind, self._space, own.parameters, self._data)
            except (ReverieError, ValueError, KeyError):
                pass  # a fit by another version, or to other columns
            else:
                return own.kind, own.parameters
        kind = "gp" if len(self._data) <= GP_UNTIL else "dngo"
        return kind, fit_surrogate(kind, self._space, self._data, _SEED, None)

    @cached_property
    def _posterior(self) -> Posterior:
        return condition(self.kind, self._space, self._parameters, self._data)

    def __len__(self) -> int:
        return len(self._data)

    # --- predictions --------------------------------------------------------------------------------------------------

    def predict(self, points: Array) -> tuple[Array, Array, Array]:
        """Median (m,) at `points` (m, d) of the unit cube, and borders of the central 90 % interval, without noise."""
        return self._in_user_units(*_moments(self._posterior, self._space.features(points), noise=False))

    def _in_user_units(self, mean: Array, sd: Array) -> tuple[Array, Array, Array]:
        return self._between(mean, mean - _Z90 * sd, mean + _Z90 * sd)

    def _between(self, *standardised: Array) -> tuple[Array, Array, Array]:
        """A middle, and two borders about it in ascending order, from standardised into the user's units."""
        transform, offset, scale = transform_of(self._parameters), self._posterior.offset, self._posterior.scale
        middle, low, high = (self._sign * transform.invert(offset + scale * value) for value in standardised)
        return middle, np.minimum(low, high), np.maximum(low, high)

    def foresight(self) -> Predictions:
        """Predict each part of the trials from the others: hyperparameters are of all, conditioning is not."""
        rng = np.random.default_rng(_SEED)
        part = rng.permutation(len(self._data)) % PARTS
        found = np.empty((3, len(self._data)))
        for out in range(PARTS):
            others = np.flatnonzero(part != out)
            known = Dataset(self._data.x[others], self._data.y[others])
            posterior = condition(self.kind, self._space, self._parameters, known)
            rows = np.flatnonzero(part == out)
            found[:, rows] = self._in_user_units(*_moments(posterior, self._data.x[rows], noise=True))
        return Predictions(self.numbers, self._sign * self._data.y, *found)

    # --- slices -------------------------------------------------------------------------------------------------------

    def slice_along(self, column: int, places: Array) -> Slice:
        """Partial dependence on a parameter at `places` (g,) in [0, 1]."""
        background = self._background([column])
        grid = np.repeat(background[None], len(places), axis=0)
        grid[:, :, column] = places[:, None]
        mean, _ = self._averaged(grid.reshape(-1, len(self._space)), len(places))
        drawn = self._drawn(grid[:, :FEW].reshape(-1, len(self._space)), len(places))
        low, high = np.quantile(drawn - drawn.mean(axis=0), [0.05, 0.95], axis=0)
        return Slice(places, *self._between(mean, mean + low, mean + high))

    def surface(self, first: int, second: int, places: tuple[Array, Array]) -> Array:
        """Partial dependence (g, h) on two parameters at `places` (g,) and (h,), in the user's units."""
        background = self._background([first, second])[: BACKGROUND // 2]
        a, b = np.meshgrid(*places, indexing="ij")
        grid = np.repeat(background[None], a.size, axis=0)
        grid[:, :, first], grid[:, :, second] = a.reshape(-1, 1), b.reshape(-1, 1)
        mean, sd = self._averaged(grid.reshape(-1, len(self._space)), a.size)
        return self._in_user_units(mean, sd)[0].reshape(a.shape)

    def _background(self, columns: list[int]) -> Array:
        """Trials of the better half, and random points, at which the parameters `columns` are active, where any is.

        Where the search was, the surrogate knows more.
        """
        rng = np.random.default_rng(_SEED)
        good = self._points[np.argsort(self._data.y, kind="stable")[: max(1, len(self._data) // 2)]]
        drawn = [good[rng.integers(len(good), size=_DRAWN)], self._space.snap(rng.random((_DRAWN, len(self._space))))]
        active = [points[self._space.active(points)[:, columns].all(axis=1)] for points in drawn]
        halves = [points[: BACKGROUND // 2] for points in active]
        found = np.vstack(halves)[rng.permutation(sum(map(len, halves)))]
        return found if len(found) else drawn[1][:BACKGROUND]

    def _averaged(self, points: Array, groups: int) -> tuple[Array, Array]:
        mean, sd = _moments(self._posterior, self._space.features(points), noise=False)
        return mean.reshape(groups, -1).mean(axis=1), np.sqrt((sd.reshape(groups, -1) ** 2).mean(axis=1))

    def _drawn(self, points: Array, groups: int) -> Array:
        """Averages (DRAWS, groups) of functions drawn from the posterior, in standardised units."""
        rng, x = np.random.default_rng(_SEED), self._space.features(points)
        drawn = [self._posterior.draw(rng).value(x) for _ in range(DRAWS)]
        return np.asarray(np.stack(drawn).reshape(DRAWS, groups, -1).mean(axis=2))


def _moments(posterior: Posterior, x: Array, *, noise: bool) -> tuple[Array, Array]:
    """Mean (m,) and standard deviation (m,) of the mixture at `x` (m, p), in standardised units, a block at a time."""
    means, deviations = [], []
    for first in range(0, len(x), 2048):
        mean, variance = posterior.predict(x[first : first + 2048])
        each = mean.mean(axis=1)
        spread = variance + (posterior.noise()[:, None] if noise else 0.0)
        means.append(each.mean(axis=0))
        deviations.append(np.sqrt(spread.mean(axis=0) + each.var(axis=0)))
    return np.concatenate(means), np.concatenate(deviations)


def _kept(y: Array) -> NDArray[np.intp]:
    """Rows of at most `MOST_ROWS` objectives (n,), to be minimised, in their order."""
    if len(y) <= MOST_ROWS:
        return np.arange(len(y))
    order = np.argsort(y, kind="stable")
    evenly = np.linspace(MOST_ROWS // 2, len(y) - 1, MOST_ROWS - MOST_ROWS // 2).astype(int)
    return np.sort(np.concatenate([order[: MOST_ROWS // 2], order[np.unique(evenly)]]))


def learn_validity(evidence: Evidence) -> Validity | None:
    """Model of where trials do not fail; None where none failed, or none did not."""
    ended = evidence.settled
    failed = {trial.trial.number for trial in evidence.failed}
    if not failed or len(failed) == len(ended):
        return None
    space: Space = evidence.space
    x = space.features(space.to_unit([trial.trial.config for trial in ended]))
    valid = np.array([trial.trial.number not in failed for trial in ended])
    parameters = fit_validity(x, valid, space.groups)
    return condition_validity(parameters, x, valid, space.groups)

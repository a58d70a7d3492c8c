"""What unknown constraints do to an acquisition, and the keeper of the model that learns them from failed trials.

Symbols
-------
m   points      p   feature columns      n   trials that ended      F   fantasies of pending outcomes
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from utilities.acquisition import Acquisition
from utilities.surrogate import Array, Parameters
from utilities.validity import Validity, condition, fit

OPTIMISM = 1.0
"""Standard deviations of the latent function that the search for validity adds to its mean."""

CAUTION, TRUSTED = 5.0, 0.8
"""Weight of log P / TRUSTED where P[valid] is below that."""

STEPS = ((500, 50), (10_000, 200))
"""From the first number of outcomes on, the posterior is conditioned on all of them at every so-manieth, and told of
those since."""

_TRUSTED = math.log(TRUSTED)
_LOG_HALF = math.log(0.5)
_SLOPE = 100.0


class Feasible:
    """An acquisition on a log scale plus log P[valid] ([P] eq. 9), and `CAUTION` times log P/TRUSTED where P is less.

    The latter is ours. Once the valid region gives nothing more, log EI there falls without end, and by the product
    alone every other trial would be a gamble on a region that is known to fail.

    Parameters
    ----------
    acquisition
        Such as log expected improvement.
    validity
        Given all outcomes and, by fantasies, the pending trials.
    """

    def __init__(self, acquisition: Acquisition, validity: Validity) -> None:
        self._acquisition, self._validity = acquisition, validity

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        logs = self._validity.log_probability(x)
        return self._acquisition.value(x) + logs - CAUTION * np.maximum(_TRUSTED - logs, 0.0)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        value, gradient = self._acquisition.value_and_gradient(x)
        logs, slope = self._validity.log_probability_and_gradient(x)
        doubt = np.maximum(_TRUSTED - logs, 0.0)
        return value + logs - CAUTION * doubt, gradient + slope * (1.0 + CAUTION * (doubt > 0.0))[:, None]

    def rough(self) -> Acquisition:
        """Return the same with the acquisition's rough one."""
        return Feasible(self._acquisition.rough(), self._validity)


class Chance(Protocol):
    """A probability that depends on the point: of being valid, or of keeping constraints on metrics."""

    def log_probability(self, x: Array) -> Array:
        """Log P (m,) at `x` (m, p)."""

    def log_probability_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Log P (m,) and its gradient (m, p)."""


class Weighed:
    """An acquisition on a log scale plus log P.

    Parameters
    ----------
    acquisition
        Such as log expected improvement.
    chance
        Gives P.
    """

    def __init__(self, acquisition: Acquisition, chance: Chance) -> None:
        self._acquisition, self._chance = acquisition, chance

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        return self._acquisition.value(x) + self._chance.log_probability(x)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        value, gradient = self._acquisition.value_and_gradient(x)
        logs, slope = self._chance.log_probability_and_gradient(x)
        return value + logs, gradient + slope

    def rough(self) -> Acquisition:
        """Return the same with the acquisition's rough one."""
        return Weighed(self._acquisition.rough(), self._chance)


class Probably:
    """An acquisition that scores points lower the further their P[valid] is below 1/2, and leaves others alone.

    Parameters
    ----------
    acquisition
        Such as the negative mean, whose unit is a standard deviation of the objective.
    validity
        Given all outcomes.
    """

    def __init__(self, acquisition: Acquisition, validity: Chance) -> None:
        self._acquisition, self._validity = acquisition, validity

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        doubt = np.maximum(_LOG_HALF - self._validity.log_probability(x), 0.0)
        return self._acquisition.value(x) - _SLOPE * doubt

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        value, gradient = self._acquisition.value_and_gradient(x)
        logs, slope = self._validity.log_probability_and_gradient(x)
        doubt = np.maximum(_LOG_HALF - logs, 0.0)
        return value - _SLOPE * doubt, gradient + _SLOPE * slope * (doubt > 0.0)[:, None]

    def rough(self) -> Acquisition:
        """Return the same with the acquisition's rough one."""
        return Probably(self._acquisition.rough(), self._validity)


def promise(validity: Validity, x: Array) -> Array:
    """Upper confidence bound (m,) of the latent function at `x` (m, p): where to look while little valid is known.

    Pending trials, fantasised in `validity`, lower the deviation around them, failed ones the mean.
    """
    mean, deviation = validity.latent(x)
    return np.asarray(mean.mean(axis=0) + OPTIMISM * deviation)


class Constraint:
    """Keeps the posterior of validity up to date with the outcomes.

    Its hyperparameters are refitted after every outcome below 100 and whenever there are at most 10 % more from there
    on, at numbers of outcomes that depend on nothing else: a continued study proposes what it would have.

    Parameters
    ----------
    groups : integer array (p,)
        Group of each feature column.
    """

    def __init__(self, groups: NDArray[np.int64]) -> None:
        self._groups = groups
        self._parameters: Parameters = {}
        self._fitted = 0
        self._base: Validity | None = None
        self._begun = 0
        self._validity: Validity | None = None
        self._known = 0

    def validity(self, x: Array, valid: NDArray[np.bool_]) -> Validity | None:
        """Posterior given outcomes `x` (n, p), `valid` (n,) in the order in which they came; None without a failure."""
        if valid.all():
            return None
        if self._validity is None or self._known != len(x):
            self._refit(x, valid)
            begun = conditioned(len(x))
            if self._base is None or self._begun != begun:
                self._base, self._begun = condition(self._parameters, x[:begun], valid[:begun], self._groups), begun
            self._validity, self._known = self._base.tell(x[begun:], valid[begun:]), len(x)
        return self._validity

    def _refit(self, x: Array, valid: NDArray[np.bool_]) -> None:
        count = scheduled(len(x))
        if count != self._fitted:
            self._parameters, self._fitted = fit(x[:count], valid[:count], self._groups), count
            self._base = None


def scheduled(count: int) -> int:
    """Outcomes, of `count`, that hyperparameters are fitted to: a multiple of 1 below 100, of 10 below 1000, ..."""
    step: int = 10 ** max(0, len(str(count)) - 2)
    return count - count % step


def conditioned(count: int) -> int:
    """Outcomes, of `count`, that the posterior is conditioned on as a whole."""
    step = max((step for least, step in STEPS if count >= least), default=1)
    return count - count % step

"""The surrogate protocol: the slow (fit) apart from the fast (condition), so that a trainer rank can do the slow.

Symbols
-------
n   observations              p   feature columns (``Space.features``)
m   points to predict at      S   mixture components: hyperparameter samples x ensemble members
F   fantasies of the pending outcomes (1 before ``fantasize``)

A posterior is an equally weighted mixture of S Gaussians, each with F means that share one variance: outcomes of
pending trials move the mean and, whatever they turn out to be, shrink the variance by the same amount.

All quantities are in the standardised units of the surrogate: y = (objective - offset) / scale, with offset and scale
in the Parameters, so that data which arrive after a fit are scaled like those the fit saw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Parameters: TypeAlias = Mapping[str, NDArray[np.float64]]
"""What a fit learned: plain float64 arrays by name. They cross MPI and go into HDF5 as they are."""

Pullback: TypeAlias = Callable[[Array, Array], Array]
"""Gradient (m, p) with respect to x of sum(grad_mean * mean) + sum(grad_variance * variance), called with grad_mean
(S, F, m) and grad_variance (S, m): what `Posterior.differentiate` returns beside mean and variance at x."""


class FitState(NamedTuple):
    """Kind of a surrogate, what its latest fit learned, and to how many of the first observations it was fitted."""

    kind: str
    parameters: Parameters
    rows: int


@dataclass(frozen=True)
class Dataset:
    """Observations of completed trials.

    Attributes
    ----------
    x : array (n, p)
        Feature rows.
    y : array (n,)
        Objectives, to be minimised, in the user's units.
    variance : array (n,), optional
        Variance of each objective's noise as far as it is known, beside what a surrogate learns of noise; None where
        nothing is known of any.
    """

    x: Array
    y: Array
    variance: Array | None = None

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.y.shape != (self.x.shape[0],):
            raise ValueError(f"x must be (n, p) and y (n,): got {self.x.shape} and {self.y.shape}")
        if self.variance is not None and self.variance.shape != self.y.shape:
            raise ValueError(f"variance must be (n,) as y: got {self.variance.shape} and {self.y.shape}")

    def __len__(self) -> int:
        return int(self.y.shape[0])

    def some(self, rows: slice | NDArray[np.intp]) -> Dataset:
        """Observations `rows` alone."""
        return Dataset(self.x[rows], self.y[rows], None if self.variance is None else self.variance[rows])

    def scaled_variance(self, scale: float) -> Array | None:
        """Variance (n,) in units of `scale`."""
        return None if self.variance is None else self.variance / scale**2

    def check(self, columns: int, least: int) -> None:
        """Raise ValueError unless there are at least `least` observations, of `columns` columns, all finite."""
        if len(self) < least or self.x.shape[1] != columns:
            raise ValueError(f"need at least {least} observations of {columns} columns: got x of shape {self.x.shape}")
        if not (np.isfinite(self.x).all() and np.isfinite(self.y).all()):
            raise ValueError("x and y must be finite: failed trials have no objective")
        if self.variance is not None and not (np.isfinite(self.variance).all() and (self.variance >= 0.0).all()):
            raise ValueError("variance must be finite and not negative")


class DrawnFunction(Protocol):
    """A function drawn from a posterior, in standardised units."""

    def value(self, x: Array) -> Array:
        """Value (m,) at `x` (m, p)."""

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Value (m,) and gradient (m, p)."""


class Posterior(Protocol):
    """Predictive distribution of the noise-free objective, in standardised units."""

    @property
    def offset(self) -> float:
        """Objective that stands at 0 in standardised units."""

    @property
    def scale(self) -> float:
        """Length of the standardised unit, in the user's."""

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Predict at `x` (m, p): mean (S, F, m) and variance (S, m), without observation noise."""

    def differentiate(self, x: Array) -> tuple[Array, Array, Pullback]:
        """`predict` at `x`, and a function that turns weights of the predictions into a gradient."""

    def noise(self) -> Array:
        """Variance (S,) of the observation noise of each component."""

    def extend(self, x: Array, y: Array, variance: Array | None = None) -> Posterior:
        """Posterior with `k` more observations: `x` (k, p), `y` (k,) in the user's units. Cheaper than `condition`.

        The known `variance` (k,) of their noise is in the user's units squared.
        """

    def noise_of(self, variance: Array | None) -> Array:
        """Variance (S, 1), or (S, k) given the known `variance` (k,), of the noise of observations.

        `variance` is in the user's units squared, what is returned in standardised units.
        """

    def fantasize(self, x_pending: Array, count: int, rng: np.random.Generator) -> Posterior:
        """Posterior with `count` sampled outcomes at the pending points (q, p): F = count.

        Outcomes are drawn jointly over the q points, separately for each component. Called on a posterior with F = 1.
        """

    def thin(self, components: int) -> Posterior:
        """Posterior of about `components` of the components, fantasies averaged over: cheaper."""

    def affordable(self, pending: int) -> Posterior:
        """Posterior thinned to what is affordable with so many pending points to come."""

    def relevant(self, x_pending: Array) -> Array:
        """Return the most promising ones of the pending points (q, p), as many as it affords to be conditioned on."""

    def for_batch(self, turn: int, pending: int) -> Posterior:
        """Few of the components, cheap enough to choose a batch by, with so many pending points to come.

        In another `turn` they may be others.
        """

    def root(self, x: Array) -> Array:
        """Root A (S, m, R) of the covariance at `x` (m, p), without noise: it is ``A A^T`` for each component."""

    def draw(self, rng: np.random.Generator) -> DrawnFunction:
        """Draw a function of a component and fantasy chosen at random, to be evaluated anywhere."""


class Surrogate(Protocol):
    """A regression model that a run can refit in one place and condition in another."""

    def fit(self, data: Dataset, rng: np.random.Generator, previous: Parameters | None = None) -> Parameters:
        """Learn weights or hyperparameters from at least 2 observations; `previous` warm-starts the search. Slow."""

    def condition(self, parameters: Parameters, data: Dataset) -> Posterior:
        """Posterior given `data` under `parameters` (learned from these or from fewer observations). Fast."""


def standardisation(y: Array) -> tuple[float, float]:
    """Offset and scale that give `y` mean 0 and standard deviation 1 (scale 1 where all values are equal)."""
    size = max(1.0, float(np.max(np.abs(y))))
    spread = float(np.std(y / size))  # divided first: the square of 1e200 overflows
    return float(np.mean(y / size)) * size, spread * size if spread > 1e-12 else 1.0

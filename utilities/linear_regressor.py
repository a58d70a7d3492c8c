"""Bayesian linear regression on basis functions, with a quadratic prior mean and its evidence (Snoek et al. 2015, [P]).

Symbols
-------
N        observations                        Phi     design matrix, (N, D): basis functions of each observation
D        basis functions                     B       [1, x, x^2], (N, 1 + 2p): the prior mean is linear in it
p        feature columns                     y       objectives in standardised units, (N,)
alpha    precision of the weights            beta    precision of the noise
lambda_, c, Lambda   bottom, centre (p,) and curvatures (p,) of the bowl ``eta(x) = lambda_ + sum Lambda (x - c)^2``
theta    the same as coefficients of B, (1 + 2p,): ``eta(X) = B theta``
t        (-theta, 1): the residual is ``r = y - eta(X) = [B y] t``
V, s     eigenvectors (D, D) and eigenvalues (D,) of ``Phi^T Phi``; ``q = beta s + alpha`` are those of ``K`` ([P] eq 6)
z        (log alpha, log beta, lambda_, c, log Lambda), (3 + 2p,): what is slice-sampled

Everything that the data say is in the Gram matrix ``[Phi B y]^T [Phi B y]``, so neither an evidence nor a posterior of
the weights costs O(N). Observations whose noise is known enter it with `row_weights`. [P] has neither the Gram form nor
the priors' numbers, which are ours.

Priors, for y of standard deviation 1 and x in about [0, 1]; all proper, so that two observations suffice:

- log alpha ~ Normal(log D - 1, 2): a trained tanh basis has |phi|^2 of about D/3, which gives a prior variance of about
  1, and two standard deviations reach from 1/50 to 50.
- 1/beta: log beta ~ Normal(7, 2), cut to 1/beta in [1e-6, 10]. Median at noise of 3 % of the standard deviation of y:
  most objectives are nearly noise-free, and a finite basis needs some slack. Two deviations reach 22 %; 50 data that
  say otherwise outweigh it. At the floor beta N is 1e11 for N = 1e5, which leaves five digits to double precision.
- lambda_ ~ Normal(0, 2): the bottom of the bowl lies within reach of the data.
- c_k ~ Normal(0.5, 0.25): inside the cube, rather than at its faces ([P]: a Gaussian around 0.5).
- Lambda_k ~ horseshoe with scale 0.1, by its approximation log(1 + 2 (0.1 / Lambda)^2) of Carvalho et al. 2010: a pole
  at 0 (no bowl) and a heavy tail (a steep one).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lstsq

from utilities.slice_sampling import slice_samples

Array = NDArray[np.float64]

LOG_ALPHA_DEVIATION, ALPHA_REACH = 2.0, 6.0
LOG_BETA_MEAN, LOG_BETA_DEVIATION = 7.0, 2.0
NOISE_FLOOR, NOISE_CEILING = 1e-6, 10.0
BOTTOM_DEVIATION = 2.0
CENTRE_MEAN, CENTRE_DEVIATION = 0.5, 0.25
EXTRA_NOISE = float(np.exp(-LOG_BETA_MEAN))
HORSESHOE_SCALE = 0.1
CURVATURE_FLOOR, CURVATURE_CEILING = 1e-6, 1e3
LEAST_FITTED_CURVATURE = 1e-4

COLD_SWEEPS, WARM_SWEEPS = 10, 3
_INTERVAL = 2.0  # of the slice sampler: no coordinate's prior is much wider, and shrinking it costs a logarithm


@dataclass(frozen=True)
class Gram:
    """Sufficient statistics of the observations.

    Attributes
    ----------
    matrix : array (D + 2p + 2, D + 2p + 2)
        ``[Phi B y]^T [Phi B y]``.
    count
        Number of observations N.
    features
        Number of basis functions D.
    """

    matrix: Array
    count: int
    features: int

    @classmethod
    def empty(cls, features: int, columns: int) -> Gram:
        """Statistics of no observations of `features` basis functions and `columns` feature columns."""
        size = features + 2 * columns + 2
        return cls(np.zeros((size, size)), 0, features)

    def add(self, phi: Array, x: Array, y: Array, weights: Array | None = None) -> Gram:
        """Return the statistics with k more observations: `phi` (k, D), `x` (k, p), `y` (k,), `weights` (k,)."""
        rows = np.concatenate([phi, quadratic_basis(x), y[:, None]], axis=1)
        if weights is not None:
            rows *= np.sqrt(weights)[:, None]
        return Gram(self.matrix + rows.T @ rows, self.count + len(rows), self.features)

    @cached_property
    def spectrum(self) -> Spectrum:
        """The statistics in the eigenbasis of ``Phi^T Phi``: one decomposition serves every alpha and beta."""
        d = self.features
        values, vectors = np.linalg.eigh(self.matrix[:d, :d])
        cross = vectors.T @ self.matrix[:d, d:]
        return Spectrum(vectors, np.maximum(values, 0.0), cross, self.matrix[d:, d:], self.count)


@dataclass(frozen=True)
class Spectrum:
    """Sufficient statistics in the eigenbasis of ``Phi^T Phi``.

    Attributes
    ----------
    vectors : array (D, D)
        V, an eigenvector a column.
    values : array (D,)
        s, none below 0.
    cross : array (D, 2p + 2)
        ``V^T Phi^T [B y]``.
    square : array (2p + 2, 2p + 2)
        ``[B y]^T [B y]``.
    count
        Number of observations N.
    """

    vectors: Array
    values: Array
    cross: Array
    square: Array
    count: int

    @property
    def columns(self) -> int:
        """Number of feature columns p."""
        return int(self.cross.shape[1] - 2) // 2


def quadratic_basis(x: Array) -> Array:
    """Return B (N, 1 + 2p) of `x` (N, p)."""
    return np.concatenate([np.ones((len(x), 1)), x, x * x], axis=1)


def row_weights(variance: Array | None) -> Array | None:
    """Weights (N,) of observations whose noise has a known `variance` (N,), in standardised units; None gives None.

    An observation of weight w has noise of variance 1 / (beta w). With 1/beta at `EXTRA_NOISE`, the median of its
    prior, that is the known variance and what any finite basis needs besides; the evidence scales all of it.
    """
    return None if variance is None else np.asarray(EXTRA_NOISE / (EXTRA_NOISE + variance))


def mean_coefficients(z: Array) -> Array:
    """Return theta (..., 1 + 2p) of hyperparameters `z` (..., 3 + 2p)."""
    p = (z.shape[-1] - 3) // 2
    centre, curvature = z[..., 3 : 3 + p], np.exp(z[..., 3 + p :])
    bottom = z[..., 2:3] + np.sum(curvature * centre**2, axis=-1, keepdims=True)
    return np.concatenate([bottom, -2.0 * curvature * centre, curvature], axis=-1)


def log_evidence(spectrum: Spectrum, z: Array) -> float:
    """Log density of y given hyperparameters `z` (3 + 2p,), the weights integrated out: [P] eq 7 in O(D p + p^2).

    With observations of known noise, up to a constant, 1/2 sum log w of their `row_weights`.

    With ``b = V^T Phi^T r``, ``m^T K m = beta^2 sum b^2 / q`` completes the square of [P] eq 7.
    """
    alpha, beta = np.exp(z[0]), np.exp(z[1])
    t = np.append(-mean_coefficients(z), 1.0)
    b = spectrum.cross @ t
    q = beta * spectrum.values + alpha
    misfit = beta * (t @ spectrum.square @ t - beta * np.sum(b * b / q))
    normaliser = len(q) * z[0] + spectrum.count * (z[1] - np.log(2.0 * np.pi)) - np.sum(np.log(q))
    return float(0.5 * (normaliser - misfit))


def squared_misfits(
    spectrum: Spectrum, z: Array, phi: Array, x: Array, y: Array, weights: Array | None = None
) -> Array:
    """Squared errors of new observations over their predictive variances ([P] eq 3 and 4): near 1 if z is honest.

    Parameters
    ----------
    spectrum
        Observations that the predictions are made from.
    z : array (3 + 2p,)
        Hyperparameters.
    phi : array (m, D)
        Basis functions of the new observations.
    x : array (m, p)
        Their feature columns.
    y : array (m,)
        Their objectives.
    weights : array (m,), optional
        Their `row_weights`.
    """
    alpha, beta = np.exp(z[0]), np.exp(z[1])
    theta = mean_coefficients(z)
    q = beta * spectrum.values + alpha
    psi = phi @ spectrum.vectors
    mean = psi @ (beta * (spectrum.cross @ np.append(-theta, 1.0)) / q) + quadratic_basis(x) @ theta
    variance = (psi * psi) @ (1.0 / q) + 1.0 / (beta if weights is None else beta * weights)
    return np.asarray((y - mean) ** 2 / variance)


def log_alpha_mean(features: int) -> float:
    """Prior mean of log alpha for `features` basis functions."""
    return float(np.log(features)) - 1.0


def log_prior(z: Array, features: int) -> float:
    """Log prior density of `z` (3 + 2p,) up to a constant, for `features` basis functions; -inf outside its support."""
    p = (len(z) - 3) // 2
    scaled_alpha = (z[0] - log_alpha_mean(features)) / LOG_ALPHA_DEVIATION
    noise, curvature = np.exp(-z[1]), np.exp(z[3 + p :])
    if (
        abs(scaled_alpha) > ALPHA_REACH
        or not NOISE_FLOOR <= noise <= NOISE_CEILING
        or np.any((curvature < CURVATURE_FLOOR) | (curvature > CURVATURE_CEILING))
    ):
        return -np.inf
    scaled_beta, scaled_bottom = (z[1] - LOG_BETA_MEAN) / LOG_BETA_DEVIATION, z[2] / BOTTOM_DEVIATION
    scaled_centre = (z[3 : 3 + p] - CENTRE_MEAN) / CENTRE_DEVIATION
    squares = scaled_alpha**2 + scaled_beta**2 + scaled_bottom**2 + scaled_centre @ scaled_centre
    return float(-0.5 * squares + np.sum(log_horseshoe(curvature)))


def log_horseshoe(curvature: Array) -> Array:
    """Log density of log Lambda, up to a constant, under the horseshoe on Lambda (its Jacobian is in it)."""
    return np.asarray(np.log(curvature * np.log1p(2.0 * (HORSESHOE_SCALE / curvature) ** 2)))


def sample_hyperparameters(
    spectrum: Spectrum, rng: np.random.Generator, *, count: int, previous: Array | None = None
) -> Array:
    """Slice-sample hyperparameters from prior x evidence.

    A sweep of the chain moves in one random direction, then along every coordinate, and so forgets most of where it
    was: measured on 2 to 20 columns, 1-3 sweeps an independent sample, where random directions alone need 10-500.

    Parameters
    ----------
    spectrum
        The observations.
    rng
        Source of randomness.
    count
        Number of samples.
    previous : array (3 + 2p,), optional
        Sample given fewer observations, from which to go on with a shorter burn-in. It is passed over where its density
        is e^(3 + 2p) below that of the best point of a search, more than a sample's usually is below the mode's.

    Returns
    -------
    array (count, 3 + 2p)
        Samples, one sweep apart.
    """
    features = len(spectrum.values)

    def log_density(z: Array) -> float:
        prior = log_prior(z, features)
        return prior + log_evidence(spectrum, z) if prior > -np.inf else prior

    start, burn_in = _search_start(log_density, spectrum), COLD_SWEEPS
    if previous is not None and log_density(previous) > log_density(start) - start.size:
        start, burn_in = previous, WARM_SWEEPS
    return slice_samples(log_density, start, rng, count=count, burn_in=burn_in, width=_INTERVAL, coordinates=True)


def _search_start(log_density: Callable[[Array], float], spectrum: Spectrum) -> Array:
    """Best point of a grid in (log alpha, log beta), with a shallow bowl and with the bowl that fits best there.

    Where the objective is a bowl, the posterior is a needle that a chain from afar takes thousands of moves to find.
    """
    p = spectrum.columns
    shallow = np.concatenate([[0.0], np.full(p, CENTRE_MEAN), np.full(p, np.log(HORSESHOE_SCALE))])
    middle = log_alpha_mean(len(spectrum.values))
    alphas = middle + LOG_ALPHA_DEVIATION * np.linspace(-2.0, 4.0, 7)
    betas = np.linspace(-np.log(NOISE_CEILING), -np.log(NOISE_FLOOR), 8)
    precisions = [np.array([log_alpha, log_beta]) for log_alpha in alphas for log_beta in betas]
    grid = [np.append(pair, bowl) for pair in precisions for bowl in (shallow, _best_bowl(spectrum, pair))]
    return max(grid, key=log_density)


def _best_bowl(spectrum: Spectrum, precisions: Array) -> Array:
    """(lambda_, c, log Lambda) of greatest evidence given (log alpha, log beta): generalised least squares.

    A column whose curvature comes out negative leaves the bowl, and the rest are fitted again.
    """
    p = spectrum.columns
    alpha, beta = np.exp(precisions)
    shrunk = spectrum.cross * (beta / (beta * spectrum.values + alpha))[:, None]
    normal = spectrum.square - spectrum.cross.T @ shrunk
    kept = np.arange(p)
    while True:
        rows = np.concatenate([[0], 1 + kept, 1 + p + kept])
        theta = lstsq(normal[np.ix_(rows, rows)], normal[rows, -1], lapack_driver="gelsy")[0]
        slope, curvature = theta[1 : 1 + kept.size], theta[1 + kept.size :]
        convex = curvature > LEAST_FITTED_CURVATURE
        if convex.all():
            break
        kept = kept[convex]
    centre, log_curvature = np.full(p, CENTRE_MEAN), np.full(p, np.log(LEAST_FITTED_CURVATURE))
    centre[kept], log_curvature[kept] = -0.5 * slope / curvature, np.log(curvature)
    bottom = theta[0] - np.sum(np.exp(log_curvature) * centre**2)
    return np.concatenate([[bottom], centre, log_curvature])

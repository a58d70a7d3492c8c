"""The probability that a trial does not fail: Bayesian logistic regression on kernel functions, learned from outcomes.

Symbols
-------
n   outcomes kept         p   feature columns (``Space.features``)      g   groups of columns that share a lengthscale
m   points                q   pending trials         F   fantasies of their outcomes (1 before ``fantasize``)
k       kernel functions, n + q       theta (g + 1,)   log lengthscales (g), log amplitude

A trial at x fails where the latent function f is negative. f has the prior covariance

    k(x, x') = BIAS^2 + amplitude^2 Matern-5/2(|x - x'| / lengthscale)

and is learned through the likelihood of `utilities.laplace`, which allows for wrong labels. The basis is k(., x_i) at
the outcomes kept, its weights have a Laplace posterior, and theta maximises the Laplace evidence times its prior. With
n outcomes this is the same as a Gaussian process; a finite basis that is as accurate (200 random Fourier features) or a
trained network's last layer costs more. Constraints are taken as free of noise, so P[valid | x] = P[f(x) > 0] =
Phi(mean / sd), the step likelihood of Snoek et al. 2015 ([P], section 3.3; Gelbart et al. 2014, arXiv 1403.5607):
averaging the logistic function instead predicts held-out outcomes worse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from scipy.special import expit, log_ndtr

from utilities.cholesky import inverse_of_triangle, jittered_cholesky
from utilities.kernels import distance_pullback, matern52, matern52_and_slope, squared_distances
from utilities.laplace import evidence_gradient, find_mode, targets
from utilities.surrogate import Array, Parameters

Labels = NDArray[np.bool_]

BIAS = 2.0
"""Prior standard deviation of the latent function's mean."""

LENGTHSCALE_PRIOR = (math.log(0.4), 1.0)
"""Location, in one dimension, and scale of the normal prior on log lengthscales; the former grows by log g / 2."""

AMPLITUDE_PRIOR = (math.log(5.0), 0.5)
"""Location and scale of the normal prior on the log amplitude."""

FITTED, KEPT, COMPARED, PENDING = 150, 300, 2000, 200
"""Most outcomes that theta is fitted to, that a posterior is made from, and of a kind that are compared with the other;
most pending trials whose outcomes are fantasised."""

FANTASIES = 16
"""Of the outcomes of pending trials."""

_SEARCH = 15
_REACH = 4.0
_SWEEPS = 20
_CURVATURE = 0.25
_SMALLEST_VARIANCE = 1e-9
_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class ValidityKernel:
    """The prior covariance of the latent function.

    Attributes
    ----------
    inverse_lengthscale : array (p,)
    amplitude
        Standard deviation of the latent function about its mean.
    """

    inverse_lengthscale: Array
    amplitude: float

    @classmethod
    def of(cls, theta: Array, groups: NDArray[np.int64]) -> ValidityKernel:
        """Kernel of hyperparameters `theta` (g + 1,) for columns in `groups` (p,)."""
        return cls(np.exp(-theta[:-1])[groups], math.exp(theta[-1]))

    @property
    def variance(self) -> float:
        """k(x, x), the same at all x."""
        return BIAS**2 + self.amplitude**2

    def between(self, a: Array, b: Array) -> Array:
        """Covariance (m, n) of `a` (m, p) with `b` (n, p)."""
        return np.asarray(BIAS**2 + self.amplitude**2 * matern52(self._squares(a, b)))

    def between_and_slope(self, a: Array, b: Array) -> tuple[Array, Array]:
        """`between`, and its derivative by the squared distance in lengthscales."""
        value, slope = matern52_and_slope(self._squares(a, b))
        return BIAS**2 + self.amplitude**2 * value, self.amplitude**2 * slope

    def pullback(self, a: Array, b: Array, grad_squares: Array) -> Array:
        """Gradient (m, p) by `a` of a scalar with gradient `grad_squares` (m, n) in the squared distances."""
        scale = self.inverse_lengthscale
        return np.asarray(distance_pullback(a * scale, b * scale, grad_squares) * scale)

    def _squares(self, a: Array, b: Array) -> Array:
        return squared_distances(a * self.inverse_lengthscale, b * self.inverse_lengthscale)


def informative(x: Array, valid: Labels, most: int) -> NDArray[np.intp]:
    """Rows, ascending, of at most `most` outcomes: half of them those nearest to the other kind, the rest evenly.

    Of each kind at most `COMPARED` are looked at, evenly chosen. Where all are of one kind, all are taken evenly.

    Parameters
    ----------
    x : array (n, p)
    valid : boolean array (n,)
    most
        An even number.
    """
    if len(x) <= most:
        return np.arange(len(x))
    looked_at = np.concatenate([_evenly(np.flatnonzero(valid == kind), COMPARED) for kind in (False, True)])
    looked_at = np.sort(looked_at)
    nearest = looked_at[np.argsort(_distance_to_others(x[looked_at], valid[looked_at]), kind="stable")[: most // 2]]
    others = np.ones(len(x), dtype=np.bool_)
    others[nearest] = False
    return np.sort(np.concatenate([nearest, _evenly(np.flatnonzero(others), most // 2)]))


def _evenly(rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.intp)]


def _distance_to_others(x: Array, valid: Labels) -> Array:
    """Distance (n,) of each of `x` (n, p) to the nearest one of the other kind, 0 where there is none."""
    distance = np.zeros(len(x))
    if valid.any() and not valid.all():
        distance[valid] = cKDTree(x[~valid]).query(x[valid])[0]
        distance[~valid] = cKDTree(x[valid]).query(x[~valid])[0]
    return distance


def fit(x: Array, valid: Labels, groups: NDArray[np.int64]) -> Parameters:
    """Learn the hyperparameters from at most `FITTED` of the outcomes.

    Deterministic, and always from the prior's median: what was fitted before leaves no trace, so that a study that is
    continued proposes what it would have.

    Parameters
    ----------
    x : array (n, p)
        Feature rows of trials that ended.
    valid : boolean array (n,)
        Whether each one did not fail.
    groups : integer array (p,)
        Group of each column.

    Returns
    -------
    dict of arrays
        ``theta`` (g + 1,).

    Raises
    ------
    ValueError
        x is not finite, or not as long as valid.
    """
    if len(x) != len(valid) or not np.isfinite(x).all():
        raise ValueError(f"x must be finite and as long as valid: got {x.shape} and {valid.shape}")
    rows = informative(x, valid, FITTED)
    return {"theta": _Evidence(x[rows], valid[rows], groups).maximise()}


class _Evidence:
    """Laplace evidence times prior, as a function of theta."""

    def __init__(self, x: Array, valid: Labels, groups: NDArray[np.int64]) -> None:
        count = int(groups.max()) + 1
        columns = [groups == group for group in range(count)]
        self._squares = np.stack([squared_distances(x[:, c], x[:, c]) for c in columns])
        self._target = targets(valid)
        self._dual = np.zeros(len(x))
        location = LENGTHSCALE_PRIOR[0] + 0.5 * math.log(count)
        self.mean = np.array([location] * count + [AMPLITUDE_PRIOR[0]])
        self.deviation = np.array([LENGTHSCALE_PRIOR[1]] * count + [AMPLITUDE_PRIOR[1]])

    def maximise(self) -> Array:
        """Theta at a maximum, within 4 prior deviations of the prior's median."""
        reach = _REACH * self.deviation
        bounds = list(zip(self.mean - reach, self.mean + reach, strict=True))
        options = {"maxiter": _SEARCH}
        found = minimize(self.negative, self.mean, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return np.asarray(found.x)

    def negative(self, theta: Array) -> tuple[float, Array]:
        """Minus the log density at `theta`, up to a constant, and its gradient (g + 1,)."""
        shares = np.exp(-2.0 * theta[:-1])
        matern, by_square = matern52_and_slope(np.tensordot(shares, self._squares, axes=1))
        power = math.exp(2.0 * theta[-1])
        matern *= power
        covariance = matern + BIAS**2
        mode = find_mode(covariance, self._target, self._dual)
        self._dual = mode.dual
        by_covariance = evidence_gradient(covariance, mode)
        by_square *= power * by_covariance
        by_length = -2.0 * shares * np.tensordot(self._squares, by_square, axes=2)
        by_amplitude = 2.0 * np.vdot(by_covariance, matern)
        standard = (theta - self.mean) / self.deviation
        value = mode.log_evidence - 0.5 * float(standard @ standard)
        return -value, standard / self.deviation - np.append(by_length, by_amplitude)


class _Joint(NamedTuple):
    """Distribution of the latent function at q points: covariance (q, q), mean (q,); and ``T k`` there, (q, k)."""

    covariance: Array
    mean: Array
    whitened: Array


@dataclass(frozen=True)
class Validity:
    """Posterior of the latent function: F Gaussian processes of one variance.

    Attributes
    ----------
    kernel
        Its prior covariance.
    x : array (k, p)
        Outcomes, then pending trials.
    dual : array (F, k)
        Weights of the kernel functions in the mean, for each fantasy.
    whitener : array (k, k)
        T, with which the variance is ``k(x, x) - |T k|^2``, k being the kernel functions at x.
    """

    kernel: ValidityKernel
    x: Array
    dual: Array
    whitener: Array

    def latent(self, x: Array) -> tuple[Array, Array]:
        """Mean (F, m) and standard deviation (m,) of the latent function at `x` (m, p)."""
        cross = self.kernel.between(x, self.x)
        return self.dual @ cross.T, self._deviation(cross @ self.whitener.T)

    def _deviation(self, whitened: Array) -> Array:
        variance = self.kernel.variance - np.einsum("mk,mk->m", whitened, whitened)
        return np.asarray(np.sqrt(np.maximum(variance, _SMALLEST_VARIANCE)))

    def pullback(self, x: Array, grad_mean: Array, grad_deviation: Array) -> Array:
        """Gradient (m, p) by `x` of ``sum(grad_mean * mean) + sum(grad_deviation * deviation)``.

        `grad_mean` is (F, m), `grad_deviation` is (m,).
        """
        cross, slope = self.kernel.between_and_slope(x, self.x)
        whitened = cross @ self.whitener.T
        share = grad_deviation / self._deviation(whitened)
        slope *= grad_mean.T @ self.dual - share[:, None] * (whitened @ self.whitener)
        return self.kernel.pullback(x, self.x, slope)

    def log_probability(self, x: Array) -> Array:
        """Log P[valid] (m,) at `x` (m, p), averaged over fantasies."""
        mean, deviation = self.latent(x)
        return _log_mean(log_ndtr(mean / deviation))[0]

    def likely(self, x: Array) -> Labels:
        """Whether P[valid] >= 1/2 at each of `x` (m, p): (m,)."""
        return np.asarray(self.log_probability(x) >= math.log(0.5))

    def relevant(self, x_pending: Array) -> Array:
        """At most `PENDING` of the pending trials (q, p): those whose outcomes are least certain. Called with F = 1."""
        if len(x_pending) <= PENDING:
            return x_pending
        mean, deviation = self.latent(x_pending)
        doubtful = np.argsort(np.abs(mean[0] / deviation), kind="stable")[:PENDING]
        return x_pending[np.sort(doubtful)]

    def with_pending(self, x_pending: Array, rng: np.random.Generator) -> Validity:
        """Posterior with `FANTASIES` of what becomes of the pending trials (q, p). Called with F = 1."""
        return self.fantasize(self.relevant(x_pending), FANTASIES, rng) if len(x_pending) else self

    def log_probability_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """`log_probability`, and its gradient (m, p)."""
        mean, deviation = self.latent(x)
        z = mean / deviation
        logs = log_ndtr(z)
        value, share = _log_mean(logs)
        by_z = share * np.exp(-0.5 * z * z - _LOG_ROOT_2PI - logs)
        by_deviation = -np.sum(by_z * z, axis=0) / deviation
        return value, self.pullback(x, by_z / deviation, by_deviation)

    def fantasize(self, x_pending: Array, count: int, rng: np.random.Generator) -> Validity:
        """Posterior with `count` sampled outcomes of the pending trials `x_pending` (q, p): F = count.

        Outcomes are Bernoulli draws, joint over the q trials: the signs of latent values drawn together. The latent
        values there are then those of a logistic regression whose prior is this posterior. All fantasies share one
        curvature bound (Boehning & Lindsay 1988), so one factor serves all of them and every sweep gains, and one
        variance, by the mean of their curvatures. Called on a posterior with F = 1.
        """
        joint = self._joint(x_pending)
        noise = rng.standard_normal((count, len(joint.mean)))
        return self._told(x_pending, joint, targets(joint.mean + noise @ jittered_cholesky(joint.covariance).T > 0.0))

    def tell(self, x: Array, valid: Labels) -> Validity:
        """Posterior with the outcomes `valid` (k,) of `x` (k, p), too: as `fantasize`, but that they are known.

        Cheaper than `condition` on all outcomes, and nearly the same. Called on a posterior with F = 1.
        """
        return self._told(x, self._joint(x), targets(valid)[None]) if len(x) else self

    def _joint(self, x: Array) -> _Joint:
        cross = self.kernel.between(x, self.x)
        whitened = cross @ self.whitener.T
        covariance = self.kernel.between(x, x) - whitened @ whitened.T
        return _Joint(covariance, np.asarray(cross @ self.dual[0]), whitened)

    def _told(self, x: Array, joint: _Joint, target: Array) -> Validity:
        """Posterior with outcomes `target` (F, q) at `x` (q, p)."""
        covariance, mean, whitened = joint
        weights, probability = _regress(mean, covariance, target)
        curvature = np.mean(probability * (1.0 - probability), axis=0)
        inverse = inverse_of_triangle(jittered_cholesky(covariance + np.diag(1.0 / curvature)))
        away = whitened @ self.whitener
        known, new = len(self.x), len(mean)
        whitener = np.zeros((known + new, known + new))
        whitener[:known, :known] = self.whitener
        whitener[known:, :known] = -inverse @ away
        whitener[known:, known:] = inverse
        dual = np.hstack([self.dual[0] - weights @ away, weights])
        return Validity(self.kernel, np.vstack([self.x, x]), dual, whitener)


def condition(parameters: Parameters, x: Array, valid: Labels, groups: NDArray[np.int64]) -> Validity:
    """Posterior given at most `KEPT` of the outcomes `x` (n, p), `valid` (n,), under `parameters`."""
    rows = informative(x, valid, KEPT)
    kernel = ValidityKernel.of(parameters["theta"], groups)
    places = x[rows]
    mode = find_mode(kernel.between(places, places), targets(valid[rows]))
    return Validity(kernel, places, mode.dual[None], mode.whitener)


def _regress(mean: Array, covariance: Array, target: Array) -> tuple[Array, Array]:
    """Dual weights and probabilities, (F, q) each, of logistic regressions to `target` (F, q).

    Their latent values have the prior N(mean, covariance). Each sweep maximises the quadratic lower bound at the last.
    """
    bound = covariance + np.eye(len(mean)) / _CURVATURE
    inverse = inverse_of_triangle(jittered_cholesky(bound))
    latent = np.broadcast_to(mean, target.shape)
    for _ in range(_SWEEPS):
        wanted = latent + (target - expit(latent)) / _CURVATURE
        weights = (wanted - mean) @ inverse.T @ inverse
        latent = mean + weights @ covariance
    return weights, expit(latent)


def _log_mean(logs: Array) -> tuple[Array, Array]:
    """Log of the mean over the first axis (F, m) -> (m,), and each element's share of the sum."""
    peak = logs.max(axis=0)
    values = np.exp(logs - peak)
    total = values.sum(axis=0)
    return np.asarray(peak + np.log(total / len(logs))), values / total

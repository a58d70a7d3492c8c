"""Laplace approximation of a Gaussian process with yes-or-no outcomes, and its evidence with a gradient.

Symbols
-------
n   outcomes      K (n, n)   prior covariance of the latent values      f (n,)   latent values
t (n,)   targets: `NOISE` for no, 1 - `NOISE` for yes                   sigma(f) = 1 / (1 + exp(-f))
a (n,)   dual weights, f = K a; at the mode a = t - sigma(f)            W = sigma(f) (1 - sigma(f)), (n,)
B = I + W^1/2 K W^1/2 = L L^T                                           R = W^1/2 B^-1 W^1/2, (n, n)

The likelihood is sigma(f)^t (1 - sigma(f))^(1 - t), logistic regression with smoothed labels. It is log-concave, so the
mode is unique, and no label asks for a latent value beyond logit(1 - NOISE) = 4.6: a wrong one can be outvoted.

Equations are of Rasmussen & Williams 2006, "Gaussian Processes for Machine Learning" [RW], chapters 3 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from utilities.cholesky import cholesky, inverse_of_triangle

Array = NDArray[np.float64]

NOISE = 0.01
"""Share of labels that may be wrong."""

STEPS = 30
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Mode:
    """Posterior mode of the latent values.

    Attributes
    ----------
    latent : array (n,)
        f.
    dual : array (n,)
        a.
    whitener : array (n, n)
        L^-1 W^1/2, lower triangular: R is its transpose times itself.
    height
        log p(labels, f) up to the prior's normaliser, ``sum log-likelihood - a^T f / 2``.
    """

    latent: Array
    dual: Array
    whitener: Array
    height: float

    @property
    def log_evidence(self) -> float:
        """Laplace approximation of log p(labels) ([RW] eq 3.32)."""
        weight = expit(self.latent) * expit(-self.latent)
        log_factor = 0.5 * np.log(weight) - np.log(np.diagonal(self.whitener))
        return self.height - float(np.sum(log_factor))


def targets(valid: NDArray[np.bool_]) -> Array:
    """Smoothed labels t (n,)."""
    return np.where(valid, 1.0 - NOISE, NOISE)


def find_mode(covariance: Array, target: Array, start: Array | None = None) -> Mode:
    """Newton's method from dual weights `start` (n,), or from zeros ([RW] algorithm 3.1), steps halved where needed.

    A start below zeros is passed over: where it belongs to a much smaller covariance, no step would lead out of where
    all probabilities are 0 or 1 to the last digit.

    Parameters
    ----------
    covariance : array (n, n)
        K.
    target : array (n,)
        t.
    """
    dual = np.zeros(len(target))
    latent, height = _height(covariance, dual, target)
    if start is not None and (found := _height(covariance, start, target))[1] > height:
        dual, (latent, height) = start, found
    for _ in range(STEPS):
        weight = expit(latent) * expit(-latent)
        whitener = _whitener(covariance, weight)
        b = weight * latent + target - expit(latent)
        step = b - whitener.T @ (whitener @ (covariance @ b)) - dual
        gained = False
        for scale in (1.0, 0.5, 0.25, 0.1, 0.01):
            trial = dual + scale * step
            reached, value = _height(covariance, trial, target)
            if value > height + _TOLERANCE:
                dual, latent, height, gained = trial, reached, value, True
                break
        if not gained:
            break
    weight = expit(latent) * expit(-latent)
    return Mode(latent, dual, _whitener(covariance, weight), height)


def _height(covariance: Array, dual: Array, target: Array) -> tuple[Array, float]:
    latent = covariance @ dual
    likelihood = target * latent - np.logaddexp(0.0, latent)
    return latent, float(np.sum(likelihood) - 0.5 * dual @ latent)


def _whitener(covariance: Array, weight: Array) -> Array:
    root = np.sqrt(weight)
    matrix = root[:, None] * covariance * root
    matrix.flat[:: len(root) + 1] += 1.0
    return np.asarray(inverse_of_triangle(cholesky(matrix, overwrite=True), overwrite=True) * root)


def evidence_gradient(covariance: Array, mode: Mode) -> Array:
    """Gradient (n, n) of the log evidence with respect to K, the move of the mode included ([RW] eq 5.21 to 5.24).

    ``1/2 a a^T - 1/2 R + u a^T`` with ``u = (I - R K) s`` and s = d log evidence / d f at fixed K.
    """
    pulled = mode.whitener @ covariance
    variance = np.diagonal(covariance) - np.einsum("ij,ij->j", pulled, pulled)
    probability = expit(mode.latent)
    by_latent = -0.5 * variance * probability * (1.0 - probability) * (1.0 - 2.0 * probability)
    u = by_latent - mode.whitener.T @ (pulled @ by_latent)
    gradient: Array = np.outer(0.5 * mode.dual + u, mode.dual) - 0.5 * mode.whitener.T @ mode.whitener
    return 0.5 * (gradient + gradient.T)

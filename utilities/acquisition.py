"""Acquisition functions over a mixture posterior, with gradients: log expected improvement, confidence bound, a draw.

Symbols
-------
m   points          S   mixture components     F   fantasies of the pending outcomes
mu (S, F, m), var (S, m)   predictive mean and noise-free variance
best (S, F)   incumbent, per component and fantasy
z = (best - mu) / sigma    h(z) = phi(z) + z Phi(z)                    EI = sigma h(z), for minimisation

The noise 1/beta is left out of the variance inside EI: a repeated evaluation of the incumbent improves nothing.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from scipy.special import erfcx, ndtr

from utilities.surrogate import Array, DrawnFunction, Posterior

_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)
_FAR = -100.0
"""Below this z, 1 + z Phi/phi cancels and its asymptotic series takes over (relative error below 1e-9)."""

MIN_VARIANCE = 1e-18
ROUGH = 2
"""Components of a rough score."""


def log_h(z: Array) -> tuple[Array, Array, Array]:
    """Log of h(z) = phi(z) + z Phi(z), and the ratios Phi/h and phi/h, stable far into the tail.

    Returns
    -------
    log_h, cdf_over_h, pdf_over_h
        Each of the shape of `z`; ``d log h / dz = cdf_over_h``.

    Notes
    -----
    Ament et al. 2023 (arXiv 2310.20708), section 4. With the Mills ratio t = Phi/phi, h = phi (1 + z t).
    """
    value, cdf_ratio, pdf_ratio = np.empty_like(z), np.empty_like(z), np.empty_like(z)
    near = z > -1.0
    a = z[near]
    pdf, cdf = np.exp(-0.5 * a * a - _LOG_ROOT_2PI), ndtr(a)
    h = pdf + a * cdf
    value[near], cdf_ratio[near], pdf_ratio[near] = np.log(h), cdf / h, pdf / h
    b = z[~near]
    mills = math.sqrt(0.5 * math.pi) * erfcx(-b / math.sqrt(2.0))
    far = np.minimum(b, _FAR) ** -2
    series = far * (1.0 + far * (-3.0 + 15.0 * far))
    q = np.where(b < _FAR, series, 1.0 + b * mills)
    value[~near], cdf_ratio[~near], pdf_ratio[~near] = np.log(q) - 0.5 * b * b - _LOG_ROOT_2PI, mills / q, 1.0 / q
    return value, cdf_ratio, pdf_ratio


def log_expected_improvement(mean: Array, variance: Array, best: Array) -> tuple[Array, Array, Array]:
    """Log EI for minimisation of each element, and its derivatives by mean and by variance.

    Parameters
    ----------
    mean : array (S, F, m)
    variance : array (S, m)
    best : array (S, F)

    Returns
    -------
    log_ei, by_mean, by_variance
        Each (S, F, m).
    """
    spread = np.maximum(variance, MIN_VARIANCE)[:, None, :]
    sigma = np.sqrt(spread)
    z = (best[:, :, None] - mean) / sigma
    value, cdf_ratio, pdf_ratio = log_h(z)
    return value + np.log(sigma), -cdf_ratio / sigma, 0.5 * pdf_ratio / spread


def log_worth(variance: Array, noise: Array) -> tuple[Array, Array]:
    """Log of what is learned of the objective, not of its noise, by an outcome, and its derivative by variance.

    The factor 1 - tau / sqrt(sigma^2 + tau^2) of augmented expected improvement (Huang et al. 2006). Without it, noise
    keeps a search at the first good place: posterior means there never cease to promise a little.

    Parameters
    ----------
    variance : array (S, m)
        sigma^2, without noise.
    noise : array (S,)
        tau^2.

    Returns
    -------
    log_worth, by_variance
        Each (S, m).
    """
    spread = np.maximum(variance, MIN_VARIANCE)
    tau = np.sqrt(noise)[:, None]
    whole = np.sqrt(spread + noise[:, None])
    value = np.log(spread) - np.log(whole) - np.log(whole + tau)
    return value, 1.0 / spread - 0.5 / whole**2 - 0.5 / (whole * (whole + tau))


def noise_of_next(posterior: Posterior, known: float | None) -> Array | None:
    """Variance (S,) of the noise of the next outcome, `known` of it beside the surrogate's own; None gives None."""
    return None if known is None else posterior.noise_of(np.array([known]))[:, 0]


def log_improvement(mean: Array, variance: Array, best: Array, noise: Array | None) -> Array:
    """Log of EI (m,) averaged over components and fantasies; of augmented EI where `noise` (S,) is given.

    Shapes as of `log_expected_improvement`.
    """
    log_ei = log_expected_improvement(mean, variance, best)[0]
    if noise is not None:
        log_ei = log_ei + log_worth(variance, noise)[0][:, None]
    return log_mean_exp(log_ei)[0]


def confidence_bound(mean: Array, variance: Array, kappa: float) -> Array:
    """``kappa sigma - mu`` (m,), averaged over components and fantasies: `mean` (S, F, m), `variance` (S, m)."""
    sigma = np.sqrt(np.maximum(variance, MIN_VARIANCE))
    return np.asarray(kappa * sigma.mean(axis=0) - mean.mean(axis=(0, 1)))


class Acquisition(Protocol):
    """A score to be maximised over feature rows."""

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""

    def rough(self) -> Acquisition:
        """Return a cheaper score that ranks points much alike, itself where there is none."""


class LogExpectedImprovement:
    """Log of EI averaged over the S components and F fantasies of a posterior ([P] eq. 10).

    Parameters
    ----------
    posterior
        Conditioned on all observations and, by fantasies, on all pending trials.
    x_known : array (k, p)
        Observed and pending points. The incumbent of each component and fantasy is the lowest posterior mean over
        them: the lowest of hundreds of noisy fantasised outcomes would be extreme and kill EI.
    noise
        Variance, as far as it is known, of the noise of the next outcome, in the user's units squared; the surrogate's
        own comes on top. Then EI is multiplied by what an outcome tells of the objective (see `log_worth`). None where
        noise may be a surrogate's way to explain a rugged objective.
    """

    def __init__(self, posterior: Posterior, x_known: Array, *, noise: float | None = None) -> None:
        self._posterior, self._x_known, self._known_noise = posterior, x_known, noise
        self._noise = noise_of_next(posterior, noise)
        self.best: Array = posterior.predict(x_known)[0].min(axis=2)

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        mean, variance = self._posterior.predict(x)
        return log_improvement(mean, variance, self.best, self._noise)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        mean, variance, pullback = self._posterior.differentiate(x)
        log_ei, by_mean, by_variance = log_expected_improvement(mean, variance, self.best)
        if self._noise is not None:
            worth, slope = log_worth(variance, self._noise)
            log_ei, by_variance = log_ei + worth[:, None], by_variance + slope[:, None]
        value, share = log_mean_exp(log_ei)
        return value, pullback(share * by_mean, (share * by_variance).sum(axis=1))

    def rough(self) -> Acquisition:
        """Return the same over a few components and the average fantasy."""
        return LogExpectedImprovement(self._posterior.thin(ROUGH), self._x_known, noise=self._known_noise)


class ConfidenceBound:
    """``kappa sigma - mu``, averaged over the S components and F fantasies of a posterior (Srinivas et al. 2010).

    Each component has its bound: the spread of the components' means is no sigma, for pending trials do not narrow it.
    Pending trials do narrow sigma, and their outcomes average out in mu (Desautels et al. 2014, GP-BUCB).

    Parameters
    ----------
    posterior
        Conditioned on all observations and, by fantasies, on all pending trials.
    kappa
        Standard deviations hoped for, above 0.
    """

    def __init__(self, posterior: Posterior, kappa: float) -> None:
        self._posterior, self._kappa = posterior, kappa

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        return confidence_bound(*self._posterior.predict(x), self._kappa)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        mean, variance, pullback = self._posterior.differentiate(x)
        by_mean = np.full_like(mean, -1.0 / (mean.shape[0] * mean.shape[1]))
        by_variance = self._kappa / (2.0 * len(variance) * np.sqrt(np.maximum(variance, MIN_VARIANCE)))
        return confidence_bound(mean, variance, self._kappa), pullback(by_mean, by_variance)

    def rough(self) -> Acquisition:
        """Return the same over a few components and the average fantasy."""
        return ConfidenceBound(self._posterior.thin(ROUGH), self._kappa)


class NegativeDraw:
    """Minus a function drawn from a posterior: its maximiser is a Thompson sample (Kandasamy et al. 2018, 1705.09236).

    Draws differ, so pending trials need no fantasies to keep proposals apart.
    """

    def __init__(self, function: DrawnFunction) -> None:
        self._function = function

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        return -self._function.value(x)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        value, gradient = self._function.value_and_gradient(x)
        return -value, -gradient

    def rough(self) -> Acquisition:
        """Return itself: a draw has one component."""
        return self


class NoPreference:
    """The same score everywhere: what constrains an acquisition, by itself."""

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        return np.zeros(len(x))

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        return np.zeros(len(x)), np.zeros_like(x)

    def rough(self) -> Acquisition:
        """Return itself."""
        return self


class NegativeMean:
    """Minus the posterior mean, averaged over components and fantasies: its maximiser is the predicted best point."""

    def __init__(self, posterior: Posterior) -> None:
        self._posterior = posterior

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        return np.asarray(-self._posterior.predict(x)[0].mean(axis=(0, 1)))

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        mean, variance, pullback = self._posterior.differentiate(x)
        share = np.full_like(mean, -1.0 / (mean.shape[0] * mean.shape[1]))
        return -mean.mean(axis=(0, 1)), pullback(share, np.zeros_like(variance))

    def rough(self) -> Acquisition:
        """Return the same over a few components."""
        return NegativeMean(self._posterior.thin(ROUGH))


def log_mean_exp(log_values: Array) -> tuple[Array, Array]:
    """Log of the mean over the first two axes (S, F, m) -> (m,), and each element's share of the sum."""
    peak = log_values.max(axis=(0, 1))
    weights = np.exp(log_values - peak)
    total = weights.sum(axis=(0, 1))
    mean: Array = peak + np.log(total / (log_values.shape[0] * log_values.shape[1]))
    return mean, weights / total

"""What a surrogate foresees of trials' objectives, in the user's units.

Symbols
-------
m   trials      S   mixture components
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from utilities.output_transform import OutputTransform
from utilities.surrogate import Array, Posterior


@dataclass(frozen=True)
class Forecast:
    """Mixtures of S Gaussians of transformed objectives, to be minimised.

    Attributes
    ----------
    mean, variance : array (S, m)
        Noise included, in units of the transformed objectives.
    transform
        Of the objectives.
    """

    mean: Array
    variance: Array
    transform: OutputTransform

    @classmethod
    def of(cls, posterior: Posterior, x: Array, transform: OutputTransform) -> Forecast:
        """Forecast at rows `x` (m, columns of the posterior); its fantasies are averaged over."""
        mean, variance = posterior.predict(x)
        spread = posterior.scale**2 * (variance + posterior.noise()[:, None])
        return cls(posterior.offset + posterior.scale * mean.mean(axis=1), spread, transform)

    @classmethod
    def join(cls, parts: list[Forecast]) -> Forecast:
        """Forecast of several, of as many components and one transform, in that order."""
        means, variances = ([getattr(part, name) for part in parts] for name in ("mean", "variance"))
        return cls(np.concatenate(means, axis=1), np.concatenate(variances, axis=1), parts[0].transform)

    def one(self, index: int) -> Forecast:
        """Forecast of one of the trials."""
        return Forecast(self.mean[:, index : index + 1], self.variance[:, index : index + 1], self.transform)

    def inflated(self, factor: float) -> Forecast:
        """The same with the variance of each component so many times as large."""
        return Forecast(self.mean, self.variance * factor, self.transform)

    def below(self, bound: float) -> Array:
        """Probability (m,) that the objective is below `bound`: the mean over components of Phi((b - mu) / sigma)."""
        level = self.transform.apply(np.array([bound]))
        return np.asarray(ndtr((level - self.mean) / np.sqrt(self.variance)).mean(axis=0))

    def summary(self) -> tuple[Array, Array]:
        """Median (m,), and half the width (m,) of the central 68 % interval, of the mixtures taken for Gaussians."""
        middle = self.mean.mean(axis=0)
        sd = np.sqrt(self.variance.mean(axis=0) + self.mean.var(axis=0))
        low, high = self.transform.invert(middle - sd), self.transform.invert(middle + sd)
        return self.transform.invert(middle), (high - low) / 2.0

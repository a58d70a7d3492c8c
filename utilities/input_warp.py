"""Input warping by the Kumaraswamy distribution function (Snoek et al. 2014, arXiv 1402.0929).

Symbols
-------
x   a coordinate in [0, 1]          a, b   positive shape parameters; a = b = 1 leaves x as it is

    w(x) = 1 - (1 - x^a)^b

The slope of w is infinite at 0 where a < 1, and at 1 where b < 1: x is clipped to [`EDGE`, 1 - `EDGE`] first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EDGE = 1e-6


@dataclass(frozen=True)
class LogCoordinates:
    """Logarithm of clipped coordinates: all of w(x) that does not depend on a and b.

    Attributes
    ----------
    log_x : array
        log x, at most log(1 - `EDGE`).
    """

    log_x: Array

    @classmethod
    def of(cls, x: Array) -> LogCoordinates:
        """Clip `x` and take its logarithm."""
        return cls(np.log(np.clip(x, EDGE, 1.0 - EDGE)))

    def warp(self, log_a: Array, log_b: Array) -> Array:
        """Warped coordinates w(x); `log_a` and `log_b` broadcast against x."""
        return -np.expm1(np.exp(log_b) * _log_survival(self.log_x, np.exp(log_a)))

    def shape_slopes(self, log_a: Array, log_b: Array) -> tuple[Array, Array]:
        """Derivatives of w(x) with respect to log a and log b.

        dw/dlog a = a b (1 - x^a)^(b - 1) x^a log x
        dw/dlog b = -b (1 - x^a)^b log(1 - x^a)
        """
        a, b = np.exp(log_a), np.exp(log_b)
        log_survival = _log_survival(self.log_x, a)
        slope_a = a * b * self.log_x * np.exp(a * self.log_x + (b - 1.0) * log_survival)
        return slope_a, -b * log_survival * np.exp(b * log_survival)

    def slope(self, log_a: Array, log_b: Array) -> Array:
        """Slope dw/dx = a b x^(a - 1) (1 - x^a)^(b - 1), at the clipped coordinate."""
        a, b = np.exp(log_a), np.exp(log_b)
        exponent = (a - 1.0) * self.log_x + (b - 1.0) * _log_survival(self.log_x, a)
        return np.asarray(np.exp(log_a + log_b + exponent))


def _log_survival(log_x: Array, a: Array) -> Array:
    """Return log(1 - x^a), accurate near both ends."""
    return np.asarray(np.log(-np.expm1(a * log_x)))

"""How well objectives were foreseen from the beginnings of their curves, and by how much deviations are too small.

A surrogate foresees what it has seen the like of: a curve that bends later than all others is none of these. Each
forecast of a running trial is kept until its objective is known. With z the normal score of its place in the forecast,
the variance of forecasts is multiplied by

    (`PRIOR` + sum over trials of mean z^2) / (`PRIOR` + number of trials)

where that is above 1: about the posterior mean of a scale that is 1 a priori. Trials that were ended early never tell.
A study that is continued begins with 1 again.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from scipy.special import ndtri

from utilities.forecast import Forecast

PRIOR = 4.0
"""Trials that the belief in the surrogate's own deviations is worth."""

WINDOW = 30
"""Trials, the latest, that are taken into account."""

FARTHEST = 4.0
"""Largest z counted: one surprise is no verdict."""


OPEN = 1000
"""Trials, the latest, whose forecasts are kept: those that were ended early are never asked for."""


class Foreseen:
    """Forecasts of running trials, by the features of these, and what became of those that completed."""

    def __init__(self) -> None:
        self._open: dict[bytes, list[Forecast]] = {}
        self._squares: deque[float] = deque(maxlen=WINDOW)

    def note(self, key: bytes, forecast: Forecast) -> None:
        """Keep a forecast (m = 1) of a running trial."""
        self._open.setdefault(key, []).append(forecast)
        if len(self._open) > OPEN:
            del self._open[next(iter(self._open))]

    def end(self, key: bytes, objective: float) -> None:
        """Take the objective (to be minimised) of a trial."""
        places = [float(forecast.below(objective)[0]) for forecast in self._open.pop(key, ())]
        if places:
            scores = np.clip(ndtri(places), -FARTHEST, FARTHEST)
            self._squares.append(float(np.mean(scores**2)))

    @property
    def inflation(self) -> float:
        """Factor of the variance, at least 1."""
        return max(1.0, (PRIOR + sum(self._squares)) / (PRIOR + len(self._squares)))

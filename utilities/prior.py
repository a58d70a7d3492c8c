"""What the user believes of where the best configuration lies: a density over the space, for designs and acquisitions.

Symbols
-------
d   coordinates         U (m, d)   points of the unit cube          X (m, p)   their features

Each parameter with a hint has a density over its unit interval, relative to the uniform one. That of what is in order
is a normal about the likely place, cut off at the borders, and mixed with `DOUBT` of the uniform. That of choices
without order is a step at the likely one. Parameters are independent.

An acquisition on a log scale gains ``BETA / n`` times the log density, n being the number of observations: that is the
acquisition times prior^(BETA / n), and once n is large, whatever the prior, the acquisition itself (Hvarfner et al.
2022, "piBO", arXiv 2204.11051, eq. 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from utilities.acquisition import Acquisition
from utilities.designs import Sequence
from utilities.features import ARC, WEIGHT
from utilities.parameters import Varied
from utilities.space import Space
from utilities.surrogate import Array

BETA = 5.0
"""With 10, as in the paper for a budget of 100, hints that were wrong in four parameters cost five trials more to see
through, and right ones were worth the same."""

DOUBT = 0.1
"""Share of the uniform density in that of a hint."""

DEPTH = 4.0
"""No point is taken for less likely than exp(-DEPTH) times the likeliest, however many hints speak against it: hints
that were all wrong would else be believed for long."""

REACH = 0.1
"""Part of the range about the likely value that `Tunable.sure` speaks of."""

_CELLS = 1024


@dataclass(frozen=True)
class _Normal:
    """A hint for what is in order: DOUBT + (1 - DOUBT) normal density."""

    centre: float
    deviation: float
    height: float

    @classmethod
    def of(cls, parameter: Varied) -> _Normal:
        """Density of a parameter with a hint."""
        centre = parameter.unit(parameter.likely)
        deviation = REACH / NormalDist().inv_cdf(0.5 * (1.0 + parameter.sureness))
        normal = NormalDist(centre, deviation)
        inside = normal.cdf(1.0) - normal.cdf(0.0)
        return cls(centre, deviation, (1.0 - DOUBT) * normal.pdf(centre) / inside)

    def density(self, place: Array) -> Array:
        """Density (m,) at places (m,)."""
        return np.asarray(DOUBT + self.height * np.exp(-0.5 * ((place - self.centre) / self.deviation) ** 2))

    def log_slope(self, place: Array) -> Array:
        """Derivative (m,) of the log density at places (m,)."""
        density = self.density(place)
        return np.asarray(-(density - DOUBT) / density * (place - self.centre) / self.deviation**2)


class Prior:
    """The density of all hints of a space, and the points drawn by it.

    Parameters
    ----------
    space
        Whose parameters may have hints.
    """

    def __init__(self, space: Space) -> None:
        self._space, self._slices = space, space.layout.slices
        self._normals: list[tuple[int, bool, _Normal]] = []
        self._logs: list[tuple[int, Array]] = []
        self._likely: dict[int, float] = {}
        self._cumulated: dict[int, tuple[Array, Array]] = {}
        low, high = space.bounds
        for column, parameter in enumerate(space.varied.values()):
            if parameter.likely is not None:
                self._likely[column] = parameter.unit(parameter.likely)
                self._take(column, parameter, low[column], high[column])

    def _take(self, column: int, parameter: Varied, low: float, high: float) -> None:
        if parameter.one_hot:
            count = int(parameter.levels)
            density = np.full(count, 1.0 - parameter.sureness)
            density[int(parameter.unit(parameter.likely) * count)] += count * parameter.sureness
            self._logs.append((column, np.log(density / density.max())))
        else:
            normal = _Normal.of(parameter)
            self._normals.append((column, bool(parameter.when), normal))
            density = normal.density(low + (high - low) * (np.arange(_CELLS) + 0.5) / _CELLS)
        total = np.append(0.0, np.cumsum(density))
        self._cumulated[column] = total / total[-1], np.linspace(low, high, len(total))

    def __bool__(self) -> bool:
        return bool(self._likely)

    def draw(self, points: Array) -> Array:
        """Points (m, d) of the prior from uniform ones: those of the same quantiles."""
        drawn = self._space.spread(points).copy()
        for column, (quantiles, places) in self._cumulated.items():
            drawn[:, column] = np.interp(points[:, column], quantiles, places)
        return self._space.within(drawn)

    def plain(self, points: Array) -> Array:
        """Points (m, d) evenly over the space from uniform ones."""
        return self._space.spread(points)

    def likeliest(self, points: Array) -> Array:
        """Points (m, d) evenly over the space from uniform ones, but with all likely values."""
        moved = self._space.spread(points).copy()
        for column, place in self._likely.items():
            moved[:, column] = place
        return self._space.within(moved)

    def log_density(self, x: Array) -> Array:
        """Log of the density (m,) at `x` (m, p), of the active parameters, relative to the highest, above -DEPTH."""
        return np.asarray(np.logaddexp(self._logs_of(x), -DEPTH))

    def log_density_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """`log_density`, and its gradient (m, p) in the features."""
        gradient = np.zeros_like(x)
        for column, conditional, normal in self._normals:
            place, on = self._place(x, column, conditional=conditional)
            slope, first = normal.log_slope(place) * on, self._slices[column].start
            if conditional:
                sine, cosine = x[:, first + 1], x[:, first + 2]
                around = slope / (ARC * np.maximum(sine**2 + cosine**2, 1e-12))
                gradient[:, first + 1], gradient[:, first + 2] = around * cosine, -around * sine
            else:
                gradient[:, first] = slope
        for column, by_choice in self._logs:
            gradient[:, self._slices[column]] = by_choice / WEIGHT
        logs = self._logs_of(x)
        value = np.logaddexp(logs, -DEPTH)
        return value, gradient * np.exp(logs - value)[:, None]

    def _logs_of(self, x: Array) -> Array:
        logs = np.zeros(len(x))
        for column, conditional, normal in self._normals:
            place, on = self._place(x, column, conditional=conditional)
            logs += np.log(normal.density(place) / (DOUBT + normal.height)) * on
        for column, by_choice in self._logs:
            logs += x[:, self._slices[column]] @ by_choice / WEIGHT
        return logs

    def _place(self, x: Array, column: int, *, conditional: bool) -> tuple[Array, Array | float]:
        """Places (m,) of a coordinate in the unit interval, and 1 where it is active, else 0."""
        first = self._slices[column].start
        if not conditional:
            return x[:, first], 1.0
        return np.arctan2(x[:, first + 1], x[:, first + 2]) / ARC, x[:, first] / WEIGHT


class Believed:
    """An acquisition on a log scale, or in standardised units, with a share of the log prior added.

    Parameters
    ----------
    acquisition
        To be weighed.
    prior
        Of the space.
    observations
        n, at least 1: the share is BETA / n.
    """

    def __init__(self, acquisition: Acquisition, prior: Prior, observations: int) -> None:
        self._acquisition, self._prior, self._observations = acquisition, prior, observations
        self._share = BETA / max(observations, 1)

    def value(self, x: Array) -> Array:
        """Score (m,) at `x` (m, p)."""
        return self._acquisition.value(x) + self._share * self._prior.log_density(x)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        """Score (m,) and its gradient (m, p)."""
        value, gradient = self._acquisition.value_and_gradient(x)
        logs, slope = self._prior.log_density_and_gradient(x)
        return value + self._share * logs, gradient + self._share * slope

    def rough(self) -> Acquisition:
        """Return the same with the acquisition's rough one."""
        return Believed(self._acquisition.rough(), self._prior, self._observations)


class HalfByPrior:
    """A sequence of which every second point is drawn by a prior; the first has all likely values.

    Parameters
    ----------
    sequence
        Evenly over the unit cube.
    prior
        Of the space.
    """

    def __init__(self, sequence: Sequence, prior: Prior) -> None:
        self._sequence, self._prior = sequence, prior

    def __getitem__(self, index: int) -> Array:
        """Return the point (d,) number `index`."""
        return np.asarray(self.block(index, 1)[0])

    def block(self, first: int, count: int) -> Array:
        """Return `count` points (count, d) from number `first` on."""
        points, numbers = self._sequence.block(first, count), np.arange(first, first + count)
        drawn = np.where((numbers % 2 == 1)[:, None], self._prior.draw(points), self._prior.plain(points))
        return np.where((numbers == 0)[:, None], self._prior.likeliest(points), drawn)

"""One surrogate of a study as it stands: how it was last fitted, its posteriors given all outcomes, its record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utilities.basins import Closed
from utilities.calibration import FALLEN_OVER, Scores, foresee
from utilities.fitting import condition, of_companion, transform_of
from utilities.space import Space
from utilities.surrogate import Dataset, Parameters, Posterior

GP_GROWTH, DNGO_GROWTH = 0.02, 0.15
"""Growth of the observations after which a refit is due."""


@dataclass(frozen=True)
class View:
    """A posterior, and what of the search it is good for.

    Attributes
    ----------
    posterior
        Given the observations `rows`.
    rows : array (k,)
        Indices of these.
    closed
        Region in which it must not propose, None without.
    """

    posterior: Posterior
    rows: NDArray[np.intp]
    closed: Closed | None = None


class Expert:
    """One surrogate of a study as it stands: its latest fit, its posteriors, how well it foresees.

    Parameters
    ----------
    space
        Gives the layout of the features.
    kind
        Of the surrogate: gp, dngo or dngo-paper.
    """

    def __init__(self, space: Space, kind: str) -> None:
        self._space, self.kind = space, kind
        self._posterior: Posterior | None = None
        self._conditioned = 0
        self._companion: View | None = None
        self._companion_conditioned = 0
        self.scores = Scores()
        self.parameters: Parameters | None = None
        self.fitted = 0

    def due(self, count: int) -> bool:
        """Whether a refit is worth its time with `count` observations."""
        if self.parameters is None:
            return True
        growth = GP_GROWTH if self.kind == "gp" else DNGO_GROWTH
        grown = count - self.fitted
        return grown >= max(1, round(growth * self.fitted)) or (grown >= FALLEN_OVER and self.scores.fallen)

    def overdue(self, count: int) -> bool:
        """Whether to propose by it would waste evaluations: nothing was learned yet, or from too few data."""
        return self.parameters is None or count > 1.25 * self.fitted + 2

    def adopt(self, parameters: Parameters, fitted: int) -> None:
        """Take the result of a fit to the first `fitted` observations, made here or elsewhere."""
        self.scores.note(fitted)
        self.parameters, self.fitted = parameters, fitted
        self._posterior, self._companion = None, None

    def observe(self, data: Dataset) -> Posterior:
        """Posterior given `data`, whose first rows are those of the last call; what was foreseen of new rows is judged.

        Rows that a fit has seen before they came here are conditioned on without a judgement.
        """
        parameters = self._known()
        posterior = self._posterior
        if posterior is None:
            self._conditioned = max(self._conditioned, self.fitted)
            seen = Dataset(data.x[: self._conditioned], data.y[: self._conditioned])
            posterior = condition(self.kind, self._space, parameters, seen)
        if len(data) > self._conditioned:
            x, y = data.x[self._conditioned :], data.y[self._conditioned :]
            transform = transform_of(parameters)
            z = transform.apply(y)
            log_densities, places = foresee(posterior, x, (z - posterior.offset) / posterior.scale)
            self.scores.add(log_densities + transform.log_slope(y) - np.log(posterior.scale), places)
            posterior = posterior.extend(x, z)
            self._conditioned = len(data)
        self._posterior = posterior
        return posterior

    def view(self, data: Dataset) -> View:
        """Posterior of the surrogate given `data`."""
        return View(self.observe(data), np.arange(len(data)))

    def companion(self, data: Dataset) -> View | None:
        """Posterior of the companion given its part of `data` and all newer rows outside the closed region."""
        own = of_companion(self._known())
        if not own:
            return None
        if self._companion is None:
            self._companion = self._first_companion(own, data)
            self._companion_conditioned = self.fitted
        view = self._companion
        new = np.arange(self._companion_conditioned, len(data))
        if view.closed is not None:
            new = new[view.closed.depth(data.x[new])[0] <= 0.0]
        if len(new):
            posterior = view.posterior.extend(data.x[new], transform_of(own).apply(data.y[new]))
            self._companion = View(posterior, np.concatenate([view.rows, new]), view.closed)
        self._companion_conditioned = len(data)
        return self._companion

    def _first_companion(self, own: Parameters, data: Dataset) -> View:
        rows, inside = own["rows"].astype(np.intp), own["inside"] > 0.5
        posterior = condition("gp", self._space, own, Dataset(data.x[rows], data.y[rows]))
        if not inside.any():
            return View(posterior, rows)
        lengthscale = np.exp(own["log_lengthscale"].mean(axis=0))[self._space.groups]
        return View(posterior, rows, Closed(data.x[: self.fitted], inside, lengthscale))

    def to_user(self, mean: float, sd: float) -> tuple[float, float]:
        """Median, and half the width of the central 68 % interval, of a standardised prediction in the user's units."""
        parameters = self._known()
        places = parameters["offset"] + parameters["scale"] * np.array([mean, mean - sd, mean + sd])
        middle, low, high = transform_of(parameters).invert(places)
        return float(middle), float(high - low) / 2.0

    def _known(self) -> Parameters:
        if self.parameters is None:
            raise RuntimeError("the model must be fitted before it is asked for a posterior")
        return self.parameters

"""One surrogate of a study as it stands: how it was last fitted, its posteriors given all outcomes, its record."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from utilities.basins import Closed
from utilities.calibration import FALLEN_OVER, Scores, foresee
from utilities.fitting import (
    COMPANION_ROWS,
    around_incumbent,
    condition,
    kind_of,
    of_companion,
    transform_of,
    without_observations,
)
from utilities.output_transform import OutputTransform
from utilities.space import Space
from utilities.surrogate import Dataset, Parameters, Posterior

OVERDUE = 0.25
"""Growth after which a fit knows far too few of them."""

LEAST_GROWTH = 0.03
"""Growth below which no refit is due, however badly the surrogate foresees: all refits of a run stay linear in it."""

LATEST = 100
"""Outcomes by whose noise that of the next one is foreseen."""

CHUNK = 2048
"""Observations that a new fit is conditioned on at a time, while proposals go on by the old one."""


@dataclass
class _Fit:
    """A fit that is to be used, and how far it is prepared.

    `again` where it is in use already; `anew` where the observations that it was fitted to have changed since.
    """

    parameters: Parameters
    fitted: int
    again: bool = False
    anew: bool = False
    posterior: Posterior | None = None
    known: int = 0


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
    noise
        Variance of the latest outcomes' noise as far as it is known, their median, after the output transform.
    """

    posterior: Posterior
    rows: NDArray[np.intp]
    closed: Closed | None = None
    noise: float = 0.0


class Expert:
    """One surrogate of a study as it stands: its latest fit, its posteriors, how well it foresees.

    Parameters
    ----------
    space
        Gives the layout of the features.
    kind
        Of the surrogate: one of `utilities.surrogate_kinds.KINDS`.

    Attributes
    ----------
    scores
        How well it foresaw the latest outcomes.
    late
        Whether its latest refit took so long that it was overdue again when it came.
    """

    def __init__(self, space: Space, kind: str) -> None:
        self._space, self.kind = space, kind
        self._posterior: Posterior | None = None
        self._conditioned = 0
        self._companion: View | None = None
        self._companion_conditioned = 0
        self.scores = Scores()
        self.late = False
        self._parameters: Parameters | None = None
        self._fitted = 0
        self._next: _Fit | None = None

    @property
    def parameters(self) -> Parameters | None:
        """Of the latest fit; None before the first."""
        return self._parameters if self._next is None else self._next.parameters

    @property
    def fitted(self) -> int:
        """Observations of the latest fit."""
        return self._fitted if self._next is None else self._next.fitted

    def due(self, count: int) -> bool:
        """Whether a refit is worth its time with `count` observations."""
        if self.parameters is None:
            return True
        growth = kind_of(self.kind).growth
        grown = count - self.fitted
        soon = max(FALLEN_OVER, round(LEAST_GROWTH * self.fitted))
        return grown >= max(1, round(growth * self.fitted)) or (grown >= soon and self.scores.fallen)

    def overdue(self, count: int) -> bool:
        """Whether to propose by it would waste evaluations: nothing was learned yet, or from too few data."""
        return self.parameters is None or _far_beyond(self.fitted, count)

    def adopt(self, parameters: Parameters, fitted: int) -> None:
        """Take the result of a fit to the first `fitted` observations, made here or elsewhere."""
        self.scores.note(fitted)
        self._next = _Fit(parameters, fitted)

    def revise(self) -> None:
        """Note that objectives of rows that it knows have changed: the latest fit is to be given all of them anew."""
        if self._next is not None:
            self._next.anew = True
        elif self._parameters is not None:
            self._next = _Fit(self._parameters, self._fitted, again=True, anew=True)

    def _switch(self, data: Dataset) -> None:
        """Go over to the latest fit, once its posterior is given all that the present one is: a `CHUNK` a call."""
        fit = self._next
        if fit is None:
            return
        if fit.posterior is None:
            if not fit.again:
                self.late = self._parameters is not None and _far_beyond(fit.fitted, len(data))
            seen = data.some(slice(fit.fitted))
            known = without_observations(fit.parameters) if fit.anew else fit.parameters
            fit.posterior, fit.known = condition(self.kind, self._space, known, seen), fit.fitted
        transform = transform_of(fit.parameters)
        while fit.known < self._conditioned:
            rows = slice(fit.known, min(fit.known + CHUNK, self._conditioned))
            fit.posterior = _extended(fit.posterior, transform, data.some(rows))
            fit.known = rows.stop
            if self._posterior is not None and fit.known < self._conditioned:
                return
        self._parameters, self._fitted, self._next = fit.parameters, fit.fitted, None
        self._posterior, self._conditioned, self._companion = fit.posterior, fit.known, None

    def observe(self, data: Dataset) -> Posterior:
        """Posterior given `data`, whose first rows are those of the last call; what was foreseen of new rows is judged.

        Rows that a fit has seen before they came here are conditioned on without a judgement.
        """
        self._switch(data)
        posterior, parameters = self._posterior, self._known()
        if posterior is None:
            raise RuntimeError("the model must be fitted before it is asked for a posterior")
        if len(data) > self._conditioned:
            new = data.some(slice(self._conditioned, None))
            transform = transform_of(parameters)
            seen = transform.apply_to(new)
            standardised = (seen.y - posterior.offset) / posterior.scale
            log_densities, places = foresee(posterior, seen.x, standardised, seen.variance)
            self.scores.add(log_densities + transform.log_slope(new.y) - np.log(posterior.scale), places)
            posterior = posterior.extend(seen.x, seen.y, seen.variance)
            self._conditioned = len(data)
        self._posterior = posterior
        return posterior

    def view(self, data: Dataset) -> View:
        """Posterior of the surrogate given `data`."""
        posterior = self.observe(data)
        return with_noise(View(posterior, np.arange(len(data))), self._known(), data)

    def companion(self, data: Dataset) -> View | None:
        """Posterior of the companion given its part of `data` and all newer rows outside the closed region."""
        self._switch(data)
        own = of_companion(self._known())
        if not own:
            return None
        view = self._companion
        if view is None:
            view, self._companion_conditioned = self._first_companion(own, data), self._fitted
        known = len(view.rows) + len(data) - self._companion_conditioned
        if known > 2 * COMPANION_ROWS and kind_of(self.kind).companion == "around":
            view, self._companion_conditioned = self._moved_companion(own, data, view.closed), len(data)
        new = np.arange(self._companion_conditioned, len(data))
        if view.closed is not None:
            new = new[view.closed.depth(data.x[new])[0] <= 0.0]
        if len(new):
            posterior = _extended(view.posterior, transform_of(own), data.some(new))
            view = View(posterior, np.concatenate([view.rows, new]), view.closed)
        self._companion, self._companion_conditioned = view, len(data)
        return with_noise(view, own, data)

    def polisher(self, data: Dataset) -> View:
        """Posterior given the observations around the incumbent, of the hyperparameters of the companion there is."""
        own = of_companion(self._known())
        return with_noise(self._moved_companion(own, data, None), own, data)

    def _first_companion(self, own: Parameters, data: Dataset) -> View:
        rows, inside = own["rows"].astype(np.intp), own["inside"] > 0.5
        posterior = condition("gp", self._space, own, data.some(rows))
        if not inside.any():
            return View(posterior, rows)
        lengthscale = np.exp(own["log_lengthscale"].mean(axis=0))[self._space.groups]
        return View(posterior, rows, Closed(data.x[: self._fitted], inside, lengthscale))

    def _moved_companion(self, own: Parameters, data: Dataset, closed: Closed | None) -> View:
        """Companion around the present incumbent: as many rows as ever, whatever came since the fit."""
        outside = np.arange(len(data))
        if closed is not None:
            outside = outside[closed.depth(data.x)[0] <= 0.0]
        rows = around_incumbent(data, outside)
        return View(condition("gp", self._space, own, data.some(rows)), rows, closed)

    def to_standard(self, objective: float) -> float:
        """An objective in the units of the posteriors."""
        parameters = self._known()
        transformed = transform_of(parameters).apply(np.array([objective]))
        return float((transformed[0] - parameters["offset"]) / parameters["scale"])

    def to_user(self, mean: float, sd: float) -> tuple[float, float]:
        """Median, and half the width of the central 68 % interval, of a standardised prediction in the user's units."""
        parameters = self._known()
        places = parameters["offset"] + parameters["scale"] * np.array([mean, mean - sd, mean + sd])
        middle, low, high = transform_of(parameters).invert(places)
        return float(middle), float(high - low) / 2.0

    def _known(self) -> Parameters:
        if self._parameters is None:
            raise RuntimeError("the model must be fitted before it is asked for a posterior")
        return self._parameters


def _extended(posterior: Posterior, transform: OutputTransform, data: Dataset) -> Posterior:
    seen = transform.apply_to(data)
    return posterior.extend(seen.x, seen.y, seen.variance)


def with_noise(view: View, parameters: Parameters, data: Dataset) -> View:
    """Note with a view under a fit the known noise of the `LATEST` outcomes, where there is any."""
    if data.variance is None:
        return view
    variance = transform_of(parameters).apply_variance(data.y[-LATEST:], data.variance[-LATEST:])
    return replace(view, noise=float(np.median(np.asarray(variance))))


def _far_beyond(fitted: int, count: int) -> bool:
    return count > (1.0 + OVERDUE) * fitted + 2

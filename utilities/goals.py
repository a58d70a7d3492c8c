"""The goals of a study: which metrics are objectives, in which direction each, and what constraints metrics keep.

Symbols
-------
k   objectives      t   targets: the objectives, then the other metrics that a constraint is on

Each target has a surrogate of its own. The targets of a trial are numbers to be minimised: a metric, or minus it where
it is to be maximised, or where its first constraint is a lower bound. A metric that is missing is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from utilities.metric_constraints import MetricConstraint
from utilities.surrogate import Array
from utilities.trial import Outcome

OBJECTIVE = "objective"
"""Name of what an objective of one goal returns."""

SECONDS = "seconds"
"""Name of the wall time of an evaluation, where the objective returns no number of this name."""


class Bound(NamedTuple):
    """A constraint on a target: below or, where not `upper`, above `value`."""

    target: int
    upper: bool
    value: float


class Goals:
    """What a trial is judged by.

    Parameters
    ----------
    names
        Of the objectives.
    directions
        "minimize" or "maximize", for each of them.
    constraints
        On metrics; those on an objective too.

    Attributes
    ----------
    targets
        Names of the targets.
    bounds
        The constraints, as they are of targets.
    """

    def __init__(
        self,
        names: Sequence[str] = (OBJECTIVE,),
        directions: Sequence[str] = ("minimize",),
        constraints: Sequence[MetricConstraint] = (),
    ) -> None:
        self.names, self.directions, self.constraints = tuple(names), tuple(directions), tuple(constraints)
        self._signs = {
            name: -1.0 if way == "maximize" else 1.0 for name, way in zip(names, self.directions, strict=True)
        }
        for constraint in constraints:
            self._signs.setdefault(constraint.name, 1.0 if constraint.upper else -1.0)
        self.targets = tuple(self._signs)
        self.bounds = tuple(self._bound(constraint) for constraint in constraints)

    def _bound(self, constraint: MetricConstraint) -> Bound:
        sign = self._signs[constraint.name]
        return Bound(self.targets.index(constraint.name), constraint.upper == (sign > 0.0), sign * constraint.bound)

    @property
    def several(self) -> bool:
        """Whether there is more than one objective."""
        return len(self.names) > 1

    @property
    def plain(self) -> bool:
        """Whether there is one objective, and no constraint on metrics."""
        return not self.several and not self.constraints

    @property
    def signs(self) -> Array:
        """1 for each objective (k,) to be minimised, -1 for one to be maximised."""
        return np.array([self._signs[name] for name in self.names])

    def target_row(self, values: Sequence[float], metrics: Mapping[str, float]) -> Array:
        """Targets (t,) of a trial with these values of its objectives, in the user's units and directions."""
        known = {**metrics, **dict(zip(self.names, values, strict=True))}
        return np.array([sign * known.get(name, math.nan) for name, sign in self._signs.items()])

    def feasible(self, rows: Array) -> NDArray[np.bool_]:
        """Which rows of targets (n, t) keep all constraints; one whose metric is missing does not."""
        kept = np.ones(len(rows), dtype=bool)
        for constraint in self.constraints:
            index = self.targets.index(constraint.name)
            sign = self._signs[constraint.name]
            kept &= np.array([constraint.holds(sign * value) for value in rows[:, index]], dtype=bool)
        return kept

    def violation(self, rows: Array) -> Array:
        """By how much rows of targets (n, t) break the constraints (n,), each in units of its bound; NaN: infinitely.

        A bound of 0 counts in units of 1.
        """
        total = np.zeros(len(rows))
        for bound in self.bounds:
            excess = (rows[:, bound.target] - bound.value) * (1.0 if bound.upper else -1.0)
            total += np.where(np.isnan(excess), math.inf, np.maximum(excess, 0.0)) / (abs(bound.value) or 1.0)
        return total

    # --- outcomes ---------------------------------------------------------------------------------------------------

    def metrics_of(self, outcome: Outcome) -> dict[str, float]:
        """All numbers of an outcome by name, the wall time of the evaluation among them."""
        metrics = {SECONDS: outcome.seconds, **outcome.metrics}
        return metrics if outcome.objective is None else {**metrics, OBJECTIVE: outcome.objective}

    def values_of(self, outcome: Outcome) -> tuple[float, ...] | None:
        """Values of the objectives in the user's units; None where one is missing or not finite."""
        if not self.several:
            found = (outcome.objective,)
        else:
            metrics = self.metrics_of(outcome)
            found = tuple(metrics.get(name) for name in self.names)
        values = tuple(value for value in found if value is not None and math.isfinite(value))
        return values if len(values) == len(self.names) else None

    def keeps(self, outcome: Outcome) -> bool:
        """Whether an outcome keeps every constraint."""
        metrics = self.metrics_of(outcome)
        return all(constraint.holds(metrics.get(constraint.name, math.nan)) for constraint in self.constraints)

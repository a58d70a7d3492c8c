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

from utilities.errors import StudyError, quoted
from utilities.metric_constraints import (
    DIRECTIONS,
    MetricConstraint,
    check_direction,
    check_directions,
    check_objectives,
    read_metric_constraint,
)
from utilities.returned import OBJECTIVE, SECONDS, Expected, check_values
from utilities.surrogate import Array
from utilities.trial import Outcome


def make_goals(
    direction: str,
    directions: Sequence[str] | None,
    objectives: Sequence[str] | None,
    metric_constraints: Sequence[str] | None,
) -> Goals:
    """Goals as a study says them; None is not set.

    Raises
    ------
    StudyError
        Names of objectives, directions or constraints that break a rule, or do not go together.
    """
    check_direction(direction, "direction")
    constraints = [
        read_metric_constraint(text, f"metric_constraints[{i}]") for i, text in enumerate(metric_constraints or ())
    ]
    if objectives is None and directions is not None and len(directions) == 1:
        check_directions(directions, 1, "directions")
        direction, directions = directions[0], None
    if objectives is None and directions is None:
        return Goals(directions=(direction,), constraints=constraints)
    if direction != DIRECTIONS[0]:
        raise StudyError(f"direction is of one objective; with several, directions has one of each; got {direction!r}")
    if objectives is None:
        directions = tuple(directions or ())
        objectives = [f"values_{i}" for i in range(len(directions))]
    check_objectives(objectives, "objectives" if directions is None else "directions")
    directions = (DIRECTIONS[0],) * len(objectives) if directions is None else directions
    check_directions(directions, len(objectives), "directions")
    return Goals(objectives, directions, constraints)


class Bound(NamedTuple):
    """A constraint on a target: below or, where not `upper`, above `value`."""

    target: int
    upper: bool
    value: float


class Entry(NamedTuple):
    """The (first) objective to be minimised, the targets (t,), None of a single one, and whether it is feasible."""

    objective: float
    targets: Array | None = None
    feasible: bool = True


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
    def metrics(self) -> tuple[str, ...]:
        """Names of the targets but for a single objective."""
        return self.targets if self.several else self.targets[1:]

    @property
    def plain(self) -> bool:
        """Whether there is one objective, and no constraint on metrics."""
        return not self.several and not self.constraints

    @property
    def signs(self) -> Array:
        """1 for each objective (k,) to be minimised, -1 for one to be maximised."""
        return np.array([self._signs[name] for name in self.names])

    def check_values(self, objective: float | Sequence[float]) -> tuple[float, ...]:
        """Values of the objectives as they were told; ValueError where there are not as many as objectives."""
        return check_values(objective, len(self.names))

    @property
    def expected(self) -> Expected:
        """What an outcome must hold."""
        return Expected(self.names, self.targets)

    def check_metrics(self, metrics: Mapping[str, float]) -> None:
        """See that all that constraints are on is there; ValueError where something is missing."""
        for constraint in self.constraints:
            if constraint.name not in metrics and constraint.name not in self.names:
                told = f"metrics={{{constraint.name!r}: ...}}"
                raise ValueError(f"an outcome needs the metric of each constraint, {told}; got {quoted(dict(metrics))}")

    def entry(self, values: Sequence[float], metrics: Mapping[str, float]) -> Entry:
        """What a history keeps of an outcome with these values of the objectives, in the user's own directions."""
        objective = self._signs[self.names[0]] * float(values[0])
        if self.plain:
            return Entry(objective)
        known = {**metrics, **dict(zip(self.names, values, strict=True))}
        row = np.array([sign * known.get(name, math.nan) for name, sign in self._signs.items()])
        return Entry(objective, row, bool(self.feasible(row[None])[0]))

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
        metrics = self.metrics_of(outcome) if self.several else {self.names[0]: outcome.objective}
        found = [metrics.get(name) for name in self.names]
        values = tuple(value for value in found if value is not None and math.isfinite(value))
        return values if len(values) == len(self.names) else None

    def observed(self, objective: float | None, metrics: Mapping[str, float]) -> float | tuple[float, ...]:
        """What `Optimizer.observe` takes for an outcome of another study, with these metrics."""
        if self.several or objective is None:
            return tuple(metrics[name] for name in self.names)
        return objective

    def keeps(self, outcome: Outcome) -> bool:
        """Whether an outcome keeps every constraint."""
        metrics = self.metrics_of(outcome)
        return all(constraint.holds(metrics.get(constraint.name, math.nan)) for constraint in self.constraints)

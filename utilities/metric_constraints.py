"""The keys of a study that say what its goals are: names of metrics, directions, constraints on metrics.

No numerics here: reading a command line loads none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from utilities.errors import StudyError, nearest, quoted

DIRECTIONS = ("minimize", "maximize")

_LONGEST_NAME = 200
_CONSTRAINT = re.compile(
    r"\s*(?P<name>[^\s<>=](?:[^<>=]*[^\s<>=])?)\s*(?P<operator><=|>=|<|>)\s*(?P<bound>[^\s<>=]+)\s*"
)


class MetricConstraint(NamedTuple):
    """A bound that a metric keeps in every feasible trial."""

    name: str
    operator: str
    bound: float

    @property
    def upper(self) -> bool:
        """Whether the bound is an upper one."""
        return self.operator.startswith("<")

    def holds(self, value: float) -> bool:
        """Whether a value keeps it; NaN does not."""
        match self.operator:
            case "<":
                return value < self.bound
            case "<=":
                return value <= self.bound
            case ">":
                return value > self.bound
            case _:
                return value >= self.bound


def read_metric_constraint(text: str, where: str) -> MetricConstraint:
    """Read a constraint such as ``seconds < 5``: a metric's name, one of ``< <= > >=``, a number.

    Raises
    ------
    StudyError
        It is none.
    """
    rule = f'{where} must be a metric, one of <, <=, >, >= and a number, such as "seconds < 5"'
    match = _CONSTRAINT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise StudyError(f"{rule}; got {quoted(text)}")
    try:
        bound = float(match["bound"])
    except ValueError:
        raise StudyError(f"{rule}; got {quoted(text)}, and {quoted(match['bound'])} is no number") from None
    if not math.isfinite(bound):
        raise StudyError(f"{rule}, a finite one; got {quoted(text)}")
    _check_name(match["name"], where)
    return MetricConstraint(match["name"], match["operator"], bound)


def _check_name(name: str, where: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        rule = f"must name a metric: printable, not blank, at most {_LONGEST_NAME} characters"
        raise StudyError(f"{where} {rule}; got {quoted(name)}")


def check_objectives(names: Sequence[str], where: str) -> None:
    """See that these can be the names of several objectives; StudyError says which rule they break."""
    if len(names) < 2:
        least = "at least two metrics; one objective is returned as a number, or under the key objective"
        raise StudyError(f"{where} must name {least}; got {quoted(list(names))}")
    for name in names:
        _check_name(name, where)
        if list(names).count(name) > 1:
            raise StudyError(f"{where} must name each metric once; got {quoted(name)} twice")


def check_direction(direction: str, where: str) -> None:
    """See that it is one; StudyError says the rule."""
    if direction not in DIRECTIONS:
        known = " or ".join(DIRECTIONS)
        raise StudyError(f"{where} must be {known}; got {quoted(direction)}.{nearest(direction, DIRECTIONS)}")


def check_directions(directions: Sequence[str], count: int, where: str) -> None:
    """See that there is a direction for each of `count` objectives; StudyError says which rule is broken."""
    for i, direction in enumerate(directions):
        check_direction(direction, f"{where}[{i}]")
    if len(directions) != count:
        raise StudyError(f"{where} must be {count}, one for each of the objectives; got {len(directions)}")

"""When a parameter of a define-by-run objective appears: conditions learned from the trials that completed.

Such an objective says nothing of its conditions; each trial shows which parameters it came to. A condition is a
conjunction over parameters that were asked for before: some choices of one, a least or a largest value of another. The
narrowest one of a parent that admits all trials that have the parameter is necessary; those of few parents that exclude
every other trial are taken for sufficient too, until a trial shows otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Wanted: TypeAlias = dict[str, str | list[int]]
"""Condition on each parent, as a study file's ``when`` has it."""

_Mask: TypeAlias = NDArray[np.bool_]


class Column(NamedTuple):
    """What n trials show of one parameter.

    Attributes
    ----------
    present
        Whether each has it, (n,).
    values
        Its values, (n,): whole numbers, those of choices their index. Anything where it is absent.
    levels
        How many values there are; infinitely many for one on which nothing is taken to depend.
    ordered
        Whether a condition is a least or a largest value, not a list.
    """

    present: _Mask
    values: NDArray[np.float64]
    levels: float
    ordered: bool


class _Clause(NamedTuple):
    parent: str
    wanted: str | list[int]
    admits: _Mask


def conditions(columns: Mapping[str, Column]) -> dict[str, Wanted]:
    """Find the condition under which each parameter is present.

    Parameters
    ----------
    columns
        Of all parameters, each after those on which it may depend.

    Returns
    -------
    dict
        The condition of each parameter that has one; an empty one of those that are always present. Parameters whose
        presence no conjunction explains are left out.
    """
    found: dict[str, Wanted] = {}
    for name, column in columns.items():
        parents = {
            parent: columns[parent] for parent in found if parent != name and columns[parent].levels < float("inf")
        }
        wanted = _explain(column.present, parents, {parent: len(found[parent]) for parent in parents})
        if wanted is not None:
            found[name] = wanted
    return found


def _explain(present: _Mask, parents: Mapping[str, Column], depths: Mapping[str, int]) -> Wanted | None:
    """Conjunction that holds where `present`, and nowhere else; None where there is none.

    Of parents that exclude as much, one without a condition of its own is taken first, and of those the one with the
    fewest values: few trials are told apart by many values whatever these mean.
    """
    left = ~present
    ranked = sorted(parents, key=lambda parent: (depths[parent], parents[parent].levels))
    clauses = [clause for parent in ranked if (clause := _necessary(parent, parents[parent], present)) is not None]
    wanted: Wanted = {}
    while left.any():
        if not clauses:
            return None
        best = max(clauses, key=lambda clause: int((left & ~clause.admits).sum()))  # the first of equals
        if not (left & ~best.admits).any():
            return None
        wanted[best.parent] = best.wanted
        left = left & best.admits
    return wanted


def _necessary(parent: str, column: Column, present: _Mask) -> _Clause | None:
    """Narrowest condition on a parent that admits all trials where `present`; None where it is absent from one."""
    if not present.any() or not column.present[present].all():
        return None
    values = column.values
    if not column.ordered:
        choices = np.unique(values[present])
        return _Clause(parent, [int(choice) for choice in choices], column.present & np.isin(values, choices))
    low, high = int(values[present].min()), int(values[present].max())
    others = values[column.present & ~present]
    bounds = []
    admits = column.present.copy()
    if (others < low).any():
        bounds.append(f">= {low}")
        admits &= values >= low
    if (others > high).any() or not bounds:
        bounds.append(f"<= {high}")
        admits &= values <= high
    return _Clause(parent, " and ".join(bounds), admits)

"""Budgets of a trial's evaluations: the rungs of a study, and what each trial begins with. Standard library only.

Symbols
-------
low, high   the least and the full budget       eta   one trial in so many goes on to the next rung
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate
from typing import Annotated, Any, TypeAlias
from zlib import crc32

import msgspec
from msgspec import Meta

from utilities.errors import StudyError, nearest

Budget: TypeAlias = int | float
"""What an evaluation may use, such as epochs or a share of the data."""

_KINDS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "low": (int, float),
    "high": (int, float),
    "eta": (int,),
    "brackets": (int,),
    "guided": (bool,),
}
_TOLD: dict[tuple[type, ...], str] = {
    (str,): "text",
    (int, float): "a number",
    (int,): "an integer",
    (bool,): "true or false",
}
_ENDS = {"low": "first", "high": "last"}
_DIGITS = 12
_LONGEST_NAME = 60
_LARGEST = 2**53
_FURTHEST = 1e9
_RANGE = {"exclusiveMinimum": 0, "maximum": _LARGEST}


class Fidelity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """With how much a trial is evaluated first, and how it goes on.

    Attributes
    ----------
    name
        What a budget counts, for messages.
    low, high
        Budget of the first rung and of the last; integers where all budgets are.
    eta
        One trial in so many is promoted from each rung to the next, which is about so many times as far.
    brackets
        Of Hyperband: trials begin at one of so many rungs, and are ranked among those that began at the same.
    guided
        Whether rungs are ranked by the objectives that a model foresees with the full budget.
    """

    name: Annotated[
        str,
        Meta(
            description="What a budget counts, for messages",
            extra_json_schema={"maxLength": _LONGEST_NAME, "pattern": r"\S"},
        ),
    ] = "budget"
    low: Annotated[Budget, Meta(description="Budget of a trial's first evaluation", extra_json_schema=_RANGE)]
    high: Annotated[Budget, Meta(description="Budget of a trial's last evaluation", extra_json_schema=_RANGE)]
    eta: Annotated[
        int,
        Meta(
            description="One trial in so many is promoted from each rung",
            extra_json_schema={"minimum": 2, "maximum": _LARGEST},
        ),
    ] = 3
    brackets: Annotated[
        int,
        Meta(description="Trials begin at one of so many rungs, as in Hyperband", extra_json_schema={"minimum": 1}),
    ] = 1
    guided: Annotated[
        bool, Meta(description="Whether rungs are ranked by what the model foresees with the full budget")
    ] = False

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Budgets of the rungs in ascending order, from `low` to `high`.

        As many as make the factor between two of them as near to `eta` as can be, evenly spaced on a log scale, rounded
        to integers where `low` and `high` are.
        """
        steps = max(1, round(math.log(self.high / self.low, self.eta)))
        factor = (self.high / self.low) ** (1.0 / steps)
        between = [self._rounded(self.low * factor**k) for k in range(1, steps)]
        return tuple(sorted({self.low, *between, self.high}))

    def _rounded(self, budget: float) -> Budget:
        if isinstance(self.low, int) and isinstance(self.high, int):
            return round(budget)
        return float(f"{budget:.{_DIGITS}g}")

    def first(self, number: int, seed: int) -> Budget:
        """Budget with which a trial begins: that of its bracket's first rung.

        A bracket gets as many trials as in Hyperband (Li et al. 2018, algorithm 1), so that each spends about as much.
        """
        budgets = self.budgets
        last = len(budgets) - 1
        sizes = [math.ceil((last + 1) / (s + 1) * self.eta**s) for s in range(last, last - self.brackets, -1)]
        place = crc32(f"{seed}:{number}".encode()) / 2**32 * sum(sizes)
        first: Budget = budgets[sum(place >= upto for upto in accumulate(sizes[:-1]))]
        return first


def check_fidelity(fidelity: Fidelity, where: str) -> Fidelity:
    """See that a fidelity can be used; returns it.

    Parameters
    ----------
    fidelity
        Its values.
    where
        Start of an error message, like ``study.toml: [fidelity]``.

    Raises
    ------
    StudyError
        The rule that is broken, and the value received.
    """
    name, low, high = fidelity.name, fidelity.low, fidelity.high
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise StudyError(f"{where} name must be printable, not empty, at most {_LONGEST_NAME} characters; got {name!r}")
    for key, value in (("low", low), ("high", high)):
        if not 0 < value < math.inf:
            raise StudyError(f"{where} {key} must be a finite number above 0; got {value}")
        if value > _LARGEST:
            raise StudyError(f"{where} {key} must be at most 2^53; got {value}")
    if low >= high:
        raise StudyError(f"{where} low must be below high, {high}; got {low}")
    if low < high / _FURTHEST:
        raise StudyError(f"{where} low must be at least high / {_FURTHEST:g}; got {low} and {high}")
    if not 2 <= fidelity.eta <= _LARGEST:
        raise StudyError(f"{where} eta must be an integer of at least 2; got {fidelity.eta}")
    rungs = len(fidelity.budgets)
    if not 1 <= fidelity.brackets <= rungs:
        told = ", ".join(map(str, fidelity.budgets))
        raise StudyError(
            f"{where} brackets must be from 1 to {rungs}, the number of rungs ({told}); got {fidelity.brackets}"
        )
    return fidelity


def as_fidelity(values: Fidelity | Mapping[str, Any], where: str = "fidelity") -> Fidelity:
    """Fidelity of a dict of its fields, checked.

    Raises
    ------
    StudyError
        An unknown field, a value of another type, or one that breaks its rule.
    """
    if isinstance(values, Fidelity):
        return check_fidelity(values, where)
    fields = Fidelity.__struct_fields__
    for key in values:
        if key not in fields:
            known = ", ".join(fields)
            raise StudyError(f"{where} {key} is not a known key; known keys: {known}.{nearest(key, fields)}")
    for key in ("low", "high"):
        if key not in values:
            raise StudyError(f"{where} {key} is missing: the budget of the {_ENDS[key]} evaluation of a trial")
    for key, value in values.items():
        kinds = _KINDS[key]
        if isinstance(value, bool) != (kinds == (bool,)) or not isinstance(value, kinds):
            raise StudyError(f"{where} {key} must be {_TOLD[kinds]}; got {value!r}")
    return check_fidelity(Fidelity(**values), where)

"""What a study file says of its stages, and what is recorded of one that has begun: plain data, without numerics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from utilities.trial import Value

Limit: TypeAlias = dict[str, Any]
"""What a parameter is limited to: ``low`` and ``high``, or ``choices``, or a ``value``."""

Limits: TypeAlias = dict[str, Limit]
"""By parameter: what a part of a space is narrower in. Of a parameter that is not named, the part has all."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What a study file says of a stage.

    Attributes
    ----------
    budget
        Trials; None for the last stage alone: all that are left.
    free
        The parameters that vary; None for all that `fixed` does not name. Those named neither here nor there keep the
        values of the best trial so far, in the first stage their likely ones.
    fixed
        Values of parameters that do not vary.
    shrink
        Length of what is left of a range, as a share of the last stage's; None leaves ranges as they were.
    space
        Limits of parameters by name, in place of what `shrink` leaves.
    """

    budget: int | None = None
    free: list[str] | None = None
    fixed: dict[str, Value] = {}
    shrink: float | None = None
    space: Limits = {}

    def to_dict(self) -> dict[str, Any]:
        """The table as a study file has it."""
        whole: dict[str, Any] = msgspec.to_builtins(self)
        return {key: value for key, value in whole.items() if value is not None and value != {}}

    def held(self, names: Sequence[str]) -> list[str]:
        """Those of the parameters `names` that keep the value of the best trial."""
        if self.free is None:
            return []
        return [name for name in names if name not in self.free and name not in self.fixed]

    def needs_outcomes(self, names: Sequence[str]) -> bool:
        """Whether the part of a space with the parameters `names` depends on the outcomes before it."""
        return self.shrink is not None or bool(self.held(names))


class Begun(msgspec.Struct, frozen=True, tag="stage"):
    """A stage has begun.

    Attributes
    ----------
    stage
        Its number, from 0.
    first
        Number of its first trial.
    start
        How many trials had been handed out, or were about to be, when it began.
    ranges
        What its ranges are narrower in than the space: the next stage goes on from these.
    limits
        The same, and what does not vary in this stage alone.
    """

    stage: int
    first: int
    start: int
    ranges: Limits
    limits: Limits


def describe(begun: Begun, plan: Sequence[Stage], verb: str = "begins") -> str:
    """Say in a sentence which stage begins, or did, and where it looks."""
    where = ", ".join(f"{name} {_limit(limit)}" for name, limit in begun.limits.items())
    of = f" of {len(plan)}" if begun.stage < len(plan) else ""
    return f"stage {begun.stage + 1}{of} {verb} with trial {begun.first}: {where or 'the whole space'}"


def _limit(limit: Limit) -> str:
    if "value" in limit:
        return f"= {_show(limit['value'])}"
    if "choices" in limit:
        return f"in {', '.join(map(_show, limit['choices']))}"
    return " and ".join(
        f"{word} {_show(limit[key])}" for key, word in (("low", "from"), ("high", "to")) if key in limit
    ).replace(" and to", " to")


def _show(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)

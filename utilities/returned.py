"""What an objective of Python returned, as numbers by name. No numerics: workers of executors import this file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from utilities.errors import quoted
from utilities.trial import Outcome, TrialState

OBJECTIVE = "objective"
"""Name of what an objective of one goal returns."""

SECONDS = "seconds"
"""Name of the wall time of an evaluation, where the objective returns no number of this name."""

Returned: TypeAlias = float | Sequence[float] | Mapping[str, float]
"""What an objective may return."""


def check_values(values: Any, count: int) -> tuple[float, ...]:
    """Values of `count` objectives, of which a single one may stand by itself; ValueError where there are others."""
    single = not hasattr(values, "__len__") or getattr(values, "ndim", 1) == 0
    found = (float(values),) if single else tuple(map(float, values))
    if len(found) != count:
        wanted = f"{count} values, one of each objective" if count > 1 else "one number"
        raise ValueError(f"an outcome needs {wanted}; got {quoted(values)}")
    return found


class Expected(NamedTuple):
    """What an outcome must hold: the objectives, and the targets, which are these and what constraints are on."""

    objectives: tuple[str, ...] = (OBJECTIVE,)
    targets: tuple[str, ...] = (OBJECTIVE,)

    def numbers(self, returned: Returned) -> dict[str, float]:
        """Numbers by name; ValueError where there are not as many as objectives."""
        if isinstance(returned, Mapping):
            return {str(name): float(value) for name, value in returned.items()}
        return dict(zip(self.objectives, check_values(returned, len(self.objectives)), strict=True))

    def outcome(self, numbers: Mapping[str, float], seconds: float) -> Outcome:
        """Outcome of an evaluation; a failure where a target is missing or not finite."""
        known = {SECONDS: seconds, **numbers}
        for name in self.targets:
            if name not in known:
                return Outcome(TrialState.FAIL, message=f'objective returned no "{name}" (it has {", ".join(known)})')
            if not math.isfinite(known[name]):
                of = "" if name == OBJECTIVE else f' for "{name}"'
                return Outcome(TrialState.FAIL, message=f"objective returned {known[name]}{of}")
        metrics = {name: value for name, value in numbers.items() if name != OBJECTIVE}
        return Outcome(TrialState.COMPLETE, numbers.get(OBJECTIVE), metrics, seconds)

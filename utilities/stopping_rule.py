"""What a rule of early stopping is, and the settings of all of them."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule and its numbers.

    Attributes
    ----------
    rule
        One of `utilities.stopping_rules.NAMES`.
    min_steps
        Step below which no trial is ended: the first rung of ``asha``, and of the first bracket of ``hyperband``.
    max_steps
        The step of a trial that runs to its end; ``hyperband`` needs it.
    probability
        Of beating the incumbent, below which a trial is ended: by default none, but of ``model``.
    guided
        Of ``asha`` and ``hyperband``: whether rungs are ranked by what a model foresees.
    eta
        Of ``asha`` and ``hyperband``: rungs are so many times as far apart each time, and one in so many goes on.
    min_trials
        Of ``median``: completed trials before it ends any.
    patience
        Of ``patience``: steps without an improvement.
    min_delta
        Of ``patience``: what counts as an improvement, in units of the objective.
    lower, upper
        Of ``threshold``: bounds in the user's own direction; None means no bound.
    """

    rule: str
    min_steps: int = 1
    max_steps: int | None = None
    probability: float | None = None
    guided: bool = False
    eta: int = 3
    min_trials: int = 5
    patience: int = 10
    min_delta: float = 0.0
    lower: float | None = None
    upper: float | None = None


class StoppingRule(Protocol):
    """Judges trials by what they report; a value is to be minimised, and infinite where it was NaN."""

    def report(self, number: int, step: int, value: float) -> bool:
        """Take a value at a step higher than any before of the trial; whether the trial should stop."""

    def end(self, number: int, *, complete: bool) -> None:
        """Take note that a trial ended."""

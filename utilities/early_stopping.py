"""Early stopping: a trial is ended by a rule, told by what it and the others have reported. Standard library only.

A rule sees each trial's reports at rising steps; a value is to be minimised, and one that is NaN is the worst. It says
of each report whether its trial should stop. What it costs does not grow with the number of trials, but for the place
of one number in a sorted list. Where a model is to be asked besides, it says so later, see `EarlyStopping.judge`. Which
rules there are stands in `utilities.stopping_rules`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from utilities.halving import Halving
from utilities.model_stopping import Foresight, Judge
from utilities.stopping_rule import Settings
from utilities.stopping_rules import RULES


class _Verdict(NamedTuple):
    """The latest report of a running trial: where, what, and whether to stop; and the latest finite value."""

    step: int
    stop: bool
    value: float | None


class EarlyStopping:
    """Judges the trials of a study by a rule.

    A trial that is evaluated again, for it was cut off or its worker lost, reports steps again: at those that were
    judged before, the verdict stands and the value counts no second time.

    Parameters
    ----------
    settings
        The rule.
    direction
        ``minimize`` or ``maximize``.
    seed
        Of the study: from it ``hyperband`` takes the bracket of each trial.
    """

    def __init__(self, settings: Settings, direction: str, seed: int) -> None:
        kind = RULES[settings.rule]
        self._sign = 1.0 if direction == "minimize" else -1.0
        self._rule = kind.make(settings, seed, self._sign)
        self._latest: dict[int, _Verdict] = {}
        self._guided = settings.guided
        self._judge: Judge | None = None
        probability = kind.probability if settings.probability is None else settings.probability
        if probability is not None or settings.guided:
            self._judge = Judge(probability, settings.min_steps)

    def report(self, number: int, step: int, value: float) -> bool:
        """Take an intermediate value, in the user's own direction; whether its trial should stop at once.

        Where a model is to be asked, that is said by `judge`. Of a trial that was told to stop and reports on, this
        says so no second time.
        """
        latest = self._latest.get(number)
        if latest is not None and (latest.stop or step <= latest.step):
            return latest.stop and step == latest.step
        stop = self._rule.report(number, step, math.inf if math.isnan(value) else self._sign * value)
        if self._judge is not None:
            rung = self._rule.rung(number, step) if self._guided and isinstance(self._rule, Halving) else None
            self._judge.note(number, step, stop=stop, rung=rung)
            stop = False
        earlier = None if latest is None else latest.value
        self._latest[number] = _Verdict(step, stop, value if math.isfinite(value) else earlier)
        return stop

    def stopped(self, number: int) -> bool:
        """Whether a running trial was told to stop."""
        verdict = self._latest.get(number)
        return verdict is not None and verdict.stop

    def judge(self, foresight: Foresight, running: Iterable[int]) -> list[int]:
        """Numbers of the trials to stop, of the `running` ones, by all that was reported since the last call."""
        if self._judge is None:
            return []
        stopped = self._judge.judge(foresight, running)
        for number in stopped:
            self._latest[number] = self._latest[number]._replace(stop=True)
        return stopped

    def latest(self, number: int) -> float | None:
        """Latest finite value that a running trial reported; None where there is none."""
        verdict = self._latest.get(number)
        return None if verdict is None else verdict.value

    def end(self, number: int, *, complete: bool) -> None:
        """Take note that a trial ended; `complete` unless it was stopped or failed."""
        self._latest.pop(number, None)
        if self._judge is not None:
            self._judge.end(number)
        self._rule.end(number, complete=complete)

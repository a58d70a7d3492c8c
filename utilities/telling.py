"""The half of ask and tell that takes outcomes: what a trial came to, what it reported, what others knew before."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from utilities.errors import StudyError
from utilities.goals import Goals
from utilities.incumbents import Incumbents
from utilities.model_access import ModelAccess
from utilities.pauses import Pauses
from utilities.rungs import in_order
from utilities.space import Space
from utilities.trial import Outcome, Trial, TrialRecord, TrialState


class Telling(ModelAccess):
    """What an optimiser is told; it has goals, incumbents, and, where there are budgets, trials that are paused."""

    space: Space
    goals: Goals
    incumbents: Incumbents
    origins: dict[int, str]
    _pauses: Pauses | None
    _sign: float

    @property
    def _next_number(self) -> int:
        return next(reversed(self._asked), -1) + 1  # numbers ascend, but a mended journal may lack some

    def _note(self, trial: Trial, origin: str) -> None:
        self._asked[trial.number] = trial
        self.origins[trial.number] = origin
        if self._pauses is not None:
            self._pauses.begin(trial)

    def tell(
        self,
        trial: Trial | int,
        objective: float | Sequence[float] | None = None,
        *,
        failed: str | None = None,
        pruned: bool = False,
        metrics: Mapping[str, float] | None = None,
        standard_error: float | None = None,
    ) -> None:
        """Report the outcome of a pending trial: its objective, or why it failed. One that is not finite is a failure.

        Parameters
        ----------
        trial
            It, or its number.
        objective
            In the user's own direction; of several objectives, a sequence of their values.
        failed
            Why there is none.
        pruned
            Whether it was ended early: then `objective` is the last that it reported, None where it reported nothing.
            The model learns of it; the best trial is a completed one.
        metrics
            Further numbers: all that constraints on metrics name, but for objectives.
        standard_error
            Of the objective, where it is a mean of several evaluations, say: a surrogate takes it for known noise.

        Raises
        ------
        ValueError
            The trial was never asked or was told already, both or neither of objective and failed were given, or as
            many values as there are no objectives; a metric of a constraint is missing; a standard error is below 0.
        """
        if (objective is None) == (failed is None) and not (pruned and failed is None):
            raise ValueError(f"tell() needs an objective or failed=...; got {objective!r} and failed={failed!r}")
        if standard_error is not None and not 0.0 <= standard_error < math.inf:
            raise ValueError(f"standard_error must be finite and not negative; got {standard_error}")
        values = None if objective is None else self.goals.check_values(objective)
        if values is not None and not pruned:
            self.goals.check_metrics(metrics or {})
        self._end(trial, values, metrics or {}, standard_error, pruned=pruned)

    def _end(
        self,
        trial: Trial | int,
        values: Sequence[float] | None,
        metrics: Mapping[str, float],
        standard_error: float | None,
        *,
        pruned: bool,
    ) -> None:
        """Note the end of a pending trial, with the values of its objectives where it has them."""
        number = self._known(trial)
        if not self._history.is_pending(number):
            raise ValueError(f"trial {number} was told already")
        if values is None or not all(map(math.isfinite, values)):
            if pruned:
                self._history.drop(number)
            else:
                self._history.fail(number)
            return
        entry, variance = self.goals.entry(values, metrics), (standard_error or 0.0) ** 2
        if self._pauses is not None and not pruned and self._pauses.take(number, entry.objective, variance):
            return
        self._history.complete(number, entry.objective, variance, entry.targets, feasible=entry.feasible, pruned=pruned)
        if not pruned:
            self.incumbents.note(number, self._asked[number].config, values, feasible=entry.feasible)

    def give_up(self, number: int) -> None:
        """Promote a paused trial no more; what it came to stays known."""
        if self._pauses is not None:
            self._pauses.give_up(number)

    def _known(self, trial: Trial | int) -> int:
        number = trial if isinstance(trial, int) else trial.number
        if number not in self._asked:
            raise ValueError(f"trial {number} was never asked; asked so far: 0 to {self._next_number - 1}")
        return number

    def report(self, trial: Trial | int, step: int, value: float) -> None:
        """Report an intermediate value of a pending trial: an observation at that step's fidelity.

        The model learns how values tell of those at full length, which is `max_steps`, or else the largest step that a
        completed trial reported. There the objective counts, and where reports end far from it none is learned from.

        Parameters
        ----------
        trial
            It, or its number. Of one that has ended already, nothing is taken.
        step
            What was done so far, such as 1 after the first epoch. Of steps up to an earlier one, nothing is taken.
        value
            In the user's own direction. One that is not finite is no observation, nor is any with several objectives.

        Raises
        ------
        ValueError
            The trial was never asked.
        """
        number = self._known(trial)
        if self._history.is_pending(number) and not self.goals.several:
            self._history.report(number, step, self._sign * float(value))

    def observe(
        self,
        config: Mapping[str, Any],
        objective: float | Sequence[float],
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Learn from an outcome of elsewhere, such as another study: it is no trial, and not the best of this one.

        Raises
        ------
        StudyError
            The configuration is not of this space, or an objective is not finite.
        """
        values = self.goals.check_values(objective)
        if not all(map(math.isfinite, values)):
            raise StudyError(f"an observed objective must be finite; got {objective}")
        entry = self.goals.entry(values, metrics or {})
        self._history.observe(self.space.validate(config), entry.objective, entry.targets, feasible=entry.feasible)

    def restore(self, records: Iterable[TrialRecord], reports: Iterable[tuple[int, int, float, float]] = ()) -> None:
        """Take over the trials of a journal; those without an outcome are pending.

        Numbers that a mended journal has lost stay unused.

        Parameters
        ----------
        records
            The trials.
        reports
            What they reported, in that order: number, step, value and seconds since the epoch.

        Raises
        ------
        ValueError
            A number is there twice, or was given out before.
        """
        held = sorted(records, key=lambda record: record.trial.number)
        for record in held:
            if record.trial.number < self._next_number:
                raise ValueError(f"trial {self._next_number} or later must be restored next; got {record.trial.number}")
            self._note(record.trial, record.origin)
            self._proposer.skip(record.origin)
        self._history.ask_all([record.trial.number for record in held], [record.trial.config for record in held])
        values = deque(sorted(reports, key=lambda report: report[3]))

        def report_until(time: float) -> None:
            while values and values[0][3] <= time:
                self.report(*values.popleft()[:3])

        if self._pauses is not None:
            self._pauses.retell(held, self._sign, self.tell_outcome, report_until)
        else:
            for record, _ in in_order(held):
                report_until(record.completed or 0.0)
                self.tell_outcome(record.trial, record.outcome)
        report_until(math.inf)

    def tell_outcome(self, trial: Trial, outcome: Outcome | None) -> None:
        """Report an outcome as a worker gives it; None leaves the trial pending."""
        if outcome is None:
            return
        failed = outcome.state is TrialState.FAIL
        values, metrics = None if failed else self.goals.values_of(outcome), self.goals.metrics_of(outcome)
        self._end(trial, values, metrics, outcome.standard_error, pruned=outcome.state is TrialState.PRUNED)

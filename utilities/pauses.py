"""The trials of an optimiser that are evaluated with one budget after the other: pausing, going on, giving up."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from utilities.history import History
from utilities.rungs import Foresee, Rungs, in_order
from utilities.trial import Outcome, Trial, TrialRecord


class Pauses:
    """Keeps the rungs, what the model knows, and the trials' budgets in step.

    Parameters
    ----------
    rungs
        Say which trial is promoted.
    history
        What the model knows: of a paused trial its latest value, as if that were final.
    trials
        All that were asked, by number; each as it was last handed out.
    foresee
        By what guided rungs rank.
    """

    def __init__(self, rungs: Rungs, history: History, trials: dict[int, Trial], foresee: Foresee) -> None:
        self.rungs, self._history, self._trials = rungs, history, trials
        self._foresee = foresee if rungs.fidelity.guided else None
        self._candidates: dict[bool, int | None] = {}

    def begin(self, trial: Trial) -> None:
        """Note a new trial, or one of an earlier run."""
        if trial.budget is not None:
            self.rungs.begin(trial.number, trial.budget)

    def candidate(self, *, last: bool) -> int | None:
        """Number of the trial that is to be promoted next, see `Rungs.candidate`; found anew once a trial has moved."""
        if last not in self._candidates:
            self._candidates[last] = self.rungs.candidate(last=last, foresee=self._foresee)
        return self._candidates[last]

    def promote(self, *, last: bool) -> Trial | None:
        """Trial that goes on with a larger budget; None where none does. See `Rungs.candidate` for `last`."""
        number = self.candidate(last=last)
        if number is None:
            return None
        trial = self._trials[number]
        return self._go_on(replace(trial, budget=self.rungs.next_budget(number), previous_budget=trial.budget))

    def _go_on(self, trial: Trial) -> Trial:
        self._candidates.clear()
        self.rungs.leave(trial.number)
        self._trials[trial.number] = trial
        self._history.go_on(trial.number)
        return trial

    def take(self, number: int, value: float, variance: float = 0.0) -> bool:
        """Take what a pending trial came to, to be minimised; whether it is paused now, its budget not being full.

        `variance` is what is known of that of its noise.
        """
        self._candidates.clear()
        budget = self._trials[number].budget
        if budget is None or self.rungs.is_full(budget):
            self.rungs.completed += 1
            return False
        self._history.pause(number, value, budget, variance)
        self.rungs.pause(number, budget, value)
        return True

    def give_up(self, number: int) -> None:
        """Promote a paused trial no more; what it came to stays known."""
        self._candidates.clear()
        self._history.drop(number)
        self.rungs.leave(number)

    def retell(
        self,
        records: Iterable[TrialRecord],
        sign: float,
        tell: Callable[[Trial, Outcome | None], None],
        report_until: Callable[[float], None],
    ) -> None:
        """Take over what ended in earlier runs, in that order.

        Parameters
        ----------
        records
            All trials, noted already.
        sign
            -1 where objectives are to be maximised.
        tell
            Called with a trial and its outcome.
        report_until
            Called before each with its time: what was reported until then is to be told first.
        """
        held = list(records)
        for record, rung in in_order(held):
            number, trial = record.trial.number, record.evaluation
            report_until((record.completed if rung is None else rung.completed) or 0.0)
            paused = self.rungs.is_paused(number)
            if rung is None and paused and trial.budget == record.rungs[-1].budget:
                self.give_up(number)
                continue
            now = trial if rung is None else replace(trial, budget=rung.budget)
            if paused:
                self._go_on(now)
            self._trials[number] = now
            if rung is None:
                tell(now, record.outcome)
            elif rung.outcome.objective is not None:
                self.take(number, sign * rung.outcome.objective)
        for record in held:
            if record.outcome is None and self.rungs.is_paused(record.trial.number) and not record.paused:
                self._go_on(record.evaluation)

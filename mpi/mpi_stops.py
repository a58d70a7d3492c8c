"""What trials report, and which of them are to end early, as the master sees it."""

from __future__ import annotations

import msgspec

from mpi.mpi_definitions import Letter, Report, Stop
from utilities.early_stopping import EarlyStopping
from utilities.foresight import OptimizerForesight
from utilities.ledger import Ledger
from utilities.optimizer import Optimizer
from utilities.storage.records import Finished, Record, Reported
from utilities.storage.run_folder import RunFolder
from utilities.trial import Outcome, Trial, TrialState


class Stops:
    """Notes what trials report, lets the surrogate learn of it, and tells those to stop that a rule ends.

    Parameters
    ----------
    rule
        Told already of all that earlier runs have reported; None where no trial is ended early.
    run, ledger, optimizer
        Where reports are noted, who evaluates what, and who learns.
    """

    def __init__(self, rule: EarlyStopping | None, run: RunFolder, ledger: Ledger, optimizer: Optimizer) -> None:
        self._rule, self._run, self._ledger, self._optimizer = rule, run, ledger, optimizer
        self._sources: dict[int, int] = {}

    def take(self, report: Report, source: int, now: float, part: int | None = None) -> list[Letter]:
        """Note a report of a trial or a `part` of it, at `now` in seconds since the epoch; STOP where it is to end.

        Curves of different instances do not compare: from those of parts nothing is learned.
        """
        self._run.reported(report.number, report.step, report.value, now, part)
        if part is None:
            self._optimizer.report(report.number, report.step, report.value)
        if self._rule is None or self._ledger.trial_at(source) != report.number:
            return []
        self._sources[report.number] = source
        stop = self._rule.report(report.number, report.step, report.value)
        return [(source, Stop(report.number))] if stop else []

    def arrive(self, trial: Trial, value: float, source: int, now: float) -> bool:
        """Take what a trial came to at a rung for a report at that step; whether the rule ends it.

        A budget that is no integer is no step: then only the reports that the trial made count.
        """
        if isinstance(trial.budget, int):
            self.take(Report(trial.number, trial.budget, value), source, now)
        return self._rule is not None and self._rule.stopped(trial.number)

    def judge(self) -> list[Letter]:
        """STOP for the trials that the model gives up, by all reports since the last call."""
        sources, self._sources = self._sources, {}
        if self._rule is None or not sources:
            return []
        running = [number for number, source in sources.items() if self._ledger.trial_at(source) == number]
        given_up = self._rule.judge(OptimizerForesight(self._optimizer), running)
        return [(sources[number], Stop(number)) for number in given_up]

    def end(self, trial: Trial, outcome: Outcome) -> Outcome:
        """Note that a trial ended; its outcome, with the latest value reported where it was ended without one."""
        if self._rule is None:
            return outcome
        if outcome.state is TrialState.PRUNED and outcome.objective is None:
            outcome = msgspec.structs.replace(outcome, objective=self._rule.latest(trial.number))
        self._rule.end(trial.number, complete=outcome.state is TrialState.COMPLETE)
        return outcome


def recall(rule: EarlyStopping | None, reports: list[tuple[int, int, float, float]], record: Record) -> None:
    """Tell a rule what a record of an earlier run has for it; keep in `reports` what has been reported."""
    if isinstance(record, Reported) and record.part is None:
        reports.append((record.number, record.step, record.value, record.time))
    if rule is None:
        return
    if isinstance(record, Reported):
        rule.report(record.number, record.step, record.value)
    elif isinstance(record, Finished):
        rule.end(record.number, complete=record.outcome.state is TrialState.COMPLETE)

"""The trials that are to end early, as the master sees them."""

from __future__ import annotations

import msgspec

from mpi.mpi_definitions import Letter, Report, Stop
from utilities.early_stopping import EarlyStopping
from utilities.ledger import Ledger
from utilities.storage.records import Finished, Record, Reported
from utilities.storage.run_folder import RunFolder
from utilities.trial import Outcome, Trial, TrialState


class Stops:
    """Notes what trials report, and tells those to stop that a rule ends.

    Parameters
    ----------
    rule
        Told already of all that earlier runs have reported; None where no trial is ended early.
    run, ledger
        Where reports are noted, and who evaluates what.
    """

    def __init__(self, rule: EarlyStopping | None, run: RunFolder, ledger: Ledger) -> None:
        self._rule, self._run, self._ledger = rule, run, ledger

    def take(self, report: Report, source: int, now: float, part: int | None) -> list[Letter]:
        """Note a report of a trial or a `part` of it, at `now` in seconds since the epoch; STOP where it is to end."""
        self._run.reported(report.number, report.step, report.value, now, part)
        if self._rule is None or self._ledger.trial_at(source) != report.number:
            return []
        stop = self._rule.report(report.number, report.step, report.value)
        return [(source, Stop(report.number))] if stop else []

    def end(self, trial: Trial, outcome: Outcome) -> Outcome:
        """Note that a trial ended; its outcome, with the latest value reported where it was ended without one."""
        if self._rule is None:
            return outcome
        if outcome.state is TrialState.PRUNED and outcome.objective is None:
            outcome = msgspec.structs.replace(outcome, objective=self._rule.latest(trial.number))
        self._rule.end(trial.number, complete=outcome.state is TrialState.COMPLETE)
        return outcome


def recall(rule: EarlyStopping | None, record: Record) -> None:
    """Tell a rule what a record of an earlier run has for it."""
    if rule is None:
        return
    if isinstance(record, Reported):
        rule.report(record.number, record.step, record.value)
    elif isinstance(record, Finished):
        rule.end(record.number, complete=record.outcome.state is TrialState.COMPLETE)

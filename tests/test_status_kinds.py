"""What status and the live view tell of studies with budgets, and of the surrogate."""

import time
from pathlib import Path

import numpy as np
import pytest
from virtual_cluster import Cluster, bowl

from reverie.verbs.status import Observer
from tests.reported_kinds import FIDELITY, Budgets
from utilities.calibration import CalibrationRow
from utilities.display.study_status import as_table, plain_lines
from utilities.trial import TrialState


def test_paused_trials_are_neither_waiting_nor_forgotten(tmp_path: Path) -> None:
    cluster = Budgets(tmp_path, workers=3, budget=30, fidelity=FIDELITY)
    cluster.drive(until=14.0)
    records = cluster.run.records.values()
    paused = [record for record in records if record.paused]
    ended = [record for record in records if record.outcome is not None]
    begun = [record for record in records if record.started is not None and record.outcome is None]
    assert paused
    assert begun
    status = Observer(tmp_path / "s").look(time.time())
    assert status.done == len(paused) + len(ended)
    assert status.waiting == len(records) - status.done - status.running
    assert status.states[TrialState.PAUSED] == len(paused)
    latest = max(paused, key=lambda record: record.rungs[-1].completed)
    shown = next(trial for trial in status.recent if trial.number == latest.trial.number)
    assert (shown.state, shown.budget) == (TrialState.PAUSED, latest.rungs[-1].budget)
    assert shown.objective == pytest.approx(bowl(dict(latest.trial.config)) + 1.0 / float(shown.budget or 1))
    assert as_table(status)["latest"][0]["budget"] in FIDELITY.budgets
    assert any("budget 1  paused" in line for line in plain_lines(status))


def test_the_surrogate_is_told_with_its_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(tmp_path, workers=2, budget=25, method="gp")
    cluster.drive()
    told = cluster.master.ledger.status(cluster.optimizer, "model", 30.0).surrogate
    latest = CalibrationRow(*cluster.optimizer.calibration["gp"][-1].tolist())
    inside = round(latest.coverage_90 * latest.judged)
    fitted = cluster.optimizer.fits["gp"].rows
    assert told == f"gp of {fitted} observations; {inside} of {latest.judged:.0f} outcomes in its 90 % intervals"
    monkeypatch.setattr(type(cluster.optimizer), "calibration", {"gp": np.empty((0, 5))})
    told = cluster.master.ledger.status(cluster.optimizer, "model", 30.0).surrogate
    assert told == f"gp of {fitted} observations"

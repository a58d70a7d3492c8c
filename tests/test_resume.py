"""A continued study goes on as if nothing had happened: what the second run proposes, one run would have proposed."""

import json
from pathlib import Path
from typing import Any

import pytest

from sequential.seq_optimizer import main
from utilities.fitting import fit_surrogate
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.surrogate import Dataset, Parameters
from utilities.trial import Outcome, TrialRecord, TrialState


def run(folder: Path, method: str, budget: int) -> list[dict[str, Any]]:
    """Configurations in the order in which they were proposed."""
    assert main(["hartmann3", "--method", method, "--budget", str(budget), "--output", str(folder)]) == 0
    (journal,) = folder.glob("*/journal.jsonl")
    records = map(json.loads, journal.read_text().splitlines())
    return [record["trial"]["config"] for record in records if record["type"] == "asked"]


@pytest.mark.parametrize("method", ["random", "sobol", "gp", "dngo", "auto", "optuna-tpe"])
@pytest.mark.parametrize("stop", [3, 11])
def test_a_study_in_two_runs_is_the_study_in_one(tmp_path: Path, method: str, stop: int) -> None:
    whole = run(tmp_path / "whole", method, 15)
    run(tmp_path / "parts", method, stop)
    parts = run(tmp_path / "parts", method, 15)
    assert len(whole) == len(parts) == 15
    for one, other in zip(whole, parts, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_a_continued_study_loads_its_surrogate_and_refits_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, "gp", 12)
    fits: list[tuple[int, bool]] = []

    def watch(kind: str, space: Space, data: Dataset, seed: int, previous: Parameters | None) -> Parameters:
        fits.append((len(data), previous is not None))
        return fit_surrogate(kind, space, data, seed, previous)

    monkeypatch.setattr("utilities.model.fit_surrogate", watch)
    run(tmp_path, "gp", 12)
    assert fits == []
    run(tmp_path, "gp", 14)
    assert fits == [(12, True), (13, True)]


def noisy(number: int, x: float) -> float:
    return (x - 0.3) ** 2 + (1.0 if number % 2 else -1.0)


@pytest.mark.parametrize("outcome", [None, Outcome(TrialState.FAIL, message="no")], ids=["pending", "failed"])
def test_the_best_configuration_is_probed_for_noise_once_over_all_runs(outcome: Outcome | None) -> None:
    space = Space.from_dict({"x": {"type": "float", "low": 0.0, "high": 1.0}})
    records: list[TrialRecord] = []
    optimizer = Optimizer(space, "gp", 0)
    for number in range(30):
        trial = optimizer.ask()
        records.append(TrialRecord(trial, optimizer.origins[number]))
        if sum(record.trial.config == trial.config for record in records) == 2:
            break
        records[-1].outcome = Outcome(TrialState.COMPLETE, noisy(number, float(trial.config["x"])))
        optimizer.tell(trial, records[-1].outcome.objective)
    else:
        pytest.fail("never probed")
    records[-1].outcome = outcome
    again = Optimizer(space, "gp", 0)
    again.restore(records)
    probed = records[-1].trial.config
    assert again.ask().config != probed

"""The configurations of a study that were evaluated on all its instances, and how the best of them compare."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from utilities.significance import Comparison, compare, in_pairs
from utilities.trial import Config, TrialRecord, TrialState


class RaceResult(NamedTuple):
    """A configuration: its first trial, and its values by part, of several trials of the same one the mean."""

    number: int
    config: Config
    objective: float
    values: list[float]


def given_up(records: Iterable[TrialRecord], direction: str) -> list[RaceResult]:
    """Configurations that a race gave up, the best first by what they had been evaluated on; without their values."""
    sign = 1.0 if direction == "minimize" else -1.0
    found: dict[str, RaceResult] = {}
    for record in records:
        outcome = record.outcome
        if (
            record.parts
            and outcome is not None
            and outcome.state is TrialState.PRUNED
            and outcome.objective is not None
        ):
            result = RaceResult(record.trial.number, record.trial.config, outcome.objective, [])
            found.setdefault(json.dumps(record.trial.config, sort_keys=True), result)
    return sorted(found.values(), key=lambda result: (sign * result.objective, result.number))


def race_results(records: Iterable[TrialRecord], direction: str) -> list[RaceResult]:
    """Configurations of completed trials, the best first; trials of the same one are one."""
    found: dict[str, list[TrialRecord]] = {}
    for record in records:
        outcome = record.outcome
        if outcome is not None and outcome.state is TrialState.COMPLETE and outcome.objective is not None:
            found.setdefault(json.dumps(record.trial.config, sort_keys=True), []).append(record)
    sign = 1.0 if direction == "minimize" else -1.0
    return sorted(map(_result, found.values()), key=lambda result: (sign * result.objective, result.number))


def _result(records: list[TrialRecord]) -> RaceResult:
    first = records[0]
    objectives = [
        record.outcome.objective for record in records if record.outcome and record.outcome.objective is not None
    ]
    values = [[float(record.parts[part].objective or 0.0) for part in sorted(record.parts)] for record in records]
    return RaceResult(
        first.trial.number, first.trial.config, float(np.mean(objectives)), np.mean(values, axis=0).tolist()
    )


def comparison(records: Iterable[TrialRecord], direction: str, instances: int) -> Comparison | None:
    """Compare the best configurations in pairs; None where there are not two with the same parts.

    Parameters
    ----------
    records
        Trials of a study in which each is evaluated in parts.
    direction
        "minimize" or "maximize".
    instances
        Number of instances; the parts are so many, or several repeats of so many.
    """
    held = race_results(records, direction)
    if len(held) < 2 or not held[0].values:
        return None
    values = np.array([result.values for result in held])
    return compare([result.number for result in held], in_pairs(values, instances), direction)

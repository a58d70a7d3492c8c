"""The configurations of a study that were evaluated on all its instances, and how the best of them compare."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from utilities.significance import Comparison, compare, in_pairs
from utilities.trial import Config, TrialRecord, TrialState


class Standing(NamedTuple):
    """A configuration: its first trial, and its values by part, of several trials of the same one the mean."""

    number: int
    config: Config
    objective: float
    values: list[float]


def given_up(records: Iterable[TrialRecord], direction: str) -> list[Standing]:
    """Configurations that a race gave up, the best first by what they had been evaluated on; without their values."""
    sign = 1.0 if direction == "minimize" else -1.0
    found: dict[str, Standing] = {}
    for record in records:
        outcome = record.outcome
        if (
            record.parts
            and outcome is not None
            and outcome.state is TrialState.PRUNED
            and outcome.objective is not None
        ):
            standing = Standing(record.trial.number, record.trial.config, outcome.objective, [])
            found.setdefault(json.dumps(record.trial.config, sort_keys=True), standing)
    return sorted(found.values(), key=lambda standing: (sign * standing.objective, standing.number))


def standings(records: Iterable[TrialRecord], direction: str) -> list[Standing]:
    """Configurations of completed trials, the best first; trials of the same one are one."""
    found: dict[str, list[TrialRecord]] = {}
    for record in records:
        outcome = record.outcome
        if outcome is not None and outcome.state is TrialState.COMPLETE and outcome.objective is not None:
            found.setdefault(json.dumps(record.trial.config, sort_keys=True), []).append(record)
    sign = 1.0 if direction == "minimize" else -1.0
    return sorted(map(_standing, found.values()), key=lambda standing: (sign * standing.objective, standing.number))


def _standing(records: list[TrialRecord]) -> Standing:
    first = records[0]
    objectives = [
        record.outcome.objective for record in records if record.outcome and record.outcome.objective is not None
    ]
    values = [[float(record.parts[part].objective or 0.0) for part in sorted(record.parts)] for record in records]
    return Standing(
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
    held = standings(records, direction)
    if len(held) < 2 or not held[0].values:
        return None
    values = np.array([standing.values for standing in held])
    return compare([standing.number for standing in held], in_pairs(values, instances), direction)

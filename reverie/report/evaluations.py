"""The evaluations of a study, of which a trial may have several: one with each budget, or one on each instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from reverie.report.evidence import Evidence
from utilities.display.text import duration, number
from utilities.trial import Instance, Outcome, TrialRecord, TrialState


class Evaluation(NamedTuple):
    """An evaluation that has begun.

    Attributes
    ----------
    trial
        Whose it is.
    worker
        Rank and host; a question mark where that is not known.
    started, completed
        Seconds since the epoch; the latest that the journal tells of where it still runs.
    state
        PAUSED where it had less than the full budget, else how it ended.
    value
        What it came to, NaN where that is nothing.
    seconds
        Wall time, NaN while it runs.
    part
        Budget or instance, in words; empty where a trial is one evaluation.
    """

    trial: TrialRecord
    worker: str
    started: float
    completed: float
    state: TrialState
    value: float
    seconds: float
    part: str = ""


def instance_names(instances: Sequence[Instance]) -> list[str]:
    """Names of instances, all different: in a rerun each is there several times, or is none."""
    seen = Counter[str]()
    names = []
    for instance in instances:
        name = "repeat" if instance is None else f"instance {instance}"
        seen[name] += 1
        again = seen[name] > 1 or instances.count(instance) > 1
        names.append(f"{name} {seen[name]}" if instance is None else f"{name} ({seen[name]})" if again else name)
    return names


def evaluations(evidence: Evidence) -> list[Evaluation]:
    """All evaluations whose beginning is known, trial by trial."""
    return [found for trial in evidence.trials.values() for found in _of(trial, evidence)]


def _of(trial: TrialRecord, evidence: Evidence) -> Iterator[Evaluation]:
    instances, name = instance_names(evidence.header.instances or ()), evidence.budget_name
    parts = evidence.measured.get(trial.trial.number, ())
    for one in parts:
        told = instances[one.part] if one.part < len(instances) else ""
        yield _made(trial, one.worker, (one.started, one.completed), one.outcome.state, one.outcome, told)
    for rung in trial.rungs:
        if rung.started is not None:
            times = rung.started, rung.completed
            yield _made(trial, rung.worker, times, TrialState.PAUSED, rung.outcome, f"{rung.budget:g} {name}")
    closed = trial.rungs and trial.rungs[-1].budget == trial.budget
    if trial.started is not None and not closed and not parts:
        times = trial.started, trial.completed or evidence.latest
        told = "" if trial.budget is None else f"{trial.budget:g} {name}"
        yield _made(trial, trial.worker, times, trial.state, trial.outcome, told)


def _made(
    trial: TrialRecord,
    worker: str,
    times: tuple[float, float],
    state: TrialState,
    outcome: Outcome | None,
    told: str,
) -> Evaluation:
    value, seconds = float("nan"), float("nan")
    if outcome is not None:
        value, seconds = value if outcome.objective is None else outcome.objective, outcome.seconds
    return Evaluation(trial, worker or "?", *times, state, value, seconds, told)


def typical_seconds(evidence: Evidence) -> tuple[str, str]:
    """Median evaluation, and in words that it is and how long the longest took."""
    seconds = np.array([found.seconds for found in evaluations(evidence)])
    seconds = seconds[np.isfinite(seconds)]
    if not len(seconds):
        return "none has ended", ""
    return duration(float(np.median(seconds))), f"median; the longest took {duration(float(seconds.max()))}"


def per_hour(evidence: Evidence) -> str:
    """How many evaluations ended per hour of the study, in words."""
    found = [one for one in evaluations(evidence) if np.isfinite(one.seconds)]
    span = evidence.latest - evidence.began
    pace = 3600.0 * len(found) / span if span > 0 else float("nan")
    noun = "evaluation" if any(one.part for one in found) else "trial"
    return f"{f'{pace:,.0f}' if pace >= 100 else number(pace, 3)} {noun}s an hour"

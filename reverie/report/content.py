"""What is in a report, in which order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reverie.report.curves import curves
from reverie.report.evidence import Evidence, value_of
from reverie.report.failures import failures
from reverie.report.figure import Figure
from reverie.report.knowledge import FEWEST, Knowledge
from reverie.report.landscape import landscape
from reverie.report.page import Fact, Section
from reverie.report.progress import progress
from reverie.report.workers import per_hour, trial_seconds, workers
from utilities.display.text import counted, duration, number, setting
from utilities.trial import TrialState


@dataclass(frozen=True)
class Content:
    """Everything that a page shows."""

    title: str
    subtitle: str
    facts: Sequence[Fact]
    sections: Sequence[Section]


def compose(evidence: Evidence, *, running: bool) -> Content:
    """Make the content of the report of a study, which runs or does not."""
    sections = [
        Section("The best configuration", notes=_best(evidence), preformatted=_best_as_toml(evidence)),
        Section("The search", progress(evidence)),
        Section("Learning curves", curves(evidence)),
        Section("Parameters", *_parameters(evidence)),
        Section("Failures", failures(evidence)),
        Section("Workers", workers(evidence)),
        Section("Runs", notes=_runs(evidence)),
        Section("The study file", preformatted=_study(evidence)),
        Section("Versions", notes=[_versions(evidence)]),
    ]
    began = datetime.fromtimestamp(evidence.began, UTC).strftime("%Y-%m-%d %H:%M UTC")
    subtitle = f"{evidence.header.objective or ' '.join(evidence.header.command or [])}, begun {began}"
    return Content(evidence.header.name, subtitle, _facts(evidence, running), sections)


def _facts(evidence: Evidence, running: bool) -> list[Fact]:
    found = []
    best = evidence.best
    if best is not None:
        direction = "lowest" if evidence.sign > 0 else "highest"
        found.append(Fact(f"{direction} objective", number(value_of(best), 6), f"trial {best.trial.number}"))
    states = Counter(trial.state for trial in evidence.trials.values())
    budget = "" if evidence.budget is None else f" of {evidence.budget:,}"
    rest = [f"{states[state]:,} {word}" for state, word in _WORDS if states[state]]
    found.append(Fact("trials ended", f"{len(evidence.ended):,}{budget}", ", ".join(rest)))
    found.append(Fact("time", duration(evidence.latest - evidence.began), f"{per_hour(evidence)} trials an hour"))
    found.append(
        Fact("an evaluation", trial_seconds(evidence).partition(",")[0], trial_seconds(evidence).partition(", ")[2])
    )
    method = evidence.sessions[-1].method if evidence.sessions else evidence.header.method
    found.append(Fact("method", method, "running" if running else str(evidence.summary.get("status", "not running"))))
    return found


_WORDS = (
    (TrialState.COMPLETE, "completed"),
    (TrialState.PAUSED, "paused"),
    (TrialState.PRUNED, "ended early"),
    (TrialState.FAIL, "failed"),
    (TrialState.RUNNING, "under way"),
    (TrialState.WAITING, "waiting"),
)


def _best(evidence: Evidence) -> list[str]:
    best = evidence.best
    if best is None:
        return ["No trial has completed yet."]
    notes = [f"Trial {best.trial.number}, {number(value_of(best), 6)}."]
    predicted = evidence.summary.get("predicted_best")
    if isinstance(predicted, Mapping):
        config = ", ".join(f"{name} = {setting(value)}" for name, value in predicted["config"].items())
        notes.append(
            f"The surrogate expects {number(predicted['objective'], 5)} ± {number(predicted['sd'], 2)} at {config}."
        )
    return [*notes, *_told(evidence.summary.get("borders")), *_told(evidence.summary.get("significance"))]


def _told(found: Any) -> list[str]:
    """Sentences of a part of summary.json: text, a list of them, or tables with a sentence each."""
    if isinstance(found, str):
        return [found]
    if isinstance(found, Mapping):
        return _told(found.get("sentence") or found.get("says"))
    return [sentence for item in found for sentence in _told(item)] if isinstance(found, list) else []


def _best_as_toml(evidence: Evidence) -> str:
    if evidence.best is None:
        return ""
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in evidence.best.trial.config.items())


def _parameters(evidence: Evidence) -> tuple[list[Figure], list[str]]:
    if len(evidence.completed) < FEWEST:
        return [], [f"What a surrogate makes of the parameters is shown from {FEWEST} completed trials on."]
    return landscape(evidence, Knowledge(evidence)), []


def _runs(evidence: Evidence) -> list[str]:
    lines = []
    for place, session in enumerate(evidence.sessions, 1):
        when = datetime.fromtimestamp(session.time, UTC).strftime("%Y-%m-%d %H:%M UTC")
        budget = "no budget" if session.budget is None else f"budget {session.budget:,}"
        lines.append(
            f"Run {place}: {when}, {counted(session.ranks, 'rank')} from {session.host}, {session.method}, {budget}."
        )
    losses = sum(len(trial.losses) for trial in evidence.trials.values())
    if losses:
        lines.append(f"{counted(losses, 'evaluation')} came to nothing by no fault of the trial and were made again.")
    return lines[-12:]


def _study(evidence: Evidence) -> str:
    return json.dumps(_without_nothing(evidence.tables), indent=2, ensure_ascii=False)


def _without_nothing(value: Any) -> Any:
    """`value` without keys that are null or empty."""
    if not isinstance(value, Mapping):
        return value
    return {key: _without_nothing(item) for key, item in value.items() if item is not None and item not in ({}, [])}


def _versions(evidence: Evidence) -> str:
    versions = evidence.header.versions
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) or "not recorded"

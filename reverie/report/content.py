"""What is in a report, in which order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from reverie.report.curves import curves
from reverie.report.evaluations import per_hour, typical_seconds
from reverie.report.evidence import Evidence
from reverie.report.failures import failures
from reverie.report.figure import WORDS, Figure
from reverie.report.front import ends, front, in_words
from reverie.report.knowledge import FEWEST, Knowledge
from reverie.report.landscape import landscape
from reverie.report.page import Fact, Section
from reverie.report.progress import progress
from reverie.report.race import race, significance
from reverie.report.rungs import rungs, scored
from reverie.report.workers import workers
from utilities.display.comparison import rerun_lines
from utilities.display.summary import border_lines
from utilities.display.text import clean, counted, duration, number, setting
from utilities.errors import StudyError, nearest, quoted
from utilities.storage.toml_text import toml_key, toml_value
from utilities.trial import TrialRecord

_MOST_OBJECTIVES, _MOST_FACTS = 3, 4


@dataclass(frozen=True)
class Content:
    """Everything that a page shows."""

    title: str
    subtitle: str
    facts: Sequence[Fact]
    sections: Sequence[Section]


def compose(evidence: Evidence, *, running: bool, objective: str | None = None) -> Content:
    """Make the content of the report of a study.

    Parameters
    ----------
    evidence
        What its folder tells.
    running
        Whether it runs.
    objective
        Name of the one of several objectives by which the parameters are looked at; None for each of them.

    Raises
    ------
    StudyError
        The study has no such objective.
    """
    chosen = _chosen(evidence, objective)
    view = scored(evidence)
    sections = [
        *(_front(evidence) if evidence.goals.several else [_best(evidence)]),
        Section("The search", _search(evidence, view)),
        Section("Budgets", rungs(evidence)),
        Section("The race over instances", race(evidence)),
        Section("Learning curves", curves(evidence)),
        *_parameters(view, chosen),
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
    found = _found(evidence)
    states = evidence.states
    budget = "" if evidence.budget is None else f" of {evidence.budget:,}"
    rest = [f"{states[state]:,} {word}" for state, word in WORDS.items() if states.get(state)]
    found.append(Fact("trials ended", f"{len(evidence.settled):,}{budget}", ", ".join(rest)))
    found.append(Fact("time", duration(evidence.latest - evidence.began), per_hour(evidence)))
    found.append(Fact("an evaluation", *typical_seconds(evidence)))
    method = evidence.sessions[-1].method if evidence.sessions else evidence.header.method
    found.append(Fact("method", method, "running" if running else str(evidence.summary.get("status", "not running"))))
    return found


def _found(evidence: Evidence) -> list[Fact]:
    """What was found: the best value, or those of several objectives."""
    if not evidence.goals.several:
        best = evidence.best
        direction = "lowest" if evidence.sign > 0 else "highest"
        value = "" if best is None else number(evidence.value(best), 6)
        return [] if best is None else [Fact(f"{direction} objective", value, f"trial {best.trial.number}")]
    return [
        Fact(what, number(evidence.of(place).value(trial), 5), f"trial {trial.trial.number}")
        for place, (what, trial) in enumerate(ends(evidence)[:_MOST_FACTS])
    ]


def _front(evidence: Evidence) -> list[Section]:
    found = ends(evidence)
    if not found:
        told_of = "No trial is feasible yet." if evidence.completed else "No trial has completed yet."
        return [Section("The front", front(evidence), [told_of])]
    text = "\n\n".join(
        f"# {what}: trial {trial.trial.number}\n# {in_words(evidence, trial)}\n{_as_toml(trial)}"
        for what, trial in found
    )
    return [Section("The front", front(evidence)), Section("The ends of the front", preformatted=text)]


def _best(evidence: Evidence) -> Section:
    title, best = "The best configuration", evidence.best
    if best is None:
        paused = evidence.header.fidelity is not None and not evidence.completed
        return Section(title, notes=[f"No trial has {'had the full budget' if paused else 'completed'} yet."])
    notes = [f"Trial {best.trial.number}{_before(evidence, best)}, {number(evidence.value(best), 6)}."]
    predicted = evidence.summary.get("predicted_best")
    if isinstance(predicted, Mapping):
        config = ", ".join(f"{name} = {setting(value)}" for name, value in predicted["config"].items())
        notes.append(
            f"The surrogate expects {number(predicted['objective'], 5)} ± {number(predicted['sd'], 2)} at {config}."
        )
    if (told_of := significance(evidence)) and told_of.get("statement"):
        notes.append(f"{clean(told_of['statement'][:1].upper() + told_of['statement'][1:])}.")
    notes += [clean(line) for line in rerun_lines(evidence.summary.get("rerun"))]
    if borders := border_lines(evidence.summary.get("borders") or ()):
        notes.append(" ".join(f"{clean(line)}." for line in borders))
    return Section(title, notes=notes, preformatted=_as_toml(best))


def _before(evidence: Evidence, trial: TrialRecord) -> str:
    """Of a rerun, which trial of the study one was before."""
    rerun = evidence.summary.get("rerun")
    if not isinstance(rerun, Mapping) or trial.trial.number >= len(rerun["trials"]):
        return ""
    return f", which was trial {rerun['trials'][trial.trial.number]['number']} of {clean(str(rerun['of']))}"


def _as_toml(trial: TrialRecord) -> str:
    return "\n".join(f"{toml_key(name)} = {toml_value(value)}" for name, value in trial.trial.config.items())


def _search(evidence: Evidence, view: Evidence) -> list[Figure]:
    """How the search went, by each objective."""
    return [
        figure
        for place in range(len(evidence.goals.names))
        for figure in _named(progress(evidence.of(place), view.of(place)), evidence.of(place))
    ]


def _chosen(evidence: Evidence, objective: str | None) -> list[int]:
    """Indices of the objectives by which the parameters are looked at."""
    names = evidence.goals.names
    if objective is None:
        return list(range(min(len(names), _MOST_OBJECTIVES)))
    if objective not in names:
        rule = f"--objective must be one of {', '.join(map(quoted, names))}; got {quoted(objective)}."
        raise StudyError(f"{evidence.folder}: {rule}{nearest(objective, names)}")
    return [names.index(objective)]


def _parameters(view: Evidence, chosen: Sequence[int]) -> list[Section]:
    """Sections on the parameters, one for each of the objectives `chosen`."""
    if len(view.completed) < FEWEST:
        told_of = f"What a surrogate makes of the parameters is shown from {FEWEST} completed trials on."
        return [Section("Parameters", notes=[told_of])]
    sections = []
    for place in chosen:
        own = view.of(place)
        title = f"Parameters: {own.objective}" if own.goals.several else "Parameters"
        sections.append(Section(title, _named(landscape(own, Knowledge(own)), own), _by_what(own)))
    left_out = len(view.goals.names) - len(chosen)
    if left_out and len(chosen) > 1:
        told_of = f"{counted(left_out, 'objective')} more: --objective NAME shows the parameters by one of them."
        sections.append(Section("Other objectives", notes=[told_of]))
    return sections


def _by_what(view: Evidence) -> list[str]:
    """What the scores of trials are, where they are not those of the trials that completed."""
    if view.rung is not None:
        return [
            f"Few trials have had the full budget: here the score of a trial is what it had come to at {view.rung:g} "
            f"{view.budget_name}, as {len(view.completed):,} have."
        ]
    if view.raced:
        return ["Configurations that were given up count, too, with the adjusted mean of the instances that they had."]
    return []


def _named(figures: Sequence[Figure], evidence: Evidence) -> list[Figure]:
    """The figures, of several objectives with the name of theirs."""
    if not evidence.goals.several:
        return list(figures)
    slug = "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in evidence.objective.lower()).split())
    end = f"{evidence.target}-{slug}" if slug else str(evidence.target)
    return [
        replace(figure, name=f"{figure.name}-{end}", title=f"{figure.title}: {evidence.objective}")
        for figure in figures
    ]


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

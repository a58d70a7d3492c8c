"""Trials of earlier studies as observations of a new one, whose space may be another.

A trial is taken where it says something of this space: it completed, each of its parameters that this space lacks was a
constant there, each that is active here and that it lacks is a constant here, and the resulting configuration is one of
this space. The others are left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from utilities.errors import StudyError
from utilities.goals import make_goals
from utilities.storage.reading import read_trials
from utilities.storage.records import Header, Observation
from utilities.storage.replay import Replay
from utilities.storage.tables import show
from utilities.trial import Config, TrialState

if TYPE_CHECKING:
    from utilities.space import Space
    from utilities.storage.study import Study

_ELSEWHERE = "with a value or a combination that is not of this space"
_DIFFERS = "with other parameters"


def observations(study: Study) -> tuple[list[Observation], list[str]]:
    """Read what the studies that `study` names in ``warm_start`` have observed of its space.

    Returns
    -------
    observations, messages
        Those taken, in the order in which they ended there, and a sentence for each study.

    Raises
    ------
    StudyError
        There is no such study, its journal cannot be read, or its direction is another.
    """
    taken: list[Observation] = []
    messages: list[str] = []
    for i, name in enumerate(study.warm_start or ()):
        where = f"{study.source}: [study] warm_start[{i}]"
        replay = read_trials(study.folder / name, where)
        _check_goals(replay.header, study, f"{where} must have the same", name)
        found, left_out = _take(replay, study, name)
        taken += found
        reasons = "".join(f", {count:,} left out {why}" for why, count in left_out.items())
        messages.append(f"{study.folder / name}: {len(found):,} trials are taken for observations{reasons}")
    return taken, messages


def _check_goals(header: Header, study: Study, rule: str, name: str) -> None:
    """See that an earlier study had the objectives of this one."""
    if header.objectives != study.objectives:
        here = f"this study's are {show(study.objectives)}" if study.objectives else "this study has a single one"
        had = show(header.objectives) if header.objectives else "a single one"
        raise StudyError(f"{rule} objectives; got {name}, with {had}; {here}")
    then, now = make_goals(header.direction, header.directions, header.objectives, None), study.goals
    if then.directions != now.directions:
        here = f"this study's direction is {', '.join(now.directions)}"
        raise StudyError(f"{rule} direction; got {name}, to {', '.join(then.directions)}; {here}")


def _take(replay: Replay, study: Study, source: str) -> tuple[list[Observation], Counter[str]]:
    """Observations of the trials that completed, and how many were left out by reason."""
    space, goals = study.space, study.goals
    fixed = {name for name, parameter in replay.space.parameters.items() if parameter.levels == 1}
    taken: list[Observation] = []
    left_out: Counter[str] = Counter()
    for record in sorted(replay.trials.values(), key=lambda record: record.completed or 0.0):
        outcome = record.outcome
        if outcome is None or outcome.state is TrialState.FAIL or goals.values_of(outcome) is None:
            continue
        config = record.trial.config
        if any(name not in space.parameters and name not in fixed for name in config):
            left_out[_DIFFERS] += 1
        elif (whole := _of_space(config, space)) is None:
            left_out[_ELSEWHERE] += 1
        else:
            metrics = goals.metrics_of(outcome)
            needed = {metric: metrics[metric] for metric in goals.metrics if metric in metrics}
            taken.append(Observation(whole, outcome.objective, source, record.trial.number, needed))
    return taken, left_out


def _of_space(config: Config, space: Space) -> Config | None:
    """Configuration of `space` with these values, and its own constants; None where there is none."""
    try:
        known = space.normal({name: value for name, value in config.items() if name in space.parameters})
        return space.validate(space.with_constants(known))
    except StudyError:
        return None

"""Trials of earlier studies as observations of a new one, whose space may be another.

A trial is taken where it says something of this space: it completed, each of its parameters that this space lacks was a
constant there, each that is active here and that it lacks is a constant here, and the resulting configuration is one of
this space. The others are left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from utilities.errors import StudyError
from utilities.storage.reading import read_trials
from utilities.storage.records import Observation
from utilities.storage.replay import Replay
from utilities.trial import Config

if TYPE_CHECKING:
    from utilities.space import Space
    from utilities.storage.study_file import Study

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
        replay = read_trials(study.folder / name / "journal.jsonl", where)
        if replay.header.direction != study.direction:
            here = f"this study's direction is {study.direction}"
            raise StudyError(f"{where} must have the same direction; got {name}, to {replay.header.direction}; {here}")
        found, left_out = _take(replay, study.space, name)
        taken += found
        reasons = "".join(f", {count:,} left out {why}" for why, count in left_out.items())
        messages.append(f"{study.folder / name}: {len(found):,} trials are taken for observations{reasons}")
    return taken, messages


def _take(replay: Replay, space: Space, source: str) -> tuple[list[Observation], Counter[str]]:
    """Observations of the trials that completed, and how many were left out by reason."""
    fixed = {name for name, parameter in replay.space.parameters.items() if parameter.levels == 1}
    taken: list[Observation] = []
    left_out: Counter[str] = Counter()
    for record in sorted(replay.trials.values(), key=lambda record: record.completed or 0.0):
        if record.outcome is None or record.outcome.objective is None:
            continue
        config = record.trial.config
        if any(name not in space.parameters and name not in fixed for name in config):
            left_out[_DIFFERS] += 1
        elif (whole := _of_space(config, space)) is None:
            left_out[_ELSEWHERE] += 1
        else:
            taken.append(Observation(whole, record.outcome.objective, source, record.trial.number))
    return taken, left_out


def _of_space(config: Config, space: Space) -> Config | None:
    """Configuration of `space` with these values, and its own constants; None where there is none."""
    try:
        known = space.normal({name: value for name, value in config.items() if name in space.parameters})
        return space.validate(space.with_constants(known))
    except StudyError:
        return None

"""Points of the user's own: what they leave open is drawn at random, and which of them a study has evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from utilities.conditional import same_value
from utilities.errors import StudyError, quoted
from utilities.space import Space
from utilities.trial import Config, TrialRecord

ORIGIN = "enqueued"
"""Origin of their proposals."""

_DRAWN, _ROUNDS = 2048, 16


def complete(space: Space, given: Mapping[str, Any], seed: int, index: int) -> Config:
    """Complete a configuration by random values of the parameters that it leaves open.

    These are such that all that is given is active, and that the constraints are kept.

    Parameters
    ----------
    given
        Values of some parameters, or of all.
    seed, index
        Of the study, and of this configuration among those that users gave.

    Raises
    ------
    StudyError
        An unknown parameter, a value outside its range, or no such completion was found.
    """
    given = space.normal(given)
    if all(name in given for name in space.varied):
        return space.validate(space.with_constants(given))
    fixed = {space.names.index(name): name for name in given if name in space.varied}
    rng = np.random.default_rng([seed, 7, index])
    active, texts = np.zeros(len(space), dtype=bool), space.constraints.texts
    possible = np.zeros(len(texts), dtype=bool)
    for _ in range(_ROUNDS):
        points = rng.random((_DRAWN, len(space)))
        for column, name in fixed.items():
            points[:, column] = space.varied[name].unit(given[name])
        mask = space.active(points)
        active |= mask.any(axis=0)
        points = points[mask[:, list(fixed)].all(axis=1)]
        kept = np.array(space.constraints.kept(points)).reshape(len(texts), len(points))
        possible |= kept.any(axis=1)
        for point in points[kept.all(axis=0)]:
            config = space.normal({**space.from_unit(point[None])[0], **given})
            if space.holds(config):
                return config
    for column, name in fixed.items():
        if not active[column]:
            raise StudyError(
                f"configuration: {name} = {quoted(given[name])} is inactive whatever the rest is: it needs "
                f"{quoted(space.parameters[name].when)}"
            )
    broken = "; ".join(text for text, once in zip(texts, possible, strict=True) if not once) or "a constraint"
    raise StudyError(f"configuration: {quoted(dict(given))} breaks {broken} with all that was drawn for the rest")


def outstanding(
    space: Space, points: Sequence[Mapping[str, Any]], seed: int, records: Iterable[TrialRecord]
) -> list[Config]:
    """Completions of those `points` that have no trial yet.

    A trial is that of the first point whose completion it is, else of the first whose values it has: another seed
    completes otherwise, and nothing is to be evaluated twice.

    Parameters
    ----------
    points
        As `complete` takes them.
    records
        All trials of the study.
    """
    left = {index: complete(space, point, seed, index) for index, point in enumerate(points)}
    for record in records:
        if record.origin == ORIGIN:
            config = record.trial.config
            same = (index for index, whole in left.items() if whole == config)
            alike = (index for index in left if _has(space, config, points[index]))
            left.pop(next(same, next(alike, -1)), None)
    return list(left.values())


def _has(space: Space, config: Config, values: Mapping[str, Any]) -> bool:
    return all(name in config and same_value(config[name], value) for name, value in space.normal(values).items())

"""Which proposer a method has, and what it maximises."""

from __future__ import annotations

import math

from utilities.errors import StudyError, nearest
from utilities.front_proposer import FrontProposer
from utilities.goals import Goals
from utilities.methods import ACQUISITIONS, KAPPA, MODEL_METHODS, acquisition_misuse
from utilities.model_proposer import Goal, ModelProposer
from utilities.proposals import DesignProposer, Proposer
from utilities.space import Space


def make_proposer(
    method: str, space: Space, seed: int, initial: int, goal: Goal, goals: Goals, *, inline: bool
) -> Proposer:
    """Proposer of a method; `goal` and `goals` are for its model, `inline` lets it refit that when asked."""
    if method not in MODEL_METHODS:
        return DesignProposer(space, method, seed)
    kind = FrontProposer if goals.several else ModelProposer
    return kind(space, method, seed, initial, goal, goals, inline=inline)


def make_goal(method: str, acquisition: str | None, kappa: float | None, goals: Goals) -> Goal:
    """What the model is to maximise; None stands for the default.

    Raises
    ------
    StudyError
        An unknown acquisition, a `kappa` that is not above 0, or one that the other settings have no use for.
    """
    if acquisition is not None and acquisition not in ACQUISITIONS:
        known = ", ".join(ACQUISITIONS)
        hint = nearest(acquisition, ACQUISITIONS)
        raise StudyError(f"acquisition must be one of {known}; got {acquisition!r}.{hint}")
    if kappa is not None and not 0.0 < kappa < math.inf:
        raise StudyError(f"kappa must be a finite number above 0; got {kappa}")
    misuse = acquisition_misuse(method, acquisition, kappa, several=goals.several)
    if misuse:
        raise StudyError(misuse)
    return Goal(acquisition or ACQUISITIONS[0], kappa or KAPPA)

"""Which proposer a method has."""

from __future__ import annotations

from utilities.front_proposer import FrontProposer
from utilities.goal import Goal
from utilities.goals import Goals
from utilities.methods import MODEL_METHODS, OPTUNA_TPE
from utilities.model_proposer import ModelProposer
from utilities.proposals import DesignProposer, Proposer
from utilities.space import Space


def make_proposer(
    method: str, space: Space, seed: int, initial: int, goal: Goal, goals: Goals, *, inline: bool
) -> Proposer:
    """Proposer of a method; `goal` and `goals` are for its model, `inline` lets it refit that when asked."""
    if method in MODEL_METHODS:
        kind = FrontProposer if goals.several else ModelProposer
        return kind(space, method, seed, initial, goal, goals, inline=inline)
    if method == OPTUNA_TPE:
        from utilities.optuna_proposer import OptunaProposer

        return OptunaProposer(space, seed)
    return DesignProposer(space, method, seed)

"""Trials and fronts as displays show them, by what a study's trials are judged by."""

from __future__ import annotations

from utilities.display.run_status import ShownFront, ShownTrial
from utilities.goals import Goals
from utilities.incumbents import Incumbents
from utilities.trial import Outcome, Trial, TrialState


def shown_trial(trial: Trial, outcome: Outcome, goals: Goals) -> ShownTrial:
    """A trial that ended, or was paused."""
    complete = outcome.state is TrialState.COMPLETE
    values = goals.values_of(outcome) if complete and goals.several else None
    feasible = not complete or goals.keeps(outcome)
    return ShownTrial(
        trial.number, trial.config, outcome.state, outcome.objective, values or (), feasible, trial.budget
    )


def shown_front(goals: Goals, incumbents: Incumbents) -> ShownFront | None:
    """The front; None with a single objective."""
    return ShownFront(goals.names, incumbents.size, incumbents.ideal) if goals.several else None

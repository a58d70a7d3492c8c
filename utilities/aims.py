"""What a model maximises to choose: the acquisition whose turn it is, where constraints on metrics are kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utilities import portfolio
from utilities.acquisition import Acquisition, ConfidenceBound, LogExpectedImprovement, NegativeDraw
from utilities.expert import View
from utilities.goal import Goal
from utilities.goals import Goals
from utilities.history import History
from utilities.metric_feasibility import Feasibility, Limit
from utilities.surrogate import Array, Posterior
from utilities.target_models import TargetModels

FANTASIES = 40
"""Mixture components x fantasies over which EI is averaged, at least."""

ANCHORS = 10
PROMISING = 256
"""Observations, those of lowest objective, among which the lowest posterior mean is looked for."""


class Aims:
    """Acquisitions of a study.

    Parameters
    ----------
    models
        Of all targets.
    goal
        The acquisition that is asked for.
    goals
        What trials are judged by.
    """

    def __init__(self, models: TargetModels, goal: Goal, goals: Goals) -> None:
        self._models, self._goal, self._goals = models, goal, goals

    @property
    def kappa(self) -> float:
        """Standard deviations of the confidence bound."""
        return self._goal.kappa

    def name_of(self, history: History, pending: int, turn: int) -> str:
        """Name of the acquisition for a proposal, with so many pending trials, whose turn it is."""
        name = self._goal.acquisition
        return portfolio.choose(len(history.data), pending, turn) if name == "ei" else name

    def feasibility(self, history: History, x_pending: Array, rng: np.random.Generator) -> Feasibility | None:
        """Probability that the constraints on metrics are kept, with pending trials (q, p) fantasised; None without."""
        limits: list[Limit] = []
        for bound in self._goals.bounds:
            if not self._models.models[bound.target].fitted:
                continue
            posterior = self._models.posterior(history, bound.target).affordable(len(x_pending))
            if len(x_pending):
                count = max(2, -(-FANTASIES // len(posterior.noise())))
                posterior = posterior.fantasize(posterior.relevant(x_pending), count, rng)
            value = self._models.to_standard(history, bound.target, bound.value)
            limits.append(Limit(posterior, value, 1.0 if bound.upper else -1.0))
        return Feasibility(limits) if limits else None

    def acquisition(
        self, name: str, view: View, history: History, x_pending: Array, likely: Array, rng: np.random.Generator
    ) -> Acquisition:
        """What is to be maximised, with pending trials fantasised where that matters.

        `x_pending` (q, p) are the features of all of these, `likely` (k, p) of those that may well be valid: an
        incumbent can be among them.
        """
        if name == "thompson":
            return NegativeDraw(view.posterior.draw(rng))
        x_pending = view.posterior.relevant(x_pending)
        posterior = fantasised = view.posterior.affordable(len(x_pending))
        if len(x_pending):
            count = 1 if name == "explore" else max(2, -(-FANTASIES // len(posterior.noise())))
            fantasised = posterior.fantasize(x_pending, count, rng)
        if name == "ucb":
            return ConfidenceBound(fantasised, self._goal.kappa)
        observed = history.data.x[promising(view, history)]
        if name == "explore":
            return portfolio.PureExploration(posterior, fantasised, observed, self._goal.kappa)
        known = np.vstack([observed, likely])
        return LogExpectedImprovement(fantasised, known, noise=known_noise(view, history))


def known_noise(view: View, history: History) -> float | None:
    """Known variance of the noise of the next outcome; None where nothing says that there is any.

    That outcomes have noise is known where repeated ones differ, or where they come with a standard error.
    """
    return view.noise if history.noisy or view.noise > 0.0 else None


def best_points(view: View, posterior: Posterior, history: History) -> Array:
    """Observed points (a, d) of lowest mean of a posterior, at most `ANCHORS`, the best first."""
    rows = promising(view, history)
    mean = posterior.predict(history.data.x[rows])[0].mean(axis=(0, 1))
    return history.points[rows[np.argsort(mean, kind="stable")[:ANCHORS]]]


def promising(view: View, history: History) -> NDArray[np.intp]:
    """Rows of the view with the lowest objectives: few enough for a proposal's cost not to grow with the run.

    Feasible ones alone, where there are any.
    """
    feasible = history.feasible[view.rows]
    rows = view.rows[feasible] if feasible.any() else view.rows
    if len(rows) <= PROMISING:
        return rows
    return rows[np.argpartition(history.data.y[rows], PROMISING)[:PROMISING]]

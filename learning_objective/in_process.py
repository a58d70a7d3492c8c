"""Evaluation in the worker's own process: for benchmarks of microseconds, which can neither crash nor hang."""

from __future__ import annotations

import os
import time
from pathlib import Path

from learning_objective.loading import load
from learning_objective.objective_spec import ObjectiveSpec
from learning_objective.resources import Resources
from learning_objective.results import Objective, Wanted, attempt
from learning_objective.trial_handle import TrialHandle
from utilities.trial import Outcome, Trial, TrialState


class InProcess:
    """Evaluates a benchmark here.

    Parameters
    ----------
    spec
        What to evaluate.
    resources
        Threads and GPUs that it may use, as far as its libraries are not loaded yet.
    """

    def __init__(self, spec: ObjectiveSpec, resources: Resources) -> None:
        self._spec, self._resources = spec, resources
        self._objective: Objective | None = None

    def evaluate(self, trial: Trial, folder: Path) -> Outcome:
        """Evaluate a trial with its own `folder`.

        Raises
        ------
        LoadError
            The objective cannot be loaded.
        """
        begun = time.monotonic()
        if self._objective is None:
            os.environ.update(self._resources.variables(os.environ))
            self._objective = load(self._spec.label, self._spec.folder)
        own = trial.number, trial.seed, trial.budget, folder
        before, instance = trial.previous_budget, trial.instance
        handle = TrialHandle(*own, devices=self._resources.devices, previous_budget=before, instance=instance)
        result = attempt(self._objective, trial.config, handle, Wanted.of(self._spec.as_message()))
        seconds = time.monotonic() - begun
        return Outcome(TrialState(result.state), result.objective, result.metrics, seconds, result.message)

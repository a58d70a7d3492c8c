"""The optimiser of a study, with all of the study's settings that are its own."""

from __future__ import annotations

from typing import Literal

from utilities.budgets import Fidelity
from utilities.optimizer import Optimizer
from utilities.stopping_rules import RULES
from utilities.storage.study import Study


def make_optimizer(
    study: Study, fidelity: Fidelity | None, *, refit: Literal["inline", "external"] = "inline"
) -> Optimizer:
    """Optimiser of a study, before its first trial.

    Parameters
    ----------
    study
        Gives the settings.
    fidelity
        Budgets of the trials: the study's own, or None where each is evaluated with the full one.
    refit
        As of Optimizer.
    """
    return Optimizer(
        study.space,
        study.method,
        study.seed,
        direction=study.direction,
        directions=study.directions,
        objectives=study.objectives,
        metric_constraints=study.metric_constraints,
        acquisition=study.acquisition,
        kappa=study.kappa,
        stages=study.stages,
        fidelity=fidelity,
        refit=refit,
        max_steps=None if study.early_stopping is None else study.early_stopping.max_steps,
        ended_by_model=study.early_stopping is not None and RULES[study.early_stopping.rule].by_model,
    )

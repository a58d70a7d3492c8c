"""What goes by a single objective, and so neither with several objectives nor with constraints on metrics."""

from __future__ import annotations

from utilities.errors import StudyError
from utilities.goals import Goals
from utilities.methods import OPTUNA_TPE


def check_goals(
    goals: Goals,
    method: str,
    *,
    fidelity: str = "",
    stages: str = "",
    early_stopping: str = "",
    source: str = "",
) -> None:
    """See that the goals of a study go with its other settings.

    Parameters
    ----------
    goals, method
        Of the study.
    fidelity, stages, early_stopping
        What each is called where it was given; empty where it was not.
    source
        What messages begin with: where the settings stand.

    Raises
    ------
    StudyError
        Several objectives with budgets, stages, early stopping or ``optuna-tpe``; constraints on metrics with budgets
        or ``optuna-tpe``.
    """
    if goals.plain:
        return
    here = f"several objectives ({', '.join(goals.names)})" if goals.several else "constraints on metrics"
    if method == OPTUNA_TPE:
        other = "auto, gp, dngo" if goals.several else "auto, gp, dngo, dngo-paper"
        raise StudyError(
            f"{source}method {method} proposes for one objective without constraints on metrics; got it with {here}: "
            f"choose another, such as {other}"
        )
    if fidelity:
        raise StudyError(
            f"{source}{fidelity} promotes trials by the value of one objective, whatever their metrics; got it with "
            f"{here}: leave one of the two out"
        )
    if not goals.several:
        return
    if stages:
        raise StudyError(
            f"{source}{stages} narrows ranges about the optimum of one objective; got it with {here}: leave one of the "
            "two out"
        )
    if early_stopping:
        raise StudyError(
            f"{source}{early_stopping} goes by the values of one objective, which trials report; with objectives no "
            f"trial is ended early; got it with {here}: leave it out"
        )

"""What goes by a single objective, and so neither with several objectives nor with constraints on metrics."""

from __future__ import annotations

from collections.abc import Sequence

from utilities.errors import StudyError
from utilities.methods import OPTUNA_TPE


def check_goals(
    objectives: Sequence[str],
    method: str,
    *,
    constrained: bool,
    fidelity: str = "",
    stages: str = "",
    early_stopping: str = "",
    source: str = "",
) -> None:
    """See that the goals of a study go with its other settings.

    Parameters
    ----------
    objectives
        Names of several; empty where there is one.
    method
        Of the study.
    constrained
        Whether there are constraints on metrics.
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
    if not objectives and not constrained:
        return
    here = f"several objectives ({', '.join(objectives)})" if objectives else "constraints on metrics"
    if method == OPTUNA_TPE:
        other = "auto, gp, dngo" if objectives else "auto, gp, dngo, dngo-paper"
        raise StudyError(
            f"{source}method {method} proposes for one objective without constraints on metrics; got it with {here}: "
            f"choose another, such as {other}"
        )
    if fidelity:
        raise StudyError(
            f"{source}{fidelity} promotes trials by the value of one objective, whatever their metrics; got it with "
            f"{here}: leave one of the two out"
        )
    if not objectives:
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

"""Optuna's distributions as the table of a space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from utilities.errors import StudyError, quoted
from utilities.optuna_distributions import range_table
from utilities.trial import Value


def read_distributions(distributions: Any) -> dict[str, dict[str, Any]]:
    """Table of the space of some distributions.

    An integer or a float with a single value, and a single choice, become a constant. A study does not know when a
    parameter is active: where one is missing in a completed trial, the distributions have to be given, and ``when``.

    Parameters
    ----------
    distributions
        A dict by name, or a study whose trials have them.

    Returns
    -------
    dict
        As the ``[space]`` table of a study file.

    Raises
    ------
    StudyError
        Neither of both, a parameter with several distributions or that is missing in a trial, a choice that is no text,
        number or boolean.
    """
    if not isinstance(distributions, Mapping):
        distributions = _of_study(distributions)
    return {name: _table(str(name), distribution) for name, distribution in distributions.items()}


def _of_study(study: Any) -> dict[str, Any]:
    trials = getattr(study, "trials", None)
    if not isinstance(trials, list):
        raise StudyError(f"distributions must be a dict by name, or a study of Optuna's; got {quoted(study)}")
    found: dict[str, Any] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            if found.setdefault(name, distribution) != distribution:
                told = f"{found[name]} and {distribution}"
                raise StudyError(f"{name} must have one distribution in all trials; got {told} in trial {trial.number}")
    for trial in trials:
        missing = [name for name in found if name not in trial.distributions]
        if missing and trial.state.name == "COMPLETE":
            raise StudyError(
                f"{missing[0]} is missing in trial {trial.number}: a study of Optuna's does not say when a parameter "
                "is active. Give a dict of distributions, and its table a `when`"
            )
    if not found:
        raise StudyError("a study of Optuna's must have a trial with parameters; got none")
    return found


def _table(name: str, distribution: Any) -> dict[str, Any]:
    kind = type(distribution).__name__
    if kind == "CategoricalDistribution":
        choices = list(distribution.choices)
        for choice in choices:
            _check(choice, name)
        return _constant(choices[0]) if len(choices) == 1 else {"type": "categorical", "choices": choices}
    table = range_table(distribution)
    if table is None:
        raise StudyError(
            f"{name} must have a FloatDistribution, IntDistribution or CategoricalDistribution; got {kind}"
        )
    return _constant(distribution.low) if distribution.single() else table


def _constant(value: Value) -> dict[str, Any]:
    return {"type": "constant", "value": value}


def _check(choice: Any, name: str) -> None:
    if not isinstance(choice, str | int | float):
        raise StudyError(f"{name}: a choice must be text, a number or a boolean; got {quoted(choice)}")

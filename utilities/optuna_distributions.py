"""Optuna's distributions and our parameters, each from the other. Optuna is imported where one is made.

A distribution says what Optuna can say. It has no logarithmic scale with a step: the step is lost there; and no order
of choices. Choices that Python takes for equal, as 1 and True, are text in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from utilities.parameters import Varied
from utilities.ranges import FloatParameter, IntParameter
from utilities.trial import Value

if TYPE_CHECKING:
    import optuna

Range: TypeAlias = FloatParameter | IntParameter


def distribution_of(parameter: Varied) -> optuna.distributions.BaseDistribution:
    """Distribution of a parameter: of a range, or of its choices as `as_choice` has them."""
    if isinstance(parameter, Range):
        return range_distribution(parameter, parameter.low, parameter.high)
    return choice_distribution([as_choice(parameter, option) for option in parameter.options])


def range_distribution(parameter: Range, low: float, high: float) -> optuna.distributions.BaseDistribution:
    """Distribution of a range, or of a stretch of it, from `low` to `high`."""
    from optuna.distributions import FloatDistribution, IntDistribution

    step = None if parameter.log else parameter.step
    if isinstance(parameter, IntParameter):
        return IntDistribution(int(low), int(high), log=parameter.log, step=int(step or 1))
    return FloatDistribution(low, high, log=parameter.log, step=step)


def rounded_distribution(low: float, high: float, step: float) -> optuna.distributions.BaseDistribution:
    """Distribution on a logarithmic scale that reaches half a `step` beyond both ends: to be rounded to steps."""
    from optuna.distributions import FloatDistribution

    return FloatDistribution(low - 0.5 * step, high + 0.5 * step, log=True)


def choice_distribution(choices: Sequence[Value]) -> optuna.distributions.BaseDistribution:
    """Distribution of choices without an order."""
    from optuna.distributions import CategoricalDistribution

    return CategoricalDistribution(choices)


def rank_distribution(count: int) -> optuna.distributions.BaseDistribution:
    """Distribution of the ranks of so many choices in order."""
    from optuna.distributions import IntDistribution

    return IntDistribution(0, count - 1)


def as_choice(parameter: Varied, value: Value) -> Value:
    """A value as its distribution has it: text where two choices of a parameter are equal for Python, else itself."""
    if isinstance(parameter, Range):
        return value
    return json.dumps(value) if len(set(parameter.options)) < len(parameter.options) else value


def suggest(trial: optuna.Trial, name: str, distribution: Any) -> Any:
    """Value of a distribution that the study's sampler suggests for a trial."""
    kind = type(distribution).__name__
    if kind == "CategoricalDistribution":
        return trial.suggest_categorical(name, distribution.choices)
    ask: Any = trial.suggest_int if kind == "IntDistribution" else trial.suggest_float
    return ask(name, distribution.low, distribution.high, log=distribution.log, step=distribution.step)


def range_table(distribution: Any) -> dict[str, Any] | None:
    """Table of a float or an integer, as a study file has it, for its distribution; None for another one."""
    kind = {"FloatDistribution": "float", "IntDistribution": "int"}.get(type(distribution).__name__)
    if kind is None:
        return None
    table = {"type": kind, "low": distribution.low, "high": distribution.high}
    if distribution.step is not None and (kind == "float" or distribution.step != 1):
        table["step"] = distribution.step
    return table | ({"log": True} if distribution.log else {})

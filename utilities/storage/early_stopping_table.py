"""The table ``[early_stopping]`` of a study file: values in, the settings of a rule out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from utilities.errors import StudyError
from utilities.stopping_rule import Settings
from utilities.stopping_rules import NAMES
from utilities.stopping_rules import RULES as STOPPING_RULES
from utilities.storage.rules import Rule, a_word, check_key, from_least
from utilities.storage.tables import as_table, show

TABLE = "early_stopping"


def _number(value: float, where: str, least: float = -math.inf) -> float:
    if not math.isfinite(value) or value < least:
        rule = "a finite number" + (f", at least {least:g}" if math.isfinite(least) else "")
        raise StudyError(f"{where} must be {rule}; got {show(value)}")
    return float(value)


def _probability(value: float, where: str) -> float:
    if not 0.0 < value < 1.0:
        raise StudyError(f"{where} must be a number between 0 and 1; got {show(value)}")
    return float(value)


RULES: dict[str, Rule] = {
    "rule": a_word(NAMES, "By what trials are ended early"),
    "min_steps": from_least(1, "No trial is ended below this step"),
    "max_steps": from_least(1, "Step of a trial that runs to its end; by default the largest that a completed one had"),
    "probability": Rule(
        float,
        _probability,
        what="A trial is ended where the model gives it less than this probability to beat the best one",
        limits={"exclusiveMinimum": 0, "exclusiveMaximum": 1},
    ),
    "guided": Rule(
        bool,
        lambda value, _: bool(value),
        what="Whether rungs are ranked by the objectives that the model foresees",
    ),
    "eta": from_least(2, "One trial in so many goes on from a rung, which are so many times as far apart"),
    "min_trials": from_least(1, "Completed trials before any is ended"),
    "patience": from_least(1, "Steps without an improvement after which a trial is ended"),
    "min_delta": Rule(
        float,
        lambda value, where: _number(value, where, 0.0),
        what="The least improvement that counts",
        limits={"minimum": 0},
    ),
    "lower": Rule(float, _number, what="A trial whose value is below this is ended"),
    "upper": Rule(float, _number, what="A trial whose value is above this is ended"),
}
"""Of all its keys."""

OF_ALL = ("rule", "min_steps", "max_steps", "probability")
OF_RULE = {name: kind.keys for name, kind in STOPPING_RULES.items()}
"""Keys that each rule has a use for, besides those of all."""


def parse_early_stopping(table: Any, source: str) -> Settings:
    """Read the table.

    Parameters
    ----------
    table
        As it stands in the file.
    source
        Name of the file, for messages.

    Raises
    ------
    StudyError
        Whatever is wrong with it: the key, the rule, the value received.
    """
    here = f"{source}: [{TABLE}]"
    table = as_table(table, here)
    if "rule" not in table:
        raise StudyError(f"{here} rule is missing: one of {', '.join(NAMES)}")
    values = {key: check_key(RULES, key, value, here) for key, value in table.items()}
    _check_use(values, here)
    return Settings(**values)


def _check_use(values: Mapping[str, Any], here: str) -> None:
    """See that the rule has a use for every key, and every key that it needs."""
    rule = values["rule"]
    for key in values:
        if key not in (*OF_ALL, *OF_RULE[rule]):
            of = " or ".join(name for name, keys in OF_RULE.items() if key in keys)
            raise StudyError(f"{here} {key} is of rule {of}; got rule {rule}")
    if rule == "hyperband" and "max_steps" not in values:
        raise StudyError(f"{here} rule hyperband needs max_steps, the step of a trial that runs to its end")
    if "max_steps" in values:
        least = values.get("min_steps", 1)
        if values["max_steps"] < least:
            raise StudyError(f"{here} max_steps must not be below min_steps, {least}; got {values['max_steps']}")
    if rule == "threshold":
        lower, upper = values.get("lower"), values.get("upper")
        if lower is None and upper is None:
            raise StudyError(f"{here} rule threshold needs lower, upper or both")
        if lower is not None and upper is not None and lower > upper:
            raise StudyError(f"{here} lower must not be above upper, {upper:g}; got {lower:g}")

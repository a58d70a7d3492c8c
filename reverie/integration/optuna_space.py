"""Optuna's distributions as a space of ours, learned from a study's completed trials.

A choice is its index here: Optuna's may be anything. Parameters that a space cannot hold, whose distribution is not
always the same, or whose presence nothing explains (`presence`), are not in it: they are sampled independently.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from reverie.integration.presence import Column, conditions
from utilities.errors import StudyError
from utilities.optuna_distributions import range_table
from utilities.parameters import parse_parameter
from utilities.space import Space
from utilities.trial import Config


def parameter_table(distribution: BaseDistribution) -> dict[str, Any] | None:
    """Parameter of a space for a distribution; None where it has one value, or a space has no such parameter."""
    if distribution.single():
        return None
    if isinstance(distribution, CategoricalDistribution):
        table: dict[str, Any] | None = {"type": "categorical", "choices": list(range(len(distribution.choices)))}
    else:
        table = range_table(distribution)
    if table is None:
        return None
    try:
        parse_parameter(table, "[space]")
    except StudyError:
        return None
    return table


def encode(params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> Config:
    """Values of those of `params` that have one of `distributions`, as a space has them.

    What is not of its distribution is left out.
    """
    config: Config = {}
    for name, distribution in distributions.items():
        if name not in params:
            continue
        try:
            inner = distribution.to_internal_repr(params[name])
        except ValueError:
            continue
        if isinstance(distribution, FloatDistribution):
            config[name] = float(inner)
        elif float(inner).is_integer():
            config[name] = int(inner)
    return config


def decode(config: Config, distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Values of a configuration as Optuna has them."""
    params: dict[str, Any] = {}
    for name, value in config.items():
        distribution = distributions[name]
        if isinstance(distribution, CategoricalDistribution):
            params[name] = distribution.choices[int(value)]
        else:
            params[name] = value
    return params


def is_whole(trial: FrozenTrial) -> bool:
    """Whether a trial shows all that its objective asks for: others may have ended, or returned infinity, before."""
    return trial.state is TrialState.COMPLETE and trial.value is not None and math.isfinite(trial.value)


class SeenSpace:
    """The space that a study's completed trials show.

    Attributes
    ----------
    distributions
        Of the parameters that a space can hold, in the order in which objectives asked for them.
    """

    def __init__(self) -> None:
        self.distributions: dict[str, BaseDistribution] = {}
        self._tables: dict[str, dict[str, Any]] = {}
        self._changing: set[str] = set()
        self._numbers: set[int] = set()
        self._rows: list[dict[str, Any]] = []
        self._spaces: dict[tuple[str, ...], tuple[int, Space | None]] = {}

    def learn(self, trials: Iterable[FrozenTrial]) -> None:
        """Take note of those whole trials that are new."""
        for trial in trials:
            if trial.number not in self._numbers and is_whole(trial):
                self._numbers.add(trial.number)
                self._rows.append(trial.params)
                for name, distribution in trial.distributions.items():
                    self._note(name, distribution)

    def _note(self, name: str, distribution: BaseDistribution) -> None:
        if name in self._changing:
            return
        if name in self.distributions:
            if self.distributions[name] != distribution:
                self._changing.add(name)
                del self.distributions[name]
            return
        table = parameter_table(distribution)
        if table is not None and name and name.isprintable():
            self.distributions[name] = distribution
            self._tables[name] = table

    def space(self, distributions: Mapping[str, BaseDistribution]) -> Space | None:
        """Space of these parameters, each with its condition; None where nothing is left to model.

        The same object is returned for as long as all trials are of it.
        """
        names = tuple(distributions)
        checked, space = self._spaces.get(names, (0, None))
        fits = space is not None and all(
            space.holds(encode(row, {name: distributions[name] for name in space.parameters}))
            for row in self._rows[checked:]
        )
        if not fits:
            space = self._infer(distributions)
        self._spaces[names] = len(self._rows), space
        return space

    def _infer(self, distributions: Mapping[str, BaseDistribution]) -> Space | None:
        configs = [encode(row, distributions) for row in self._rows]
        tables = {name: self._tables.get(name) or parameter_table(distributions[name]) for name in distributions}
        columns = {name: _column(name, table, configs) for name, table in tables.items() if table is not None}
        found = conditions(columns)
        rows = {name: {**(tables[name] or {}), "when": wanted} for name, wanted in found.items()}
        return Space.from_dict(rows) if rows else None


def _column(name: str, table: Mapping[str, Any], configs: list[Config]) -> Column:
    present = np.array([name in config for config in configs], dtype=bool)
    values = np.array([float(config.get(name, 0.0)) for config in configs])
    kind = table["type"]
    levels = len(table["choices"]) if kind == "categorical" else table["high"] - table["low"] + 1
    return Column(present, values, math.inf if kind == "float" else levels, kind == "int")

"""Optuna's TPE as a proposer: told what the optimiser knows, asked for the next configuration.

Every proposal has a sampler of its own, seeded by the study's seed and the number of trials handed out before: so a
study that is continued goes on as it would have. Pending trials are Optuna's running ones, which its constant liar
keeps proposals away from; what Optuna is asked for counts as failed there until it is one of them or has an outcome.
What repeats a configuration or breaks a constraint stays failed, and is asked anew.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from utilities.choices import ConstantParameter, OrdinalParameter
from utilities.history import History
from utilities.methods import OPTUNA_TPE
from utilities.optuna_distributions import (
    choice_distribution,
    range_distribution,
    rank_distribution,
    rounded_distribution,
    suggest,
)
from utilities.parameters import Varied
from utilities.prior import Prior
from utilities.proposals import DesignProposer, Proposal, new_config
from utilities.ranges import FloatParameter, IntParameter
from utilities.scales import Array
from utilities.slices import Ranks, Stretch
from utilities.space import Axis, Space
from utilities.subspace import Subspace
from utilities.trial import Config, Value

if TYPE_CHECKING:
    import optuna

_ATTEMPTS = 32
"""Configurations asked for until one is new; then a random one is taken."""


class OptunaProposer(DesignProposer):
    """Asks Optuna's TPE sampler: multivariate, by groups of parameters that are active together.

    Parameters
    ----------
    space, seed
        Of the study.
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, "random", seed, origin=OPTUNA_TPE)
        self._begin(space)

    def _begin(self, space: Space) -> None:
        """Begin an empty study of Optuna's: its trials follow with the next proposal."""
        import optuna

        self._optuna, self._codes = optuna, _codes(space)
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(sampler=self._sampler(0))
        optuna.logging.set_verbosity(verbosity)
        self._count = self._rows = 0
        self._running: dict[Hashable, int] = {}

    def confine(self, part: Subspace, initial: int, prior: Prior | None = None) -> None:
        """From now on, propose within a part of the space; trials outside of it tell nothing of it."""
        super().confine(part, initial, prior)
        self._begin(part)

    def propose(self, history: History, ready: list[Config]) -> Proposal:
        """Next configuration of the sampler that is new, else a random one."""
        self._tell(history, ready)
        self._study.sampler = self._sampler(history.asked + len(ready))
        for _ in range(_ATTEMPTS):
            config = self._suggest(trial := self._study.ask())
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
            self._count += 1
            point = self._space.snap(self._space.to_unit([config]))
            found = new_config(self._space, point, history, ready)
            if found is not None:
                return Proposal(found, OPTUNA_TPE)
        return super().propose(history, ready)

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = int(np.random.SeedSequence([self._seed, 9, number]).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of options that Optuna calls experimental
            return self._optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)

    def _suggest(self, trial: optuna.Trial) -> Config:
        """Configuration of a trial of Optuna's, parents before their children, without constants."""
        space, config = self._space, Config()
        for name in space.conditions.order:
            if space.conditions.met(name, config):
                config |= self._value(trial, name)
        return config

    def _value(self, trial: optuna.Trial, name: str) -> Config:
        """Value of an active parameter: of one that varies, the sampler's."""
        parameter, code = self._space.parameters[name], self._codes.get(name)
        if isinstance(parameter, ConstantParameter):
            return {name: parameter.value}
        if code is None:
            place = self._space.axes[self._space.names.index(name)].places()[0]
            return {name: parameter.value(float(place))}
        return {name: code.suggest(trial, name)}

    # --- what is known ------------------------------------------------------------------------------------------------

    def _tell(self, history: History, ready: list[Config]) -> None:
        """Bring Optuna's study up to date with what has ended, what is pending and what is ready."""
        state = self._optuna.trial.TrialState
        running = history.pending_by_key | {
            self._space.key(config): self._space.to_unit([config])[0] for config in ready
        }
        for key in [key for key in self._running if key not in running]:
            self._study.tell(self._running.pop(key), state=state.FAIL)
        for row in range(self._rows, len(history.data)):
            kind = state.PRUNED if row in history.pruned else state.COMPLETE
            self._add(history.points[row], kind, float(history.data.y[row]))
        self._rows = len(history.data)
        for key, point in running.items():
            if key not in self._running and self._add(point, state.RUNNING):
                self._running[key] = self._count - 1

    def _add(self, point: Array, state: optuna.trial.TrialState, value: float | None = None) -> bool:
        """Add a trial at a point (d,), unless it lies outside of the part; returns whether it was added."""
        if isinstance(self._space, Subspace) and not self._space.holds_points(point[None])[0]:
            return False
        config = self._space.from_unit(point[None])[0]
        codes = {name: code for name, code in self._codes.items() if name in config}
        pruned = state == self._optuna.trial.TrialState.PRUNED
        trial = self._optuna.trial.create_trial(
            state=state,
            value=value,
            params={name: code.encode(config[name]) for name, code in codes.items()},
            distributions={name: code.distribution for name, code in codes.items()},
            intermediate_values={0: value} if pruned and value is not None else {},
        )
        self._study.add_trial(trial)
        self._count += 1
        return True


class _Code(NamedTuple):
    """A parameter as Optuna has it: a number itself, or the index of a choice among those that are left."""

    distribution: optuna.distributions.BaseDistribution
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Value]

    def suggest(self, trial: optuna.Trial, name: str) -> Value:
        """Value of the parameter that the sampler suggests."""
        return self.decode(suggest(trial, name, self.distribution))


def _codes(space: Space) -> dict[str, _Code]:
    """Codes of the parameters that vary."""
    pairs = zip(space.varied.items(), space.axes, strict=True)
    return {name: _code(parameter, axis) for (name, parameter), axis in pairs if axis.levels > 1}


def _code(parameter: Varied, axis: Axis) -> _Code:
    if isinstance(parameter, FloatParameter | IntParameter):
        low, high = parameter.low, parameter.high
        if isinstance(axis, Stretch | Ranks):
            low, high = map(parameter.value, axis.ends)
        return _number(parameter, low, high)
    values = [parameter.value(place) for place in axis.places().tolist()]
    indices = {parameter.unit(value): index for index, value in enumerate(values)}
    in_order = isinstance(parameter, OrdinalParameter)
    own = rank_distribution(len(values)) if in_order else choice_distribution(range(len(values)))
    return _Code(own, lambda value: indices[parameter.unit(value)], lambda index: values[index])


def _number(parameter: FloatParameter | IntParameter, low: float, high: float) -> _Code:
    """Code of a number; one on a logarithmic scale with a step, which Optuna lacks, is rounded to its steps here."""
    step = parameter.step
    if parameter.log and step is not None and step != 1:
        own = rounded_distribution(low, high, step)
        return _Code(own, float, lambda value: parameter.value(parameter.unit(value)))
    own = range_distribution(parameter, low, high)
    return _Code(own, int if isinstance(parameter, IntParameter) else float, parameter.normal)

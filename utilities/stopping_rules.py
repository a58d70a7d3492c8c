"""The rules of early stopping, by name. To add one, write it in a module of its own and give it an entry here.

| rule | ends a trial |
|---|---|
| asha | whose value, where it reaches a rung, is not among the best 1/eta there so far (Li et al. 2020) |
| hyperband | likewise among those of its bracket; each bracket has another first rung (Li et al. 2018) |
| median | whose best value so far is worse than the completed trials' median there (Golovin et al. 2017) |
| patience | whose best value has not improved for so many steps |
| threshold | whose value leaves given bounds, or is NaN |
| model | whose objective will hardly beat the incumbent's, see `utilities.model_stopping`; whose value is NaN |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from utilities.curve_rules import Median, Patience, Threshold
from utilities.halving import Halving, bracket_shares
from utilities.stopping_rule import Settings, StoppingRule


class RuleKind(NamedTuple):
    """How a rule is made, and what else a study needs to know of it.

    Attributes
    ----------
    make
        Makes it of the settings, the seed of the study and the sign that turns its values into ones to be minimised.
    keys
        Settings that it has a use for, besides those of every rule.
    halves
        Whether it does within an evaluation what budgets do between evaluations.
    probability
        Of beating the incumbent, below which a trial is ended where the settings say nothing; None where a model is not
        asked then.
    by_model
        Whether it ends trials only by what the model foresees of them.
    """

    make: Callable[[Settings, int, float], StoppingRule]
    keys: tuple[str, ...] = ()
    halves: bool = False
    probability: float | None = None
    by_model: bool = False


def _asha(settings: Settings, seed: int, sign: float) -> StoppingRule:
    return Halving(settings.min_steps, settings.eta, [1.0], seed)


def _hyperband(settings: Settings, seed: int, sign: float) -> StoppingRule:
    first, eta = settings.min_steps, settings.eta
    return Halving(first, eta, bracket_shares(first, settings.max_steps or first, eta), seed)


def _median(settings: Settings, seed: int, sign: float) -> StoppingRule:
    return Median(settings.min_steps, settings.min_trials)


def _model(settings: Settings, seed: int, sign: float) -> StoppingRule:
    return Threshold(settings.min_steps, (-math.inf, math.inf))


def _patience(settings: Settings, seed: int, sign: float) -> StoppingRule:
    return Patience(settings.min_steps, settings.patience, settings.min_delta)


def _threshold(settings: Settings, seed: int, sign: float) -> StoppingRule:
    low, high = settings.lower, settings.upper
    bounds = (-math.inf if low is None else low, math.inf if high is None else high)
    return Threshold(settings.min_steps, sorted(sign * bound for bound in bounds))


RULES: Mapping[str, RuleKind] = MappingProxyType(
    {
        "asha": RuleKind(_asha, ("eta", "guided"), halves=True),
        "hyperband": RuleKind(_hyperband, ("eta", "guided"), halves=True),
        "median": RuleKind(_median, ("min_trials",)),
        # Of its probabilities, on four tasks, 0.02 took more epochs than 0.1, and 0.2 hardly fewer.
        "model": RuleKind(_model, probability=0.1, by_model=True),
        "patience": RuleKind(_patience, ("patience", "min_delta")),
        "threshold": RuleKind(_threshold, ("lower", "upper")),
    }
)

NAMES = tuple(RULES)

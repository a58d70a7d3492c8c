"""Which parameters matter: PED-ANOVA of Optuna (Watanabe et al. 2023, arXiv 2304.10255), with intervals.

A parameter matters as far as its values among the good trials are spread otherwise than among all. Optuna's evaluator
takes trials that have all parameters; a parameter with conditions is judged on the trials in which it is active, beside
those that are always active, and its share counts as much as it is active.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from reverie.report.evidence import Evidence
from utilities.optuna_distributions import as_choice, distribution_of
from utilities.space import Space
from utilities.trial import TrialRecord

FEWEST = 20
"""Completed trials below which nothing is said."""

RESAMPLES = 40
MOST = 2000
"""Trials that are looked at, evenly chosen."""

_SEED = 20230423


class Share(NamedTuple):
    """Importance of a parameter, and the borders of its 90 % interval; all of them sum to 1."""

    name: str
    share: float
    low: float
    high: float


class Shares(NamedTuple):
    """Shares of the parameters, the largest first; where there are none, why."""

    rows: list[Share]
    how: str = ""
    why_not: str = ""


def importance(evidence: Evidence) -> Shares:
    """Importance of each parameter by the completed trials."""
    trials = [trial for trial in evidence.completed if np.isfinite(evidence.value(trial))]
    if len(evidence.space) < 2:
        return Shares([])
    if len(trials) < FEWEST:
        return Shares([], why_not=f"Importance is told from {FEWEST} completed trials on; there are {len(trials)}.")
    try:
        import optuna
    except ImportError:
        return Shares([], why_not="Importance needs Optuna: `pip install reverie[report]`.")
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        return _shares(evidence, trials, optuna)
    finally:
        optuna.logging.set_verbosity(level)


def _shares(evidence: Evidence, trials: list[TrialRecord], optuna: Any) -> Shares:
    step = max(1, -(-len(trials) // MOST))
    frozen = _frozen(evidence, trials[::step], optuna)
    groups = _groups(evidence.space, frozen)
    whole = _judge(groups, frozen, evidence, optuna)
    rng = np.random.default_rng(_SEED)
    drawn = [
        _judge(groups, [frozen[row] for row in rng.integers(len(frozen), size=len(frozen))], evidence, optuna)
        for _ in range(RESAMPLES)
    ]
    rows = [
        Share(name, share, *np.quantile([draw.get(name, 0.0) for draw in drawn], [0.05, 0.95]).tolist())
        for name, share in whole.items()
    ]
    how = (
        f"Importance is PED-ANOVA: how far a parameter's values among the best tenth of {len(frozen)} trials are "
        "spread otherwise than among all."
    )
    return Shares(sorted(rows, key=lambda row: -row.share), how)


def _frozen(evidence: Evidence, trials: Sequence[TrialRecord], optuna: Any) -> list[Any]:
    varied = evidence.space.varied
    distributions = {name: distribution_of(parameter) for name, parameter in varied.items()}
    found = []
    for trial in trials:
        config = trial.trial.config
        shown = {name: as_choice(parameter, config[name]) for name, parameter in varied.items() if name in config}
        own = {name: distributions[name] for name in shown}
        found.append(optuna.trial.create_trial(params=shown, distributions=own, value=evidence.value(trial)))
    return found


def _groups(space: Space, frozen: Sequence[Any]) -> dict[str, list[str]]:
    """Parameters with which each one is judged: those that are active in all trials in which it is."""
    active = {name: [name in trial.params for trial in frozen] for name in space.names}
    always = [name for name in space.names if all(active[name])]
    return {name: always if name in always else [*always, name] for name in space.names if sum(active[name]) >= FEWEST}


def _judge(groups: dict[str, list[str]], frozen: Sequence[Any], evidence: Evidence, optuna: Any) -> dict[str, float]:
    raw: dict[str, float] = {}
    for names in {tuple(names) for names in groups.values()}:
        here = [trial for trial in frozen if all(name in trial.params for name in names)]
        own = [name for name, group in groups.items() if tuple(group) == names and name not in raw]
        if len(here) < FEWEST:
            continue
        study = optuna.create_study(direction="minimize" if evidence.sign > 0 else "maximize")
        study.add_trials([_restricted(trial, names, optuna) for trial in here])
        found = optuna.importance.PedAnovaImportanceEvaluator().evaluate(study, params=list(names))
        raw |= {name: max(0.0, found[name]) * len(here) / len(frozen) for name in own}
    total = sum(raw.values())
    return {name: value / total for name, value in raw.items()} if total > 0 else {}


def _restricted(trial: Any, names: Sequence[str], optuna: Any) -> Any:
    params = {name: trial.params[name] for name in names}
    distributions = {name: trial.distributions[name] for name in names}
    return optuna.trial.create_trial(params=params, distributions=distributions, value=trial.value)

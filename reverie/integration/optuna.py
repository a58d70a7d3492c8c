"""Our surrogates inside Optuna's `study.optimize`.

>>> import optuna
>>> from reverie.integration.optuna import ReverieSampler
>>> optuna.logging.set_verbosity(optuna.logging.WARNING)
>>> study = optuna.create_study(sampler=ReverieSampler(method="gp", seed=1))
>>> study.optimize(lambda trial: (trial.suggest_float("x", -5.0, 5.0) - 1.0) ** 2, n_trials=12)
>>> study.best_value < 0.1
True
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reverie.integration.extras import missing

try:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler, RandomSampler
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise missing("optuna", "Optuna", "reverie[optuna]") from error

from reverie.integration.optuna_space import SeenSpace, decode, encode, is_whole
from utilities import trial as ours
from utilities.errors import SpaceExhaustedError, StudyError
from utilities.optimizer import Optimizer
from utilities.trial import Config, Outcome, TrialRecord

_PROPOSED = "reverie:proposed"
_LONGEST_ATTRIBUTE = 2045
"""Characters of a system attribute that all of Optuna's storages take."""

_ANY_SPACE = {"x": {"type": "bool"}}


class _Ticket(NamedTuple):
    """A running trial, as the optimiser knows it."""

    number: int
    config: Config


class ReverieSampler(BaseSampler):
    """Sampler of an Optuna study that proposes as `Optimizer` does.

    What it models are the parameters that completed trials had, those of define-by-run objectives under the conditions
    that these trials show (`reverie.integration.presence`). The first trial, parameters whose distribution changes and
    those whose presence no condition explains are left to `independent_sampler`.

    Running trials are pending: their outcomes are fantasised, so that threads, and processes that share a storage, get
    proposals of their own. Everything that the study holds is learned from, whoever sampled it. Pruned trials teach
    their last intermediate value, failed ones and those that violate a constraint (`Trial.set_constraint`) where not to
    search. Of an enqueued trial, what it leaves open is drawn at random. Once every configuration of a finite space
    has been proposed, they are repeated at random.

    Parameters
    ----------
    method
        As of Optimizer.
    seed
        Not negative; None for another one each time. With the same seed, one thread and an objective that is a function
        of the parameters, a study is repeated exactly.
    acquisition, kappa
        As of Optimizer.
    independent_sampler
        For what is not modelled; by default a RandomSampler.

    Raises
    ------
    StudyError
        A setting is wrong.
    """

    def __init__(
        self,
        method: str = "auto",
        seed: int | None = None,
        *,
        acquisition: str | None = None,
        kappa: float | None = None,
        independent_sampler: BaseSampler | None = None,
    ) -> None:
        Optimizer(_ANY_SPACE, method, seed or 0, acquisition=acquisition, kappa=kappa)
        self._settings: dict[str, Any] = {"method": method, "acquisition": acquisition, "kappa": kappa}
        self._seed = _any_seed() if seed is None else seed
        self._independent = RandomSampler(seed=seed) if independent_sampler is None else independent_sampler
        self._lock, self._process = threading.RLock(), os.getpid()
        self._begin(None, None)

    def _begin(self, storage: BaseStorage | None, study: int | None) -> None:
        """Forget what was learned, for this study or for the lack of one."""
        self._storage, self._study = storage, study
        self._seen = SeenSpace()
        self._optimizer: Optimizer | None = None
        self._tickets: dict[int, _Ticket] = {}
        self._told: set[int] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {"_settings": self._settings, "_seed": self._seed, "_independent": self._independent}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock, self._process = threading.RLock(), os.getpid()
        self._begin(None, None)

    def reseed_rng(self) -> None:
        """Draw another seed in a copy of the sampler in another process; threads share the sampler and need none."""
        self._independent.reseed_rng()
        if self._process != os.getpid():
            self._seed = _any_seed()
            self._lock, self._process = (
                threading.RLock(),
                os.getpid(),
            )  # a fork may have copied the lock when it was held
            self._begin(None, None)

    # --- Optuna's calls -----------------------------------------------------------------------------------------------

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Parameters that are modelled, in the order in which objectives asked for them."""
        _check_single_objective(study)
        with self._lock:
            self._attend(study)
            self._seen.learn(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
            space = self._seen.space(self._seen.distributions)
            return {} if space is None else {name: self._seen.distributions[name] for name in space.parameters}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose values for those parameters of `search_space` that are active together."""
        _check_single_objective(study)
        with self._lock:
            self._attend(study)
            trials = study.get_trials(deepcopy=False)
            self._seen.learn(trials)
            space = self._seen.space(search_space)
            if space is None:
                return {}
            if self._optimizer is None or self._optimizer.space is not space:
                direction: Any = study.direction.name.lower()
                self._optimizer = Optimizer(space, seed=self._seed, direction=direction, **self._settings)
                self._tickets, self._told = {}, set()
            of_space = {name: search_space[name] for name in space.parameters}
            self._catch_up(self._optimizer, of_space, [other for other in trials if other.number != trial.number])
            return self._propose(self._optimizer, of_space, study, trial)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Leave a parameter that is not modelled to the independent sampler."""
        _check_single_objective(study)
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Pass the call on to the independent sampler."""
        self._independent.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Pass the call on to the independent sampler."""
        self._independent.after_trial(study, trial, state, values)

    # --- the optimiser ------------------------------------------------------------------------------------------------

    def _attend(self, study: Study) -> None:
        """Begin anew where the sampler is now another study's."""
        if self._storage is not study._storage or self._study != study._study_id:
            self._begin(study._storage, study._study_id)

    def _propose(
        self, optimizer: Optimizer, distributions: Mapping[str, BaseDistribution], study: Study, trial: FrozenTrial
    ) -> dict[str, Any]:
        fixed = encode(trial.system_attrs.get("fixed_params", {}), distributions)
        try:
            if fixed:
                optimizer.enqueue(fixed)
            asked = optimizer.ask()
            config, origin = asked.config, optimizer.origins[asked.number]
            self._tickets[trial.number] = _Ticket(asked.number, config)
        except SpaceExhaustedError:
            rng = np.random.default_rng([self._seed, trial.number])
            config, origin = optimizer.space.from_unit(rng.random((1, len(optimizer.space))))[0], "random"
        except StudyError:  # what is fixed is of no configuration that is known
            return {}
        text = json.dumps([origin, config])
        for part, start in enumerate(range(0, len(text), _LONGEST_ATTRIBUTE)):
            piece = text[start : start + _LONGEST_ATTRIBUTE]
            study._storage.set_trial_system_attr(trial._trial_id, f"{_PROPOSED}:{part}", piece)
        return decode(config, distributions)

    def _catch_up(
        self, optimizer: Optimizer, distributions: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial]
    ) -> None:
        """Tell the optimiser what became of the study's trials since it was last asked."""
        news: list[TrialRecord] = []

        def add(trial: FrozenTrial, config: Config, origin: str) -> int:
            number = optimizer.asked + len(news)
            ended = trial.datetime_complete
            news.append(
                TrialRecord(
                    ours.Trial(number, optimizer.space.normal(config)),
                    origin,
                    _outcome(trial) if trial.state.is_finished() else None,
                    completed=ended.timestamp() if ended is not None else None,
                )
            )
            return number

        for trial in trials:
            if trial.state is TrialState.WAITING or trial.number in self._told:
                continue
            ticket = self._tickets.get(trial.number)
            if trial.state is TrialState.RUNNING and ticket is not None:
                continue
            origin, proposed = _proposed(trial, distributions)
            config = encode(trial.params, distributions)
            if trial.state is TrialState.RUNNING:
                config = {**proposed, **config}
                if optimizer.space.holds(config):
                    self._tickets[trial.number] = _Ticket(add(trial, config, origin), config)
                continue
            self._told.add(trial.number)
            self._tickets.pop(trial.number, None)
            if not is_whole(trial) and config.items() <= proposed.items():
                config = proposed  # it may have ended before it asked for everything
            if ticket is not None and ticket.config == config:
                optimizer.tell_outcome(ours.Trial(ticket.number, config), _outcome(trial))
                continue
            if ticket is not None:
                optimizer.tell(ticket.number, pruned=True)
            if optimizer.space.holds(config):
                add(trial, config, origin)
        optimizer.restore(news)


def _outcome(trial: FrozenTrial) -> Outcome:
    """What came of a trial that ended."""
    violated = [name for name, value in trial.constraints.items() if value > 0.0]
    if trial.state is TrialState.COMPLETE and not violated:
        return Outcome(ours.TrialState.COMPLETE, trial.value)
    if trial.state is TrialState.PRUNED and not violated:
        return Outcome(ours.TrialState.PRUNED, trial.value)
    reason = f"violates {', '.join(violated)}" if violated else "failed"
    return Outcome(ours.TrialState.FAIL, message=reason)


def _proposed(trial: FrozenTrial, distributions: Mapping[str, BaseDistribution]) -> tuple[str, Config]:
    """Origin and values, of these parameters, of what was proposed for a trial; no values where nothing was.

    It does not matter in which process that was.
    """
    pieces: list[str] = []
    while (piece := trial.system_attrs.get(f"{_PROPOSED}:{len(pieces)}")) is not None:
        pieces.append(piece)
    if not pieces:
        return "elsewhere", {}
    origin, config = json.loads("".join(pieces))
    return origin, {name: value for name, value in config.items() if name in distributions}


def _check_single_objective(study: Study) -> None:
    if len(study.directions) > 1:
        raise ValueError(
            f"ReverieSampler is for studies of one objective; this one has {len(study.directions)}: use NSGAIISampler "
            "or TPESampler of Optuna"
        )


def _any_seed() -> int:
    return int(np.random.default_rng().integers(2**31))

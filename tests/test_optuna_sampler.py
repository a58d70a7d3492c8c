"""`ReverieSampler` inside Optuna's studies: Optuna's own tests of samplers, and what they leave out."""

from __future__ import annotations

import copy
import doctest
import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.trial import FrozenTrial, Trial, TrialState
from optuna_studies import bowl, branching, mixed, propose, study_of, when, worked_on

import reverie.integration.optuna
from reverie import StudyError
from reverie.integration.optuna import ReverieSampler


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


class TestOptunasOwn(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """Optuna's published tests of samplers, those for several objectives aside."""

    @pytest.fixture(params=["auto", "random"])
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        return lambda: ReverieSampler(request.param, seed=0)


def test_the_example_in_the_docstring() -> None:
    failed, tried = doctest.testmod(reverie.integration.optuna)
    assert (failed, tried > 0) == (0, True)


# --- it optimises -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_bowl_is_descended_or_climbed(sign: float) -> None:
    study = optuna.create_study(direction="minimize" if sign > 0 else "maximize", sampler=ReverieSampler("gp", seed=0))
    study.optimize(lambda trial: sign * bowl(trial), n_trials=20)
    assert sign * study.best_value < 0.02
    assert worked_on(study).asked == 20


def test_every_distribution_is_modelled_and_kept() -> None:
    study = study_of()
    study.optimize(mixed, n_trials=25)
    assert when(study).keys() == {"rate", "drop", "width", "layers", "clip"}
    assert study.best_value < 2.0
    for trial in study.trials:
        for name, value in trial.params.items():
            distribution = trial.distributions[name]
            assert distribution._contains(distribution.to_internal_repr(value))
    assert any(trial.params["clip"] is None for trial in study.trials)


def test_conditions_are_learned_and_the_space_is_searched_as_one() -> None:
    study = study_of()
    study.optimize(branching, n_trials=50)
    assert when(study) == {
        "kind": {},
        "layers": {},
        "unit0": {},
        "unit1": {"layers": ">= 2"},
        "unit2": {"layers": ">= 3"},
        "unit3": {"layers": ">= 4"},
        "rate": {"kind": [0, 1]},
        "nesterov": {"kind": [0]},
        "momentum": {"nesterov": [1]},
    }
    assert study.best_value < 0.02
    assert len(worked_on(study).data) == 49  # all but the last: none is lost to a wrong condition


def test_a_wrong_condition_is_mended_by_the_trial_that_shows_it() -> None:
    def late(trial: Trial) -> float:
        flag = trial.suggest_categorical("flag", ["a", "b", "c"])
        trial.suggest_float("always", 0.0, 1.0)
        return trial.suggest_float("x", 0.0, 1.0) if flag == "a" or (flag == "b" and trial.number > 9) else 0.5

    study = study_of(method="random")
    study.optimize(late, n_trials=10)
    propose(study)
    assert when(study)["x"] == {"flag": [0]}
    study.optimize(late, n_trials=10)
    propose(study)
    assert "x" not in when(study)  # the same flag with and without it
    assert when(study) == {"flag": {}, "always": {}}


def test_what_has_no_condition_or_no_fixed_range_is_sampled_independently() -> None:
    asked: list[str] = []

    class Noting(optuna.samplers.RandomSampler):
        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            asked.append(param_name)
            return super().sample_independent(study, trial, param_name, param_distribution)

    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        if trial.number % 2:
            trial.suggest_float("odd", 0.0, 1.0)
        return x + trial.suggest_int("moving", 0, 1 + trial.number)

    study = study_of(independent_sampler=Noting(seed=0))
    study.optimize(objective, n_trials=8)
    assert list(when(study)) == ["x"]
    assert asked.count("x") == 1
    assert asked.count("odd") == 4
    assert asked.count("moving") == 7  # after a single trial, its range was not known to change


def test_a_space_of_no_parameters_is_left_alone() -> None:
    study = study_of()
    study.optimize(lambda trial: 1.0 + trial.suggest_int("only", 3, 3), n_trials=3)
    assert study.best_value == 4.0


# --- the same, wherever it comes from ---------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_study() -> None:
    runs = []
    for _ in range(2):
        study = study_of(seed=3)
        study.optimize(branching, n_trials=15)
        runs.append([trial.params for trial in study.trials])
    assert runs[0] == runs[1]
    other = study_of(seed=4)
    other.optimize(branching, n_trials=15)
    assert runs[0] != [trial.params for trial in other.trials]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda sampler: pickle.loads(pickle.dumps(sampler))])
def test_a_copy_learns_all_from_the_study(duplicate: Callable[[BaseSampler], BaseSampler]) -> None:
    study = study_of(method="sobol")
    study.optimize(bowl, n_trials=6)
    study.sampler = duplicate(study.sampler)
    study.optimize(bowl, n_trials=6)
    whole = study_of(method="sobol")
    whole.optimize(bowl, n_trials=12)
    first = [trial.params for trial in study.trials]
    assert first == [trial.params for trial in whole.trials]
    assert len(worked_on(study).data) == 11


def test_one_sampler_may_serve_one_study_after_another() -> None:
    sampler = ReverieSampler("gp", seed=0)
    for shift in (0.0, 100.0):
        study = optuna.create_study(sampler=sampler)
        study.optimize(lambda trial, shift=shift: bowl(trial) + shift, n_trials=8)
        assert len(worked_on(study).data) == 7
        assert worked_on(study).data.y.min() >= shift


def test_trials_of_elsewhere_are_learned_from() -> None:
    study = study_of()
    distributions = {"x": FloatDistribution(-5.0, 5.0), "y": FloatDistribution(-5.0, 5.0)}
    for x, y in np.random.default_rng(0).uniform(-5.0, 5.0, (12, 2)):
        value = (x - 1.0) ** 2 + (y + 2.0) ** 2
        study.add_trial(optuna.create_trial(params={"x": x, "y": y}, distributions=distributions, value=value))
    study.optimize(bowl, n_trials=6)
    assert study.best_value < 0.05
    assert len(worked_on(study).data) == 17


def test_ask_and_tell_with_many_pending() -> None:
    study = study_of()
    study.optimize(bowl, n_trials=8)
    pending = [propose(study) for _ in range(6)]
    points = np.array([[trial.suggest_float(name, -5.0, 5.0) for name in "xy"] for trial in pending])
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)[np.triu_indices(6, 1)]
    assert gaps.min() > 1e-3
    for trial in pending[::-1]:
        study.tell(trial, bowl(trial))
    propose(study)
    assert len(worked_on(study).data) == 14
    assert worked_on(study)._history.waiting == 1


# --- what ends otherwise ----------------------------------------------------------------------------------------------


def test_failed_trials_teach_where_not_to_search() -> None:
    def half(trial: Trial) -> float:
        value = bowl(trial)
        if trial.params["x"] < 0.0:
            raise ArithmeticError("x is below 0")
        return value

    study = study_of()
    study.optimize(half, n_trials=30, catch=(ArithmeticError,))
    states = [trial.state for trial in study.trials]
    history = worked_on(study)._history
    assert history.outcomes[1].sum() == states[:-1].count(TrialState.COMPLETE)
    assert (~history.outcomes[1]).sum() >= states[:-1].count(TrialState.FAIL) - 1  # one may have been before the space
    assert states[15:].count(TrialState.FAIL) < 4
    assert study.best_value < 0.05


def test_a_trial_that_fails_before_it_asks_for_anything_counts_for_what_was_proposed() -> None:
    study = study_of()
    study.optimize(bowl, n_trials=3)
    study.tell(propose(study), state=TrialState.FAIL)
    propose(study)
    optimizer = worked_on(study)
    assert optimizer._history.outcomes[1].tolist().count(False) == 1
    assert optimizer._history.waiting == 1


def test_pruned_trials_teach_their_last_value() -> None:
    def pruned(trial: Trial) -> float:
        value = bowl(trial)
        if trial.number % 2:
            trial.report(value + 10.0, step=1)
            raise optuna.TrialPruned
        return value

    study = study_of()
    study.optimize(pruned, n_trials=9)
    propose(study)
    data = worked_on(study).data
    assert len(data) == 9
    assert (data.y >= 10.0).sum() >= 4
    best = worked_on(study).best
    assert best is not None
    assert best.objective == study.best_value


def test_constraints_of_a_trial_are_kept() -> None:
    def constrained(trial: Trial) -> float:
        value = bowl(trial)
        trial.set_constraint("right", -trial.params["x"])
        return value - 50.0 * (trial.params["x"] < 0.0)

    study = study_of()
    study.optimize(constrained, n_trials=30)
    assert sum(trial.params["x"] < 0.0 for trial in study.trials[15:]) < 4
    assert 0.0 <= study.best_value < 0.05
    best = worked_on(study).best
    assert best is not None
    assert best.objective == study.best_value


def test_an_objective_that_returns_infinity_early_is_a_failure_of_what_was_proposed() -> None:
    def early(trial: Trial) -> float:
        if trial.suggest_float("x", -5.0, 5.0) < 0.0:
            return math.inf
        return trial.params["x"] + trial.suggest_float("y", 0.0, 1.0)

    study = study_of()
    study.optimize(early, n_trials=12)
    propose(study)
    assert when(study) == {"x": {}, "y": {}}
    history = worked_on(study)._history
    finite = [math.isfinite(trial.value or 0.0) for trial in study.trials[:-1]]
    assert len(history.data) == sum(finite)
    assert history.told >= 11


# --- what is fixed beforehand -----------------------------------------------------------------------------------------


def test_enqueued_trials_are_evaluated_as_they_are_and_completed() -> None:
    study = study_of()
    study.enqueue_trial({"x": 4.0, "y": 4.0})
    study.optimize(bowl, n_trials=4)
    study.enqueue_trial({"x": 0.25})
    study.enqueue_trial({"x": 99.0})
    with pytest.warns(UserWarning, match="out of range"):
        study.optimize(bowl, n_trials=3)
    assert study.trials[0].params == {"x": 4.0, "y": 4.0}
    assert study.trials[4].params["x"] == 0.25
    assert -5.0 <= study.trials[4].params["y"] <= 5.0
    assert len({trial.params["y"] for trial in study.trials}) == 7
    assert study.trials[5].params["x"] == 99.0
    propose(study)
    assert len(worked_on(study).data) == 6
    assert worked_on(study)._history.waiting == 1


def test_what_another_sampler_fixes_is_not_modelled() -> None:
    study = study_of()
    study.optimize(bowl, n_trials=6)
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.sampler = optuna.samplers.PartialFixedSampler({"y": -2.0}, study.sampler)
    study.optimize(bowl, n_trials=10)
    assert [trial.params["y"] for trial in study.trials[6:]] == [-2.0] * 10
    assert len({trial.params["x"] for trial in study.trials}) == 16


def test_a_finite_space_is_covered_and_then_repeated() -> None:
    study = study_of()
    study.optimize(lambda trial: trial.suggest_int("n", 1, 3) + trial.suggest_categorical("c", [0, 1]), n_trials=9)
    pairs = [tuple(trial.params.values()) for trial in study.trials]
    assert len(set(pairs[:6])) == 6
    assert set(pairs[6:]) <= set(pairs[:6])


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_settings_are_checked_at_once() -> None:
    with pytest.raises(StudyError, match=r'method must be one of .*; got .pg.. Did you mean "gp"'):
        ReverieSampler("pg")
    with pytest.raises(StudyError, match="seed must not be negative; got -1"):
        ReverieSampler(seed=-1)
    with pytest.raises(StudyError, match="kappa needs acquisition ucb"):
        ReverieSampler(kappa=2.0)


def test_several_objectives_are_refused_with_a_way_out() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=ReverieSampler())
    with pytest.raises(ValueError, match="for studies of one objective; this one has 2: use NSGAIISampler"):
        bowl(study.ask())


@pytest.mark.parametrize(
    "distribution",
    [
        IntDistribution(0, 2**60),
        FloatDistribution(1.0, 1.0),
        CategoricalDistribution(["only"]),
    ],
    ids=str,
)
def test_distributions_that_no_space_has_are_sampled_independently(distribution: Any) -> None:
    study = study_of()
    for _ in range(5):
        trial = study.ask({"odd": distribution, "x": FloatDistribution(0.0, 1.0)})
        frozen: FrozenTrial = study.tell(trial, trial.params["x"])
        assert distribution._contains(distribution.to_internal_repr(frozen.params["odd"]))
    assert list(when(study)) == ["x"]

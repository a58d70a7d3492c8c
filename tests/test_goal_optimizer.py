"""The optimiser with several objectives, and with constraints on metrics: what is found, refused, best."""

import math

import numpy as np
import pytest

from reverie import Optimizer, StudyError, minimize
from utilities.pareto import hypervolume
from utilities.space import Space
from utilities.trial import Config, Outcome, TrialState

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}, "y": {"type": "float", "low": 0.0, "high": 1.0}}
MIXED = {
    **SPACE,
    "k": {"type": "categorical", "choices": ["a", "b", "c"]},
    "n": {"type": "int", "low": 1, "high": 5, "when": {"k": "a"}},
}


def two(config: Config) -> tuple[float, float]:
    """Squared distances from two corners: the front is the diagonal between them."""
    x, y = float(config["x"]), float(config["y"])
    return x**2 + y**2, (x - 1.0) ** 2 + (y - 1.0) ** 2


def volume(values: list[tuple[float, float]]) -> float:
    return hypervolume(np.array(values), np.array([2.0, 2.0]))


@pytest.mark.parametrize("method", ["gp", "dngo", "auto"])
def test_the_front_is_found_better_than_at_random(method: str) -> None:
    found: dict[str, list[float]] = {method: [], "random": []}
    for name, volumes in found.items():
        for seed in (1, 2, 3):
            result = minimize(two, SPACE, 26, name, seed, directions=["minimize", "minimize"])
            volumes.append(volume([trial.values for trial in result.best_trials]))
            assert result.best is result.predicted_best is None
    assert np.mean(found[method]) > np.mean(found["random"])
    assert np.mean(found[method]) > 3.13  # all of it is 4 - 2/3


def test_maximising_mirrors_minimising() -> None:
    plain = Optimizer(SPACE, "gp", 3, directions=["minimize", "minimize"])
    mirrored = Optimizer(SPACE, "gp", 3, directions=["minimize", "maximize"])
    for _ in range(12):
        one, other = plain.ask(), mirrored.ask()
        assert one.config == pytest.approx(other.config, abs=1e-6)
        first, second = two(one.config)
        plain.tell(one, [first, second])
        mirrored.tell(other, (first, -second))
    assert [t.number for t in plain.best_trials] == [t.number for t in mirrored.best_trials]


@pytest.mark.parametrize("objectives", [2, 3, 5])
@pytest.mark.parametrize("pending", [1, 16])
def test_any_number_of_objectives_with_failures_conditions_and_pending_trials(objectives: int, pending: int) -> None:
    optimizer = Optimizer(MIXED, "gp", 0, directions=["minimize"] * objectives, metric_constraints=["c > 0.1"])
    waiting, seen = [], set()
    space = Space.from_dict(MIXED)
    for _ in range(30):
        waiting.append(optimizer.ask())
        key = space.key(waiting[-1].config)
        assert key not in seen
        seen.add(key)
        if len(waiting) == pending:
            trial = waiting.pop(0)
            x, y = float(trial.config["x"]), float(trial.config["y"])
            if x > 0.8:
                optimizer.tell(trial, failed="too large")
            elif y > 0.9:
                optimizer.tell(trial, [math.nan] * objectives, metrics={"c": 1.0})
            else:
                values = [(x - i / objectives) ** 2 + y for i in range(objectives)]
                optimizer.tell(trial, values, metrics={"c": x + y})
    assert "model" in optimizer.origins.values()
    assert all(float(trial.config["x"]) + float(trial.config["y"]) > 0.1 for trial in optimizer.best_trials)


def test_a_batch_in_one_pass_has_as_many_different_configurations() -> None:
    optimizer = Optimizer(SPACE, "gp", 0, directions=["minimize", "minimize"])
    for trial in optimizer.ask_batch(10):
        optimizer.tell(trial, two(trial.config))
    optimizer.ask()
    assert optimizer.prepare(12, batch=12) == ["model"] * 12
    configs = [tuple(trial.config.values()) for trial in optimizer.ask_batch(12)]
    assert len(set(configs)) == 12


def test_a_finite_space_is_exhausted_and_not_repeated() -> None:
    space = {"a": {"type": "int", "low": 0, "high": 3}, "b": {"type": "bool"}}
    result = minimize(
        lambda config: (float(config["a"]), -float(config["a"]) * (1 + config["b"])),  # type: ignore[arg-type]
        space,
        20,
        "gp",
        directions=["minimize", "minimize"],
        metric_constraints=["values_0 < 3"],
    )
    assert len(result.records) == 8
    assert {trial.values for trial in result.best_trials} == {(float(a), -2.0 * a) for a in range(3)}


@pytest.mark.parametrize("method", ["gp", "dngo"])
def test_the_best_under_a_constraint_is_on_its_border(method: str) -> None:
    """The optimum of x + y over x y > 1/4 is 1, at (1/2, 1/2)."""

    def objective(config: Config) -> dict[str, float]:
        x, y = float(config["x"]), float(config["y"])
        return {"objective": x + y, "area": x * y}

    result = minimize(objective, SPACE, 30, method, 1, metric_constraints=["area > 0.25"])
    assert result.best is not None
    assert result.best.objective < 1.05
    assert objective(result.best.config)["area"] > 0.25
    assert result.predicted_best is not None
    assert objective(result.predicted_best.config)["area"] > 0.23


def test_feasibility_is_searched_until_there_is_any() -> None:
    """A disc of radius 0.06, which random points hit once in 88; the model sees how far each is from it."""
    centre = (0.83, 0.27)

    def objective(config: Config) -> dict[str, float]:
        x, y = float(config["x"]), float(config["y"])
        return {"objective": x, "distance": math.hypot(x - centre[0], y - centre[1])}

    result = minimize(objective, SPACE, 24, "gp", 0, metric_constraints=["distance < 0.06"])
    distances = [objective(record.trial.config)["distance"] for record in result.records]
    assert min(distances[:14]) < 0.06


def test_the_best_trial_keeps_the_constraints_and_a_tie_with_the_bound_counts_as_written() -> None:
    optimizer = Optimizer(SPACE, "random", 0, metric_constraints=["a < 2", "b >= 1"])
    outcomes = [(1.0, 2.0, 1.0), (3.0, 1.9, 1.0), (2.0, 1.9, 0.9), (5.0, 0.0, 9.0)]
    for objective, a, b in outcomes:
        optimizer.tell(optimizer.ask(), objective, metrics={"a": a, "b": b})
    assert optimizer.best is not None
    assert optimizer.best.number == 1
    assert (optimizer.incumbents.completed, optimizer.incumbents.feasible) == (4, 2)


def test_what_tell_needs_is_said() -> None:
    several = Optimizer(SPACE, "random", directions=["minimize", "minimize"], metric_constraints=["a < 1"])
    trial = several.ask()
    for wrong in (1.0, [1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match="needs 2 values, one of each objective"):
            several.tell(trial, wrong, metrics={"a": 0.0})
    with pytest.raises(ValueError, match=r"metrics=\{'a': ...\}"):
        several.tell(trial, [1.0, 2.0])
    several.tell(trial, np.array([1.0, 2.0]), metrics={"a": 0.0})
    single = Optimizer(SPACE, "random")
    with pytest.raises(ValueError, match="needs one number"):
        single.tell(single.ask(), [1.0, 2.0])
    single.tell(0, np.float64(3.0))
    assert single.best is not None
    assert [(trial.number, trial.values) for trial in single.best_trials] == [(0, (3.0,))]


@pytest.mark.parametrize(("acquisition", "kappa"), [("ucb", 1.0), ("thompson", None)])
def test_another_acquisition_than_ei_is_refused_with_several_objectives(acquisition: str, kappa: float | None) -> None:
    with pytest.raises(StudyError, match="acquisition must be ei with several objectives"):
        Optimizer(SPACE, "gp", directions=["minimize", "minimize"], acquisition=acquisition, kappa=kappa)


@pytest.mark.parametrize("acquisition", ["ucb", "thompson", "ei"])
def test_every_acquisition_goes_with_constraints(acquisition: str) -> None:
    def objective(config: Config) -> dict[str, float]:
        return {"objective": float(config["x"]), "c": float(config["x"])}

    result = minimize(objective, SPACE, 14, "gp", metric_constraints=["c > 0.5"], acquisition=acquisition)
    assert result.best is not None
    assert 0.5 < result.best.objective < 0.7


def test_an_objective_that_lacks_a_metric_fails_with_a_reason() -> None:
    result = minimize(lambda config: {"objective": 1.0}, SPACE, 2, "random", metric_constraints=["c > 0.5"])
    assert [record.outcome and record.outcome.reason for record in result.records] == [
        'objective returned no "c" (it has seconds, objective)'
    ] * 2


def test_trials_come_back_with_all_targets_and_one_without_a_new_metric_is_not_feasible() -> None:
    first = Optimizer(SPACE, "gp", 0, metric_constraints=["a < 1"])
    trials = [first.ask() for _ in range(3)]
    outcomes = [Outcome(TrialState.COMPLETE, float(i), {"a": 0.5} if i else {}, 0.1) for i in range(3)]
    for trial, outcome in zip(trials, outcomes, strict=True):
        first.tell_outcome(trial, outcome)
    assert first.best is not None
    assert first.best.number == 1
    assert len(first.data) == 3
    assert len(first.data_of("gp@a")) == 2
    assert len(first.data_of("gp@objective")) == 3
    assert len(first.data_of("gp@b")) == 0


def test_a_pruned_trial_teaches_the_objective_alone() -> None:
    optimizer = Optimizer(SPACE, "gp", 0, metric_constraints=["a < 1"])
    optimizer.tell(optimizer.ask(), 1.0, pruned=True)
    assert optimizer.best is None
    assert len(optimizer.data_of("gp@objective")) == 1
    assert len(optimizer.data_of("gp@a")) == 0


def test_a_fit_made_elsewhere_is_of_its_target() -> None:
    from utilities.fitting import fit_surrogate

    optimizer = Optimizer(
        SPACE, "gp", 0, directions=["minimize", "minimize"], objectives=["a", "b/c"], refit="external"
    )
    for _ in range(8):
        trial = optimizer.ask()
        optimizer.tell(trial, two(trial.config))
    kinds = []
    while (kind := optimizer.fit_due()) is not None:
        data = optimizer.data_of(kind)
        optimizer.adopt(kind, fit_surrogate(kind, optimizer.space, data, 0, None), len(data))
        kinds.append(kind)
    assert kinds == ["gp@a", "gp@b%2Fc"]
    assert set(optimizer.fits) == set(kinds)
    optimizer.adopt("gp@gone", {}, 3)  # of a constraint that an earlier run had
    assert optimizer.ask().number == 8
    assert optimizer.origins[8] == "model"


def test_one_objective_without_constraints_has_one_surrogate_of_the_plain_kind() -> None:
    for optimizer in (Optimizer(SPACE, "gp", 5), Optimizer(SPACE, "gp", 5, directions=["minimize"])):
        for _ in range(10):
            trial = optimizer.ask()
            optimizer.tell(trial, two(trial.config)[0])
        assert set(optimizer.fits) == {"gp"}

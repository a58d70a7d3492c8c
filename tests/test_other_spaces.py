"""Spaces of ConfigSpace and Optuna: what they sample is valid here, and what is sampled here is valid there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ConfigSpace
import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from utilities.errors import StudyError
from utilities.space import Space


def parameters() -> list[Any]:
    return [
        ConfigSpace.Categorical("model", ["svm", "mlp", "gbm"], weights=[1, 3, 2], default="svm"),
        ConfigSpace.OrdinalHyperparameter("size", ["s", "m", "l", "xl"], default_value="m"),
        ConfigSpace.Integer("layers", (1, 8)),
        ConfigSpace.Integer("batch", (16, 512), log=True),
        ConfigSpace.Float("lr", (1e-5, 1.0), log=True),
        ConfigSpace.Float("low", (0.0, 1.0), default=0.1),
        ConfigSpace.Float("high", (0.0, 1.0), default=0.9),
        ConfigSpace.Float("normal", (-1.0, 1.0), distribution=ConfigSpace.Normal(0.0, 0.3)),
        ConfigSpace.Constant("seed", 3),
        ConfigSpace.Categorical("flag", [True, False], default=False),
    ]


def conditions(space: Any) -> dict[str, Any]:
    """Conditions of each sort, by their child."""
    of = {name: space[name] for name in space}
    return {
        "layers": ConfigSpace.EqualsCondition(of["layers"], of["model"], "mlp"),
        "batch": ConfigSpace.AndConjunction(
            ConfigSpace.GreaterThanCondition(of["batch"], of["layers"], 2),
            ConfigSpace.LessThanCondition(of["batch"], of["layers"], 7),
        ),
        "size": ConfigSpace.NotEqualsCondition(of["size"], of["model"], "svm"),
        "lr": ConfigSpace.OrConjunction(
            ConfigSpace.InCondition(of["lr"], of["model"], ["svm", "gbm"]),
            ConfigSpace.AndConjunction(
                ConfigSpace.GreaterThanCondition(of["lr"], of["size"], "m"),
                ConfigSpace.NotEqualsCondition(of["lr"], of["layers"], 4),
            ),
        ),
        "normal": ConfigSpace.GreaterThanCondition(of["normal"], of["low"], 0.25),
    }


def clauses(space: Any) -> list[Any]:
    of = {name: space[name] for name in space}
    return [
        ConfigSpace.ForbiddenAndConjunction(
            ConfigSpace.ForbiddenEqualsClause(of["model"], "gbm"),
            ConfigSpace.ForbiddenInClause(of["size"], ["s", "xl"]),
        ),
        ConfigSpace.ForbiddenEqualsClause(of["layers"], 5),
        ConfigSpace.ForbiddenLessThanRelation(of["high"], of["low"]),
        ConfigSpace.ForbiddenAndConjunction(
            ConfigSpace.ForbiddenEqualsClause(of["flag"], True),
            ConfigSpace.ForbiddenGreaterThanRelation(of["normal"], of["high"]),
        ),
    ]


def plain(config: Any) -> dict[str, Any]:
    return {name: value.item() if hasattr(value, "item") else value for name, value in dict(config).items()}


@given(
    st.sets(st.sampled_from(["layers", "batch", "size", "lr", "normal"])),
    st.sets(st.integers(0, 3)),
    st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_what_one_samples_the_other_accepts(children: set[str], forbidden: set[int], seed: int) -> None:
    theirs = ConfigSpace.ConfigurationSpace(seed=seed)
    theirs.add(*parameters())
    every = conditions(theirs)
    theirs.add(*(every[child] for child in sorted(children)))
    theirs.add(*(clauses(theirs)[number] for number in sorted(forbidden)))
    ours = Space.from_configspace(theirs)
    for config in theirs.sample_configuration(30):
        ours.validate(plain(config))
    rng = np.random.default_rng(seed)
    for config in ours.from_unit(ours.allowed(ours.snap(rng.random((60, len(ours)))))):
        ConfigSpace.Configuration(theirs, values=config).check_valid_configuration()
    assert Space.from_dict(ours.to_dict(), "space", ours.constraints.expressions, ours.constraints.forbidden) == ours


def test_ranges_and_scales_are_the_same() -> None:
    theirs = ConfigSpace.ConfigurationSpace()
    theirs.add(*parameters())
    table = Space.from_configspace(theirs).to_dict()
    assert (table["lr"]["low"], table["lr"]["high"], table["lr"]["log"]) == (1e-5, 1.0, True)
    assert (table["batch"]["low"], table["batch"]["high"], table["batch"]["type"]) == (16, 512, "int")
    assert table["size"]["choices"] == ["s", "m", "l", "xl"]
    assert table["seed"]["value"] == 3
    assert table["flag"]["choices"] == [True, False]


def test_what_has_no_counterpart_is_told() -> None:
    odd = ConfigSpace.ConfigurationSpace()
    odd.add(ConfigSpace.Categorical("shape", [(1, 2), (3, 4)]))
    with pytest.raises(StudyError, match=r"shape: a choice must be text, a number or a boolean"):
        Space.from_configspace(odd)
    names = ConfigSpace.ConfigurationSpace()
    names.add(ConfigSpace.Float("a:b", (0, 1)), ConfigSpace.Float("c", (0, 1)))
    names.add(ConfigSpace.ForbiddenLessThanRelation(names["a:b"], names["c"]))
    with pytest.raises(StudyError, match="'a:b' must be a name as in Python"):
        Space.from_configspace(names)
    with pytest.raises(StudyError, match=r"must be a ConfigSpace.ConfigurationSpace; got \{\}"):
        Space.from_configspace({})


DISTRIBUTIONS = {
    "lr": FloatDistribution(1e-5, 0.1, log=True),
    "drop": FloatDistribution(0.0, 0.5, step=0.05),
    "width": IntDistribution(16, 512, log=True),
    "heads": IntDistribution(2, 16, step=2),
    "opt": CategoricalDistribution(["sgd", "adam", 3, True]),
    "one": CategoricalDistribution(["only"]),
    "same": IntDistribution(4, 4),
}


def suggest(trial: optuna.Trial) -> float:
    for name, distribution in DISTRIBUTIONS.items():
        trial._suggest(name, distribution)
    return 0.0


def test_distributions_and_a_study_give_the_same_space() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(suggest, 40)
    space = Space.from_optuna(DISTRIBUTIONS)
    assert space == Space.from_optuna(study)
    for trial in study.trials:
        space.validate(trial.params)
    for config in space.from_unit(np.random.default_rng(0).random((100, len(space)))):
        for name, distribution in DISTRIBUTIONS.items():
            assert distribution._contains(distribution.to_internal_repr(config[name]))
    assert space.parameters["one"].levels == space.parameters["same"].levels == 1


def test_what_a_study_does_not_know_is_told() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    with pytest.raises(StudyError, match="must have a trial with parameters"):
        Space.from_optuna(study)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) if trial.number else trial.suggest_int("n", 0, 3), 2)
    with pytest.raises(StudyError, match=r"x is missing in trial 0: .*does not say when a parameter is active"):
        Space.from_optuna(study)
    other = optuna.create_study()
    other.optimize(lambda trial: trial.suggest_float("x", 0, 1 + trial.number), 2)
    with pytest.raises(StudyError, match="x must have one distribution in all trials"):
        Space.from_optuna(other)
    with pytest.raises(StudyError, match="x: a choice must be text, a number or a boolean; got None"):
        Space.from_optuna({"x": CategoricalDistribution([None, "a"])})
    with pytest.raises(StudyError, match="distributions must be a dict by name"):
        Space.from_optuna(3)


def test_a_study_file_may_name_a_space_of_configspace(tmp_path: Path) -> None:
    from utilities.storage.study_file import read_study

    theirs = ConfigSpace.ConfigurationSpace()
    theirs.add(*parameters())
    theirs.add(*conditions(theirs).values())
    theirs.add(*clauses(theirs))
    theirs.to_json(tmp_path / "space.json")
    (tmp_path / "study.toml").write_text(
        '[study]\nobjective = "branin"\nconstraints = ["low < 0.9"]\n\n[space]\nconfigspace = "space.json"\n'
    )
    study = read_study(tmp_path / "study.toml")
    ours = Space.from_configspace(theirs)
    assert study.space.to_dict() == ours.to_dict()
    assert study.constraints == ["low < 0.9", *ours.constraints.expressions]
    assert study.forbid == ours.constraints.forbidden
    (tmp_path / "study.toml").write_text('[study]\nobjective = "branin"\n\n[space]\nconfigspace = "spaces.json"\n')
    with pytest.raises(StudyError, match=r"study.toml: \[space\] configspace .*spaces.json: cannot read"):
        read_study(tmp_path / "study.toml")

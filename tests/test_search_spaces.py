"""What `ReverieSearchCV` takes for a space: rows of a study file, lists, distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from reverie import Space, StudyError
from reverie.integration.sklearn import ReverieSearchCV
from reverie.integration.sklearn_space import SearchSpace

X, Y = load_iris(return_X_y=True)


def test_rows_of_a_study_file_lists_and_distributions_may_be_mixed() -> None:
    space = {
        "a": {"type": "float", "low": 1e-3, "high": 1.0, "log": True},
        "b": [1, 10, 100],
        "c": ["l1", None, ("x", 1)],
        "d": stats.randint(2, 5),
        "e": stats.norm(3.0, 1.0),
        "f": stats.poisson(4),
        "g": ["one"],
        "h": {"type": "int", "low": 0, "high": 3, "when": {"b": ">= 10"}},
        "i": np.array([0.5, 0.1]),
        "j": ["b", "a"],
    }
    search = SearchSpace(space)
    kinds = {name: type(parameter).__name__ for name, parameter in search.space.parameters.items()}
    assert kinds["b"] == kinds["i"] == "OrdinalParameter"
    assert kinds["c"] == kinds["j"] == "CategoricalParameter"
    found: list[dict[str, Any]] = [
        search.params(config) for config in search.space.from_unit(np.random.default_rng(0).random((400, 9)))
    ]
    assert {params["c"] for params in found} == {"l1", None, ("x", 1)}
    assert {params["b"] for params in found} == {1, 10, 100}
    assert {params["d"] for params in found} == {2, 3, 4}
    assert {params["g"] for params in found} == {"one"}
    assert all(("h" in params) == (params["b"] >= 10) for params in found)
    assert stats.kstest([params["e"] for params in found], stats.norm(3.0, 1.0).cdf).pvalue > 1e-3
    assert all(type(params["f"]) is int for params in found)
    assert np.mean([params["f"] for params in found]) == pytest.approx(4.0, abs=0.4)  # four standard errors
    assert {type(params["i"]) for params in found} == {np.float64}


@pytest.mark.parametrize(
    ("frozen", "row"),
    [
        (stats.uniform(2.0, 3.0), {"type": "float", "low": 2.0, "high": 5.0}),
        (stats.uniform(loc=-1.0, scale=2.0), {"type": "float", "low": -1.0, "high": 1.0}),
        (stats.loguniform(1e-3, 10.0), {"type": "float", "low": 1e-3, "high": 10.0, "log": True}),
        (stats.loguniform(1.0, 10.0, scale=2.0), {"type": "float", "low": 2.0, "high": 20.0, "log": True}),
        (stats.randint(3, 9), {"type": "int", "low": 3, "high": 8}),
        (stats.randint(3, 9, loc=10), {"type": "int", "low": 13, "high": 18}),
    ],
)
def test_distributions_that_are_ranges(frozen: Any, row: dict[str, Any]) -> None:
    assert SearchSpace({"x": frozen}).space == Space.from_dict({"x": row})


def test_a_shifted_loguniform_keeps_its_quantiles() -> None:
    frozen = stats.loguniform(1.0, 100.0, loc=5.0)
    search = SearchSpace({"x": frozen})
    (config,) = search.space.from_unit([[0.5]])
    assert search.params(config)["x"] == pytest.approx(15.0)


def test_a_space_with_conditions_leaves_out_what_is_inactive() -> None:
    space = Space.from_dict(
        {
            "kernel": {"type": "categorical", "choices": ["linear", "rbf"]},
            "gamma": {"type": "float", "low": 1e-3, "high": 1.0, "log": True, "when": {"kernel": "rbf"}},
        }
    )
    results = ReverieSearchCV(SVC(), space, n_iter=8, random_state=0).fit(X, Y).cv_results_
    for params, gamma in zip(results["params"], results["param_gamma"], strict=True):
        assert ("gamma" in params) == (params["kernel"] == "rbf") == (gamma is not np.ma.masked)


def test_steps_may_be_exchanged() -> None:
    search = ReverieSearchCV(
        Pipeline([("clf", SVC())]),
        {
            "clf": [GaussianNB(), LogisticRegression(max_iter=500)],
            "clf__C": {"type": "float", "low": 0.1, "high": 10.0, "log": True, "when": {"clf": 1}},
        },
        n_iter=5,
        random_state=0,
    ).fit(X, Y)
    assert {type(params["clf"]) for params in search.cv_results_["params"]} == {GaussianNB, LogisticRegression}


def test_a_finite_space_ends_the_search() -> None:
    search = ReverieSearchCV(SVC(), {"C": [0.1, 1.0], "kernel": ["linear", "rbf"]}, random_state=0).fit(X, Y)
    assert len(search.cv_results_["params"]) == 4


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"gama": [1.0, 2.0]}, r'\[space.gama\] is not a parameter of the estimator. Did you mean "gamma"'),
        ({"C": []}, r"\[space.C\] a list of values must not be empty"),
        ({"C": 3.0}, r"\[space.C\] must be a row of a \[space\] table, a list of values or a frozen distribution"),
        ({"C": stats.uniform}, "frozen distribution of scipy.stats"),
        ({"C": {"type": "flaot"}}, r'\[space.C\] type must be one of .* Did you mean "float"'),
    ],
)
def test_mistakes_in_a_space_are_named(space: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        ReverieSearchCV(SVC(), space).fit(X, Y)


@pytest.mark.parametrize("settings", [{"n_iter": 0}, {"space": 3}, {"batch_size": 0}, {"method": 1}, {"verbose": "no"}])
def test_other_settings_are_checked_as_scikit_learn_does(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="parameter of ReverieSearchCV must be"):
        ReverieSearchCV(SVC(), **{"space": {"C": [1, 2]}, **settings}).fit(X, Y)

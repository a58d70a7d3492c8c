"""`ReverieSearchCV`: scikit-learn's own checks of its searches, and what they leave out."""

from __future__ import annotations

import doctest
import math
import pickle
import warnings
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris, make_classification
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GroupKFold, RandomizedSearchCV, ShuffleSplit, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC
from sklearn.utils._testing import set_random_state
from sklearn.utils.estimator_checks import parametrize_with_checks

import reverie.integration.joblib
import reverie.integration.sklearn
from reverie.integration.joblib import ExecutorBackend, on_executor
from reverie.integration.sklearn import ReverieSearchCV

X, Y = load_iris(return_X_y=True)


# --- scikit-learn's own checks ----------------------------------------------------------------------------------------

EXPECTED = {"check_supervised_y_2d": "as of RandomizedSearchCV", "check_requires_y_none": "as of RandomizedSearchCV"}


def searches() -> list[ReverieSearchCV]:
    """The instances by which scikit-learn checks RandomizedSearchCV."""
    settings: dict[str, Any] = {"cv": 2, "error_score": "raise", "random_state": 0, "n_iter": 10}
    pca = ("pca", PCA())
    return [
        ReverieSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, **settings),
        ReverieSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, **settings),
        ReverieSearchCV(Pipeline([pca, ("ridge", Ridge())]), {"ridge__alpha": [0.1, 1.0]}, **settings),
        ReverieSearchCV(
            Pipeline([pca, ("logisticregression", LogisticRegression())]),
            {"logisticregression__C": [0.1, 1.0]},
            **settings,
        ),
    ]


@parametrize_with_checks(searches(), expected_failed_checks=lambda search: EXPECTED)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        set_random_state(estimator)
        check(estimator)


@pytest.mark.parametrize("module", [reverie.integration.sklearn, reverie.integration.joblib])
def test_examples_in_docstrings(module: Any) -> None:
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)


# --- what it finds ----------------------------------------------------------------------------------------------------


class Peak(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Scores by its parameters alone, best at x = 0.7 and y = 10; fails where `broken` says so."""

    def __init__(self, x: float = 0.0, y: float = 1.0, broken: str = "never") -> None:
        self.x, self.y, self.broken = x, y, broken

    def fit(self, X: Any, y: Any) -> Peak:
        self.classes_ = np.unique(y)
        if self.broken == "always" or (self.broken == "left" and self.x < 0.5):
            raise ArithmeticError("x is too small")
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        return -((self.x - 0.7) ** 2) - math.log10(self.y / 10.0) ** 2


SPACE = {"x": stats.uniform(0.0, 1.0), "y": stats.loguniform(1.0, 1000.0)}


def test_the_best_is_found_and_refitted() -> None:
    search = ReverieSearchCV(Peak(), SPACE, n_iter=20, cv=2, random_state=0).fit(X, Y)
    assert search.best_score_ > -1e-3
    assert abs(search.best_params_["x"] - 0.7) < 0.05
    assert search.best_estimator_.x == search.best_params_["x"]
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert search.best_index_ == search.cv_results_["rank_test_score"].argmin()
    assert search.score(X, Y) == search.best_score_
    assert len(search.cv_results_["params"]) == len(search.cv_results_["mean_fit_time"]) == 20


def test_the_table_has_what_scikit_learns_has() -> None:
    settings: dict[str, Any] = {"n_iter": 4, "cv": 3, "random_state": 0, "return_train_score": True}
    space = {"C": stats.loguniform(0.1, 10.0), "kernel": ["linear", "rbf"]}
    ours = ReverieSearchCV(SVC(), space, **settings).fit(X, Y).cv_results_
    theirs = RandomizedSearchCV(SVC(), space, **settings).fit(X, Y).cv_results_
    assert ours.keys() == theirs.keys()
    for key, column in ours.items():
        assert type(column) is type(theirs[key])
        assert len(column) == 4
    for params, mean in zip(ours["params"], ours["mean_test_score"], strict=True):
        assert mean == pytest.approx(cross_val_score(SVC(**params), X, Y, cv=3).mean())


def test_the_same_random_state_gives_the_same_search() -> None:
    first, second, other = (
        ReverieSearchCV(Peak(), SPACE, n_iter=9, cv=2, random_state=state).fit(X, Y).cv_results_["params"]
        for state in (1, 1, 2)
    )
    assert first == second != other


def test_a_search_survives_clone_and_pickle() -> None:
    search = ReverieSearchCV(SVC(), SPACE | {"C": [0.1, 1.0]}, n_iter=3, random_state=0)
    assert clone(search).get_params()["n_iter"] == 3
    fitted = ReverieSearchCV(SVC(), {"C": [0.1, 1.0, 10.0]}, n_iter=3, random_state=0).fit(X, Y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.best_params_ == fitted.best_params_


def test_names_of_columns_and_classes_are_kept() -> None:
    table = make_classification(60, 4, random_state=0)
    search = ReverieSearchCV(
        make_pipeline(PCA(), SVC()), {"svc__C": stats.loguniform(0.1, 10.0)}, n_iter=3, random_state=0
    ).fit(*table)
    assert search.n_features_in_ == 4
    assert search.classes_.tolist() == [0, 1]
    assert search.best_params_.keys() == {"svc__C"}


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3])
def test_candidates_that_fail_are_kept_in_order_and_avoided(batch_size: int) -> None:
    search = ReverieSearchCV(Peak(broken="left"), SPACE, n_iter=24, cv=2, batch_size=batch_size, random_state=0)
    with pytest.warns() as told:
        search.fit(X, Y)
    assert {warning.category for warning in told} == {FitFailedWarning, UserWarning}
    assert sum("scores are non-finite" in str(warning.message) for warning in told) == 1
    results = search.cv_results_
    assert len(results["params"]) == 24
    for params, mean, split in zip(
        results["params"], results["mean_test_score"], results["split1_test_score"], strict=True
    ):
        whole = np.nan if params["x"] < 0.5 else Peak(**params).score(X, Y)
        np.testing.assert_equal([mean, split], [whole, whole])
    failed = np.isnan(results["mean_test_score"])
    assert 2 <= failed.sum() < 12
    assert failed[:8].sum() > failed[16:].sum()
    assert (results["mean_fit_time"] >= 0.0).all()
    assert results["rank_test_score"].argmin() == search.best_index_
    assert (results["rank_test_score"][failed] == (~failed).sum() + 1).all()


def test_an_error_score_is_the_score_of_what_fails() -> None:
    search = ReverieSearchCV(
        Peak(broken="left"), SPACE, n_iter=8, cv=2, random_state=0, error_score=-9.0, return_train_score=True
    )
    with pytest.warns(FitFailedWarning, match=r"their score is -9\.0[\s\S]*ArithmeticError: x is too small"):
        results = search.fit(X, Y).cv_results_
    low = np.array([params["x"] < 0.5 for params in results["params"]])
    assert (results["mean_test_score"][low] == -9.0).all()
    assert (results["mean_train_score"][low] == -9.0).all()
    assert (results["mean_test_score"][~low] > -9.0).all()


def test_where_everything_fails_scikit_learns_error_is_raised() -> None:
    with pytest.raises(ValueError, match=r"All the 2 fits failed[\s\S]*ArithmeticError: x is too small"):
        ReverieSearchCV(Peak(broken="always"), SPACE, n_iter=3, cv=2).fit(X, Y)


def test_an_error_is_raised_where_that_is_wanted() -> None:
    with pytest.raises(ArithmeticError, match="x is too small"):
        ReverieSearchCV(Peak(broken="left"), SPACE, cv=2, error_score="raise", random_state=0).fit(X, Y)


# --- metrics and splits -----------------------------------------------------------------------------------------------


def minus_x(estimator: Peak, X: Any, y: Any) -> float:
    return -abs(estimator.x - 0.1)


def both(estimator: Peak, X: Any, y: Any) -> dict[str, float]:
    return {"x": minus_x(estimator, X, y), "peak": estimator.score(X, y)}


@pytest.mark.parametrize("scoring", [{"peak": Peak.score, "x": minus_x}, both])
@pytest.mark.parametrize(("refit", "best"), [("x", 0.1), ("peak", 0.7)])
def test_the_metric_that_refit_names_is_maximised(scoring: Any, refit: str, best: float) -> None:
    search = ReverieSearchCV(Peak(), SPACE, n_iter=25, cv=2, scoring=scoring, refit=refit, random_state=0).fit(X, Y)
    assert search.multimetric_
    assert abs(search.best_params_["x"] - best) < 0.05
    assert {"mean_test_x", "mean_test_peak", "rank_test_x"} <= search.cv_results_.keys()


def test_without_a_name_the_first_metric_is_maximised() -> None:
    scoring = {"x": minus_x, "peak": Peak.score}
    search = ReverieSearchCV(Peak(), SPACE, n_iter=25, cv=2, scoring=scoring, refit=False, random_state=0).fit(X, Y)
    assert search.cv_results_["mean_test_x"].max() > -0.02
    assert not hasattr(search, "best_params_")

    def last(results: dict[str, Any]) -> int:
        return len(results["params"]) - 1

    search = ReverieSearchCV(Peak(), SPACE, n_iter=4, cv=2, scoring=scoring, refit=last, random_state=0).fit(X, Y)
    assert search.best_index_ == 3


def test_all_candidates_are_evaluated_on_the_same_splits() -> None:
    seen: list[bytes] = []

    class Watching(Peak):
        def fit(self, X: Any, y: Any) -> Peak:
            seen.append(np.asarray(X).tobytes())
            return super().fit(X, y)

    ReverieSearchCV(Watching(), SPACE, n_iter=4, cv=ShuffleSplit(3), refit=False, batch_size=1).fit(X, Y)
    assert len(seen) == 12
    assert len(set(seen)) == 3


def test_a_search_within_a_search_has_a_table_of_its_own() -> None:
    inner = ReverieSearchCV(Peak(), {"x": stats.uniform(0.0, 1.0)}, n_iter=4, cv=2, random_state=0)
    outer = ReverieSearchCV(inner, {"estimator__y": [1.0, 10.0, 100.0]}, n_iter=3, cv=2, random_state=0).fit(X, Y)
    assert len(outer.cv_results_["params"]) == 3
    assert outer.best_params_ == {"estimator__y": 10.0}
    assert len(outer.best_estimator_.cv_results_["params"]) == 4
    assert "param_x" in outer.best_estimator_.cv_results_


def test_groups_and_weights_reach_where_they_belong() -> None:
    groups = np.arange(len(X)) % 5
    search = ReverieSearchCV(SVC(), {"C": [0.1, 1.0]}, cv=GroupKFold(5), random_state=0)
    search.fit(X, Y, groups=groups)
    assert search.n_splits_ == 5
    with config_context(enable_metadata_routing=True):
        routed = ReverieSearchCV(
            SVC().set_fit_request(sample_weight=True),
            {"C": [0.1, 1.0, 10.0]},
            scoring=make_scorer(accuracy_score).set_score_request(sample_weight=True),
            cv=3,
            random_state=0,
        ).fit(X, Y, sample_weight=np.where(Y == 0, 1.0, 2.0))
        assert routed.get_metadata_routing() is not None
    expected = RandomizedSearchCV(SVC(), {"C": [0.1, 1.0, 10.0]}, n_iter=3, cv=3).fit(X, Y)
    assert sorted(params["C"] for params in routed.cv_results_["params"]) == sorted(
        params["C"] for params in expected.cv_results_["params"]
    )


@pytest.mark.filterwarnings("ignore:The estimator SVC does not support callbacks")
def test_a_callback_sees_every_fit(capsys: pytest.CaptureFixture[str]) -> None:
    from sklearn.callback import ProgressBar

    search = ReverieSearchCV(SVC(), {"C": [0.1, 1.0, 10.0]}, cv=2, random_state=0, batch_size=2)
    search.set_callbacks(ProgressBar())
    assert len(search.fit(X, Y).cv_results_["params"]) == 3
    shown = capsys.readouterr().out
    assert shown.count("batch") >= 2


# --- jobs and executors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jobs", "folds", "size"), [(1, 5, 1), (2, 5, 2), (4, 2, 2), (4, 4, 1), (10, 5, 2), (8, 5, 8)])
def test_a_batch_is_the_smallest_that_keeps_all_jobs_busy(jobs: int, folds: int, size: int) -> None:
    assert reverie.integration.sklearn._smallest_full_batch(jobs, folds) == size
    assert size * folds % jobs == 0
    assert all(fewer * folds % jobs for fewer in range(1, size))


def test_jobs_change_nothing_but_the_batches() -> None:
    search = partial(ReverieSearchCV, SVC(), {"C": stats.loguniform(0.1, 100.0)}, n_iter=6, cv=3, random_state=0)
    alone = search(batch_size=2).fit(X, Y)
    shared = search(n_jobs=2).fit(X, Y)
    assert alone.cv_results_["params"] == shared.cv_results_["params"]
    np.testing.assert_array_equal(alone.cv_results_["mean_test_score"], shared.cv_results_["mean_test_score"])


@pytest.mark.parametrize(
    "make",
    [ThreadPoolExecutor, partial(ProcessPoolExecutor, mp_context=get_context("spawn"))],
    ids=["threads", "spawn"],
)
def test_a_search_on_an_executor(make: Any) -> None:
    search = ReverieSearchCV(SVC(), {"C": stats.loguniform(0.1, 100.0)}, n_iter=4, cv=3, random_state=0)
    executor: Executor
    with make(2) as executor, on_executor(executor):
        shared = clone(search).fit(X, Y)
    alone = search.set_params(batch_size=2).fit(X, Y)
    assert alone.cv_results_["params"] == shared.cv_results_["params"]
    np.testing.assert_array_equal(alone.cv_results_["mean_test_score"], shared.cv_results_["mean_test_score"])


def test_an_executor_that_fails_ends_the_search() -> None:
    with ThreadPoolExecutor(2) as pool, on_executor(pool), pytest.raises(ArithmeticError, match="x is too small"):
        ReverieSearchCV(Peak(broken="always"), SPACE, cv=2, error_score="raise").fit(X, Y)


def test_an_executor_has_as_many_jobs_as_are_asked_for() -> None:
    with ThreadPoolExecutor(3) as pool:
        backend = ExecutorBackend(pool, 3)
        assert [backend.effective_n_jobs(count) for count in (None, -1, 1, 2, 8)] == [3, 3, 1, 2, 3]
        with pytest.raises(ValueError, match="n_jobs == 0"):
            backend.effective_n_jobs(0)
    with pytest.raises(TypeError, match="must have a method submit"), on_executor(3):  # type: ignore[arg-type]
        pass

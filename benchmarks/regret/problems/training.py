"""Training jobs under a second each, on data sets that scikit-learn carries: the error of 3-fold cross-validation.

Folds and model seeds are fixed, so a configuration has one value. The values are steps of one over the number of rows
where the metric is an accuracy; ties are as real as they are for users.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.regret.problem import Config, Problem

SOURCE = "scikit-learn, sklearn.datasets.load_{}"

MLP_SPACE: dict[str, dict[str, Any]] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "alpha": {"type": "float", "low": 1e-7, "high": 1e1, "log": True},
    "width": {"type": "int", "low": 4, "high": 64, "log": True},
    "batch_size": {"type": "int", "low": 16, "high": 256, "log": True},
    "activation": {"type": "categorical", "choices": ["relu", "tanh", "logistic"]},
    "momentum": {"type": "float", "low": 0.5, "high": 0.99},
}
SVM_SPACE: dict[str, dict[str, Any]] = {
    "C": {"type": "float", "low": 1e-3, "high": 1e4, "log": True},
    "gamma": {"type": "float", "low": 1e-6, "high": 1e1, "log": True},
}
BOOSTING_SPACE: dict[str, dict[str, Any]] = {
    "learning_rate": {"type": "float", "low": 1e-3, "high": 1.0, "log": True},
    "n_estimators": {"type": "int", "low": 5, "high": 60, "log": True},
    "max_depth": {"type": "int", "low": 1, "high": 6},
    "subsample": {"type": "float", "low": 0.2, "high": 1.0},
    "max_features": {"type": "float", "low": 0.1, "high": 1.0},
    "min_samples_leaf": {"type": "int", "low": 1, "high": 64, "log": True},
}
PIPELINE_SPACE: dict[str, dict[str, Any]] = {
    "scaler": {"type": "categorical", "choices": ["none", "standard", "quantile"]},
    "model": {"type": "categorical", "choices": ["logistic", "svm", "forest", "neighbours"]},
    "logistic_C": {"type": "float", "low": 1e-4, "high": 1e4, "log": True, "when": {"model": "logistic"}},
    "svm_C": {"type": "float", "low": 1e-3, "high": 1e4, "log": True, "when": {"model": "svm"}},
    "svm_gamma": {"type": "float", "low": 1e-6, "high": 1e1, "log": True, "when": {"model": "svm"}},
    "forest_features": {"type": "float", "low": 0.05, "high": 1.0, "when": {"model": "forest"}},
    "forest_leaf": {"type": "int", "low": 1, "high": 32, "log": True, "when": {"model": "forest"}},
    "neighbours": {"type": "int", "low": 1, "high": 50, "log": True, "when": {"model": "neighbours"}},
    "weights": {"type": "categorical", "choices": ["uniform", "distance"], "when": {"model": "neighbours"}},
}


def problems() -> list[Problem]:
    jobs: list[tuple[str, str, int, dict[str, dict[str, Any]], Callable[[Config], Any]]] = [
        ("train-mlp-digits", "digits", 1797, MLP_SPACE, mlp),
        ("train-svm-cancer", "breast_cancer", 569, SVM_SPACE, svm),
        ("train-boosting-diabetes", "diabetes", 442, BOOSTING_SPACE, boosting),
        ("train-pipeline-cancer", "breast_cancer", 569, PIPELINE_SPACE, pipeline),
        ("train-pipeline-digits", "digits", 600, PIPELINE_SPACE, pipeline),
    ]
    return [
        Problem(
            name=name,
            family="training",
            space=space,
            true=functools.partial(_error, data, rows, build),
            best=None,
            source=SOURCE.format(data),
            training=True,
        )
        for name, data, rows, space, build in jobs
    ]


def mlp(config: Config) -> Any:
    """A network of one hidden layer, trained for eight epochs by gradient descent with momentum."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    network = MLPClassifier(
        hidden_layer_sizes=(int(config["width"]),),
        activation=config["activation"],
        solver="sgd",
        learning_rate_init=config["learning_rate"],
        momentum=config["momentum"],
        alpha=config["alpha"],
        batch_size=int(config["batch_size"]),
        max_iter=8,
        random_state=0,
    )
    return make_pipeline(MinMaxScaler(), network)


def svm(config: Config) -> Any:
    """A support vector machine with a Gaussian kernel."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), SVC(C=config["C"], gamma=config["gamma"], max_iter=100_000))


def boosting(config: Config) -> Any:
    """Gradient-boosted regression trees."""
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(random_state=0, **config)


def pipeline(config: Config) -> Any:
    """A scaler and one of four classifiers, each with parameters of its own."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler
    from sklearn.svm import SVC

    scalers = {"none": FunctionTransformer, "standard": StandardScaler}
    scaler = scalers[config["scaler"]]() if config["scaler"] in scalers else QuantileTransformer(n_quantiles=50)
    kind = config["model"]
    if kind == "logistic":
        model: Any = LogisticRegression(C=config["logistic_C"], max_iter=300)
    elif kind == "svm":
        model = SVC(C=config["svm_C"], gamma=config["svm_gamma"], max_iter=100_000)
    elif kind == "forest":
        features, leaf = config["forest_features"], int(config["forest_leaf"])
        model = RandomForestClassifier(20, max_features=features, min_samples_leaf=leaf, random_state=0)
    else:
        model = KNeighborsClassifier(int(config["neighbours"]), weights=config["weights"])
    return make_pipeline(scaler, model)


@functools.cache
def _data(name: str, rows: int) -> tuple[Any, Any, Any]:
    """Inputs and targets of the first rows, and their folds."""
    from sklearn import datasets
    from sklearn.model_selection import KFold, StratifiedKFold

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x, y = x[:rows], y[:rows]
    kind = KFold if name == "diabetes" else StratifiedKFold
    return x, y, list(kind(3, shuffle=True, random_state=0).split(x, y))


def _error(name: str, rows: int, build: Callable[[Config], Any], config: Config) -> float:
    """Share of wrong answers, or 1 - R^2 of a regression, on the rows that were held out, all folds together.

    A model that diverges to values that are not finite is worth chance.
    """
    from sklearn.base import clone, is_classifier

    x, y, folds = _data(name, rows)
    model = build(config)
    answers = np.zeros(len(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few epochs are meant: that a fit has not converged is no news
        for train, held_out in folds:
            answers[held_out] = clone(model).fit(x[train], y[train]).predict(x[held_out])
    if is_classifier(model):
        return float(np.mean(answers != y))
    return float(np.mean((answers - y) ** 2) / np.var(y))

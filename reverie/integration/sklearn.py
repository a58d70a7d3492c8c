"""Search of an estimator's parameters by cross-validation, with scikit-learn's conventions and our proposals.

>>> from scipy.stats import loguniform
>>> from sklearn.datasets import load_iris
>>> from sklearn.svm import SVC
>>> from reverie.integration.sklearn import ReverieSearchCV
>>> search = ReverieSearchCV(SVC(), {"C": loguniform(1e-2, 1e3), "kernel": ["linear", "rbf"]}, n_iter=8, random_state=0)
>>> bool(search.fit(*load_iris(return_X_y=True)).best_score_ > 0.95)
True
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from reverie.integration.extras import missing

try:
    import joblib
    from sklearn.model_selection import check_cv
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.utils import check_random_state
    from sklearn.utils._param_validation import Interval
except ImportError as error:
    raise missing("sklearn", "scikit-learn", "reverie[sklearn]") from error

from reverie.integration.sklearn_batches import CURRENT, Batches
from reverie.integration.sklearn_space import SearchSpace, check_names
from utilities.optimizer import Optimizer
from utilities.space import Space


class ReverieSearchCV(BaseSearchCV):  # type: ignore[misc]
    """Search by the surrogates of Optimizer, in place of RandomizedSearchCV.

    Candidates are proposed in batches, as small as keep all jobs busy: with n jobs and k folds, n / gcd(n, k) of them.
    Those of a batch know of each other by fantasised outcomes. All are evaluated on the same splits, also by splitters
    that draw anew whenever they are asked.

    Parameters
    ----------
    estimator : estimator
        Has a ``score``, or `scoring` is given.
    space : Space or dict
        A Space, or for each parameter (those of steps by their path, as in ``svc__C``) a row of a study file's
        ``[space]`` table, a list of values, or a frozen distribution of `scipy.stats`.
    n_iter : int, default=50
        Candidates, at least 1; fewer where a finite space has no more.
    method : str, default="auto"
        As of Optimizer.
    batch_size : int, default=None
        Candidates that are proposed together.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As of RandomizedSearchCV. With several metrics `refit` names the one that is maximised; where it names none, it
        is the first. A candidate is a failure, and others are proposed elsewhere, where its mean score is no number.
    random_state : int, RandomState instance or None, default=None
        Seed of the proposals.

    Notes
    -----
    A search that was fitted has the attributes of RandomizedSearchCV: ``cv_results_``, ``best_estimator_``,
    ``best_score_``, ``best_params_``, ``best_index_``, ``scorer_``, ``n_splits_``, ``refit_time_``, ``multimetric_``,
    with candidates in the order in which they were proposed. Of a candidate of which every fit of its batch failed, the
    mean time of a fit is that of the batch by its fits.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,
        "space": [Space, dict],
        "n_iter": [Interval(numbers.Integral, 1, None, closed="left")],
        "method": [str],
        "batch_size": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        space: Space | Mapping[str, Any],
        *,
        n_iter: int = 50,
        method: str = "auto",
        batch_size: int | None = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,
        error_score: float | str = np.nan,
        return_train_score: bool = False,
    ) -> None:
        self.space = space
        self.n_iter = n_iter
        self.method = method
        self.batch_size = batch_size
        self.random_state = random_state
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )

    def _check_input_parameters(self, X: Any, y: Any, split_params: Mapping[str, Any]) -> None:
        """Hold the splits fast: scikit-learn asks for them once a batch."""
        self._checked_cv_orig: Any = check_cv(list(self._checked_cv_orig.split(X, y, **split_params)))

    def _run_search(self, evaluate_candidates: Callable[..., dict[str, Any]], *, callback_ctx: Any = None) -> None:
        """Propose, evaluate and tell, a batch at a time."""
        search = SearchSpace(self.space)
        check_names(search.space, list(self.estimator.get_params(deep=True)))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        optimizer = Optimizer(search.space, self.method, seed, direction="maximize")
        size = self.batch_size or _smallest_full_batch(joblib.effective_n_jobs(self.n_jobs), self.n_splits_)
        metric = self.refit if isinstance(self.refit, str) else None
        with Batches(evaluate_candidates, metric, self.error_score, self, callback_ctx) as batches:
            while trials := optimizer.ask_batch(min(size, self.n_iter - optimizer.asked)):
                scores = batches.evaluate([search.params(trial.config) for trial in trials], self.n_splits_)
                for trial, score in zip(trials, scores, strict=True):
                    optimizer.tell(trial, score)
            batches.finish(super()._format_results)

    def _format_results(
        self, candidate_params: list[Any], n_splits: int, out: list[Any], more_results: Any = None
    ) -> dict[str, Any]:
        """Leave it to the end of the search, which takes time linear in the number of candidates."""
        batches = CURRENT.get()
        if batches is None:
            return dict(super()._format_results(candidate_params, n_splits, out, more_results))
        return batches.collect(candidate_params, n_splits, out)


def _smallest_full_batch(jobs: int, splits: int) -> int:
    """Fewest candidates whose fits can be shared out evenly among the jobs."""
    return jobs // math.gcd(jobs, splits)

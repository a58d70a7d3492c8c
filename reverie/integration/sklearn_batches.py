"""Batches of candidates, evaluated by scikit-learn's own loop, and what is kept of those that it gives up.

Its `evaluate_candidates` tabulates all results anew at each call, and takes a call of which every fit failed for a
mistake: it raises, and forgets the call. With a batch a call, the first would cost time quadratic in the number of
candidates, and the second would end the search at a few bad ones.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import FitFailedWarning

_ALL_FAILED = "\nAll the "
"""Begin of what scikit-learn says where every fit of a call failed."""


class _Failed(NamedTuple):
    """A batch of which every fit failed, after so many other candidates."""

    place: int
    candidates: list[dict[str, Any]]
    seconds: float
    """Of a fit, in the mean."""
    message: str


class Batches:
    """Evaluate the candidates of one search, batch by batch.

    Parameters
    ----------
    evaluate
        scikit-learn's ``evaluate_candidates``.
    metric
        What to return of several; None for the only one, or the first.
    error_score
        Score of a fit that fails.
    search, context
        The estimator that searches, and the callback context of its search; None in versions without.
    """

    def __init__(
        self,
        evaluate: Callable[..., dict[str, Any]],
        metric: str | None,
        error_score: float | str,
        search: Any,
        context: Any,
    ) -> None:
        self._evaluate, self._metric, self._error_score = evaluate, metric, error_score
        self._search = search
        self._context = None if context is None else context.subcontext(task_name="search", max_subtasks=None)
        self._candidates: list[dict[str, Any]] = []
        self._out: list[dict[str, Any]] = []
        self._splits = 0
        self._table: dict[str, Any] = {}
        self._failed: list[_Failed] = []
        self._token: Token[Batches | None] | None = None

    def __enter__(self) -> Batches:
        self._token = CURRENT.set(self)
        if self._context is not None:
            self._context.call_on_fit_task_begin(estimator=self._search)
        return self

    def __exit__(self, *error: object) -> None:
        if self._token is not None:
            CURRENT.reset(self._token)

    def evaluate(self, candidates: list[dict[str, Any]], splits: int) -> list[float]:
        """Mean score of each candidate over the splits; NaN where a fit or a score failed and counts as that."""
        known = len(self._candidates)
        start = time.perf_counter()
        try:
            self._call(candidates, splits)
        except ValueError as error:
            if not str(error).startswith(_ALL_FAILED):
                raise
            seconds = (time.perf_counter() - start) / (len(candidates) * splits)
            self._failed.append(_Failed(known, candidates, seconds, str(error)))
            score = np.nan if isinstance(self._error_score, str) else float(self._error_score)
            return [score] * len(candidates)
        fresh = self._out[known * splits :]
        scores = [self._score(entry["test_scores"]) for entry in fresh]
        return [float(mean) for mean in np.reshape(scores, (len(candidates), splits)).mean(axis=1)]

    def _call(self, candidates: list[dict[str, Any]], splits: int) -> None:
        if self._context is None:
            self._evaluate(candidates)
            return
        fits = len(candidates) * splits
        context = self._context.subcontext(task_name="batch", max_subtasks=fits, sequential_subtasks=False)
        context.call_on_fit_task_begin(estimator=self._search)
        self._evaluate(candidates, callback_ctx=context)
        context.call_on_fit_task_end(estimator=self._search)

    def _score(self, scores: float | Mapping[str, float]) -> float:
        if not isinstance(scores, Mapping):
            return float(scores)
        return float(scores[self._metric] if self._metric is not None else next(iter(scores.values())))

    def collect(self, candidates: list[dict[str, Any]], splits: int, out: list[dict[str, Any]]) -> dict[str, Any]:
        """Take note of all results that scikit-learn has; the table of them is filled in the end."""
        self._candidates, self._splits, self._out = candidates, splits, out
        self._table = {}
        return self._table

    def finish(self, tabulate: Callable[..., dict[str, Any]]) -> None:
        """Fill the table that scikit-learn holds with all candidates, those that it gave up at their places.

        Raises
        ------
        ValueError
            No fit of any candidate succeeded.
        """
        if not self._out:
            raise ValueError(self._failed[-1].message)
        for failed in self._failed:
            _, _, details = failed.message.partition("Below are")
            warnings.warn(
                f"\nAll the fits of {len(failed.candidates)} candidates failed: their score is {self._error_score}.\n"
                f"Below are{details}",
                FitFailedWarning,
                stacklevel=2,
            )
        self._table.update(tabulate(*self._whole()))
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self._search)

    def _whole(self) -> tuple[list[dict[str, Any]], int, list[dict[str, Any]]]:
        candidates: list[dict[str, Any]] = []
        out: list[dict[str, Any]] = []
        before = 0
        for failed in [*self._failed, _Failed(len(self._candidates), [], 0.0, "")]:
            candidates += [*self._candidates[before : failed.place], *failed.candidates]
            out += self._out[before * self._splits : failed.place * self._splits]
            out += [self._entry(failed)] * (len(failed.candidates) * self._splits)
            before = failed.place
        return candidates, self._splits, out

    def _entry(self, failed: _Failed) -> dict[str, Any]:
        """Result of a fit that failed, like those that scikit-learn makes."""
        entry = {**self._out[0], "fit_error": failed.message, "fit_time": failed.seconds, "score_time": 0.0}
        for key in ("test_scores", "train_scores"):
            scores = entry.get(key)
            if isinstance(scores, Mapping):
                entry[key] = dict.fromkeys(scores, self._error_score)
            elif scores is not None:
                entry[key] = self._error_score
        return entry


CURRENT: ContextVar[Batches | None] = ContextVar("CURRENT", default=None)
"""The search that this thread is in: not an attribute of the estimator, which is sent to the workers."""

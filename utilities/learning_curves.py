"""Learning curves as observations: what trials report before their end, at the fidelity that the step stands for.

Symbols
-------
n   trials told      N   rows: values reported below the full length, and objectives at it      p   feature columns

The fidelity of a step t is ``s = log(1 + t) / log(1 + T)`` in [0, 1], T the full length: doublings of the steps are
equally far apart, since curves change as much between 1 and 2 as between 10 and 20. An objective is the observation at
s = 1, whatever was reported last. Rows only ever come to the others, so that surrogates can be told of new ones alone,
until T grows or reports turn out to be of another measure: then the rows are of another `revision`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from utilities.rows import Rows
from utilities.surrogate import Array, Dataset

FIRST_JUDGED = 3
"""Completed trials, then twice as many each time, at which it is judged whether reports measure what objectives do."""

MISFIT = 0.5
"""Median distance between a trial's last report and its objective, in spreads of both, beyond which they are not."""


def fidelity(steps: Array, full: float) -> Array:
    """Fidelity s in [0, 1] of `steps`; `full` is the full length T, at least 1."""
    return np.asarray(np.clip(np.log1p(np.maximum(steps, 0.0)) / math.log1p(full), 0.0, 1.0))


@dataclass(frozen=True, kw_only=True)
class CurveData(Dataset):
    """Trials told as in any Dataset, and the observations of their curves beside them.

    Attributes
    ----------
    rows : Dataset of N rows
        ``x`` (N, p + 1): features and fidelity; ``y`` (N,): the value there, to be minimised.
    revision
        Changes when the rows are not those before and new ones behind them.
    """

    rows: Dataset
    revision: int


def rows_of(data: Dataset) -> Dataset:
    """What surrogates are fitted to: the rows of curves where there are any."""
    return data.rows if isinstance(data, CurveData) else data


class Curves:
    """What the trials of a study reported, and what came of them.

    Parameters
    ----------
    columns
        Number of feature columns p.
    max_steps
        The full length T; None where it is the largest step that any completed trial reported.
    """

    def __init__(self, columns: int, max_steps: float | None) -> None:
        self._given = max_steps is not None
        self.full = max_steps or 0
        self.revision = 0
        self._x, self._step, self._y, self._variance = Rows(columns), Rows(1), Rows(1), Rows(1)
        self._uncertain = False
        self._made_x, self._made_y, self._made = Rows(columns + 1), Rows(2), 0
        self._latest: dict[int, tuple[float, float]] = {}
        self._ends: list[tuple[float, float]] = []
        self._comparable = True
        self._reported = False

    @property
    def active(self) -> bool:
        """Whether there are curves to learn from: reports of the objective's measure, and a known full length."""
        return self._reported and self.full > 0 and self._comparable

    @property
    def completed(self) -> int:
        """Number of trials that reported and ran to their end."""
        return len(self._ends)

    def report(self, number: int, row: Array, step: float, value: float, variance: float = 0.0) -> None:
        """Take an intermediate value (to be minimised) of a running trial with features `row` (p,).

        Steps must rise: what is reported again, after a trial was cut off, is known. A value that is not finite is no
        observation.
        """
        if not math.isfinite(value) or step <= self._latest.get(number, (-math.inf, 0.0))[0]:
            return
        self._latest[number] = step, value
        self._reported = True
        self._add(row, step, value, variance)

    def complete(self, number: int, row: Array, objective: float, variance: float = 0.0) -> None:
        """Take the objective (to be minimised) of a trial that ran to its end."""
        self._add(row, math.inf, objective, variance)
        if number not in self._latest:
            return
        step, value = self._latest.pop(number)
        if not self._given and step > self.full:
            self.full = step
            self._revise()
        self._ends.append((value, objective))
        if len(self._ends) % FIRST_JUDGED == 0 and (len(self._ends) // FIRST_JUDGED).bit_count() == 1:
            comparable = self._agree()
            if comparable != self._comparable:
                self._comparable = comparable
                self._revise()

    def end(self, number: int, row: Array, value: float | None, variance: float = 0.0) -> None:
        """Take note that a trial ended early or failed; `value` stands for its objective where it reported nothing."""
        reported = self._latest.pop(number, None)
        if value is not None and (reported is None or (self.full and reported[0] >= self.full)):
            self._add(row, math.inf, value, variance)

    def observe(self, row: Array, objective: float) -> None:
        """Take the objective (to be minimised) of a trial of another study."""
        self._add(row, math.inf, objective, 0.0)

    @property
    def rows(self) -> Dataset:
        """Rows at their fidelities, in the order in which they came. What a row costs is bounded: each is made once."""
        x, steps, y, variance = self._x.view, self._step.view[:, 0], self._y.view[:, 0], self._variance.view[:, 0]
        places = fidelity(steps[self._made :], self.full)
        for i, place in enumerate(places, start=self._made):
            if steps[i] < self.full or math.isinf(steps[i]):
                self._made_x.append(np.append(x[i], place))
                self._made_y.append(np.array([y[i], variance[i]]))
        self._made = len(y)
        made = self._made_y.view
        return Dataset(self._made_x.view, made[:, 0], made[:, 1] if self._uncertain else None)

    def _add(self, row: Array, step: float, value: float, variance: float) -> None:
        self._variance.append(variance)
        self._uncertain |= variance > 0.0
        self._x.append(row)
        self._step.append(step)
        self._y.append(value)

    def _revise(self) -> None:
        self.revision += 1
        self._made_x, self._made_y, self._made = Rows(self._x.view.shape[1] + 1), Rows(2), 0

    def _agree(self) -> bool:
        """Whether trials' last reports are close to their objectives, given how far apart these lie."""
        ends = np.array(self._ends)
        low, high = np.quantile(ends, [0.1, 0.9])
        return bool(np.median(np.abs(ends[:, 0] - ends[:, 1])) <= MISFIT * (high - low))

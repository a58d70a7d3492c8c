"""The trials of a study as columns, kept up to date: a checkpoint of very many looks only at those that changed.

Symbols
-------
n   trials      d   parameters      k   improvements of the incumbent
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utilities.goals import Goals
from utilities.pareto import non_dominated
from utilities.space import Space
from utilities.trial import Outcome, TrialRecord, TrialState

NUMBERS = ("number", "objective", "seconds", "started", "completed", "inputs")
WORDS = ("state", "origin", "worker")

_NAN = float("nan")
_PLAIN = Goals()


class TrialTable:
    """Columns of n rows, a row a trial in the order in which they were asked.

    ``number``, ``objective``, ``seconds``, ``started``, ``completed`` (n,) and ``inputs`` (n, d) are numbers, NaN where
    a trial has none; ``state``, ``origin`` and ``worker`` (n,) are words.

    Parameters
    ----------
    space
        Gives the places of the configurations in the unit cube.
    goals
        What trials are judged by. With several objectives there are ``values`` (n, k); under constraints on metrics
        ``feasible`` (n,), 1 or 0 of completed trials.
    """

    def __init__(self, space: Space, goals: Goals = _PLAIN) -> None:
        self._space, self.goals = space, goals
        fields: list[Any] = [("number", np.int64), *((name, np.float64) for name in NUMBERS[1:-1])]
        fields += [*((name, np.int32) for name in WORDS), ("inputs", np.float64, (len(space),))]
        fields += [("feasible", np.float64)]
        if goals.several:
            fields += [("values", np.float64, (len(goals.names),))]
        self._rows: NDArray[Any] = np.empty(64, dtype=fields)
        self._count = 0
        self._open: list[int] = []
        self._codes: dict[str, dict[str, int]] = {name: {} for name in WORDS}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, column: str) -> NDArray[Any]:
        """Column of numbers (n,) or (n, d)."""
        return np.ascontiguousarray(self._rows[column][: self._count])

    def words(self, column: str) -> tuple[list[str], NDArray[np.int32]]:
        """Column of words: the different ones, and the index (n,) of each row's among them."""
        return list(self._codes[column]), self[column]

    def update(self, records: Mapping[int, TrialRecord]) -> None:
        """Take over what happened since the last call: new trials of `records`, and those that had not ended.

        Parameters
        ----------
        records
            All trials by number: those of the last call first, in the same order.
        """
        changed = [records[number] for number in self._rows["number"][self._open].tolist()]
        new = list(islice(records.values(), self._count, None))
        rows = [*self._open, *range(self._count, self._count + len(new))]
        first, self._count = self._count, self._count + len(new)
        while len(self._rows) < self._count:
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        for name, column in self._columns([*changed, *new]).items():
            self._rows[name][rows] = np.reshape(column, (len(rows), *self._rows[name].shape[1:]))
        self._rows["inputs"][first : self._count] = self._space.to_unit([record.trial.config for record in new])
        self._open = [row for row, record in zip(rows, [*changed, *new], strict=True) if record.outcome is None]

    def _columns(self, records: list[TrialRecord]) -> dict[str, list[Any]]:
        outcomes = [record.outcome for record in records]
        values = {"values": [self._values(outcome) for outcome in outcomes]} if self.goals.several else {}
        return {
            **values,
            "number": [record.trial.number for record in records],
            "objective": [_NAN if o is None or o.objective is None else o.objective for o in outcomes],
            "seconds": [_NAN if outcome is None else outcome.seconds for outcome in outcomes],
            "started": [_NAN if record.started is None else record.started for record in records],
            "completed": [_NAN if record.completed is None else record.completed for record in records],
            "feasible": [self._feasible(outcome) for outcome in outcomes],
            "state": [self._code("state", record.state.value) for record in records],
            "origin": [self._code("origin", record.origin) for record in records],
            "worker": [self._code("worker", record.worker) for record in records],
        }

    def _values(self, outcome: Outcome | None) -> tuple[float, ...]:
        values = None if outcome is None or outcome.state is TrialState.FAIL else self.goals.values_of(outcome)
        return (_NAN,) * len(self.goals.names) if values is None else values

    def _feasible(self, outcome: Outcome | None) -> float:
        return _NAN if outcome is None or outcome.state is not TrialState.COMPLETE else float(self.goals.keeps(outcome))

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the columns of numbers."""
        several = ("values",) if self.goals.several else ()
        return NUMBERS + several + (("feasible",) if self.goals.constraints else ())

    def _code(self, column: str, word: str) -> int:
        codes = self._codes[column]
        return codes.setdefault(word, len(codes))

    def improvements(self) -> NDArray[np.intp]:
        """Rows (k,) of the feasible trials that were better than all before, in the order of completion.

        None with several objectives.
        """
        if self.goals.several:
            return np.empty(0, dtype=np.intp)
        objective, complete = self["objective"], self._codes["state"].get(TrialState.COMPLETE.value, -1)
        ended = np.flatnonzero((self["state"] == complete) & ~np.isnan(objective) & (self["feasible"] == 1.0))
        ended = ended[np.argsort(self["completed"][ended], kind="stable")]
        losses = self.goals.signs[0] * objective[ended]
        before = np.minimum.accumulate(losses)[:-1]
        better = np.append(np.ones(min(1, len(ended)), dtype=bool), losses[1:] < before)
        return np.asarray(ended[better])

    def front(self) -> NDArray[np.intp]:
        """Rows (k,) of the feasible trials that no other dominates, in the order in which they were asked."""
        values = self.goals.signs * self["values"]
        eligible = np.flatnonzero((self["feasible"] == 1.0) & np.isfinite(values).all(axis=1))
        return np.asarray(eligible[non_dominated(values[eligible])])

"""What early stopping does to an acquisition: a trial that a rule ends never becomes the best one.

A model of learning curves says little of how a curve ends that was seen at its first steps alone. So where trials are
ended there, expected improvement at full length stays as it was, and proposals go to the same place again and again:
all of them are ended, and none is ever seen any further. What a proposal is worth is the improvement that it will be
allowed to come to. So the acquisition is weighed by P[the trial runs to its end | x], which is learned from the trials
that did and did not, by the model that also learns where trials fail (see `utilities.validity`).

Where nothing but the model's own forecast ends trials (rule ``model``), what it expects says already which would be:
there the weight saved no epochs on learning curves of LCBench.

Which of them were in vain: those that were ended with a value no better than the best of a complete trial. One that was
ended with a better value, for it would not improve any further, is none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utilities.feasible import Constraint
from utilities.history import History
from utilities.learning_curves import CurveData
from utilities.surrogate import Array
from utilities.validity import Validity


class Survival:
    """Keeps P[a trial runs to its end | x] up to date with the outcomes.

    Parameters
    ----------
    groups : integer array (p,)
        Group of each feature column.
    """

    def __init__(self, groups: NDArray[np.int64]) -> None:
        self._constraint = Constraint(groups)

    def chance(self, history: History) -> Validity | None:
        """Posterior given the trials that ended; None where none was ended in vain, or no curve is learned from.

        None, too, where the model itself ends them.
        """
        data = history.data
        if not isinstance(data, CurveData) or not history.pruned or history.ended_by_model:
            return None
        survived = np.ones(len(data), dtype=bool)
        survived[list(history.pruned)] = False
        if not survived.any():
            return None
        survived |= data.y < data.y[survived].min()
        return self._constraint.validity(data.x, survived)

    def pending(self, history: History, x_pending: Array, rng: np.random.Generator) -> Validity | None:
        """`chance`, with fantasies of what becomes of the pending trials (q, p)."""
        chance = self.chance(history)
        return None if chance is None else chance.with_pending(x_pending, rng)

"""The trainer: refits the surrogate while the master goes on proposing with the parameters it has."""

from __future__ import annotations

import time

import numpy as np

from mpi.mpi_definitions import Exit, Fit, Fitted, Message, PackedArray, TrainerDuty
from utilities.fitting import fit_surrogate, label_of, make_surrogate, part_of
from utilities.space import Space
from utilities.surrogate import Dataset, Parameters

REST = 2.0
"""Where a trainer has no core of its own, it rests so many times as long as a refit took: refits are a third of the
time at most. Evaluations of 10 ms on two cores lost more to refits than these gave."""


class Trainer:
    """Keeps the rows it was sent, of each target by itself, and fits on request.

    Parameters
    ----------
    duty
        Space and seed of the study.
    crowded
        Whether there are more ranks than cores on this machine.
    """

    def __init__(self, duty: TrainerDuty, *, crowded: bool = False) -> None:
        self._rest = REST if crowded else 0.0
        self._space = Space.from_dict(duty.space)
        self._seed = duty.seed
        self._data: dict[str, Dataset] = {}
        self._previous: dict[str, tuple[tuple[int, int], Parameters]] = {}
        for kind in ("gp", "dngo"):
            make_surrogate(kind, self._space)  # loads the libraries now, while the master makes the first proposals

    def fit(self, request: Fit) -> Fitted:
        """Fit to the rows known so far and those of the request.

        Raises
        ------
        ValueError
            Rows are missing between those known and those of the request.
        """
        target, x = label_of(request.kind), request.x.unpack()
        old = self._data.get(target, Dataset(x[:0], np.empty(0)))
        if request.known > len(old):
            raise ValueError(f"rows {len(old)} to {request.known - 1} never arrived at the trainer")
        if x.shape[1] != old.x.shape[1]:  # trials have begun to report: rows of curves have the fidelity besides
            old = Dataset(x[:0], np.empty(0))
            self._previous = {kind: fit for kind, fit in self._previous.items() if label_of(kind) != target}
        y = np.concatenate([old.y[: request.known], request.y.unpack()])
        variance = None
        if request.variance is not None:  # rows before the first of known noise have none
            before = np.zeros(request.known) if old.variance is None else old.variance[: request.known]
            variance = np.concatenate([before, request.variance.unpack()])
        self._data[target] = data = Dataset(np.vstack([old.x[: request.known], x]), y, variance)
        if request.previous is not None:
            whole = {name: array.unpack() for name, array in request.previous.items()}
            self._previous[request.kind] = request.part, part_of(whole, request.part)
        began = time.perf_counter()
        part, previous = self._previous.get(request.kind, (request.part, None))
        if part != request.part:
            previous = None
        parameters = fit_surrogate(request.kind, self._space, data, self._seed, previous, part=request.part)
        self._previous[request.kind] = request.part, parameters
        packed = {name: PackedArray.pack(np.asarray(array)) for name, array in parameters.items()}
        seconds = time.perf_counter() - began
        return Fitted(request.kind, len(data), packed, seconds, request.job, self._rest * seconds)

    def handle(self, message: Message) -> list[Message]:
        """Answer a message of the master's."""
        if isinstance(message, Fit):
            return [self.fit(message)]
        if isinstance(message, Exit):
            return [message]
        raise TypeError(f"a trainer does not expect {type(message).__name__}")

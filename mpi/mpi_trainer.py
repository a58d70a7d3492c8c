"""The trainer: refits the surrogate while the master goes on proposing with the parameters it has."""

from __future__ import annotations

import time

import numpy as np

from mpi.mpi_definitions import Exit, Fit, Fitted, Message, PackedArray, TrainerDuty
from utilities.fitting import fit_surrogate, make_surrogate, part_of
from utilities.space import Space
from utilities.surrogate import Array, Dataset, Parameters


class Trainer:
    """Keeps the rows it was sent, and fits on request.

    Parameters
    ----------
    duty
        Space and seed of the study.
    """

    def __init__(self, duty: TrainerDuty) -> None:
        self._space = Space.from_dict(duty.space)
        self._seed = duty.seed
        self._x: Array = np.empty((0, len(self._space.groups)))
        self._y: Array = np.empty(0)
        self._variance: Array | None = None
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
        if request.known > len(self._y):
            raise ValueError(f"rows {len(self._y)} to {request.known - 1} never arrived at the trainer")
        x = request.x.unpack()
        if x.shape[1] != self._x.shape[1]:  # trials have begun to report: rows of curves have the fidelity besides
            self._x, self._previous = np.empty((0, x.shape[1])), {}
        self._x = np.vstack([self._x[: request.known], x])
        self._y = np.concatenate([self._y[: request.known], request.y.unpack()])
        if request.variance is not None:  # rows before the first of known noise have none
            before = np.zeros(request.known) if self._variance is None else self._variance[: request.known]
            self._variance = np.concatenate([before, request.variance.unpack()])
        if request.previous is not None:
            whole = {name: array.unpack() for name, array in request.previous.items()}
            self._previous[request.kind] = request.part, part_of(whole, request.part)
        began = time.perf_counter()
        data = Dataset(self._x, self._y, self._variance)
        part, previous = self._previous.get(request.kind, (request.part, None))
        if part != request.part:
            previous = None
        parameters = fit_surrogate(request.kind, self._space, data, self._seed, previous, part=request.part)
        self._previous[request.kind] = request.part, parameters
        packed = {name: PackedArray.pack(np.asarray(array)) for name, array in parameters.items()}
        return Fitted(request.kind, len(data), packed, time.perf_counter() - began, request.job)

    def handle(self, message: Message) -> list[Message]:
        """Answer a message of the master's."""
        if isinstance(message, Fit):
            return [self.fit(message)]
        if isinstance(message, Exit):
            return [message]
        raise TypeError(f"a trainer does not expect {type(message).__name__}")

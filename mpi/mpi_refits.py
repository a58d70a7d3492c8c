"""The refits of the surrogate that other ranks make, as the master sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mpi.mpi_definitions import Fit, Fitted, Letter, PackedArray, Start, TrainerDuty
from utilities.fitting import label_of, merge_parts, most_parts
from utilities.optimizer import Optimizer
from utilities.surrogate import Parameters


@dataclass
class _Job:
    """A refit on its way: who makes which part of it, and what has come of it."""

    number: int
    kind: str
    count: int
    ranks: tuple[int, ...]
    parts: dict[int, Parameters] = field(default_factory=dict)


class Refits:
    """Asks the trainers for the refits that are due, one at a time, and sends each of them every row of a target once.

    Where an objective has changed, its row and all later ones are sent again.

    Several trainers share the members of an ensemble; a surrogate that is no ensemble is refitted by the first.

    Parameters
    ----------
    optimizer
        Whose surrogate is refitted: with ``refit="external"`` where there are trainers.
    seed
        Of the study.
    trainers
        Their ranks.

    Attributes
    ----------
    trainers
        Those that live, or took over from ones that were lost.
    vacant
        Whether all trainers were lost and nobody has taken over yet.
    """

    def __init__(self, optimizer: Optimizer, seed: int, trainers: tuple[int, ...]) -> None:
        self._optimizer, self._seed = optimizer, seed
        self.trainers = list(trainers)
        self.vacant = False
        self._rows_sent: dict[int, dict[str, int]] = {}
        self._sort_sent: dict[tuple[int, str], tuple[int, int]] = {}
        self._parts_known: dict[tuple[int, str], tuple[int, int]] = {}
        self._job: _Job | None = None
        self._jobs = 0
        self._rests_until = -math.inf

    def welcome(self, rank: int) -> Start:
        """What a trainer is told first; it has nothing to do then."""
        self._rows_sent[rank] = {}
        return Start(TrainerDuty(self._optimizer.space.to_dict(), self._seed))

    def ask(self, now: float = 0.0, *, awaited: bool = False) -> list[Letter]:
        """Request the refit that is due, where there are trainers, none is on its way, and they need not rest.

        They work on where it is `awaited`, and workers stand still.
        """
        ready = [rank for rank in self.trainers if rank in self._rows_sent]
        if self._job is not None or not ready or len(ready) < len(self.trainers):
            return []
        if now < self._rests_until and not awaited:
            return []
        kind = self._optimizer.fit_due()
        if kind is None:
            return []
        ranks = tuple(ready[: most_parts(kind)])
        self._forget_revised()
        self._jobs += 1
        self._job = _Job(self._jobs, kind, len(self._optimizer.data_of(kind)), ranks)
        return [(rank, self._request(rank, kind, (part, len(ranks)))) for part, rank in enumerate(ranks)]

    def _forget_revised(self) -> None:
        """Have rows sent again from the first on that is not what it was."""
        same = self._optimizer.take_unchanged()
        if same < len(self._optimizer.data):
            for sent in self._rows_sent.values():
                sent.update({target: min(rows, same) for target, rows in sent.items()})

    def _request(self, rank: int, kind: str, part: tuple[int, int]) -> Fit:
        sent, target = self._rows_sent[rank], label_of(kind)
        data, known = self._optimizer.data_of(kind), sent.get(target, 0)
        sort = data.x.shape[1], self._optimizer.revision
        if self._sort_sent.get((rank, target), sort) != sort:
            known = 0
        self._sort_sent[rank, target] = sort
        previous = None
        fits = self._optimizer.fits
        if kind in fits and self._parts_known.get((rank, kind)) != part:
            previous = {name: PackedArray.pack(array) for name, array in fits[kind].parameters.items()}
        sent[target], self._parts_known[rank, kind] = len(data), part
        rows = PackedArray.pack(data.x[known:]), PackedArray.pack(data.y[known:])
        variance = None if data.variance is None else PackedArray.pack(data.variance[known:])
        return Fit(kind, known, *rows, previous=previous, job=self._jobs, part=part, variance=variance)

    def take(self, message: Fitted, source: int, now: float = 0.0) -> None:
        """Take a fit or a part of one; what a refit was given up for is passed over."""
        job = self._job
        if job is None or message.job != job.number or source not in job.ranks:
            return
        self._rests_until = max(self._rests_until, now + message.rest)
        job.parts[job.ranks.index(source)] = {name: array.unpack() for name, array in message.parameters.items()}
        if len(job.parts) == len(job.ranks):
            self._job = None
            self._optimizer.adopt(job.kind, merge_parts([job.parts[part] for part in sorted(job.parts)]), job.count)

    def lose(self, rank: int) -> None:
        """Note that a trainer was lost; a refit that it had a part in is begun anew by the others."""
        self.trainers.remove(rank)
        self._rows_sent.pop(rank, None)
        self.vacant = not self.trainers
        if self._job is not None and rank in self._job.ranks:
            self._job = None

    def pass_to(self, rank: int) -> Letter:
        """Make `rank` the trainer."""
        self.trainers, self.vacant = [rank], False
        return rank, self.welcome(rank)

    def make_here(self) -> None:
        """Refit on the master from now on, when it proposes."""
        self.trainers, self.vacant, self._job = [], False, None
        self._optimizer.refit_inline()

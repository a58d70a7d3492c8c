"""The refits of the surrogate that another rank makes, as the master sees them."""

from __future__ import annotations

from mpi.mpi_definitions import Fit, Fitted, Letter, PackedArray, Start, TrainerDuty
from utilities.optimizer import Optimizer


class Refits:
    """Asks the trainer for the refits that are due, one at a time, and sends it each row once.

    Parameters
    ----------
    optimizer
        Whose surrogate is refitted: with ``refit="external"`` where there is a trainer.
    seed
        Of the study.
    trainer
        Rank of the trainer, None without one.

    Attributes
    ----------
    trainer
        As given, or the rank that took over from one that was lost; None meanwhile.
    vacant
        Whether the trainer was lost and nobody has taken over yet.
    """

    def __init__(self, optimizer: Optimizer, seed: int, trainer: int | None) -> None:
        self._optimizer, self._seed = optimizer, seed
        self.trainer = trainer
        self.vacant = False
        self._free = False
        self._rows_sent = 0

    def welcome(self) -> Start:
        """What the trainer is told first; it has nothing to do then."""
        self._free, self._rows_sent = True, 0
        return Start(TrainerDuty(self._optimizer.space.to_dict(), self._seed))

    def ask(self) -> list[Letter]:
        """Request the refit that is due, where there is a trainer that has nothing to do."""
        if self.trainer is None or not self._free:
            return []
        kind = self._optimizer.fit_due()
        if kind is None:
            return []
        data, known = self._optimizer.data, self._rows_sent
        previous = None
        fits = self._optimizer.fits
        if known == 0 and kind in fits:
            previous = {name: PackedArray.pack(array) for name, array in fits[kind].parameters.items()}
        request = Fit(kind, known, PackedArray.pack(data.x[known:]), PackedArray.pack(data.y[known:]), previous)
        self._rows_sent, self._free = len(data), False
        return [(self.trainer, request)]

    def take(self, message: Fitted, source: int) -> None:
        """Take a fit; the trainer is free again."""
        self._free |= source == self.trainer
        parameters = {name: array.unpack() for name, array in message.parameters.items()}
        self._optimizer.adopt(message.kind, parameters, message.count)

    def lose_trainer(self) -> None:
        """Note that the trainer was lost."""
        self.trainer, self.vacant = None, True

    def pass_to(self, rank: int) -> Letter:
        """Make `rank` the trainer."""
        self.trainer, self.vacant = rank, False
        return rank, self.welcome()

    def make_here(self) -> None:
        """Refit on the master from now on, when it proposes."""
        self.trainer, self.vacant = None, False
        self._optimizer.refit_inline()

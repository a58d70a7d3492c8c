"""Who gets which trial when: workers that are idle first, then those that would be before an answer comes."""

from __future__ import annotations

from mpi.mpi_definitions import Letter
from mpi.mpi_dispatch import Dispatch
from mpi.mpi_supply import Supply
from utilities.ledger import Ledger


class HandOut:
    """Gives the supply to the workers.

    Parameters
    ----------
    supply, dispatch, ledger
        Those of the master.
    hold
        Whether workers may hold their next trials.

    Attributes
    ----------
    unfinished
        Whether the latest `give` left idle workers for the next one, since proposals are slow.
    """

    def __init__(self, supply: Supply, dispatch: Dispatch, ledger: Ledger, *, hold: bool) -> None:
        self._supply, self._dispatch, self._ledger, self._hold = supply, dispatch, ledger, hold
        self._hands = dispatch.hands
        self.unfinished = False

    def give(self, now: float) -> list[Letter]:
        """Trials for those who wait, at `now` in seconds since the epoch. At most one slow proposal is made for it."""
        self.unfinished = False
        letters: list[Letter] = []
        idle = self._hands.idle
        while idle and self._supply.any:
            slow = not self._supply.at_hand
            trial = self._supply.next(idle[0])
            if trial is None:
                break
            letters.append(self._dispatch.give(idle.popleft(), trial, now))
            if slow and idle and self._ledger.typical_proposal > 1e-3:
                self.unfinished = True
                break
        return letters + (self._dispatch.recall() if idle and self._supply.left <= 0 else self._give_to_hold(now))

    def _give_to_hold(self, now: float) -> list[Letter]:
        """Hand workers that evaluate what they will evaluate next, where they would wait for that.

        Only what is ready at once; and towards the end of the budget fewer, which an idle worker might begin sooner.
        """
        roomy, seats = self._hands.roomy, len(self._ledger.seats)
        most = self._supply.depth_held() if self._hold and roomy else 0
        letters: list[Letter] = []
        while roomy and self._supply.any and (depth := min(most, (self._supply.left - 1) // seats - 1)) > 0:
            if not self._supply.at_hand and self._ledger.typical_proposal > 0.0:
                break
            worker = next(iter(roomy))
            del roomy[worker]
            for _ in range(depth + 1 - self._hands.count(worker)):
                trial = self._supply.next(worker)
                if trial is None:
                    return letters
                letters.append(self._dispatch.give(worker, trial, now))
        return letters

"""A worker in virtual time: evaluates one trial, holds others, gives back what it has not begun."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from utilities.trial import Outcome


@dataclass
class Turn:
    """A trial at a worker. Times are virtual seconds.

    Attributes
    ----------
    number, outcome, value
        Of the trial; its objective without noise.
    arrived, idle_since, began, ended
        When it came, since when its worker did nothing, when its evaluation began and when it ended.
    announced
        Number of the message that tells its outcome: others that told it before it moved are void.
    """

    number: int
    outcome: Outcome
    value: float
    arrived: float
    idle_since: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    announced: int = 0

    def follow(self, free: float) -> None:
        """Put it behind what ends at `free`."""
        self.idle_since = free
        self.began = max(self.arrived, free)
        self.ended = self.began + self.outcome.seconds


class SimulatedWorker:
    """Evaluates trials in the order in which they came. Durations are known, so ends are, as soon as a trial comes."""

    def __init__(self) -> None:
        self._free = 0.0
        self._turns: deque[Turn] = deque()

    def hold(self, number: int, outcome: Outcome, value: float, arrived: float) -> list[Turn]:
        """Take a trial; returns its turn, whose outcome is to be announced."""
        turn = Turn(number, outcome, value, arrived)
        turn.follow(self._turns[-1].ended if self._turns else self._free)
        self._turns.append(turn)
        return [turn]

    def recall(self, number: int, now: float) -> tuple[bool, Iterable[Turn]]:
        """Give a trial back unless it has begun; returns whether, and the turns that come sooner for it."""
        place = next((i for i, turn in enumerate(self._turns) if turn.number == number and turn.began > now), None)
        if place is None:
            return False, ()
        free = self._turns[place].idle_since
        del self._turns[place]
        moved = list(self._turns)[place:]
        for turn in moved:
            turn.follow(free)
            free = turn.ended
        return True, moved

    def end(self, number: int, announced: int) -> Turn | None:
        """Turn of a trial whose outcome is told; None where that message is void."""
        if not self._turns or (self._turns[0].number, self._turns[0].announced) != (number, announced):
            return None
        self._free = self._turns[0].ended
        return self._turns.popleft()

"""Proposals that wait to be handed out: the user's own points first, then those made before they are asked for."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from utilities.completion import ORIGIN, complete, outstanding
from utilities.errors import SpaceExhaustedError
from utilities.history import History
from utilities.proposals import Proposal, Proposer
from utilities.space import Space
from utilities.trial import Config, TrialRecord


class ProposalQueue:
    """The next proposals of an optimiser.

    Parameters
    ----------
    space, seed
        Of the study: what a point of the user's own leaves open is drawn by them.
    proposer
        Makes proposals.
    history
        What is known when it does.
    """

    def __init__(self, space: Space, seed: int, proposer: Proposer, history: History) -> None:
        self._space, self._seed, self._proposer, self._history = space, seed, proposer, history
        self._enqueued: deque[Config] = deque()
        self._given = 0
        self._made: deque[tuple[Proposal, int]] = deque()

    def __len__(self) -> int:
        return len(self._made) + len(self._enqueued)

    def enqueue(self, config: Mapping[str, Any]) -> None:
        """Put a point of the user's own first, see `utilities.completion.complete`.

        Raises
        ------
        StudyError
            It is not of this space, or breaks its constraints.
        """
        self._enqueued.append(complete(self._space, config, self._seed, self._given))
        self._given += 1

    def enqueue_outstanding(self, points: Sequence[Mapping[str, Any]], records: Iterable[TrialRecord]) -> None:
        """Put those `points` first that are not among the trials, see `utilities.completion.outstanding`."""
        self._enqueued.extend(outstanding(self._space, points, self._seed, records))
        self._given += len(points)

    def next(self) -> Proposal:
        """Take the first; where none waits, it is made.

        Raises
        ------
        SpaceExhaustedError
            Nothing is left to propose.
        """
        if self._enqueued:
            return Proposal(self._enqueued.popleft(), ORIGIN)
        if self._made:
            return self._made.popleft()[0]
        return self._propose()

    def prepare(self, count: int, batch: int = 1, seconds: float = math.inf) -> list[str]:
        """Make proposals towards having `count` ready; see `utilities.optimizer.Optimizer.prepare`."""
        told, ready = self._history.told, len(self._made)
        if batch == 1 and len(self) >= count:
            stale = next((entry for entry in self._made if entry[1] < told and entry[0].origin == "model"), None)
            if stale is None:
                return []
            self._made.remove(stale)
            count, ready = count + 1, ready - 1
        if len(self) >= count:
            return []
        try:
            if batch == 1:
                self._made.append((self._propose(), told))
            else:
                made = self._proposer.propose_batch(
                    self._history, self._waiting, min(batch, count - len(self)), seconds
                )
                self._made.extend((proposal, told) for proposal in made)
        except SpaceExhaustedError:
            return []
        return [proposal.origin for proposal, _ in itertools.islice(self._made, ready, None)]

    @property
    def _waiting(self) -> list[Config]:
        """Configurations of the proposals made: no other is to be the same."""
        return [proposal.config for proposal, _ in self._made]

    def _propose(self) -> Proposal:
        return self._proposer.propose(self._history, self._waiting)

"""Two workers in virtual time: an epoch of training is the unit of time and of cost, whatever it takes here.

The training itself is real. Nothing but the subject decides what is trained, so that a run is the same wherever and how
often it is made.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

WORKERS = 2
COMPLETE, PRUNED, RUNNING = "COMPLETE", "PRUNED", "RUNNING"
Begin: TypeAlias = Callable[[Mapping[str, Any], int], "Course"]
"""Makes the training of a configuration and a seed."""


class Proposal(NamedTuple):
    """A trial that is to be trained: its number in the run, its configuration, and the seed of its training."""

    number: int
    config: Mapping[str, Any]
    seed: int


class Subject(Protocol):
    """What proposes trials and ends them early. Times are epochs since the run began."""

    def ask(self, worker: int, now: int) -> Proposal:
        """Propose the next trial of a worker."""

    def report(self, worker: int, number: int, step: int, error: float, now: int) -> bool:
        """Take the validation error after an epoch; whether the trial should stop."""

    def tell(self, worker: int, number: int, error: float, now: int, *, pruned: bool) -> None:
        """Take a trial's last error."""


class Course(Protocol):
    """A training that goes on epoch by epoch."""

    def epoch(self) -> float:
        """Train for one more epoch; the validation error after it."""

    def test_error(self) -> float:
        """Error on images that nothing is chosen by."""


@dataclass(frozen=True)
class Row:
    """A trial of a run.

    Attributes
    ----------
    trial
        Its number.
    state
        COMPLETE, PRUNED, or RUNNING where the run ended before it did.
    epochs, spent
        That it took, and that all trials had taken when it ended.
    error, test_error
        After its last epoch; the second of complete trials, else None.
    """

    trial: int
    state: str
    epochs: int
    spent: int
    error: float
    test_error: float | None


@dataclass
class _Seat:
    """What a worker trains."""

    proposal: Proposal
    course: Course
    done: int = 0
    error: float = float("nan")


def race(subject: Subject, begin: Begin, total: int, longest: int) -> Iterator[Row]:
    """Run a subject until `total` epochs are spent.

    Parameters
    ----------
    subject
        Proposes and judges.
    begin
        Makes trainings.
    total
        Epochs of all trials together.
    longest
        Epochs of a trial that is not stopped. What a subject says after the last of them comes too late: the trial is
        complete.

    Yields
    ------
    Row
        Each trial as it ends, and at last those that were running, by worker.
    """

    def sit(worker: int, now: int) -> None:
        proposal = subject.ask(worker, now)
        seats[worker] = _Seat(proposal, begin(proposal.config, proposal.seed))
        heapq.heappush(events, (now + 1, worker))

    seats: dict[int, _Seat] = {}
    events: list[tuple[int, int]] = []
    for worker in range(1, WORKERS + 1):
        sit(worker, 0)
    for spent in range(1, total + 1):
        now, worker = heapq.heappop(events)
        seat = seats[worker]
        seat.error, seat.done = seat.course.epoch(), seat.done + 1
        stop = subject.report(worker, seat.proposal.number, seat.done, seat.error, now)
        if seat.done < longest and not stop:
            heapq.heappush(events, (now + 1, worker))
            continue
        complete = seat.done == longest
        subject.tell(worker, seat.proposal.number, seat.error, now, pruned=not complete)
        test_error = seat.course.test_error() if complete else None
        del seats[worker]
        yield Row(seat.proposal.number, COMPLETE if complete else PRUNED, seat.done, spent, seat.error, test_error)
        if spent < total:
            sit(worker, now)
    for _, seat in sorted(seats.items()):
        if seat.done:
            yield Row(seat.proposal.number, RUNNING, seat.done, total, seat.error, None)

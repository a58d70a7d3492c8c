"""Which worker has which trials: one that it evaluates, and some that it holds to begin at once after that."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from utilities.trial import Trial


class Hands:
    """The trials that were handed out and have not come back.

    Attributes
    ----------
    idle
        Workers without a trial, the longest idle first.
    roomy
        Workers that began a trial since they were last offered one to hold, in that order; keys of a dict.
    """

    def __init__(self) -> None:
        self.idle: deque[int] = deque()
        self.roomy: dict[int, None] = {}
        self._trials: dict[int, deque[Trial]] = {}
        self._out: set[tuple[int, int]] = set()
        self._held = 0
        self._recalled: set[tuple[int, int]] = set()

    def __len__(self) -> int:
        return len(self._out)

    def enter(self, worker: int) -> None:
        """Note a worker without a trial."""
        self._trials[worker] = deque()
        self.idle.append(worker)

    def leave(self, worker: int) -> list[Trial]:
        """Forget a worker; returns its trials, the one that it evaluated first."""
        trials = list(self._trials.pop(worker, ()))
        self._held -= max(0, len(trials) - 1)
        for trial in trials:
            self._out.discard((worker, trial.number))
            self._recalled.discard((worker, trial.number))
        self.roomy.pop(worker, None)
        if worker in self.idle:
            self.idle.remove(worker)
        return trials

    def give(self, worker: int, trial: Trial) -> bool:
        """Note a trial that is handed to a worker not in `idle`; returns whether it begins with it at once."""
        trials = self._trials[worker]
        trials.append(trial)
        self._out.add((worker, trial.number))
        if len(trials) > 1:
            self._held += 1
            return False
        self.roomy[worker] = None
        return True

    def has(self, worker: int, number: int) -> bool:
        """Whether a worker has this trial, or a part of it: never two of them."""
        return (worker, number) in self._out

    def part(self, worker: int, number: int) -> int | None:
        """Which part of this trial a worker has; None where it has none, or the trial whole."""
        return next((trial.part for trial in self._trials.get(worker, ()) if trial.number == number), None)

    def take(self, worker: int, number: int) -> Trial | None:
        """Take a trial back from a worker; None where it has no such trial."""
        if not self.has(worker, number):
            return None
        self._out.discard((worker, number))
        self._recalled.discard((worker, number))
        trials = self._trials[worker]
        trial = next(trial for trial in trials if trial.number == number)
        trials.remove(trial)
        self._held -= bool(trials)
        return trial

    def next_of(self, worker: int) -> Trial | None:
        """Trial that a worker evaluates, or goes on with; None where it has none, and is idle from now on."""
        trials = self._trials[worker]
        if trials:
            self.roomy[worker] = None
            return trials[0]
        self.idle.append(worker)
        return None

    def count(self, worker: int) -> int:
        """Number of trials that a worker has."""
        return len(self._trials[worker])

    def held(self) -> Iterator[tuple[int, Trial]]:
        """Trials that are held and not begun, each with its worker."""
        for worker, trials in self._trials.items() if self._held else ():
            for trial in list(trials)[1:]:
                yield worker, trial

    def recall(self) -> list[tuple[int, int]]:
        """Workers and numbers of the trials that are held and not begun, each trial in the first call alone."""
        held = [(worker, trial.number) for worker, trial in self.held()]
        found = [entry for entry in held if entry not in self._recalled]
        self._recalled.update(found)
        return found

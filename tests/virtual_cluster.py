"""Workers and a trainer in virtual time around a real master on a real folder, without MPI."""

from __future__ import annotations

import heapq
import io
import itertools
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from learning_objective.objective_spec import ObjectiveSpec
from mpi.mpi_definitions import (
    Done,
    Evaluate,
    Exit,
    Fit,
    Letter,
    Message,
    Ready,
    Recall,
    Returned,
    Start,
    TrainerDuty,
    WorkerDuty,
    decode,
    encode,
)
from mpi.mpi_master import Master
from mpi.mpi_trainer import Trainer
from utilities.display.progress import PlainDisplay
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.storage.run_folder import RunFolder
from utilities.storage.study import Study
from utilities.trial import Outcome, TrialRecord, TrialState

SPACE = {"x": {"type": "float", "low": -5.0, "high": 5.0}, "y": {"type": "float", "low": -5.0, "high": 5.0}}


OPEN: list[RunFolder] = []


def bowl(config: dict[str, Any]) -> float:
    return float((config["x"] - 1.0) ** 2 + (config["y"] + 2.0) ** 2)


class Cluster:
    """Workers and a trainer in virtual time around a real master on a real folder."""

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 3,
        table: dict[str, Any] = SPACE,
        trainer: int | None = None,
        seconds: float = 1.0,
        ranks: int = 0,
        **settings: Any,
    ) -> None:
        values: dict[str, Any] = {"budget": 12, "method": "random", **settings}
        self.study = Study(
            name="s", objective="branin", space=Space.from_dict(table), folder=folder, source="test", **values
        )
        self.run = RunFolder.open(folder, self.study)
        OPEN.append(self.run)
        refit = "inline" if trainer is None else "external"
        self.optimizer = Optimizer(
            self.study.space,
            self.study.method,
            self.study.seed,
            stages=self.study.stages,
            fidelity=self.study.fidelity,
            refit=refit,
        )
        self.optimizer.restore(self.run.records.values())
        self.optimizer.stages.restore(self.run.stages)
        duty = WorkerDuty(ObjectiveSpec(objective="branin", command=None, folder=str(folder)), str(folder))
        self.display = PlainDisplay(io.StringIO())
        self.master = Master(
            self.study,
            self.optimizer,
            self.run,
            self.display,
            duty,
            trainers=() if trainer is None else (trainer,),
            ranks=ranks,
            now=0.0,
        )
        self.trainer_rank, self.seconds, self.now = trainer, seconds, 0.0
        self._free: dict[int, float] = {}
        self._order = itertools.count()
        self.events: list[tuple[float, int, int, Message]] = []
        self.evaluated: Counter[int] = Counter()
        self.fits: list[Fit] = []
        self.exits: dict[int, int] = {}
        ranks = range(1, workers + 1 + (trainer is not None))
        for rank in ranks:
            self._post(0.0, rank, Ready(f"node{rank}"))

    def _post(self, delay: float, rank: int, message: Message) -> None:
        heapq.heappush(self.events, (self.now + delay, 1_000_000 * rank + next(self._order), rank, message))

    def outcome(self, config: dict[str, Any], number: int) -> Outcome:
        return Outcome(TrialState.COMPLETE, bowl(config), seconds=self.seconds)

    def deliver(self, letters: list[Letter]) -> None:
        for rank, message in letters:
            copy = decode(message.tag, encode(message))
            assert copy == message
            if isinstance(copy, Start) and isinstance(copy.duty, TrainerDuty):
                self.trainer = Trainer(copy.duty)
            elif isinstance(copy, Evaluate):
                self.evaluated[copy.trial.number] += 1
                self._free[rank] = max(self.now, self._free.get(rank, 0.0)) + self.seconds
                done = Done(copy.trial.number, self.outcome(copy.trial.config, copy.trial.number))
                self._post(self._free[rank] - self.now, rank, done)
            elif isinstance(copy, Recall):
                self._give_back(rank, copy.number)
            elif isinstance(copy, Fit):
                self.fits.append(copy)
                self._post(2.5, rank, self.trainer.fit(copy))
            elif isinstance(copy, Exit):
                self.exits[rank] = copy.status
                self._post(0.0, rank, copy)

    def _give_back(self, rank: int, number: int) -> None:
        """Give back a trial that has not begun; those held after it stay where they are in time."""
        for event in self.events:
            if event[2] == rank and isinstance(event[3], Done) and event[3].number == number:
                if event[0] - self.seconds > self.now:
                    self.events.remove(event)
                    heapq.heapify(self.events)
                    self.evaluated[number] -= 1
                    self._post(0.0, rank, Returned(number))
                return

    def drive(self, until: float = 1e6) -> int:
        """Carry messages until the master is done or the time is up; return its exit status."""
        while not self.master.dismissed if self.master.over else True:
            if not self.events or self.events[0][0] > until:
                break
            self.now, _, rank, message = heapq.heappop(self.events)
            self.deliver(self.master.handle(message, rank, self.now))
            self.deliver(self.master.idle(self.now))
        self.run.close()
        return self.master.status


def reopened(cluster: Cluster) -> dict[int, TrialRecord]:
    """Records as another run would find them."""
    cluster.run.close()
    with closing(RunFolder.open(cluster.study.folder, cluster.study)) as run:
        return run.records


def numbers(folder: Path) -> list[int]:
    return [int(line.split(",")[0]) for line in (folder / "s" / "trials.csv").read_text().splitlines()[1:]]

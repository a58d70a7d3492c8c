"""A parallel run in virtual time: the master, the optimiser and the trainer of the product, simulated workers.

What the master does is done, and its CPU time is charged to its own clock: a message that arrives meanwhile waits. So
is what the trainer does. Evaluations, and the way of a message, take virtual time alone. The loop is that of
`mpi.mpi_optimizer`: what has arrived is taken together, then answered; where nothing has, `Master.idle`.

An event costs O(log workers) here. With ``charge=0`` nothing that is real enters, so a seed gives the same run.
"""

from __future__ import annotations

import heapq
import io
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from benchmarks.scaling.measures import Measures, Summary
from benchmarks.scaling.simulated_worker import SimulatedWorker, Turn
from benchmarks.scaling.trainer_process import TrainerProcess
from benchmarks.scaling.workload import Workload
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
from utilities.display.progress import PlainDisplay
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.storage.run_folder import RunFolder
from utilities.storage.study import Study

LOOK_SECONDS = 0.01
"""As in `mpi.mpi_optimizer`: how often an idle master looks for something to do."""

QUIET_LOOKS, QUIET_SECONDS = 100, 1.0
"""After so many looks that led to no message it looks only so often: by then nothing is left to prepare."""


@dataclass(frozen=True)
class Costs:
    """What is charged, beside evaluations. Seconds, but for `charge`.

    Attributes
    ----------
    charge
        Factor on the CPU time of master and trainer: 2 for a machine half as fast, 0 to leave it out.
    latency
        Way of a message, the nap of a waiting rank included.
    message
        What MPI costs the master for each message sent or received, its coding aside, which is measured.
    disk
        Wait for the disk of each pass of the master's loop that leaves records.
    """

    charge: float = 1.0
    latency: float = 1e-3
    message: float = 2e-5
    disk: float = 1e-3


FREE = Costs(charge=0.0, latency=0.0, message=0.0, disk=0.0)
"""A master that takes no time, and messages that neither do."""


class Cluster:
    """A study on `workers` simulated workers.

    Parameters
    ----------
    folder
        Where the study's folder is made, journal and all.
    workload
        What is evaluated.
    workers
        Their number. One worker without trainer and `ahead` is the sequential run.
    trainers
        Number of trainer ranks; without any, the optimiser refits itself when asked.
    ahead
        Whether the master proposes ahead.
    costs
        What is charged.
    meter
        CPU seconds of this process so far.
    settings
        Of the study: method, budget, seed, acquisition, kappa.
    """

    def __init__(
        self,
        folder: Path,
        workload: Workload,
        *,
        workers: int,
        trainers: int = 1,
        ahead: bool = True,
        costs: Costs = Costs(),
        meter: Callable[[], float] = time.process_time,
        **settings: object,
    ) -> None:
        self._workload, self._costs = workload, costs
        self._meter = lambda: costs.charge * meter() if costs.charge else 0.0
        benchmark = workload.benchmark
        space = Space.from_dict(benchmark.space)
        values = {"name": "simulated", "objective": benchmark.name, "source": benchmark.name, **settings}
        self._study = Study(space=space, folder=folder, **values)  # type: ignore[arg-type]
        self._run = RunFolder.open(folder, self._study)
        study = self._study
        self.optimizer = Optimizer(
            space,
            study.method,
            study.seed,
            direction=study.direction,
            acquisition=study.acquisition,
            kappa=study.kappa,
            refit="external" if trainers else "inline",
        )
        spec = ObjectiveSpec(objective=benchmark.name, command=None, folder=str(folder))
        self.master = Master(
            study,
            self.optimizer,
            self._run,
            PlainDisplay(io.StringIO()),
            WorkerDuty(spec, str(folder)),
            trainers=tuple(range(1, trainers + 1)),
            ahead=ahead,
            now=0.0,
        )
        self.measures = Measures(workers)
        self.now = 0.0
        self._look_at, self._quiet = 0.0, 0
        self._arrivals: list[tuple[float, int, int, Message]] = []
        self._sent = 0
        self._workers: dict[int, SimulatedWorker] = {}
        self._trainers: dict[int, TrainerProcess] = {}
        self._fitted_at: dict[int, float] = {}
        self.trainer_megabytes = 0.0
        for rank in range(1, workers + trainers + 1):
            self._arrive(0.0, rank, Ready(f"node{rank}"))

    def run(self, target: float | None = None) -> Summary:
        """Simulate to the end of the budget, or to the first outcome whose noise-free objective reaches `target`."""
        wall = SimpleNamespace(perf_counter=self._meter)
        with ExitStack() as stack:
            stack.callback(self._close)
            stack.enter_context(mock.patch("mpi.mpi_ahead.time", wall))
            while not self.master.over and (target is None or self.measures.best > target):
                self._pass()
        return self.measures.summary(list(self.master.ledger.proposal_seconds))

    def _close(self) -> None:
        self._run.close()
        for trainer in self._trainers.values():
            self.trainer_megabytes = max(self.trainer_megabytes, trainer.megabytes)
            trainer.close()

    # --- the master's loop ------------------------------------------------------------------------------------------

    def _pass(self) -> None:
        letters = self._receive()
        if not letters and not self.master.has_more and self.now < self._look_at:
            self.now = min([self._look_at, *(arrival[0] for arrival in self._arrivals[:1])])
            return
        began = self.now
        replies, seconds = self._work(letters)
        moved = len(letters) + len(replies)
        self.now += seconds + self._costs.message * moved + (self._costs.disk if moved else 0.0)
        self.measures.work(began, self.now)
        self._quiet = 0 if moved else self._quiet + 1
        self._look_at = began + (LOOK_SECONDS if self._quiet <= QUIET_LOOKS else QUIET_SECONDS)
        for rank, message, data in replies:
            self._deliver(rank, message, data)

    def _receive(self) -> list[Letter]:
        letters: list[Letter] = []
        while self._arrivals and self._arrivals[0][0] <= self.now:
            _, sent, source, message = heapq.heappop(self._arrivals)
            if isinstance(message, Done):
                turn = self._workers[source].end(message.number, sent)
                if turn is None:
                    continue
                self.measures.outcome(self.now, turn.value)
                self.measures.evaluation(turn.idle_since, turn.began, turn.ended)
            letters.append((source, message))
        return letters

    def _work(self, letters: list[Letter]) -> tuple[list[tuple[int, Message, bytes]], float]:
        """What the master answers, encoded, and the seconds charged for it."""
        received = [(source, message.tag, encode(message)) for source, message in letters]
        began = self._meter()
        self.master.show(self.now)
        for source, tag, data in received:
            self.master.take(decode(tag, data), source, self.now)
        starts = self.master.greet()
        self.master.warm_up()
        replies = starts + (self.master.answer(self.now) if letters else self.master.idle(self.now))
        coded = [(rank, message, encode(message)) for rank, message in replies]
        return coded, self._meter() - began

    # --- the other ranks --------------------------------------------------------------------------------------------

    def _arrive(self, when: float, source: int, message: Message) -> int:
        """Let a message arrive at the master; returns its number among all."""
        self._sent += 1
        heapq.heappush(self._arrivals, (when, self._sent, source, message))
        return self._sent

    def _deliver(self, rank: int, message: Message, data: bytes) -> None:
        """Let a rank receive a message, and do what it does then."""
        arrives = self.now + self._costs.latency
        if isinstance(message, Evaluate):
            outcome, value = self._workload.evaluate(message.trial)
            self._announce(rank, self._workers[rank].hold(message.trial.number, outcome, value, arrives))
        elif isinstance(message, Recall):
            given_back, moved = self._workers[rank].recall(message.number, arrives)
            if given_back:
                self._arrive(arrives + self._costs.latency, rank, Returned(message.number))
            self._announce(rank, moved)
        elif isinstance(message, Fit):
            answers, seconds = self._trainers[rank].handle(message.tag, data)
            self.measures.fit(self._costs.charge * seconds)
            ended = max(arrives, self._fitted_at.get(rank, 0.0)) + self._costs.charge * seconds
            self._fitted_at[rank] = ended
            for answer in answers:
                self._arrive(ended + self._costs.latency, rank, answer)
        elif isinstance(message, Start):
            if isinstance(message.duty, TrainerDuty):
                self._trainers[rank] = TrainerProcess(message.duty)
            else:
                self._workers[rank] = SimulatedWorker()
        elif not isinstance(message, Exit):
            raise TypeError(f"a simulated rank knows no {type(message).__name__}")

    def _announce(self, rank: int, turns: Iterable[Turn]) -> None:
        """Let outcomes arrive when their trials have ended."""
        for turn in turns:
            turn.announced = self._arrive(turn.ended + self._costs.latency, rank, Done(turn.number, turn.outcome))

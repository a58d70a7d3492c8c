"""A study opened on the rank that leads it: its folder, its optimiser, its master, and what is told at the end."""

from __future__ import annotations

import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from learning_objective.command_line import Options
from learning_objective.objective_spec import ObjectiveSpec
from learning_objective.rerun_line import RerunOptions
from learning_objective.studies import prepare_study, spec_of
from mpi.mpi_definitions import RESUMABLE, WorkerDuty
from mpi.mpi_master import Master
from mpi.mpi_rerun import Rerun, plan_rerun
from mpi.mpi_signals import next_signal
from mpi.mpi_stops import recall
from utilities.borders import find_borders
from utilities.display.comparison import alone, as_table
from utilities.display.progress import make_display
from utilities.display.summary import final_summary
from utilities.display.text import counted, emit, let_go, shorten
from utilities.early_stopping import EarlyStopping
from utilities.errors import DiskError, StudyError
from utilities.grid import Grid
from utilities.ledger import best_initial, found
from utilities.race_results import comparison
from utilities.rungs import concluded, rung_counts
from utilities.stage_plan import describe
from utilities.storage.run_folder import RunFolder
from utilities.storage.stage_tables import cut_off_stages
from utilities.storage.stop_request import StopRequest, StopRequests
from utilities.storage.study import Study
from utilities.storage.tables import LARGEST
from utilities.study_optimizer import make_optimizer

__all__ = ["Plan", "Session", "check_ranks", "cut_off_grid", "make_plan", "prepare_study", "resume_command"]


class Plan(NamedTuple):
    """What a run is to do.

    Attributes
    ----------
    study, spec
        See `prepare_study`.
    output
        Folder in which the study's own folder lies.
    rerun
        What is evaluated again; None in any other run.
    """

    study: Study
    spec: ObjectiveSpec
    output: Path
    rerun: Rerun | None = None


def make_plan(options: Options | RerunOptions) -> Plan:
    """Read what the command line names, and see that the objective is there.

    Raises
    ------
    StudyError
        Whatever is wrong.
    """
    if isinstance(options, Options):
        return Plan(*prepare_study(options), Path(options.output))
    study, folder, rerun = plan_rerun(options)
    return Plan(study, spec_of(study), folder, rerun)


def check_ranks(study: Study, ranks: int) -> int:
    """See that a run of so many ranks has one worker at least; returns how many ranks that worker has.

    Raises
    ------
    StudyError
        There are too few.
    """
    needed = study.ranks_per_worker
    if needed > max(1, ranks - 1):
        raise StudyError(
            f"{study.source}: [study] ranks_per_worker = {needed} needs {needed + 1} ranks at least, the master and a "
            f"worker; got {ranks}. Start it with mpiexec -np {needed + 1} or more"
        )
    return needed


class Session:
    """A run of a study, seen from the rank that leads it.

    Parameters
    ----------
    plan
        From `make_plan`.
    ranks
        Number of processes, this one included.
    trainers
        Ranks of the trainers.
    ahead
        Whether to make proposals before they are asked for.

    Raises
    ------
    StudyError
        The folder cannot be written, or holds another study of this name.
    """

    def __init__(self, plan: Plan, *, ranks: int, trainers: tuple[int, ...], ahead: bool) -> None:
        study, self._rerun = plan.study, plan.rerun
        self._study, self._ranks = study, ranks
        self._fidelity = None if study.instances is not None else study.fidelity  # parts have the full budget
        rule = (
            None if study.early_stopping is None else EarlyStopping(study.early_stopping, study.direction, study.seed)
        )
        reports: list[tuple[int, int, float, float]] = []
        self._run = RunFolder.open(plan.output, study, partial(recall, rule, reports))
        self._optimizer = make_optimizer(study, self._fidelity, refit="external" if trainers else "inline")
        self._resume(reports)
        self._display = make_display()
        self._told = 0
        self._tell()
        if self._optimizer.stages and (begun := self._run.stages):
            self._display.say(describe(begun[-1], self._optimizer.stages.plan, "goes on: it began"))
        for note in filter(None, [cut_off_grid(study), cut_off_stages(study.stages, study.budget)]):
            self._display.say(note)
        trials = str(self._run.folder.absolute() / "trials")
        limits = study.trial_timeout, study.trial_memory
        duty = WorkerDuty(plan.spec, trials, *limits, study.isolation, study.threads_per_worker)
        self._troubles: list[str] = []
        self._requests = StopRequests(self._run.folder)
        self._run.session(ranks, time.time())
        self.master = Master(
            study,
            self._optimizer,
            self._run,
            self._display,
            duty,
            trainers=trainers,
            stopping=rule,
            ranks=max(1, ranks - 1),
            ahead=ahead,
            now=time.time(),
        )

    def _resume(self, reports: list[tuple[int, int, float, float]]) -> None:
        records = self._run.records.values()
        for observation in self._run.observed:
            values = self._optimizer.goals.observed(observation.objective, observation.metrics)
            self._optimizer.observe(observation.config, values, observation.metrics)
        self._optimizer.restore(records, reports)
        self._optimizer.stages.restore(self._run.stages)
        self._optimizer.enqueue_outstanding(self._study.enqueue, records)
        stored = self._run.model()
        if stored is None:
            return
        self._optimizer.restore_calibration(stored.calibration)
        for fit in stored.fits.values():
            if fit.rows <= len(self._optimizer.data_of(fit.kind)):
                self._optimizer.adopt(*fit)

    def _tell(self) -> None:
        """Say what the folder has to say."""
        for line in self._run.messages[self._told :]:
            self._display.say(line)
        self._told = len(self._run.messages)

    def tick(self, now: float) -> None:
        """Act on signals that were noted, at once on a second one, on requests to stop, and show how it goes."""
        self._tell()
        while (number := next_signal()) is not None:
            name = number.name
            waits = "no new trials; waiting for the running ones. Once more stops at once"
            self._display.say(f"{name}: {'stops at once' if self.master.ending.stopped else waits}")
            self.master.stop(f"signal {name}", now)
        if (request := self._requests.take(now)) is not None:
            self._stop(request, now)
        self.master.show(now)

    def _stop(self, request: StopRequest, now: float) -> None:
        """End as asked for; asked again, only where that is to be at once: unlike a signal, it may be sent twice."""
        if self.master.ending.closing and not request.at_once:
            return
        waits = "stops at once" if request.at_once else "no new trials; waiting for the running ones"
        self._display.say(f"`reverie stop` of {request.by}: {waits}")
        self.master.stop("by `reverie stop`", now, grace=0.0 if request.at_once else None)

    def close(self) -> int:
        """Write what is left to write, say how it ended and what could not be written, and return the exit status."""
        master, now = self.master, time.time()
        master.show(now)
        self._attempt(self._run.sync)
        lost = self._run.unsynced
        status = RESUMABLE if lost and not master.ending.error else master.status
        master.checkpoint(now)
        records = self._run.records.values()
        initial = best_initial(records, self._optimizer.goals)
        predicted = self._optimizer.predicted_best()
        summary = master.ledger.summary(self._optimizer.best, predicted, initial, now)
        summary |= found(self._optimizer)
        where = None if predicted is None else predicted.config
        if self._rerun is None:
            summary["borders"] = [border._asdict() for border in find_borders(self._optimizer, records, where)]
        else:
            self._rerun.numbers(summary)
        summary |= self._compare()
        if self._fidelity is not None:
            summary["fidelity"] = rung_counts(self._fidelity, records)
            if status != RESUMABLE:
                summary["states"] = concluded(summary["states"])
                self._attempt(self._run.conclude)
        summary["status"] = self._ending(lost)
        summary["exit_status"] = status
        if self._optimizer.stages:
            summary["stages"] = self._optimizer.stages.to_summary()
        summary["folder"] = str(self._run.folder)
        if status == RESUMABLE:
            summary["resume_command"] = resume_command(self._ranks)
        self._attempt(partial(self._run.write_summary, summary))
        self._attempt(self._run.close)
        self._tell()
        self._display.close()
        if self._run.unsynced:
            self._troubles.append(_loss(self._run.unsynced))
        for line in filter(None, [*self._troubles, master.ending.error]):
            emit(sys.stderr, f"error: {line}")
        if master.ledger.evaluated or not master.ending.error:
            emit(sys.stdout, "\n" + final_summary(summary))
        let_go(sys.stdout)
        let_go(sys.stderr)
        return status

    def _compare(self) -> dict[str, Any]:
        """How the best configurations compare, and in a rerun what each of them was before."""
        records, study = self._run.records, self._study
        if self._rerun is not None:
            return self._rerun.results(records, study.direction)
        if study.instances is None:
            return {}
        found = comparison(records.values(), study.direction, len(study.instances))
        if found is not None:
            return {"significance": as_table(found)}
        best = self._optimizer.best
        return {} if best is None else {"significance": alone(best.number, str(self._run.folder))}

    def _attempt(self, write: Callable[[], None]) -> None:
        """Write something at the end; what fails for want of room is told, and does not keep the rest back."""
        try:
            write()
        except (DiskError, OSError) as error:
            if str(error) not in self._troubles:
                self._troubles.append(str(error))

    def _ending(self, lost: Sequence[int]) -> str:
        master = self.master
        if lost:
            return f"stopped: {master.ending.stopped or 'the disk takes no more'}"
        if master.ending.stopped and not master.ending.spent:
            return f"stopped: {master.ending.stopped}"
        if master.exhausted:
            return "finished: every configuration of the space was evaluated"
        return "finished"


def cut_off_grid(study: Study) -> str:
    """Say how many points a grid has that is larger than its study's budget; the empty string where none is."""
    if study.method != "grid" or study.budget is None or study.stages:
        return ""
    size = Grid(study.space).size
    if size <= study.budget:
        return ""
    points = f"{size:,}" if size < LARGEST else f"10^{math.log10(size):.0f}"
    at_most = "at most " if study.space.constraints else ""
    cut = "it is cut off there, in an order that spreads over all of it"
    return f"the grid has {at_most}{points} points, and the budget is {study.budget:,}: {cut}"


def _loss(numbers: Sequence[int]) -> str:
    which = shorten(", ".join(map(str, numbers)), 200)
    return (
        f"the outcomes of {counted(len(numbers), 'trial')} ({which}) are not on disk: the next run evaluates them again"
    )


def resume_command(ranks: int) -> str:
    """Command that continues this run, as it would be typed; under `srun` that of its step."""
    words = list(sys.orig_argv)
    if len(words) > 1 and words[1] != "-m" and not words[1].startswith("-"):
        words = words[1:]
    words[0] = os.path.basename(words[0])
    own = shlex.join(words)
    if ranks == 1 and not any(name in os.environ for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")):
        return own
    # mpiexec may start its ranks as a step of a job. Users set other OMPI_ variables, so these tell nothing.
    by_mpiexec = "OMPI_COMM_WORLD_SIZE" in os.environ or any(name.startswith("HYDI_") for name in os.environ)
    if "SLURM_STEP_ID" in os.environ and not by_mpiexec:
        kind = os.environ.get("SLURM_MPI_TYPE")
        return f"srun -n {ranks} {f'--mpi={kind} ' if kind else ''}{own}"
    return f"mpiexec -np {ranks} {own}"

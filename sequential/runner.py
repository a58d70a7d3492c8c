"""The loop of a run in one process: the same master, with one worker beside it."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack

from learning_objective.command_line import Options
from learning_objective.rerun_line import RerunOptions
from mpi.mpi_definitions import Backoff, Exit, Start, WorkerDuty
from mpi.mpi_node import introduce, threads_per_rank
from mpi.mpi_session import Session, check_ranks, make_plan
from mpi.mpi_worker import Worker
from utilities.errors import ReverieError

_SELF = 0
_POLL_SECONDS = 0.05


def run_study(options: Options | RerunOptions) -> int:
    """Run the study that the command line names in this process; return the exit status.

    The same seed gives the same proposals, whatever the evaluations take: none is made ahead of its time.
    """
    try:
        plan = make_plan(options)
        check_ranks(plan.study, 1)
        session = Session(plan, ranks=1, trainers=(), ahead=False)
    except ReverieError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    _loop(session, look=plan.study.gpus_per_worker is not None)
    return session.close()


def _loop(session: Session, *, look: bool) -> None:
    master, backoff = session.master, Backoff()
    with ExitStack() as stack:
        worker: Worker | None = None
        cores = os.sched_getaffinity(0)
        threads = threads_per_rank(cores, [cores])
        letters = master.handle(introduce(look=look), _SELF, time.time())
        while True:
            for _, message in letters:
                if isinstance(message, Exit):
                    return
                if isinstance(message, Start) and isinstance(message.duty, WorkerDuty):
                    worker = stack.enter_context(Worker(message.duty, threads))
                elif worker is not None:
                    worker.handle(message)
                    worker.begin()
            event = worker.poll(_POLL_SECONDS) if worker is not None and worker.trial is not None else None
            now = time.time()
            session.tick(now)
            letters = master.idle(now) if event is None else master.handle(event, _SELF, now)
            if event is None and not letters and (worker is None or worker.trial is None):
                backoff.nap()

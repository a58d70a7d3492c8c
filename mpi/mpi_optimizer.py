"""Run a study on all ranks of an MPI launch: ``mpiexec -np 4 python -m mpi.mpi_optimizer [STUDY] [options]``.

Rank 0 is the master. With three ranks or more and a method that learns, rank 1 is the trainer, or as many as the study
wants are; all others are workers.
One rank alone runs the study in one process.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from learning_objective.command_line import Options, parse_arguments
from learning_objective.meeting import MeetingPoint
from learning_objective.rerun_line import RerunOptions
from mpi.mpi_definitions import (
    MASTER,
    RESUMABLE,
    USER_ERROR,
    Backoff,
    Done,
    Exit,
    Ready,
    RestDuty,
    Start,
    TrainerDuty,
    WorkerDuty,
)
from mpi.mpi_group import GroupLeader
from mpi.mpi_post import MasterLostError, Post
from mpi.mpi_signals import ignore_signals, note_signals
from mpi.mpi_start import StartWatch
from mpi.mpi_worker import Worker
from utilities.errors import ReverieError
from utilities.methods import MODEL_METHODS

if TYPE_CHECKING:
    from mpi.mpi_session import Session

_FAREWELL_SECONDS = 10.0
_LATE_SECONDS = 60.0
"""How long a rank may start later than the run ends."""

_POLL_SECONDS = 0.02
_LOOK_SECONDS = 0.01
"""How often an idle master looks at the clock, the display and proposals to make; for messages it looks oftener."""

_TRAINER_NICENESS = 5
"""Where ranks outnumber the cores, a refit gives way to the master and the workers: it is in no hurry."""

_SIGNAL_SECONDS = 1.0
"""How much later a master may be signalled than a trial on another node: who killed a trial is told after that."""


def main(arguments: Sequence[str] | None = None, program: str = "python -m mpi.mpi_optimizer") -> int:
    """Run the study that the command line names; return the exit status."""
    options = parse_arguments(arguments, program)
    return options if isinstance(options, int) else launch(options)


def launch(options: Options | RerunOptions) -> int:
    """Run what the command line names on all ranks of this launch; return the exit status."""
    note_signals()
    with StartWatch():
        post = Post()
    os.environ.setdefault("OMP_NUM_THREADS", str(post.threads))
    if post.size == 1:
        from sequential.runner import run_study

        print("One rank: the study runs in this process, one trial after the other.", flush=True)
        return run_study(options)
    try:
        status = _lead(post, options) if post.rank == MASTER else _serve(post)
    except MasterLostError:
        status = _end_without_master(post)
    except Exception:
        failure = f"rank {post.rank} on {post.host} failed, which ends all ranks:\n{traceback.format_exc()}"
        print(failure, file=sys.stderr, flush=True)
        post.abort(1)
        return 1
    ignore_signals()
    post.close(status)
    return status


# --- the master's loop ------------------------------------------------------------------------------------------------


def _lead(post: Post, options: Options | RerunOptions) -> int:
    try:
        session = _open_session(post, options)
    except ReverieError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return _see_off(post, set(range(1, post.size)), USER_ERROR)
    master, backoff = session.master, Backoff()
    looked = 0.0
    while not master.over:
        letters = post.receive()
        now = time.time()
        if not letters and not master.has_more and now - looked < _LOOK_SECONDS:
            backoff.nap()
            continue
        looked = now
        session.tick(now)
        for source, message in letters:
            master.take(message, source, now)
        lost = post.lost()
        for rank in lost:
            master.lose(rank, others=post.size - 1 - len(post.gone), now=now)
        if starts := master.greet():
            post.send(starts)
            master.warm_up()
            now = time.time()
        replies = master.answer(now) if letters or lost else master.idle(now)
        post.send(replies)
        if letters or replies:
            backoff.reset()
        else:
            backoff.nap()
    staying = _collect_last_outcomes(post, session)
    return _see_off(post, staying, session.close())


def _open_session(post: Post, options: Options | RerunOptions) -> Session:
    from mpi.mpi_session import Session, check_ranks, make_plan

    plan = make_plan(options)
    study = plan.study
    most = post.size - 1 - check_ranks(study, post.size)
    trainers = min(study.trainers, most) if study.method in MODEL_METHODS else 0
    ranks = tuple(range(1, 1 + trainers))
    return Session(plan, ranks=post.size, trainers=ranks, ahead=True)


def _collect_last_outcomes(post: Post, session: Session) -> set[int]:
    """Record the outcomes that crossed the EXIT on its way. Returns the ranks that have not left yet."""
    master, staying = session.master, set(range(1, post.size))
    end = time.monotonic() + _FAREWELL_SECONDS
    while (staying := staying - post.gone) and time.monotonic() < end:
        for source, message in post.wait(end - time.monotonic()):
            master.take(message, source, time.time())
            if isinstance(message, Exit):
                staying.discard(source)
        post.send(master.answer(time.time()))
    return staying


def _see_off(post: Post, ranks: set[int], status: int) -> int:
    """Dismiss ranks that report late, and end those that do not answer: MPI would wait for them for ever."""
    end = time.monotonic() + _LATE_SECONDS
    while (ranks := ranks - post.gone) and time.monotonic() < end:
        for source, message in post.wait(end - time.monotonic()):
            if isinstance(message, Ready):
                post.send([(source, Exit(status))])
            elif isinstance(message, Exit):
                ranks.discard(source)
    post.flush(_FAREWELL_SECONDS)
    if ranks:
        silent = ", ".join(map(str, sorted(ranks)))
        print(f"no answer from rank {silent}: all ranks are ended", file=sys.stderr, flush=True)
        post.abort(status)
    return status


# --- the other ranks' loops -------------------------------------------------------------------------------------------


def _serve(post: Post) -> int:
    post.send([(MASTER, post.ready())])
    _, message = post.wait_for_one()
    if isinstance(message, Exit):
        return _leave(post, message)
    if not isinstance(message, Start):
        raise TypeError(f"the first message to a rank must be START or EXIT; got {type(message).__name__}")
    while isinstance(message, Start):
        duty = message.duty
        if isinstance(duty, TrainerDuty):
            message = _train(post, duty)
        elif isinstance(duty, RestDuty):
            message = _rest(post)
        else:
            message = _work(post, duty) if duty.superior != MASTER or not duty.group else _work_together(post, duty)
    return _leave(post, message)


def _train(post: Post, duty: TrainerDuty) -> Start | Exit:
    """Refit until told to do something else."""
    from mpi.mpi_trainer import Trainer

    crowded = post.local_size > len(os.sched_getaffinity(0))
    if crowded:
        os.nice(_TRAINER_NICENESS)
    trainer = Trainer(duty, crowded=crowded)
    while True:
        _, message = post.wait_for_one()
        if isinstance(message, Start | Exit):
            return message
        post.send([(MASTER, reply) for reply in trainer.handle(message)])


def _rest(post: Post) -> Start | Exit:
    """Wait until told to do something; what other ranks of a former worker still say is nothing any more."""
    while True:
        source, message = post.wait_for_one()
        if isinstance(message, Start) or (isinstance(message, Exit) and source == MASTER):
            return message


def _work(post: Post, duty: WorkerDuty) -> Start | Exit:
    """Evaluate until told to do something else, for the master or for the first rank of a worker of several."""
    superior = duty.superior
    with Worker(duty, post.threads) as worker:
        while True:
            letter = post.wait_for_one() if worker.idle else post.next()
            if letter is not None:
                source, message = letter
                if source not in (MASTER, superior):
                    continue  # of a former worker that this rank belonged to
                if isinstance(message, Start | Exit):
                    _send_event(post, worker, 0.0, superior)
                    post.send([(superior, message)] if superior != MASTER and isinstance(message, Exit) else [])
                    return message
                reply = worker.handle(message)
                post.send([] if reply is None else [(superior, reply)])
            else:
                worker.begin()
                _send_event(post, worker, _POLL_SECONDS, superior)


def _work_together(post: Post, duty: WorkerDuty) -> Start | Exit:
    """Lead the other ranks of a worker until told to do something else, and tell them then."""
    others = set(duty.group[1:])
    away = None if len(set(duty.hosts)) == 1 else post.host
    with MeetingPoint(away) as point, GroupLeader(duty, post.threads, point) as worker:
        while True:
            letter = post.wait_for_one() if worker.idle else post.next()
            if letter is None:
                worker.begin()
                _send_event(post, worker, _POLL_SECONDS, MASTER)
            elif letter[0] != MASTER:
                worker.take(letter[1], letter[0])
            elif isinstance(message := letter[1], Start | Exit):
                _send_event(post, worker, 0.0, MASTER)
                worker.close()
                post.send(worker.letters)
                if isinstance(message, Exit):
                    post.send([(rank, message) for rank in others])
                    _await_exits(post, others)
                return message
            elif (reply := worker.handle(message)) is not None:
                post.send([(MASTER, reply)])
            post.send(worker.letters)
            worker.letters.clear()


def _await_exits(post: Post, ranks: set[int]) -> None:
    """Take what ranks have sent up to their EXIT: MPI_Finalize fails where a message waits to be received."""
    end = time.monotonic() + _FAREWELL_SECONDS
    while (ranks := ranks - post.gone) and time.monotonic() < end:
        ranks = ranks - {source for source, message in post.wait(end - time.monotonic()) if isinstance(message, Exit)}


def _send_event(post: Post, worker: Worker, seconds: float, superior: int) -> None:
    event = worker.poll(seconds)
    if isinstance(event, Done) and event.killed and superior == MASTER:
        time.sleep(_SIGNAL_SECONDS)
    if event is not None:
        post.send([(superior, event)])


def _end_without_master(post: Post) -> int:
    """Tell, on one of the ranks that live on, how to go on."""
    if post.rank == min(set(range(post.size)) - post.gone):
        told = "error: rank 0, the master, was lost. The same command again continues; what it had recorded is there"
        print(told, file=sys.stderr, flush=True)
    return RESUMABLE


def _leave(post: Post, message: Exit) -> int:
    post.send([(MASTER, message)])
    post.flush(_FAREWELL_SECONDS)
    return message.status


if __name__ == "__main__":
    sys.exit(main())

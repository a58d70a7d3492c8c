"""A trainer in a process of its own, so that neither its memory nor its processor time counts as the master's."""

from __future__ import annotations

import multiprocessing
import resource
import time
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from mpi.mpi_definitions import Message, Tag, TrainerDuty, decode, encode


class TrainerProcess:
    """Hands messages to a trainer; tells what each took.

    Attributes
    ----------
    megabytes
        Most memory that the process has had, in 2^20 bytes.
    """

    def __init__(self, duty: TrainerDuty) -> None:
        context = multiprocessing.get_context("spawn")
        self._near, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(far, duty), daemon=True)
        self._process.start()
        far.close()
        self.megabytes = 0.0

    def handle(self, tag: Tag, data: bytes) -> tuple[list[Message], float]:
        """Answers of the trainer to an encoded message, and CPU seconds, those of the coding included."""
        self._near.send((int(tag), data))
        answers, seconds, self.megabytes = self._near.recv()
        return [decode(answer, content) for answer, content in answers], seconds

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()
        self._near.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


def peak_megabytes() -> float:
    """Most memory that this process has had, in 2^20 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def _serve(far: Connection, duty: TrainerDuty) -> None:
    from mpi.mpi_trainer import Trainer

    trainer = Trainer(duty)
    while True:
        tag, data = far.recv()
        began = time.process_time()
        answers = [(int(answer.tag), encode(answer)) for answer in trainer.handle(decode(tag, data))]
        far.send((answers, time.process_time() - began, peak_megabytes()))

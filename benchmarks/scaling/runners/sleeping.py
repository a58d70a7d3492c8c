"""The objective: it sleeps, then is Hartmann's function of six parameters, and notes when it ran.

Each process has a file named by its id in the folder that the environment variable BUSY_RECORDS names, and in it a line
``began ended`` for each evaluation, in seconds since the epoch. The first half of a line is written when an evaluation
begins: one that is cut off leaves a line without an end. That takes two writes of some microseconds, unbuffered, as a
process may be killed at any moment.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

from learning_objective.hartmann import hartmann6
from utilities.trial import Config

RECORDS, SECONDS = "BUSY_RECORDS", "BUSY_SECONDS"
"""Environment variables: where records are kept, and how long an evaluation sleeps."""


def objective(config: Config) -> float:
    """Value at x1 ... x6 in [0, 1]."""
    record = _record(os.getpid())
    began = time.time()
    os.write(record, f"{began:.6f} ".encode())
    time.sleep(float(os.environ[SECONDS]))
    value = hartmann6(config)
    os.write(record, f"{time.time():.6f}\n".encode())
    return value


@functools.cache
def _record(process: int) -> int:
    """Descriptor of the file of a process, which no process that it forks shares."""
    path = Path(os.environ[RECORDS]) / str(process)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)

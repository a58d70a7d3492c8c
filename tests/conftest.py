"""One thread for the linear algebra of the tests: their matrices are small, and waiting threads spin."""

import os
import signal
from collections.abc import Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

import virtual_cluster

for _number in (signal.SIGHUP, signal.SIGINT):  # ignored under nohup and in the background, and inherited by children
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _close_run_folders() -> Iterator[None]:
    """Let go of the run folders that a test's clusters opened."""
    yield
    while virtual_cluster.OPEN:
        virtual_cluster.OPEN.pop().close()

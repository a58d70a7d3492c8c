"""One thread for the linear algebra of the tests: their matrices are small, and waiting threads spin."""

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

import virtual_cluster
from children import open_commands, open_studies

from learning_objective.evaluation import Evaluator

hypothesis.settings.register_profile("untimed", deadline=None)  # a loaded machine breaks no property
hypothesis.settings.load_profile("untimed")

_SESSIONS = tempfile.mkdtemp(prefix="reverie-")
atexit.register(shutil.rmtree, _SESSIONS, ignore_errors=True)
os.environ.update(PRTE_MCA_prte_tmpdir_base=_SESSIONS)  # away from what killed launchers left elsewhere

for _number in (signal.SIGHUP, signal.SIGINT):  # ignored under nohup and in the background, and inherited by children
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _close_run_folders() -> Iterator[None]:
    """Let go of the run folders that a test's clusters opened."""
    yield
    while virtual_cluster.OPEN:
        virtual_cluster.OPEN.pop().close()


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Callable[..., Evaluator]]:
    """Make evaluators of functions, see `children.open_studies`."""
    with open_studies(tmp_path) as make:
        yield make


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., Evaluator]]:
    """Make evaluators of commands, see `children.open_commands`."""
    with open_commands(tmp_path) as make:
        yield make

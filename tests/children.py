"""Objectives and commands in real child processes, for the tests of whatever can happen to them."""

import contextlib
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from learning_objective.evaluation import Evaluator, Report
from learning_objective.objective_spec import ObjectiveSpec
from utilities.trial import Outcome, Trial

PROJECT = Path(__file__).parent.parent
PATIENCE = 30.0


def write(path: Path, source: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    return path


@contextlib.contextmanager
def open_studies(tmp_path: Path) -> Iterator[Callable[..., Evaluator]]:
    """Make evaluators of the source of tmp_path/study/train.py; they are closed in the end."""
    folder = tmp_path / "study"
    with contextlib.ExitStack() as stack:

        def make(source: str, objective: str = "train.py:objective", **options) -> Evaluator:
            write(folder / "train.py", source)
            spec = ObjectiveSpec(objective, None, str(folder))
            return stack.enter_context(Evaluator(spec, tmp_path / "trials", **options))

        yield make


@contextlib.contextmanager
def open_commands(tmp_path: Path) -> Iterator[Callable[..., Evaluator]]:
    """Make evaluators of commands that run in tmp_path/study; they are closed in the end."""
    folder = tmp_path / "study"
    folder.mkdir()
    with contextlib.ExitStack() as stack:

        def make(*elements: str, **options) -> Evaluator:
            spec = ObjectiveSpec(None, list(elements), str(folder))
            return stack.enter_context(Evaluator(spec, tmp_path / "trials", **options))

        yield make


def events(evaluator: Evaluator) -> list[Report | Outcome]:
    """Everything up to the outcome of the running trial."""
    seen: list[Report | Outcome] = []
    until = time.monotonic() + PATIENCE
    while not (seen and isinstance(seen[-1], Outcome)):
        assert time.monotonic() < until, "the trial did not end"
        if (event := evaluator.poll(1.0)) is not None:
            seen.append(event)
    return seen


def evaluate(evaluator: Evaluator, config=None, number: int = 0, **trial) -> Outcome:
    evaluator.start(Trial(number, config or {}, **trial))
    return events(evaluator)[-1]


def output(tmp_path: Path, number: int = 0) -> str:
    return (tmp_path / "trials" / str(number) / "output.log").read_text()


def alive(process: int) -> bool:
    """Whether a process runs; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def vanishes(process: int, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while alive(process) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(process)

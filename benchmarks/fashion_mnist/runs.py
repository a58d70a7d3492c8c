"""One run of a subject, in a process of its own: the example's network and space, its trials as rows."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.fashion_mnist.race import Course, race
from benchmarks.fashion_mnist.subjects import OPTUNA, OptunaHyperband, Ours

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "fashion_mnist"
TEST_IMAGES = 10_000


def space() -> dict[str, Any]:
    """That of the example's study file."""
    tables = tomllib.loads((EXAMPLE / "study.toml").read_text(encoding="utf-8"))
    found: dict[str, Any] = tables["space"]
    return found


def example() -> ModuleType:
    """The example's train.py, with its images."""
    if str(EXAMPLE) not in sys.path:
        sys.path.insert(0, str(EXAMPLE))
    return importlib.import_module("train")


class Network:
    """A training of the example's.

    Parameters
    ----------
    train
        Its module.
    test
        Images and classes that nothing is chosen by.
    config, seed
        Of the trial.
    """

    def __init__(self, train: ModuleType, test: tuple[Any, Any], config: Mapping[str, Any], seed: int) -> None:
        self._training, self._test = train.Training(config, seed), test

    def epoch(self) -> float:
        """Train; the validation error."""
        error: float = self._training.epoch()
        return error

    def test_error(self) -> float:
        """The test error."""
        error: float = self._training.error(*self._test)
        return error


def run(name: str, seed: int, total: int) -> list[dict[str, Any]]:
    """Rows of a run of `total` epochs.

    Raises
    ------
    StudyError
        The name stands for no subject.
    FileNotFoundError
        There is no Fashion-MNIST; the message says how to get it.
    """
    os.environ["REVERIE_PLAIN"] = "1"
    train = example()
    train.torch.set_num_threads(1)
    test = train.read("t10k", TEST_IMAGES)

    def begin(config: Mapping[str, Any], own_seed: int) -> Course:
        return Network(train, test, config, own_seed)

    with tempfile.TemporaryDirectory() as folder, closing(_subject(name, seed, Path(folder), train.EPOCHS)) as subject:
        trials = list(race(subject, begin, total, train.EPOCHS))
    return [{"subject": name, "seed": seed, "total": total, **asdict(trial)} for trial in trials]


def _subject(name: str, seed: int, folder: Path, longest: int) -> Ours | OptunaHyperband:
    if name == OPTUNA:
        return OptunaHyperband(seed, space(), longest)
    return Ours(name, seed, space(), f"{EXAMPLE / 'train.py'}:objective", folder)

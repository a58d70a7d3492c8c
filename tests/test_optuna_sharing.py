"""Threads and processes that share a study of Optuna."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna_studies import bowl, branching, propose, study_of, when, worked_on

from reverie.integration.optuna import ReverieSampler


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def test_threads_get_proposals_of_their_own() -> None:
    study = study_of()
    study.optimize(bowl, n_trials=24, n_jobs=4)
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 24
    assert study.best_value < 1.0


def storages(folder: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    yield "sqlite", lambda: f"sqlite:///{folder}/study.db"
    yield (
        "journal",
        lambda: optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))),
    )


@pytest.mark.parametrize("which", [0, 1])
def test_samplers_that_share_a_storage_know_of_each_other(which: int, tmp_path: Path) -> None:
    _, storage = list(storages(tmp_path))[which]
    optuna.create_study(study_name="shared", storage=storage())
    load = [
        optuna.load_study(study_name="shared", storage=storage(), sampler=ReverieSampler("gp", seed=7))
        for _ in range(2)
    ]
    for i in range(12):
        load[i % 2].optimize(branching, n_trials=1)
    asked = [
        propose(load[i % 2]) for i in range(4)
    ]  # neither has asked for a value yet: the other sees what it will be
    values = [trial.suggest_float("unit0", 0.0, 1.0) for trial in asked]
    assert len(set(values)) == 4
    for study in load:
        assert len(worked_on(study).data) >= 10
    assert worked_on(load[1])._history.waiting == 4
    assert when(load[0])["unit1"] == {"layers": ">= 2"}


def optimise(storage: str, count: int) -> int:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name="shared", storage=storage, sampler=ReverieSampler("gp"))
    study.optimize(bowl, n_trials=count)
    return count


@pytest.mark.slow
def test_processes_that_share_a_storage(tmp_path: Path) -> None:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    storage = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="shared", storage=storage)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(optimise, [storage] * 2, [10] * 2)) == [10, 10]
    assert len(study.trials) == 20
    modelled = ["reverie:proposed:0" in trial.system_attrs for trial in study.trials]
    assert sum(modelled) >= 18  # none, in each process, before a trial has completed
    study.sampler = ReverieSampler("gp", seed=0)
    known = {tuple(trial.params.values()) for trial in study.trials}
    assert tuple(propose(study).relative_params.values()) not in known
    assert len(worked_on(study).data) == 20


def test_reseeding_matters_in_another_process_only(monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of()
    study.optimize(bowl, n_trials=3)
    sampler, optimizer = study.sampler, worked_on(study)
    assert isinstance(sampler, ReverieSampler)
    sampler.reseed_rng()
    assert (sampler._seed, worked_on(study)) == (1, optimizer)
    monkeypatch.setattr("os.getpid", lambda: -1)
    sampler.reseed_rng()
    assert (sampler._seed != 1, sampler._optimizer) == (True, None)


def test_one_lock_holds_while_threads_ask() -> None:
    study = study_of(method="sobol")
    study.optimize(bowl, n_trials=1)
    with ThreadPoolExecutor(8) as pool:
        trials = list(pool.map(lambda _: propose(study), range(24)))
    values: list[Any] = [trial.suggest_float("x", -5.0, 5.0) for trial in trials]
    assert len(set(values)) == 24

"""Whose folders are kept and linked, against a plain sort; and what is never removed."""

import os
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpi_runs import Studio, launchers
from run_folders import opened, play, study

from utilities.errors import DiskError
from utilities.goals import Goals
from utilities.storage import kept_folders
from utilities.storage.kept_folders import KeptFolders
from utilities.trial import Outcome, Trial, TrialRecord, TrialState

OUTCOMES = st.one_of(st.none(), st.integers(-3, 3).map(float))
"""The objective of a completed trial, or a failed one; with equal ones among them."""


def record(number: int, objective: float | None, state: TrialState = TrialState.COMPLETE) -> TrialRecord:
    outcome = Outcome(TrialState.FAIL if objective is None else state, objective)
    return TrialRecord(Trial(number, {}), "initial", outcome)


def save(folder: Path, *numbers: int) -> None:
    for number in numbers:
        (folder / "trials" / str(number) / "deep").mkdir(parents=True)
        (folder / "trials" / str(number) / "deep" / "model").write_text(str(number))


def left(folder: Path) -> list[int]:
    assert all(path.name.isdigit() for path in (folder / "trials").iterdir())
    return sorted(int(path.name) for path in (folder / "trials").iterdir())


def linked(folder: Path) -> dict[str, str]:
    """What is read through each link."""
    links = folder / "best"
    assert all(os.readlink(link).startswith("../trials/") for link in links.iterdir())
    return {link.name: (link / "deep" / "model").read_text() for link in links.iterdir()}


def kept(folder: Path, records: list[TrialRecord], keep: int = 2, direction: str = "minimize") -> list[str]:
    messages: list[str] = []
    folders = KeptFolders(folder, Goals(directions=(direction,)), keep, messages)
    folders.note(records)
    folders.close()
    return messages


@settings(max_examples=30, deadline=None)
@given(
    batches=st.lists(st.lists(OUTCOMES, max_size=4), max_size=5),
    keep=st.integers(1, 4),
    direction=st.sampled_from(["minimize", "maximize"]),
)
def test_the_best_are_kept_and_linked(tmp_path_factory, batches, keep, direction):
    folder = tmp_path_factory.mktemp("study")
    objectives = [objective for batch in batches for objective in batch]
    save(folder, *range(len(objectives) + 1))  # the last one still runs
    messages: list[str] = []
    folders = KeptFolders(folder, Goals(directions=(direction,)), keep, messages)
    first = 0
    for batch in batches:
        folders.note(record(first + place, objective) for place, objective in enumerate(batch))
        first += len(batch)
    folders.close()
    sign = 1 if direction == "minimize" else -1
    ranked = sorted((sign * objective, n) for n, objective in enumerate(objectives) if objective is not None)[:keep]
    assert left(folder) == sorted([*(number for _, number in ranked), len(objectives)])
    expected = {f"{rank}_{sign * loss:.6g}": str(number) for rank, (loss, number) in enumerate(ranked, start=1)}
    assert (linked(folder) if ranked else {}) == expected
    assert messages == []


def test_names_sort_by_rank_and_follow_it(tmp_path):
    save(tmp_path, *range(12))
    assert kept(tmp_path, [record(n, -1.5 + n / 7) for n in range(12)], keep=10) == []
    names = sorted(linked(tmp_path))
    assert names[:2] + names[-1:] == ["01_-1.5", "02_-1.35714", "10_-0.214286"]
    assert kept(tmp_path, [record(n, -1.5 + n / 7) for n in range(12)], keep=2) == []
    assert linked(tmp_path) == {"1_-1.5": "0", "2_-1.35714": "1"}
    assert left(tmp_path) == [0, 1]


def test_trials_that_have_not_ended_and_pruned_ones(tmp_path):
    save(tmp_path, 0, 1, 2)
    waiting = TrialRecord(Trial(0, {}), "initial")
    assert kept(tmp_path, [waiting, record(1, 1.0, TrialState.PRUNED), record(2, 3.0)]) == []
    assert left(tmp_path) == [0, 2]
    assert linked(tmp_path) == {"1_3": "2"}


def test_a_trial_that_kept_nothing_has_no_link_and_keeps_its_rank(tmp_path):
    save(tmp_path, 1)
    assert kept(tmp_path, [record(0, 1.0), record(1, 2.0), record(2, 3.0)]) == []
    assert linked(tmp_path) == {"2_2": "1"}


def test_many_trials_of_earlier_runs(tmp_path):
    save(tmp_path, 3, 150, 250, 299)
    (tmp_path / "trials" / "notes").mkdir()
    assert kept(tmp_path, [record(n, float(n)) for n in range(299)], keep=4) == []
    assert {path.name for path in (tmp_path / "trials").iterdir()} == {"3", "299", "notes"}


def test_nobody_waits_for_a_removal(tmp_path, monkeypatch):
    held, begun, remove = threading.Event(), threading.Event(), shutil.rmtree

    def slow(path, ignore_errors=False):
        begun.set()
        assert held.wait(20)
        remove(path, ignore_errors)

    monkeypatch.setattr(kept_folders.shutil, "rmtree", slow)
    save(tmp_path, 0, 1, 2)
    folders = KeptFolders(tmp_path, Goals(), 1, [])
    folders.note([record(0, 1.0), record(1, 2.0)])
    assert begun.wait(20)
    assert sorted(path.name for path in (tmp_path / "trials").iterdir()) == [".cleared-1", "0", "2"]
    folders.note([record(2, 0.5)])
    held.set()
    folders.close()
    assert left(tmp_path) == [2]
    assert linked(tmp_path) == {"1_0.5": "2"}


def test_what_a_crash_left_is_removed_by_the_next_run(tmp_path):
    save(tmp_path, 0)
    (tmp_path / "trials" / ".cleared-7" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "trials" / ".cleared-8").symlink_to("../elsewhere")
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "1_9").symlink_to("../trials/7")
    (tmp_path / "best" / ".1_1.tmp").symlink_to("../trials/7")
    assert kept(tmp_path, [record(0, 1.0)]) == []
    assert left(tmp_path) == [0]
    assert linked(tmp_path) == {"1_1": "0"}
    assert (tmp_path / "elsewhere").is_dir()


def test_trouble_is_told_once_and_holds_up_nothing_else(tmp_path):
    save(tmp_path, 0, 1, 2)
    (tmp_path / "best").write_text("a file of the user's")
    messages: list[str] = []
    folders = KeptFolders(tmp_path, Goals(), 1, messages)
    for number in range(3):
        folders.note([record(number, float(-number))])
    folders.close()
    assert messages == [f"{tmp_path}: cannot clear or link the folders of trials: File exists"]
    assert left(tmp_path) == [2]
    assert (tmp_path / "best").read_text() == "a file of the user's"


@pytest.mark.parametrize("objective", [1e-12, 123456789.0, -0.0])
def test_scores_in_names(tmp_path, objective):
    save(tmp_path, 0)
    kept(tmp_path, [record(0, objective)])
    (name,) = linked(tmp_path)
    assert float(name.partition("_")[2]) == pytest.approx(objective, rel=1e-5)


# --- in runs ----------------------------------------------------------------------------------------------------------


def test_what_is_not_on_disk_is_not_cleared(tmp_path, monkeypatch):
    with opened(tmp_path, study(keep_best=1)) as run:
        folder = run.folder
        save(folder, 0, 1, 2, 3)
        full = DiskError("full")
        with monkeypatch.context() as patch:
            patch.setattr(run._journal, "sync", lambda: (_ for _ in ()).throw(full))
            with pytest.raises(DiskError):
                play(run)
        kept_then = left(folder)
    assert kept_then == [0, 1, 2, 3]
    assert left(folder) == [1, 2, 3]  # 0 failed; 2 runs, 3 waits
    assert linked(folder) == {"1_0.25": "1"}
    with opened(tmp_path, study(keep_best=1)) as run:
        run.finished(2, Outcome(TrialState.COMPLETE, 0.125), 1007.0)
    assert left(folder) == [2, 3]
    assert linked(folder) == {"1_0.125": "2"}


def test_without_the_key_nothing_is_touched(tmp_path):
    with opened(tmp_path, study(keep_best=1)) as run:
        save(run.folder, 0, 1, 2, 3)
        play(run)
    with opened(tmp_path) as run:
        run.finished(2, Outcome(TrialState.COMPLETE, 0.5), 1007.0)
    assert left(run.folder) == [1, 2, 3]
    assert linked(run.folder) == {"1_0.25": "1"}


SAVES = """
    def objective(config, trial):
        (trial.folder / "model").write_bytes(bytes(1_000_000))
        (trial.folder / "deep").mkdir()
        (trial.folder / "deep" / "model").write_text(str(trial.number))
        if trial.number % 3 == 1:
            raise ValueError("no")
        return config["x"]
    """


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 4])
def test_a_run_and_one_that_continues_it(tmp_path, ranks):
    (launcher, *_) = launchers()
    studio = Studio(launcher, tmp_path / "project")
    studio.study(SAVES, budget=8, keep_best=3)
    for budget, keep in (("8", 3), ("14", 2)):
        run = studio.run(ranks, "--budget", budget, "--keep-best", str(keep))
        assert (run.status, run.err) == (0, "")
        values = {int(row["number"]): float(row["value"]) for row in studio.rows() if row["state"] == "COMPLETE"}
        best = sorted(values, key=values.__getitem__)[:keep]
        assert left(studio.left) == sorted(best)
        found = sorted(linked(studio.left).items())
        assert [int(number) for _, number in found] == best
        assert [float(name.partition("_")[2]) for name, _ in found] == pytest.approx(
            [values[n] for n in best], rel=1e-5
        )
    assert studio.journal()[0]["keep_best"] == 3
    assert [record["keep_best"] for record in studio.records("session")] == [3, 2]

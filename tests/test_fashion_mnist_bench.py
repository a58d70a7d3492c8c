"""The bench of early stopping: its virtual time, its subjects, its report, and a small one from the command line."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fashion_images import small_fashion_mnist
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fashion_mnist import report, runs, subjects
from benchmarks.fashion_mnist.__main__ import whole_runs
from benchmarks.fashion_mnist.race import COMPLETE, PRUNED, RUNNING, Proposal, Row, race
from benchmarks.scaling.results import append, read
from utilities.errors import StudyError
from utilities.optimizer import Optimizer

ROOT = Path(__file__).parent.parent
LONGEST = 9


class Curve:
    """A training whose errors follow from its configuration: it falls from `high` to `level`."""

    def __init__(self, config: Mapping[str, Any], seed: int) -> None:
        self.level, self.seed, self.done = float(config["level"]), seed, 0

    def error_at(self, step: int) -> float:
        return self.level + 0.5 / step

    def epoch(self) -> float:
        self.done += 1
        return self.error_at(self.done)

    def test_error(self) -> float:
        return self.level + 10.0


class Scripted:
    """A subject whose trials are stopped after so many epochs; notes whom it was asked by."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths, self.asked = lengths, []
        self.told: dict[int, bool] = {}
        self.reports: list[tuple[int, int]] = []

    def ask(self, worker: int, now: int) -> Proposal:
        self.asked.append((worker, now))
        return Proposal(len(self.asked) - 1, {"level": len(self.asked)}, 7)

    def report(self, worker: int, number: int, step: int, error: float, now: int) -> bool:
        self.reports.append((number, step))
        return step >= self.lengths[number % len(self.lengths)]

    def tell(self, worker: int, number: int, error: float, now: int, *, pruned: bool) -> None:
        self.told[number] = pruned


# --- virtual time -----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 12), min_size=1, max_size=20), st.integers(2, 60))
def test_two_workers_take_turns_epoch_by_epoch(lengths: list[int], total: int) -> None:
    """As no worker ever waits, epoch 1, 3, 5, ... are the first one's and the others the second one's."""
    subject = Scripted(lengths)
    rows = list(race(subject, Curve, total, LONGEST))
    expected, at, left, begun = [], {}, {}, 0
    for worker in (1, 2):
        at[worker], left[worker], begun = begun, min(lengths[begun % len(lengths)], LONGEST), begun + 1
    done = dict.fromkeys(at, 0)
    for spent in range(1, total + 1):
        worker = 2 - spent % 2
        done[worker] += 1
        if done[worker] == left[worker]:
            complete = done[worker] == LONGEST
            expected.append((at[worker], COMPLETE if complete else PRUNED, done[worker], spent))
            done[worker] = 0
            at[worker], left[worker], begun = begun, min(lengths[begun % len(lengths)], LONGEST), begun + 1
    ended = [row for row in rows if row.state != RUNNING]
    assert [(row.trial, row.state, row.epochs, row.spent) for row in ended] == expected
    assert sum(row.epochs for row in rows) == total
    assert subject.told == {row.trial: row.state == PRUNED for row in ended}
    for row in rows:
        assert row.error == row.trial + 1 + 0.5 / row.epochs
        assert row.test_error == (row.trial + 11.0 if row.state == COMPLETE else None)


def test_what_is_said_after_the_last_epoch_comes_too_late() -> None:
    (row, *_) = race(Scripted([LONGEST]), Curve, 30, LONGEST)
    assert (row.trial, row.state, row.epochs) == (0, COMPLETE, LONGEST)


# --- subjects ---------------------------------------------------------------------------------------------------------


SPACE = {
    "level": {"type": "float", "low": 0.0, "high": 1.0},
    "width": {"type": "int", "low": 1, "high": 64, "log": True},
}


def ours(name: str, folder: Path, seed: int = 3) -> subjects.Ours:
    folder.mkdir(exist_ok=True)
    return subjects.Ours(name, seed, SPACE, f"{runs.EXAMPLE / 'train.py'}:objective", folder)


def test_names_say_which_table_a_study_file_has() -> None:
    assert subjects.early_stopping("auto") is None
    assert subjects.early_stopping("auto+asha") == {"rule": "asha"}
    table = subjects.early_stopping("gp+threshold:min_steps=2:upper=0.5")
    assert table == {"rule": "threshold", "min_steps": 2, "upper": 0.5}
    assert subjects.early_stopping("gp+x:a=b") == {"rule": "x", "a": "b"}


@pytest.mark.parametrize("name", ["auto+ashes", "autos+asha", "auto+asha:eta=1", "auto+hyperband"])
def test_what_a_study_file_refuses_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError):
        ours(name, tmp_path)


def test_without_a_rule_every_trial_is_complete_and_is_what_the_optimiser_proposes(tmp_path: Path) -> None:
    optimizer = Optimizer(SPACE, "random", 3)
    expected = [optimizer.ask() for _ in range(10)]
    begun: list[tuple[Mapping[str, Any], int]] = []

    def begin(config: Mapping[str, Any], seed: int) -> Curve:
        begun.append((config, seed))
        return Curve(config, seed)

    with closing(ours("random", tmp_path)) as subject:
        rows = list(race(subject, begin, 10 * LONGEST, LONGEST))
    assert [row.state for row in rows] == [COMPLETE] * 10
    assert begun[:10] == [(trial.config, trial.seed) for trial in expected]


def test_the_master_stops_whom_successive_halving_stops(tmp_path: Path) -> None:
    """Against the rule by brute force: stopped at a rung unless among the best third of those there so far."""
    with closing(ours("random+asha", tmp_path)) as subject:
        levels: dict[int, float] = {}
        ask, report_ = subject.ask, subject.report
        at_rung: dict[int, list[float]] = {1: [], 3: [], 9: []}
        verdicts = {True: 0, False: 0}

        def noting(worker: int, now: int) -> Proposal:
            proposal = ask(worker, now)
            levels[proposal.number] = proposal.config["level"]
            return proposal

        def judged(worker: int, number: int, step: int, error: float, now: int) -> bool:
            stop = report_(worker, number, step, error, now)
            expected = False
            if step in at_rung:
                at_rung[step].append(error)
                best = sorted(at_rung[step])[: max(1, len(at_rung[step]) // 3)]
                expected = error not in best
            assert stop == expected
            verdicts[stop] += 1
            return stop

        subject.ask, subject.report = noting, judged  # type: ignore[method-assign]
        rows = list(race(subject, Curve, 150, LONGEST))
    assert min(verdicts.values()) > 20
    assert {row.state for row in rows} >= {COMPLETE, PRUNED}
    assert all(row.error == levels[row.trial] + 0.5 / row.epochs for row in rows)


def test_a_run_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    made: list[list[Row]] = []
    for name in ("a", "b"):
        with closing(ours("gp+median:min_trials=2", tmp_path / name)) as subject:
            made.append(list(race(subject, Curve, 60, LONGEST)))
    assert made[0] == made[1]
    assert len(made[0]) > 8


def test_trials_of_others_have_the_seeds_of_ours(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    theirs = subjects.OptunaHyperband(3, SPACE, LONGEST)
    optimizer = Optimizer(SPACE, "random", 3)
    for _ in range(3):
        proposal, trial = theirs.ask(1, 0), optimizer.ask()
        assert (proposal.number, proposal.seed) == (trial.number, trial.seed)
        optimizer.space.validate(proposal.config)


def test_optuna_stops_early_and_is_told_of_it() -> None:
    optuna = pytest.importorskip("optuna")
    first, again = (subjects.OptunaHyperband(3, SPACE, LONGEST) for _ in range(2))
    rows = list(race(first, Curve, 200, LONGEST))
    assert rows == list(race(again, Curve, 200, LONGEST))
    assert {row.state for row in rows} >= {COMPLETE, PRUNED}
    kept = {trial.number: trial for trial in first._study.trials}
    for row in rows:
        if row.state != RUNNING:
            assert kept[row.trial].state == optuna.trial.TrialState[row.state]
            assert kept[row.trial].value == row.error
            assert list(kept[row.trial].intermediate_values) == list(range(1, row.epochs + 1))


# --- the report -------------------------------------------------------------------------------------------------------


def rows_of(subject: str, seed: int, *trials: tuple[str, int, float]) -> list[dict[str, str]]:
    """Rows as a csv file has them, of trials (state, epochs, error) that end one after the other."""
    spent, found = 0, []
    for number, (state, epochs, error) in enumerate(trials):
        spent += epochs
        row = {"trial": number, "state": state, "epochs": epochs, "spent": spent, "error": error, "total": 40}
        test = error + 1.0 if state == COMPLETE else ""
        found.append({key: str(v) for key, v in {**row, "subject": subject, "seed": seed, "test_error": test}.items()})
    return found


FULL_LENGTH = [(COMPLETE, 9, error) for error in (0.4, 0.2, 0.3, 0.2)]
HALVED = [(PRUNED, 1, 0.1), (COMPLETE, 9, 0.21), (PRUNED, 1, 0.9), (COMPLETE, 9, 0.2), (PRUNED, 20, 1.0)]
RUNS = [
    *rows_of("auto", 0, *FULL_LENGTH, (RUNNING, 4, 0.1)),
    *rows_of("auto", 1, (COMPLETE, 9, 0.3), (COMPLETE, 9, 0.25), (COMPLETE, 9, 0.24), (RUNNING, 13, 0.9)),
    *rows_of("auto+asha", 0, *HALVED),
    *rows_of("auto+asha", 1, (PRUNED, 1, 0.1), (COMPLETE, 9, 0.2), (PRUNED, 30, 0.9)),
    *rows_of("random+asha", 0, (PRUNED, 1, 0.1), (PRUNED, 39, 0.9)),
    *rows_of("random+asha", 1, (PRUNED, 1, 0.1), (COMPLETE, 9, 0.9), (PRUNED, 30, 0.9)),
]


def test_only_complete_trials_are_incumbents() -> None:
    results = report.Results(RUNS)
    assert report.incumbents(results.runs["auto"]["0"]) == [(9, 0.4, 1.4), (18, 0.2, 1.2)]
    assert report.incumbents(results.runs["auto+asha"]["0"]) == [(10, 0.21, 1.21), (20, 0.2, 1.2)]
    assert report.incumbents(results.runs["random+asha"]["0"]) == []


def test_epochs_to_the_target_are_those_that_a_hand_counts() -> None:
    results = report.Results(RUNS)
    assert results.epochs("auto") == {"0": 18.0, "1": 27.0}
    assert results.epochs("auto+asha") == {"0": 20.0, "1": 10.0}
    assert results.epochs("random+asha") == {"0": math.inf, "1": math.inf}
    assert results.ratios("auto+asha") == [20 / 18, 10 / 27]
    assert results.sooner("auto+asha", "auto") == "1 of 2"
    assert results.sooner("auto+asha", "random+asha") == "2 of 2"


def test_the_page_has_a_line_for_each_subject(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    append(tmp_path / "runs.csv", [{key: row[key] for key in RUNS[0]} for row in RUNS])
    report.report(tmp_path)
    lines = [line for line in (tmp_path / "fashion_mnist.md").read_text().splitlines() if line.startswith("| `")]
    cells = {line.split(" | ")[0]: line.removesuffix(" |").split(" | ")[1:] for line in lines[:3]}
    middle = f"{(20 / 18 + 10 / 27) / 2:.4g} (0.3704 to 1.111)"
    assert cells["| `auto+asha`"] == ["2", "4", "2.5", "20", "120", "2 of 2", "15", middle, "0.375 (0.25 to 0.5)"]
    never = "not reached (not reached to not reached)"
    assert cells["| `random+asha`"][3:] == ["90", "190", "0 of 2", "not reached", never, never]
    assert lines[3:] == ["| `auto+asha` | 1 of 2 |  | 2 of 2 |"]
    assert (tmp_path / "fashion_mnist.png").stat().st_size > 5000


def test_a_run_that_was_written_in_part_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    append(file, RUNS)
    assert len(whole_runs(file)) == len(RUNS)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1]) + lines[-1][:5])
    assert whole_runs(file) == read(file) == RUNS[:-3]
    assert whole_runs(tmp_path / "none.csv") == []


# --- from the command line --------------------------------------------------------------------------------------------


def command(folder: Path, images: Path, *words: str) -> subprocess.CompletedProcess[str]:
    own = {**os.environ, "FASHION_MNIST": str(images), "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "benchmarks.fashion_mnist", "--folder", str(folder), *words]
    return subprocess.run(line, env=own, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_same_command_makes_what_is_missing(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    images, folder = small_fashion_mnist(tmp_path / "images"), tmp_path / "results"
    words = ("--seeds", "1", "--epochs", "30", "--processes", "1")
    first = command(folder, images, "--subjects", "random+asha", *words)
    assert (first.returncode, first.stderr) == (0, "")
    rows = read(folder / "runs.csv")
    assert sum(int(row["epochs"]) for row in rows) == 30
    assert {row["state"] for row in rows} >= {COMPLETE, PRUNED}
    assert all((row["test_error"] != "") == (row["state"] == COMPLETE) for row in rows)
    second = command(folder, images, "--subjects", "random+asha,random", *words)
    assert second.stdout.startswith("random seed 0: ")
    later = read(folder / "runs.csv")
    assert later[: len(rows)] == rows
    assert {row["subject"] for row in later[len(rows) :]} == {"random"}
    assert "`random+asha`" in (folder / "fashion_mnist.md").read_text()
    other = command(folder, images, "--subjects", "random", "--epochs", "31")
    assert other.returncode == 2
    assert "has runs of 30 epochs" in other.stderr


def test_a_subject_or_data_that_are_not_there_are_told_before_anything_runs(tmp_path: Path) -> None:
    unknown = command(tmp_path / "r", tmp_path / "none", "--subjects", "random,auto+ashes")
    assert unknown.returncode == 2
    assert "--subjects auto+ashes: " in unknown.stderr
    assert "asha" in unknown.stderr
    missing = command(tmp_path / "r", tmp_path / "none", "--subjects", "random")
    assert missing.returncode == 2
    assert "apt-get install dataset-fashion-mnist" in missing.stderr
    assert not (tmp_path / "r").exists()


def test_the_space_is_the_example_s(tmp_path: Path) -> None:
    assert len(runs.space()) == 12
    assert {row["type"] for row in runs.space().values()} == {"float", "int"}
    assert not any("when" in row for row in runs.space().values())
    assert json.dumps(runs.space())
    assert np.isfinite([row["low"] for row in runs.space().values()]).all()

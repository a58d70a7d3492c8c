"""The run folder: what a run leaves, what the next one finds, and which studies are kept apart."""

import json
import os
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from run_folders import BAD, CONFIG, GOOD, SPACE, opened, play, rows, study

from utilities.errors import JournalError, StudyError
from utilities.space import Space
from utilities.storage.journal import Journal
from utilities.storage.records import Asked, Finished, Header, Record, SessionStart, Started, encode_record
from utilities.storage.run_folder import RunFolder
from utilities.trial import Outcome, Trial, TrialState


def test_a_new_study(tmp_path: Path) -> None:
    with opened(tmp_path / "deep" / "runs") as run:
        assert run.is_new
        assert run.folder == tmp_path / "deep" / "runs" / "digits"
        assert (run.records, run.messages, run.model()) == ({}, [], None)
    assert sorted(os.listdir(run.folder)) == ["journal.jsonl", "trials.csv"]
    header = json.loads((run.folder / "journal.jsonl").read_text())
    assert header["space"] == Space.from_dict(SPACE).to_dict()
    assert header["versions"]["numpy"] == np.__version__


def test_the_next_run_finds_the_trials(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        play(run)
        assert [record.state.value for record in run.records.values()] == ["FAIL", "COMPLETE", "RUNNING", "WAITING"]
    table = (run.folder / "trials.csv").read_bytes()
    with opened(tmp_path) as again:
        assert not again.is_new
        assert again.messages == []
        assert list(again.records) == [0, 1, 2, 3]
        assert again.records[1] == run.records[1]
        assert again.records[0] == run.records[0]
        for number in (2, 3):
            assert again.records[number].state is TrialState.WAITING
            assert again.records[number].worker == ""
    assert (run.folder / "trials.csv").read_bytes() == table
    assert [row["number"] for row in rows(run.folder)] == ["1", "0"]


def test_nothing_is_on_disk_before_sync_and_the_journal_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as run:
        size = (run.folder / "journal.jsonl").stat().st_size
        run.asked(Trial(0, CONFIG), "initial")
        run.finished(0, GOOD, 1.0)
        assert (run.folder / "journal.jsonl").stat().st_size == size

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(JournalError, match="No space left"):
                run.sync()
        assert rows(run.folder) == []
        run.sync()
        assert len(rows(run.folder)) == 1


def test_first_outcome_stands(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        play(run)
        run.finished(1, BAD, 1010.0)
        run.started(1, "9@late", 1011.0)
        assert run.records[1].outcome == GOOD
        assert run.records[1].worker == "2@node7"
    with closing(Journal.open(run.folder / "journal.jsonl")[0]) as journal:
        journal.append(Finished(1, BAD, "w", 1.0, 2.0))
        journal.append(Started(1, "w", 3.0))
        journal.append(Asked(Trial(1, CONFIG, seed=1), "initial"))
    with opened(tmp_path) as run:
        assert run.records[1].outcome == GOOD
        assert run.records[1].completed == 1005.0
    assert len(rows(run.folder)) == 2


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (Finished(7, GOOD, "w", None, 1.0), "trial 7 was never asked"),
        (Started(7, "w", 1.0), "trial 7 was never asked"),
        (Asked(Trial(1, {"lr": 0.5}), "model"), "trial 1 is there twice, with two configurations"),
        (
            Header(
                name="x",
                direction="minimize",
                objective=None,
                command=None,
                space={},
                seed=0,
                method="gp",
                created=0.0,
                versions={},
            ),
            "must have one header",
        ),
    ],
)
def test_contradictions_in_the_journal(tmp_path: Path, record: Record, message: str) -> None:
    with opened(tmp_path) as run:
        play(run)
    with (run.folder / "journal.jsonl").open("ab") as file:
        file.write(encode_record(record))
    with pytest.raises(JournalError, match=message):
        RunFolder.open(tmp_path, study())
    with pytest.raises(JournalError, match=message):
        RunFolder.open(tmp_path, study())  # not "is running": the lock was let go


def test_torn_record_is_told(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        play(run)
    journal = run.folder / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-10])
    with opened(tmp_path) as run:
        (message,) = run.messages
        assert '"finished" of trial 0) was torn' in message
        assert run.records[0].state is TrialState.WAITING
    assert "trials.csv did not match the journal and has been written anew" in run.messages[1]
    assert [row["number"] for row in rows(run.folder)] == ["1"]


# --- another study of the same name -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"objective": "other.py:f"}, '[study] objective: was "train.py:objective", now "other.py:f"'),
        ({"objective": None, "command": ["x"]}, '[study] command: was null, now ["x"]'),
        ({"direction": "maximize"}, '[study] direction: was "minimize", now "maximize"'),
        ({"space": SPACE | {"lr": SPACE["lr"] | {"low": 1e-5}}}, "[space.lr] low: was 1e-06, now 1e-05"),
        ({"space": {"lr": SPACE["lr"]}}, "[space.factors] is gone"),
        ({"space": SPACE | {"x": {"type": "int", "low": 0, "high": 3}}}, "[space.x] is new"),
        ({"space": SPACE | {"lr": {"type": "int", "low": 1, "high": 2}}}, '[space.lr] type: was "float", now "int"'),
    ],
)
def test_another_study_is_refused(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    with opened(tmp_path) as run:
        play(run)
    before = (run.folder / "journal.jsonl").read_bytes()
    with pytest.raises(StudyError, match=r"holds another study of this name, which differs from study\.toml") as caught:
        RunFolder.open(tmp_path, study(**changes))
    assert line in str(caught.value)
    assert str(caught.value).endswith("Give this study another name, or another folder with --output.")
    assert (run.folder / "journal.jsonl").read_bytes() == before


def test_true_is_another_choice_than_one(tmp_path: Path) -> None:
    RunFolder.open(tmp_path, study({"x": {"type": "categorical", "choices": [1, 2]}})).close()
    with pytest.raises(StudyError, match=r"choices: was \[1, 2\], now \[true, 2\]"):
        RunFolder.open(tmp_path, study({"x": {"type": "categorical", "choices": [True, 2]}}))


def test_budget_limits_and_order_may_change(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        play(run)
    turned = dict(reversed(SPACE.items()))
    with opened(tmp_path, study(turned, budget=7, time_limit=3.0, trial_timeout=1.0, folder=Path("/x"))) as run:
        assert len(run.records) == 4
    assert run.messages == [f"{run.folder / 'trials.csv'} did not match the journal and has been written anew"]


def test_the_table_of_an_earlier_run_is_mended_before_a_row_follows(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        play(run)
    table = run.folder / "trials.csv"
    table.write_bytes(b"rubbish")
    with opened(tmp_path) as run:
        run.session(4, 2000.0)
        run.sync()
        assert table.read_bytes() == b"rubbish"  # nobody waits for the table before there is an outcome
        run.finished(2, GOOD, 2001.0)
        run.sync()
        assert [row["number"] for row in rows(run.folder)] == ["1", "0", "2"]
        assert run.messages == [f"{table} did not match the journal and has been written anew"]
    assert [row["number"] for row in rows(run.folder)] == ["1", "0", "2"]
    assert len(run.messages) == 1


def test_another_method_or_seed_is_told_once(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        play(run)
    other = study(method="sobol", seed=5)
    with opened(tmp_path, other) as run:
        assert run.messages == [
            f'{run.folder}: continues with another method: was "auto", now "sobol"',
            f"{run.folder}: continues with another seed: was 0, now 5",
        ]
        run.session(1, 2000.0)
    with opened(tmp_path, other) as run:
        assert run.messages == []


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", Path("/proc/nowhere")):
        with pytest.raises(StudyError, match="digits: cannot write the study's folder: "):
            RunFolder.open(root, study())
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "journal.jsonl").mkdir()
    with pytest.raises(StudyError, match="Is a directory"):
        RunFolder.open(tmp_path, study())


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StudyError, match=rf"pid {os.getpid()} on .* is running this study"):
        RunFolder.open(tmp_path, study())


# --- any order of events, with crashes in between ---------------------------------------------------------------------


class Runs(RuleBasedStateMachine):
    """Trials come and end, runs end and go on, also with part of the last line lost: what was synced is there."""

    @initialize()
    def begin(self) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        self.root = Path(self.temporary.name)
        self.run = RunFolder.open(self.root, study())
        self.synced: dict[int, Outcome | None] = {}

    def outcomes(self) -> dict[int, Outcome | None]:
        return {number: record.outcome for number, record in self.run.records.items()}

    @rule()
    def ask(self) -> None:
        self.run.asked(Trial(len(self.run.records), CONFIG), "model")

    @precondition(lambda self: self.run.records)
    @rule(data=st.data(), loss=st.floats(allow_nan=False), ok=st.booleans())
    def finish(self, data: st.DataObject, loss: float, ok: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.run.records)))
        self.run.started(number, "w", 1.0)
        self.run.finished(number, msgspec.structs.replace(GOOD, metrics={"loss": loss}) if ok else BAD, 2.0)

    @rule()
    def sync(self) -> None:
        self.run.sync()
        self.synced = self.outcomes()
        ended = [number for number, outcome in self.synced.items() if outcome is not None]
        assert sorted(int(row["number"]) for row in rows(self.run.folder)) == ended

    @rule(tail=st.binary(max_size=20).filter(lambda tail: b"\n" not in tail))
    def crash(self, tail: bytes) -> None:
        self.sync()
        self.run.close()
        with (self.run.folder / "journal.jsonl").open("ab") as file:
            file.write(tail)
        self.run = RunFolder.open(self.root, study())
        assert len(self.run.messages) == (1 if tail else 0)
        assert self.outcomes() == self.synced

    def teardown(self) -> None:
        self.run.close()
        self.temporary.cleanup()


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


def test_session_is_kept(tmp_path: Path) -> None:
    with opened(tmp_path, study(budget=9)) as run:
        run.session(4, 1000.0)
    journal, records = Journal.open(run.folder / "journal.jsonl")
    journal.close()
    (session,) = (record for record in records if isinstance(record, SessionStart))
    assert (session.ranks, session.time, session.budget, session.method, session.seed) == (4, 1000.0, 9, "auto", 0)

"""Journals with anything done to them: never a crash, never an outcome that was not written or that counts twice."""

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_folders import opened, rows, study

from utilities.errors import JournalError
from utilities.storage.journal import Journal
from utilities.storage.records import Asked, Finished, Record, Reported, Started, intact
from utilities.storage.repair import repair
from utilities.storage.run_folder import RunFolder
from utilities.trial import Outcome, Trial, TrialRecord, TrialState

TRIALS = 6
SEVERAL = settings(max_examples=20, deadline=None)


def config(number: int) -> dict[str, float | str]:
    return {"lr": 10.0 ** -(number + 1), "model": "additive"}


def outcome(number: int) -> Outcome:
    if number % 3 == 2:
        return Outcome(TrialState.FAIL, message=f"ValueError: {number}\nTraceback\n" + "x" * 300, seconds=1.0)
    return Outcome(TrialState.COMPLETE, float(number), {"epochs": 10.0 * number}, 1.0)


@pytest.fixture(scope="module")
def whole() -> Iterator[Path]:
    """A folder in which six trials were asked and five ended, in two runs."""
    with tempfile.TemporaryDirectory() as root:
        for numbers in (range(3), range(3, TRIALS)):
            run = RunFolder.open(Path(root), study())
            run.session(4, 1000.0)
            for number in numbers:
                run.asked(Trial(number, config(number), seed=number), "model")
                run.started(number, "1@node7", 1001.0 + number)
                run.reported(number, 1, 0.5, 1001.5 + number)
                if number % 2:
                    run.lost(number, "rank 1 on node7 was lost", 1001.7 + number)
                    run.started(number, "2@node7", 1001.8 + number)
            for number in reversed(numbers):
                if number < TRIALS - 1:
                    run.finished(number, outcome(number), 1002.0 + number)
            run.checkpoint({}, study().space)
            run.close()
        yield Path(root) / "digits"


@pytest.fixture(scope="module")
def records(whole: Path) -> list[Record]:
    journal, found = Journal.open(whole / "journal.jsonl")
    journal.close()
    return found


def written(trial: TrialRecord) -> bool:
    """Whether everything that is known of a trial is as it was written."""
    number = trial.trial.number
    asked = trial.trial == Trial(number, config(number), seed=number)
    if trial.outcome is None:
        return asked and number < TRIALS
    worker, started = ("2@node7", 1001.8 + number) if number % 2 else ("1@node7", 1001.0 + number)
    ended = (trial.worker, trial.started, trial.completed) == (worker, started, 1002.0 + number)
    return asked and ended and number < TRIALS - 1 and trial.outcome == outcome(number)


class Opened:
    """What a run finds in a journal of these bytes, at first or after a repair."""

    def __init__(self, whole: Path, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as root:
            folder = Path(shutil.copytree(whole, Path(root) / "digits"))
            journal = folder / "journal.jsonl"
            journal.write_bytes(content)
            self.refused = ""
            try:
                self._read(folder)
            except JournalError as error:
                self.refused = str(error)
                assert str(journal) in self.refused
                assert journal.read_bytes() == content
                self._repair(folder, content)

    def _repair(self, folder: Path, content: bytes) -> None:
        if not any(map(intact, content.splitlines(keepends=True))):
            with pytest.raises(JournalError, match="no line of this file is whole, nothing can be kept"):
                repair(folder)
            self.trials: dict[int, TrialRecord] = {}
            return
        done = repair(folder)
        assert done.copy is not None
        assert done.copy.read_bytes() == content
        assert "repair" in self.refused
        assert repair(folder).copy is None
        self._read(folder)
        assert done.outcomes == len(self.outcomes)

    def _read(self, folder: Path) -> None:
        with closing(RunFolder.open(folder.parent, study())) as run:
            self.trials = dict(run.records)
            self.messages = run.messages
        assert sorted(int(row["number"]) for row in rows(folder)) == sorted(self.outcomes)
        assert all(written(trial) for trial in self.trials.values())
        with closing(RunFolder.open(folder.parent, study())) as again:
            assert again.messages == []
            assert again.records == self.trials

    @property
    def outcomes(self) -> list[int]:
        return [number for number, trial in self.trials.items() if trial.outcome is not None]


def lines_of(whole: Path) -> list[bytes]:
    return (whole / "journal.jsonl").read_bytes().splitlines(keepends=True)


@given(data=st.data())
@SEVERAL
def test_cut_off_anywhere(whole: Path, records: list[Record], data: st.DataObject) -> None:
    content = b"".join(lines_of(whole))
    length = data.draw(st.integers(0, len(content)))
    found = Opened(whole, content[:length])
    assert found.refused == ""
    kept = records[: content[: length + 1].count(b"\n")]  # a line without its line break is whole
    assert sorted(found.trials) == [record.trial.number for record in kept if isinstance(record, Asked)]
    assert sorted(found.outcomes) == sorted(record.number for record in kept if isinstance(record, Finished))
    torn = content[length - 1 : length + 1] not in (b"", b"}\n") and content[length - 1 : length] not in (b"", b"\n")
    assert any("torn and has been cut off" in line for line in found.messages) == torn


@given(data=st.data(), flips=st.integers(1, 5))
@SEVERAL
def test_flipped_bits(whole: Path, data: st.DataObject, flips: int) -> None:
    content = bytearray(b"".join(lines_of(whole)))
    for _ in range(flips):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    Opened(whole, bytes(content))


@given(order=st.randoms(use_true_random=False), copies=st.lists(st.integers(1, 21), max_size=6))
@SEVERAL
def test_duplicated_and_reordered_lines_read_as_they_were_meant(
    whole: Path, order: random.Random, copies: list[int]
) -> None:
    header, *rest = lines_of(whole)
    rest += [([header, *rest])[index % (len(rest) + 1)] for index in copies]
    order.shuffle(rest)
    found = Opened(whole, b"".join([header, *rest]))
    assert found.refused == ""
    assert sorted(found.trials) == list(range(TRIALS))
    assert sorted(found.outcomes) == list(range(TRIALS - 1))


def test_records_before_their_trial_keep_their_order(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.asked(Trial(0, config(0)), "initial")
        run.started(0, "1@node7", 1.0)
        run.lost(0, "killed", 2.0)
        run.started(0, "2@node7", 3.0)
        run.finished(0, outcome(1), 4.0)
        run.finished(0, outcome(2), 5.0)
    journal = tmp_path / "digits" / "journal.jsonl"
    header, asked, *rest = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([header, *rest, asked]))
    with opened(tmp_path) as again:
        record = again.records[0]
    assert (record.outcome, record.worker, record.started, record.completed) == (outcome(1), "2@node7", 3.0, 4.0)
    assert [loss.worker for loss in record.losses] == ["1@node7"]


@given(order=st.randoms(use_true_random=False))
@SEVERAL
def test_all_lines_in_any_order_are_all_kept_by_a_repair(whole: Path, order: random.Random) -> None:
    lines = lines_of(whole)
    order.shuffle(lines)
    assert sorted(Opened(whole, b"".join(lines)).outcomes) == list(range(TRIALS - 1))


@given(data=st.data())
@SEVERAL
def test_lost_lines(whole: Path, records: list[Record], data: st.DataObject) -> None:
    lines = lines_of(whole)
    lost = data.draw(st.sets(st.integers(1, len(lines) - 1), max_size=8))
    found = Opened(whole, b"".join(line for index, line in enumerate(lines) if index not in lost))
    kept = [record for index, record in enumerate(records) if index not in lost]
    asked = {record.trial.number for record in kept if isinstance(record, Asked)}
    assert set(found.trials) == asked
    assert set(found.outcomes) == {r.number for r in kept if isinstance(r, Finished) and r.number in asked}
    orphans = {r.number for r in kept if isinstance(r, Started | Reported | Finished)} - asked
    assert bool(found.refused) == bool(orphans)


@given(data=st.data())
@SEVERAL
def test_pieces_of_other_journals_and_rubbish(whole: Path, data: st.DataObject) -> None:
    lines = lines_of(whole)
    pieces = st.one_of(st.binary(max_size=40), st.sampled_from(lines), st.sampled_from([b"\0" * 4096, b"\n", b"{}\n"]))
    for _ in range(data.draw(st.integers(1, 4))):
        lines.insert(data.draw(st.integers(0, len(lines))), data.draw(pieces))
    Opened(whole, b"".join(lines))


@given(content=st.binary(max_size=200))
@SEVERAL
def test_any_file(whole: Path, content: bytes) -> None:
    assert Opened(whole, content).outcomes == []

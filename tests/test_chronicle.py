"""A journal read beside the run that writes it: at any moment, torn anywhere, and without leaving a trace."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_folders import BAD, CONFIG, GOOD, opened, play, study

from utilities.errors import JournalError, StudyError
from utilities.storage.chronicle import Chronicle
from utilities.storage.journal import Journal
from utilities.storage.records import Asked, Finished, Lost, Reported, SessionStart, Started, encode_record
from utilities.storage.run_folder import RunFolder
from utilities.trial import Trial, TrialState


def told(chronicle: Chronicle) -> tuple[Any, ...]:
    """Everything that a chronicle knows."""
    return (
        chronicle.trials,
        [record.trial.number for record in chronicle.ended],
        list(chronicle.running),
        chronicle.reports,
        chronicle.session,
        (chronicle.sessions, chronicle.ended_before, chronicle.latest, chronicle.damaged),
    )


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Text of a journal of two runs."""
    root = tmp_path_factory.mktemp("runs")
    with opened(root) as run:
        play(run)
    with opened(root) as run:
        run.session(2, 2000.0)
        run.started(3, "1@node8", 2001.0)
        run.lost(3, "rank 1 on node8 was lost", 2002.0)
        run.started(2, "1@node8", 2003.0)
        run.reported(2, 1, 0.5, 2004.0)
        run.sync()
        return (root / "digits" / "journal.jsonl").read_bytes()


def test_it_tells_what_is_there(journal: bytes, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(journal)
    chronicle = Chronicle(tmp_path)
    assert chronicle.read()
    assert not chronicle.read()
    assert [record.trial.number for record in chronicle.ended] == [1, 0]
    assert [record.outcome for record in chronicle.ended] == [GOOD, BAD]
    assert list(chronicle.running) == [2]
    assert chronicle.running[2].worker == "1@node8"
    assert chronicle.trials[3].state is TrialState.WAITING
    assert [loss.worker for loss in chronicle.trials[3].losses] == ["1@node8"]
    assert chronicle.reports == {2: {1: (0.5, 2004.0)}}, "the latest value of a step counts"
    assert (chronicle.sessions, chronicle.ended_before, chronicle.latest, chronicle.damaged) == (2, 2, 2004.0, 0)
    assert chronicle.session is not None
    assert chronicle.session.ranks == 2


@settings(deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(0, 10_000), max_size=6))
def test_read_in_any_parts_it_tells_the_same(
    journal: bytes, tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    whole, parts = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("parts")
    (whole / "journal.jsonl").write_bytes(journal)
    one, other = Chronicle(whole), Chronicle(parts)
    one.read()
    for end in [*sorted(cut % len(journal) for cut in cuts), len(journal)]:
        (parts / "journal.jsonl").write_bytes(journal[:end])  # a torn last line waits for its rest
        other.read()
        assert other.damaged == 0
    assert told(other) == told(one)


@settings(deadline=None, max_examples=60)
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_damaged_line_costs_itself_alone(
    journal: bytes, tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    lines = journal.splitlines(keepends=True)
    start = len(lines[0])
    at = start + place % (len(journal) - start - 1)
    data = bytearray(journal)
    data[at] ^= 1 << bit
    (folder / "journal.jsonl").write_bytes(bytes(data))
    chronicle = Chronicle(folder)
    chronicle.read()
    assert len(chronicle.ended) >= 1
    # The last line, damaged, may yet become whole; any other is counted, and so is what can no longer be placed.
    assert chronicle.damaged >= 1 or bytes(data).splitlines(keepends=True)[-1] != lines[-1]


def test_a_journal_that_was_mended_or_cut_is_read_anew(journal: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(journal)
    chronicle = Chronicle(tmp_path)
    chronicle.read()
    lines = journal.splitlines(keepends=True)
    shorter = b"".join(line for line in lines if b'"finished","number":0' not in line)
    path.write_bytes(shorter)
    assert chronicle.read()
    assert [record.trial.number for record in chronicle.ended] == [1]
    path.write_bytes(lines[0])
    assert chronicle.read()
    assert not chronicle.trials


def test_lines_out_of_order_and_contradictions(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        path = run.folder / "journal.jsonl"
    first = path.read_bytes()
    trial = Trial(7, CONFIG, seed=7)
    records = [
        Finished(7, GOOD, "1@node7", 1.0, 2.0),
        Started(7, "1@node7", 1.0),
        Reported(9, 1, 0.5, 3.0),
        Lost(9, "1@node7", "gone", 3.0),
        Asked(trial, "initial"),
        Asked(Trial(7, {**CONFIG, "lr": 0.5}), "initial"),
        SessionStart(time=9.0, ranks=1, host="node7", budget=3, method="gp", seed=0),
    ]
    path.write_bytes(first + b"".join(map(encode_record, records)))
    chronicle = Chronicle(path.parent)
    chronicle.read()
    assert [record.trial.number for record in chronicle.ended] == [7]
    assert (chronicle.damaged, chronicle.sessions, list(chronicle.running)) == (1, 1, [])


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"journal.jsonl: cannot read the journal: No such file"):
        Chronicle(tmp_path).read()
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"")
    chronicle = Chronicle(tmp_path)
    assert not chronicle.read()
    assert not chronicle.begun
    with pytest.raises(StudyError, match="the study has not begun"):
        chronicle.trials  # noqa: B018
    path.write_bytes(encode_record(Started(0, "1@node7", 1.0)))
    with pytest.raises(JournalError, match="a journal must begin with its header"):
        chronicle.read()


def test_it_reads_while_the_journal_is_locked_and_locks_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        play(run)
        chronicle = Chronicle(run.folder)
        assert chronicle.read()
        assert len(chronicle.ended) == 2
    chronicle.read()
    journal = Journal.open(run.folder / "journal.jsonl")[0]  # nobody keeps it
    journal.close()


@pytest.mark.parametrize("writable", [True, False])
def test_nothing_in_the_folder_changes(tmp_path: Path, writable: bool) -> None:
    with opened(tmp_path) as run:
        play(run)
    with (run.folder / "journal.jsonl").open("ab") as file:
        file.write(b'{"type":"star')
    if not writable:
        for path in (*run.folder.iterdir(), run.folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
    before = snapshot(run.folder)
    from reverie.cli import main

    for words in (["status"], ["status", "--json"], ["status", "--watch", "0.1"], ["best"], ["best", "-f", "args"]):
        assert main([*words[:1], str(run.folder), *words[1:]]) == 0
    assert snapshot(run.folder) == before
    run.folder.chmod(0o755)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Content, time of change and mode of every file, and of the folder itself."""
    return {
        str(path): (path.read_bytes() if path.is_file() else b"", os.stat(path).st_mtime_ns, os.stat(path).st_mode)
        for path in (folder, *folder.rglob("*"))
    }


def test_the_record_of_a_run_tells_its_study(tmp_path: Path) -> None:
    own = study(budget=7, time_limit=60.0)
    with opened(tmp_path, own) as run:
        run.session(4, 1000.0)
        run.sync()
    chronicle = Chronicle(run.folder)
    chronicle.read()
    assert chronicle.session is not None
    assert chronicle.session.study == own.to_dict()
    assert isinstance(run, RunFolder)


def test_a_trial_runs_while_any_of_its_parts_does(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.asked(Trial(0, CONFIG), "initial")
        for part in (0, 1):
            run.started(0, f"{part + 1}@node7", 10.0, part)
        run.reported(0, 1, 0.5, 11.0, 0)
        run.measured(0, 0, GOOD, "1@node7", 12.0)
        run.sync()
        chronicle = Chronicle(tmp_path / "digits")
        chronicle.read()
        assert (list(chronicle.running), chronicle.reports, chronicle.latest) == ([0], {}, 12.0)
        run.measured(0, 1, GOOD, "2@node7", 13.0)
        run.sync()
        chronicle.read()
        assert (list(chronicle.running), chronicle.latest) == ([], 13.0)

"""`reverie repair`: every whole record is kept, nothing is made up, and the damaged file is kept beside the mended."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from run_folders import BAD, CONFIG, GOOD, SPACE, opened, play, rows, study

from reverie.cli import main
from utilities.errors import JournalError, StudyError
from utilities.space import Space
from utilities.storage.records import Asked, Finished, Started, encode_record
from utilities.storage.repair import repair
from utilities.storage.run_folder import RunFolder
from utilities.surrogate import FitState
from utilities.trial import Outcome, Trial


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose journal has 13 lines: header, session, what `play` does, and another session."""
    with opened(tmp_path) as run:
        play(run)
        run.checkpoint({"gp": FitState("gp", {"weights": np.arange(3.0)}, 1)}, Space.from_dict(SPACE))
    with opened(tmp_path) as run:
        run.session(1, 2000.0)
    return tmp_path / "digits"


def journal(folder: Path) -> Path:
    return folder / "journal.jsonl"


def lines(folder: Path) -> list[bytes]:
    return journal(folder).read_bytes().splitlines(keepends=True)


def line_of(folder: Path, kind: str, number: int) -> int:
    """Number of the line with the record of that kind of that trial."""
    start = f'{{"type":"{kind}",'.encode()
    inner = f'"number":{number},'.encode()
    return 1 + next(i for i, line in enumerate(lines(folder)) if line.startswith(start) and inner in line)


def damage(folder: Path, *numbers: int) -> bytes:
    """Change a byte near the end of these lines; returns the file as it is then."""
    text = lines(folder)
    for number in numbers:
        line = bytearray(text[number - 1])
        line[-20] ^= 1
        text[number - 1] = bytes(line)
    journal(folder).write_bytes(b"".join(text))
    return journal(folder).read_bytes()


def outcomes(folder: Path) -> dict[int, Outcome | None]:
    with opened(folder.parent) as run:
        return {number: record.outcome for number, record in run.records.items()}


def test_damage_in_the_middle_is_refused_and_repaired(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = line_of(folder, "finished", 1)
    damaged = damage(folder, lost)
    fix = f"`reverie repair {folder}` keeps every whole record, and a copy of the file"
    with pytest.raises(JournalError) as caught:
        RunFolder.open(folder.parent, study())
    what = f'line {lost} is damaged (its checksum does not match: "finished" of trial 1) and is not the last; {fix}'
    assert str(caught.value) == f"{journal(folder)}: {what}"
    assert journal(folder).read_bytes() == damaged

    assert main(["repair", str(folder)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines() == [
        f'{journal(folder)}: damaged, taken out: line {lost} ("finished" of trial 1)',
        f"{journal(folder)}.damaged-1: the journal as it was",
        f"{folder / 'trials.csv'} did not match the journal and has been written anew",
        f"{journal(folder)}: repaired; 12 records, 1 trials ended",
    ]
    assert Path(f"{journal(folder)}.damaged-1").read_bytes() == damaged
    assert lines(folder) == [line for i, line in enumerate(damaged.splitlines(keepends=True), 1) if i != lost]
    assert outcomes(folder) == {0: BAD, 1: None, 2: None, 3: None}
    assert [row["number"] for row in rows(folder)] == ["0"]


def test_each_repair_keeps_its_own_copy_with_the_permissions_of_the_umask(folder: Path) -> None:
    mask = os.umask(0o027)
    try:
        copies = [(damage(folder, 3), repair(folder).copy) for _ in range(2)]
    finally:
        os.umask(mask)
    for number, (text, copy) in enumerate(copies, 1):
        assert copy == Path(f"{journal(folder)}.damaged-{number}")
        assert copy.read_bytes() == text
        assert copy.stat().st_mode & 0o777 == 0o640
    assert not journal(folder).with_suffix(".lock").exists()


def test_what_is_whole_is_left_as_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert main(["repair", str(journal(folder))]) == 0
    assert capsys.readouterr().out == f"{journal(folder)}: whole, nothing to repair; 13 records, 2 trials ended\n"
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_torn_end_is_taken_out_too(folder: Path) -> None:
    torn = journal(folder).read_bytes() + encode_record(Started(3, "w", 1.0))[:30]
    journal(folder).write_bytes(torn)
    done = repair(folder)
    assert [str(line) for line in done.damaged] == ['line 14 ("started" of trial 3)']
    assert journal(folder).read_bytes() + encode_record(Started(3, "w", 1.0))[:30] == torn


def test_a_missing_last_line_break_is_no_damage(folder: Path) -> None:
    whole = journal(folder).read_bytes()
    journal(folder).write_bytes(whole[:-1])
    assert repair(folder).copy is None
    assert journal(folder).read_bytes() == whole


def test_files_that_follow_from_the_journal_are_built_anew(folder: Path) -> None:
    (folder / "study.h5").write_bytes(b"rubbish")
    (folder / "trials.csv").unlink()
    done = repair(folder)
    assert done.copy is None
    (message,) = done.messages
    assert "study.h5: damaged" in message
    assert (folder / "study.h5.damaged-1").read_bytes() == b"rubbish"
    with h5py.File(folder / "study.h5", "r") as file:
        assert list(file["trials/number"]) == [0, 1, 2, 3]
    assert [row["number"] for row in rows(folder)] == ["1", "0"]


# --- the header -------------------------------------------------------------------------------------------------------


def test_a_lost_header_is_taken_from_the_archive(folder: Path) -> None:
    damage(folder, 1)
    with pytest.raises(JournalError, match=r'line 1 is damaged \(its checksum does not match: "header"\)'):
        RunFolder.open(folder.parent, study())
    assert repair(folder).header == str(folder / "study.h5")
    assert outcomes(folder) == {0: BAD, 1: GOOD, 2: None, 3: None}
    with opened(folder.parent) as run:
        assert run.model() is not None


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"rubbish")], ids=["missing", "damaged"])
def test_without_any_header_nothing_is_touched(folder: Path, spoil: Callable[[Path], object]) -> None:
    damaged = damage(folder, 1)
    spoil(folder / "study.h5")
    with pytest.raises(JournalError, match=r"its header, line 1, is lost, without which nothing can be kept"):
        repair(folder)
    assert journal(folder).read_bytes() == damaged
    assert list(folder.glob("*.damaged-*")) == []


def test_a_header_in_another_line_is_put_first(folder: Path) -> None:
    text = lines(folder)
    journal(folder).write_bytes(b"".join([*text[1:5], text[0], *text[5:]]))
    with pytest.raises(JournalError, match=r"must begin with its header; line 1 is none; `reverie repair .*` looks"):
        RunFolder.open(folder.parent, study())
    assert repair(folder).header == 'line 5 ("header")'
    assert lines(folder) == text


# --- records that contradict others -----------------------------------------------------------------------------------


def test_an_outcome_without_its_configuration_is_not_kept(folder: Path) -> None:
    asked = line_of(folder, "asked", 1)
    damage(folder, asked)
    done = repair(folder)
    assert [str(line) for line in done.damaged] == [f'line {asked} ("asked" of trial 1)']
    reasons = [(line.what, reason) for line, reason in done.dropped]
    assert reasons == [(f'"{kind}" of trial 1', "trial 1 was never asked") for kind in ("started", "finished")]
    assert outcomes(folder) == {0: BAD, 2: None, 3: None}


def test_an_outcome_of_two_configurations_is_given_to_none(folder: Path) -> None:
    with journal(folder).open("ab") as file:
        file.write(encode_record(Asked(Trial(1, {**CONFIG, "lr": 0.5}), "model")))
    with pytest.raises(JournalError, match=r"line 14: trial 1 is there twice.*; `reverie repair .*` takes such"):
        RunFolder.open(folder.parent, study())
    done = repair(folder)
    assert {reason for _, reason in done.dropped} == {"trial 1 is there twice, with two configurations"}
    assert [line.what for line, _ in done.dropped] == [
        f'"{kind}" of trial 1' for kind in ("asked", "started", "finished", "asked")
    ]
    assert outcomes(folder) == {0: BAD, 2: None, 3: None}


def test_a_second_header_is_taken_out(folder: Path) -> None:
    other = folder.parent / "other"
    with opened(other, study(method="gp")) as run:
        header = journal(run.folder).read_bytes()
    with journal(folder).open("ab") as file:
        file.write(header)
    done = repair(folder)
    assert [reason for _, reason in done.dropped] == ["a journal must have one header; got another"]
    assert len(outcomes(folder)) == 4


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_run_that_goes_on_is_not_disturbed(folder: Path) -> None:
    with opened(folder.parent), pytest.raises(StudyError, match=rf"pid {os.getpid()} on .* is running this study"):
        repair(folder)


def test_records_of_a_newer_version_are_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = damage(folder, 4)
    with monkeypatch.context() as patch:
        patch.setattr("utilities.storage.journal.FORMAT", 0)
        with pytest.raises(
            StudyError, match=r"written by a newer version \(journal format \d+; this one reads up to 0\)"
        ):
            repair(folder)
    assert journal(folder).read_bytes() == damaged


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "error: nowhere/journal.jsonl: cannot repair this journal: No such file or directory"),
        ([], "the following arguments are required: RUN_FOLDER"),
        (["a", "b"], "unrecognized arguments: b"),
    ],
)
def test_mistakes(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["repair", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_of_another_name_is_repaired_where_it_is(folder: Path) -> None:
    moved = shutil.move(folder, folder.parent / "kept copy")
    damage(moved, line_of(moved, "finished", 0))
    with pytest.raises(JournalError, match=r"`reverie repair '.*kept copy'`"):
        RunFolder.open(folder.parent, study(name="kept copy"))
    assert repair(moved).outcomes == 1
    assert sorted(file.name for file in folder.parent.iterdir()) == ["kept copy"]


def test_an_outcome_that_stands_there_twice_counts_once(folder: Path) -> None:
    text = lines(folder)
    with journal(folder).open("ab") as file:
        file.write(text[line_of(folder, "finished", 1) - 1])
        file.write(encode_record(Finished(1, BAD, "w", None, 3000.0)))
    assert repair(folder).outcomes == 2
    assert outcomes(folder) == {0: BAD, 1: GOOD, 2: None, 3: None}

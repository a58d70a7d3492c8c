"""One run at a time: who holds a journal is said, and what a killed run leaves keeps nobody away."""

import fcntl
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from utilities.errors import JournalRefusedError
from utilities.storage.journal import Journal
from utilities.storage.records import Started, encode_record

HOLDER = """
import sys, time
from pathlib import Path
from utilities.storage.journal import Journal
journal, _ = Journal.open(Path(sys.argv[1]))
print("open", flush=True)
time.sleep(600)
"""
SINCE = r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def note(path: Path) -> Path:
    return path.with_suffix(".lock")


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that does not know flock."""

    def unsupported(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the journal."""
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def refusal(path: Path) -> str:
    with pytest.raises(JournalRefusedError) as caught:
        Journal.open(path)
    return str(caught.value)


def take_over(path: Path) -> list[str]:
    with closing(Journal.open(path)[0]) as journal:
        return journal.warnings


def change(note: Path, **fields: object) -> None:
    note.write_text(json.dumps({**json.loads(note.read_text()), **fields}))


def test_the_holder_is_named_and_left_alone(path: Path, note: Path, holder: subprocess.Popen[str]) -> None:
    before = note.read_bytes()
    who = f"pid {holder.pid} on {re.escape(socket.gethostname())} {SINCE}"
    assert re.fullmatch(
        rf"{re.escape(str(path))}: {who} is running this study; wait for its end, or give this run another name or "
        "--output",
        refusal(path),
    )
    assert note.read_bytes() == before


def test_a_killed_run_keeps_nobody_away(path: Path, note: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert note.exists()
    (message,) = take_over(path)
    assert re.search(
        rf"the run of pid {holder.pid} on .* {SINCE} did not end orderly; its folder has been taken over", message
    )
    assert take_over(path) == []
    assert not note.exists()


def test_a_run_that_cannot_begin_leaves_no_note(path: Path, note: Path) -> None:
    path.write_bytes(encode_record(Started(0, "w", 0.0)))
    with pytest.raises(Exception, match="must begin with its header"):
        Journal.open(path)
    assert not note.exists()


def test_a_note_that_says_nothing_is_no_obstacle(path: Path, note: Path) -> None:
    for text in ("", "pid 1 on node7\n", '{"host":', "[]"):
        note.write_text(text)
        assert take_over(path) == []


def test_a_journal_replaced_while_it_was_opened_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        path.rename(path.with_name("old"))
        path.write_bytes(b"")

    path.write_bytes(b"")
    monkeypatch.setattr(fcntl, "flock", flock)
    assert "was replaced by another process at this moment" in refusal(path)


# --- file systems without locks ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_note_keeps_others_away(path: Path, note: Path) -> None:
    journal, _ = Journal.open(path)
    with closing(journal):
        assert "has no locks (Function not implemented); journal.lock keeps other runs away" in journal.warnings[0]
        message = refusal(path)
        assert f"pid {os.getpid()} on {socket.gethostname()} since" in message
        assert message.endswith(f"If that run is over, remove {note}")
        assert note.exists()
    assert not note.exists()
    assert len(take_over(path)) == 1


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_note_of_a_process_that_is_gone_is_stale(
    path: Path, note: Path, holder: subprocess.Popen[str]
) -> None:
    assert f"pid {holder.pid} on" in refusal(path)
    holder.kill()
    holder.wait()
    _, message = take_over(path)
    assert f"the run of pid {holder.pid} on" in message
    assert len(take_over(path)) == 1


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_pid_that_another_process_has_by_now_is_stale(path: Path, note: Path) -> None:
    with closing(Journal.open(path)[0]):
        text = note.read_text()
    note.write_text(text)
    change(note, born=json.loads(text)["born"] - 1)
    assert "did not end orderly" in take_over(path)[1]


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("text", [None, "", "pid 1 on node7\n"], ids=["another host", "empty", "unreadable"])
def test_without_locks_what_cannot_be_known_is_refused(path: Path, note: Path, text: str | None) -> None:
    with closing(Journal.open(path)[0]):
        held = note.read_text()
    note.write_text(held if text is None else text)
    if text is None:
        change(note, host="node\x1b[31m7", pid=1)
    message = refusal(path)
    assert ("pid 1 on node7 since" if text is None else "another process is running this study") in message
    assert note.exists()
    note.unlink()
    assert len(take_over(path)) == 1

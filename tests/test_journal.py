"""The journal: what is synced comes back as it was, whatever happened to the end of the file."""

import fcntl
import json
import math
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utilities.errors import JournalError, JournalRefusedError, StudyError
from utilities.storage.journal import Journal
from utilities.storage.records import (
    Asked,
    Finished,
    Header,
    Record,
    SessionStart,
    Started,
    decode_record,
    encode_record,
    intact,
)
from utilities.trial import Outcome, Trial, TrialState

ROOT = Path(__file__).parents[1]
HEADER = Header(
    name="digits",
    direction="minimize",
    objective="train.py:objective",
    command=None,
    space={"lr": {"type": "float", "low": 1e-6, "high": 1.0}},
    seed=1,
    method="auto",
    created=1718000000.25,
    versions={"numpy": "2.0"},
)
SESSION = SessionStart(time=1718000001.5, ranks=4, host="node7", budget=100, method="auto", seed=1)
ASKED = Asked(Trial(0, {"lr": 0.1, "layers": 3, "nesterov": True, "optimiser": "adam"}, seed=17, budget=0.5), "initial")
STARTED = Started(0, "2@node7", 1718000002.125)
FINISHED = Finished(0, Outcome(TrialState.COMPLETE, 0.25, {"loss": 1.5}, 3.5), "2@node7", 1718000002.125, 1718000006.0)
RECORDS: list[Record] = [HEADER, SESSION, ASKED, STARTED, FINISHED]


def write(path: Path, records: list[Record]) -> bytes:
    with closing(Journal.open(path)[0]) as journal:
        for record in records:
            journal.append(record)
        journal.sync()
    return path.read_bytes()


@contextmanager
def opened(path: Path) -> Iterator[tuple[Journal, list[Record]]]:
    journal, records = Journal.open(path)
    with closing(journal):
        yield journal, records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_records_come_back(path: Path) -> None:
    with opened(path) as (journal, records):
        assert (records, journal.warnings) == ([], [])
    write(path, RECORDS)
    with opened(path) as (journal, records):
        assert (records, journal.warnings) == (RECORDS, [])
        journal.append(Started(1, "w", 0.0))
    with opened(path) as (_, records):
        assert records == [*RECORDS, Started(1, "w", 0.0)]


def test_line_is_json_with_a_checksum_last(path: Path) -> None:
    for line in write(path, RECORDS).splitlines():
        body, _, rest = line.rpartition(b',"crc":')
        assert list(json.loads(line))[-1] == "crc"
        assert json.loads(line)["crc"] == f"{zlib.crc32(body):08x}"
        assert len(rest) == len('"01234567"}')


# --- what JSON cannot say ---------------------------------------------------------------------------------------------

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
CONFIGS = st.dictionaries(TEXT, st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | FINITE | TEXT, max_size=4)
OUTCOMES = st.builds(
    Outcome,
    state=st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]),
    objective=st.none() | st.floats(),
    metrics=st.dictionaries(TEXT, st.floats(), max_size=4),
    seconds=FINITE,
    message=TEXT,
)


def exact(value: object) -> object:
    """`value` such that == tells 1 from 1.0 from True, and -0.0 from 0.0, and a NaN equals a NaN."""
    return {key: repr(item) for key, item in value.items()} if isinstance(value, dict) else repr(value)


@given(config=CONFIGS, budget=st.none() | FINITE)
def test_any_configuration_comes_back_exactly(config: dict[str, Any], budget: float | None) -> None:
    line = encode_record(Asked(Trial(3, config, 5, budget), "model"))
    body = intact(line)
    assert line.count(b"\n") == 1
    assert body is not None
    again = decode_record(body)
    assert isinstance(again, Asked)
    assert exact(again.trial.config) == exact(config)
    assert list(again.trial.config) == list(config)
    assert exact(again.trial.budget) == exact(budget)


@given(outcome=OUTCOMES)
def test_any_outcome_comes_back_exactly(outcome: Outcome) -> None:
    line = encode_record(Finished(3, outcome, "w", None, 1.0))
    json.loads(line, parse_constant=pytest.fail)
    body = intact(line)
    assert body is not None
    again = decode_record(body)
    assert isinstance(again, Finished)
    assert exact(again.outcome.metrics) == exact(outcome.metrics)
    assert exact(again.outcome.objective) == exact(outcome.objective)
    assert (again.outcome.state, again.outcome.seconds, again.outcome.message) == (
        outcome.state,
        outcome.seconds,
        outcome.message,
    )
    assert type(again.outcome.state) is TrialState


def test_output_that_is_no_text_is_spelled_out() -> None:
    message = b"caf\xe9".decode("utf-8", "surrogateescape")
    body = intact(encode_record(Finished(0, Outcome(TrialState.FAIL, message=message), "w", None, 0.0)))
    assert body is not None
    record = decode_record(body)
    assert isinstance(record, Finished)
    assert record.outcome.message == "caf\\udce9"


@pytest.mark.parametrize("record", [Asked(Trial(0, {"lr": math.nan}), "model"), Started(0, "w", math.inf)])
def test_what_would_not_come_back_is_refused_at_once(path: Path, record: Record) -> None:
    before = write(path, RECORDS)
    with opened(path) as (journal, _):
        with pytest.raises(ValueError, match="null"):
            journal.append(record)
        journal.sync()
    assert path.read_bytes() == before


# --- damage -----------------------------------------------------------------------------------------------------------


def test_torn_last_record_is_cut_off_wherever_it_was_torn(path: Path) -> None:
    whole = write(path, RECORDS)
    kept = len(encode_record(FINISHED))
    for missing in range(2, kept):
        path.write_bytes(whole[:-missing])
        with opened(path) as (journal, records):
            assert records == RECORDS[:-1]
            assert len(journal.warnings) == 1
            assert f"the last record (line 5, {kept - missing} bytes" in journal.warnings[0]
        assert path.read_bytes() == whole[:-kept]


def test_warning_names_what_was_lost(path: Path) -> None:
    whole = write(path, RECORDS)
    path.write_bytes(whole[:-20])
    with opened(path) as (journal, _):
        assert '"finished" of trial 0) was torn' in journal.warnings[0]


def test_missing_newline_loses_nothing(path: Path) -> None:
    whole = write(path, RECORDS)
    path.write_bytes(whole[:-1])
    with opened(path) as (journal, records):
        assert (records, journal.warnings) == (RECORDS, [])
        journal.append(STARTED)
    assert path.read_bytes() == whole + encode_record(STARTED)


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\n", b'{"type":"asked"}\n', b"\xff\xfe"])
def test_rubbish_at_the_end_is_cut_off(path: Path, tail: bytes) -> None:
    whole = write(path, RECORDS)
    path.write_bytes(whole + tail)
    with opened(path) as (journal, records):
        assert records == RECORDS
        assert len(journal.warnings) == 1
    assert path.read_bytes() == whole


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_before_the_last_record_is_refused_by_line(path: Path, data: st.DataObject) -> None:
    path.unlink(missing_ok=True)
    lines = write(path, RECORDS).splitlines(keepends=True)
    line = data.draw(st.integers(0, len(lines) - 2))
    place = data.draw(st.integers(0, len(lines[line]) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b not in (10, lines[line][place])))
    lines[line] = lines[line][:place] + bytes([byte]) + lines[line][place + 1 :]
    path.write_bytes(b"".join(lines))
    with pytest.raises(JournalError, match=rf"line {line + 1} is damaged .* and is not the last"):
        Journal.open(path)
    assert path.read_bytes() == b"".join(lines)


def test_torn_header_is_no_journal_yet(path: Path) -> None:
    for torn in (b"", b'{"ty', encode_record(HEADER)[:40], b"\0" * 100):
        path.write_bytes(torn)
        with opened(path) as (_, records):
            assert records == []
        assert path.read_bytes() == b""


@pytest.mark.parametrize("content", [b"my notes\n", b'{"type":"asked"', encode_record(STARTED)])
def test_another_file_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(JournalError, match="a journal must begin with its header"):
        Journal.open(path)
    assert path.read_bytes() == content


def line_of(text: str) -> bytes:
    return f'{text},"crc":"{zlib.crc32(text.encode()):08x}"}}\n'.encode()


def test_newer_format_is_refused_whatever_it_holds(path: Path) -> None:
    newer = '{"type":"header","format":99,"name":["of","another","type"]'
    path.write_bytes(line_of(newer) + line_of('{"type":"new"'))
    with pytest.raises(StudyError, match=r"written by a newer version \(journal format 99; this one reads up to \d+\)"):
        Journal.open(path)


def test_unknown_record_is_refused_by_line(path: Path) -> None:
    path.write_bytes(encode_record(HEADER) + line_of('{"type":"dreamt","number":1'))
    with pytest.raises(JournalError, match=r"line 2: not a record that this version knows: .*dreamt"):
        Journal.open(path)


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_one_fsync_for_all_that_is_buffered(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    with opened(path) as (journal, _):
        monkeypatch.setattr(os, "fsync", calls.append)
        for record in RECORDS:
            journal.append(record)
        assert path.stat().st_size == 0
        journal.sync()
        journal.sync()
        assert len(calls) == 1


def test_failed_sync_can_be_repeated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    write(path, RECORDS[:2])
    with opened(path) as (journal, _):
        journal.append(ASKED)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(JournalError, match="cannot write the journal: No space left on device"):
                journal.sync()
        with path.open("ab") as file:
            file.write(b'{"half a rec')
        journal.append(STARTED)
        journal.sync()
    with opened(path) as (_, records):
        assert records == [HEADER, SESSION, ASKED, STARTED]


def test_second_opening_is_refused_and_names_the_holder(path: Path) -> None:
    with opened(path) as (journal, _):
        with pytest.raises(JournalRefusedError, match=rf"pid {os.getpid()} on .* is running this study"):
            Journal.open(path)
        path.with_suffix(".lock").unlink()
        with pytest.raises(StudyError, match="another process is running this study"):
            Journal.open(path)
        journal.append(HEADER)
        journal.sync()
    with opened(path) as (_, records):
        assert records == [HEADER]
    assert [file.name for file in path.parent.iterdir()] == ["journal.jsonl"]


def test_without_locks_a_run_is_warned(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with opened(path) as (journal, _):
        assert "has no locks (Function not implemented)" in journal.warnings[0]


WRITER = """
import sys
from pathlib import Path
from utilities.storage.journal import Journal
from utilities.storage.records import Started
journal, _ = Journal.open(Path(sys.argv[1]))
for number in range(10**9):
    journal.append(Started(number, "w", 0.0))
    journal.append(Started(number, "w", 1.0))
    journal.sync()
    print(number, flush=True)
"""


def test_kill_loses_nothing_that_was_synced_and_frees_the_lock(path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path)]
    write(path, [HEADER])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            writer.stdout.readline()
        with pytest.raises(JournalRefusedError, match=f"pid {writer.pid} on "):
            Journal.open(path)
        writer.kill()
        rest = writer.stdout.read().split("\n")
    last = max([19, *(int(number) for number in rest[:-1])])
    with opened(path) as (_, records):
        numbers = [record.number for record in records if isinstance(record, Started) and record.time == 1.0]
        assert numbers[: last + 1] == list(range(last + 1))


def test_a_hundred_thousand_records_load_in_seconds(path: Path) -> None:
    with path.open("wb") as file:
        file.write(encode_record(HEADER))
        file.writelines(encode_record(FINISHED) for _ in range(100_000))
    begin = time.process_time()
    with opened(path) as (_, records):
        assert len(records) == 100_001
    assert time.process_time() - begin < 5.0

"""A disk that takes no more: nothing is handed out, nothing is lost, no torn line stays; with room, the run goes on."""

import errno
import os
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from run_folders import CONFIG, GOOD, opened, play, rows
from virtual_cluster import Cluster

from mpi.mpi_definitions import RESUMABLE, Evaluate, Exit, Message, Start
from utilities.errors import DiskError, JournalError
from utilities.storage.journal import Journal
from utilities.storage.records import Started, encode_record
from utilities.storage.run_folder import RunFolder
from utilities.storage.trials_csv import TrialsCsv
from utilities.trial import Outcome, Trial, TrialRecord, TrialState

FULL = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO]
GONE = [errno.ESTALE, errno.EROFS, errno.EBADF]


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Like a full disk: the kernel writes what fits and refuses the rest."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


@contextmanager
def disk_error(number: int = errno.ENOSPC) -> Iterator[None]:
    """No fsync succeeds: the disk has no room after all for what the kernel took."""

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        yield


# --- the files --------------------------------------------------------------------------------------------------------


def test_no_torn_line_stays_and_the_records_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    records = [Started(number, "w", 1.0) for number in range(3)]
    lines = [encode_record(record) for record in records]
    with closing(Journal.open(path)[0]) as journal:
        journal.append(records[0])
        journal.sync()
        for record in records[1:]:
            journal.append(record)
        with files_limited_to(len(lines[0]) + len(lines[1]) + 20):
            for _ in range(2):
                with pytest.raises(DiskError, match=r"journal\.jsonl: cannot write the journal: File too large"):
                    journal.sync()
                assert path.read_bytes() == lines[0]
        journal.sync()
        assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("number", FULL + GONE, ids=errno.errorcode.get)
def test_which_errors_pass(tmp_path: Path, number: int) -> None:
    with closing(Journal.open(tmp_path / "journal.jsonl")[0]) as journal:
        journal.append(Started(0, "w", 1.0))
        with disk_error(number), pytest.raises(JournalError, match=os.strerror(number)) as caught:
            journal.sync()
    assert isinstance(caught.value, DiskError) == (number in FULL)


def record(number: int) -> TrialRecord:
    return TrialRecord(Trial(number, {"lr": 0.5}), "model", Outcome(TrialState.COMPLETE, 0.25), "w", 1.0, 2.0)


def test_the_table_of_trials_has_each_row_once(tmp_path: Path) -> None:
    table = TrialsCsv(tmp_path / "trials.csv", ["lr"])
    table.restore([record(0)])
    whole = table.path.read_bytes()
    with files_limited_to(len(whole) + 30):
        for number in (1, 2):
            with pytest.raises(OSError, match="File too large"):
                table.append([record(number)])
            assert table.stale
            assert os.listdir(tmp_path) == ["trials.csv"]
            assert table.path.read_bytes() == whole
    table.append([])
    assert not table.stale
    assert [line.split(",")[0] for line in table.path.read_text().splitlines()] == ["number", "0", "1", "2"]


def test_a_run_folder_catches_up(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        play(run)
        run.finished(2, GOOD, 1007.0)
        with disk_error():
            for number in (4, 5):
                with pytest.raises(DiskError):
                    run.sync()
                run.asked(Trial(number, CONFIG), "model")
                run.finished(number, GOOD, 1008.0)
        assert run.unsynced == [2, 4, 5]
        (run.folder / "trials.csv").unlink()
        with files_limited_to(0), pytest.raises(DiskError, match="cannot write the journal"):
            run.sync()
        run.sync()
        assert run.unsynced == []
        assert [row["number"] for row in rows(run.folder)] == ["1", "0", "2", "4", "5"]
    with opened(tmp_path) as again:
        assert again.messages == []
        assert sum(record.outcome is not None for record in again.records.values()) == 5


def test_a_table_that_alone_has_no_room_keeps_the_run_waiting_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(tmp_path) as run:
        play(run)
        run.finished(2, GOOD, 1007.0)
        (run.folder / "trials.csv").unlink()
        with monkeypatch.context() as patch:
            patch.setattr("utilities.storage.trials_csv.replace_file", refuse)
            with pytest.raises(DiskError, match=r"trials\.csv: cannot write the table of trials: No space left"):
                run.sync()
        assert run.unsynced == []
        run.sync()
        assert len(rows(run.folder)) == 3


# --- the master -------------------------------------------------------------------------------------------------------


class Watched(Cluster):
    """A cluster whose time also passes while nothing arrives, and that keeps what was sent to whom, and when."""

    def watch(self, until: float) -> None:
        while self.now < until and not self.master.over:
            while self.events and self.events[0][0] <= self.now:
                _, _, rank, message = self.events.pop(0)
                self.deliver(self.master.handle(message, rank, self.now))
                self.events.sort()
            self.deliver(self.master.idle(self.now))
            self.now += 0.25

    def deliver(self, letters: list[tuple[int, Message]]) -> None:
        self.sent: list[tuple[float, int, Message]] = getattr(self, "sent", [])
        self.sent += [(self.now, rank, message) for rank, message in letters]
        super().deliver(letters)

    @property
    def said(self) -> list[str]:
        return [line for line in self.display._stream.getvalue().splitlines() if "completion..." not in line]


def test_handing_out_pauses_and_goes_on(tmp_path: Path) -> None:
    cluster = Watched(tmp_path, workers=3, budget=12)
    cluster.watch(2.0)
    with disk_error():
        cluster.watch(8.0)
        assert [message for when, _, message in cluster.sent if when > 2.0] == []
        assert cluster.run.unsynced != []
        assert [line for line in cluster.said if "No space left on device" in line] == cluster.said
    cluster.watch(100.0)
    assert cluster.master.status == 0
    assert cluster.evaluated == Counter(range(12))
    assert cluster.exits == {1: 0, 2: 0, 3: 0}
    shut, again = cluster.said
    assert shut.endswith("no new trials until there is room, outcomes are kept in memory meanwhile")
    assert again.endswith("the disk takes records again; the run goes on")
    cluster.run.close()
    with closing(RunFolder.open(tmp_path, cluster.study)) as run:
        assert {number for number, trial in run.records.items() if trial.outcome} == set(range(12))


def test_a_run_begins_when_there_is_room(tmp_path: Path) -> None:
    cluster = Watched(tmp_path, workers=2, budget=4)
    with disk_error():
        cluster.watch(5.0)
        assert cluster.sent == []
    cluster.watch(50.0)
    assert [type(message) for _, rank, message in cluster.sent if rank == 1] == [Start, *[Evaluate] * 2, Exit]
    assert cluster.evaluated == Counter(range(4))


@pytest.mark.parametrize("grace", [0.0, 4.0])
def test_a_run_that_is_stopped_meanwhile_ends(tmp_path: Path, grace: float) -> None:
    cluster = Watched(tmp_path, workers=3, budget=12, grace=grace)
    cluster.watch(2.0)
    with disk_error():
        cluster.watch(4.0)
        cluster.master.stop("signal SIGTERM", cluster.now)
        cluster.watch(20.0)
        assert cluster.now == pytest.approx(4.0 + grace, abs=0.51)
        assert cluster.master.over
        assert cluster.master.status == RESUMABLE
        assert cluster.exits == dict.fromkeys((1, 2, 3), RESUMABLE)
        assert cluster.run.unsynced != []
    assert not [message for when, _, message in cluster.sent if isinstance(message, Evaluate) and when > 2.0]
    cluster.run.close()
    again = Watched(tmp_path, workers=3, budget=12)
    again.watch(100.0)
    assert cluster.evaluated + again.evaluated == Counter(range(12))


def test_trials_that_had_not_left_are_not_begun_once_a_run_is_stopped(tmp_path: Path) -> None:
    cluster = Watched(tmp_path, workers=3, budget=12, grace=30.0)
    cluster.watch(2.0)
    with disk_error():
        cluster.watch(4.0)
        cluster.master.stop("signal SIGTERM", cluster.now)
        cluster.watch(6.0)
    cluster.watch(30.0)
    assert cluster.master.over
    assert cluster.now < 8.0
    assert cluster.run.unsynced == []
    assert not [message for when, _, message in cluster.sent if isinstance(message, Evaluate) and when > 2.0]
    assert not [seat for seat in cluster.master.ledger.seats.values() if seat.trial is not None]


def test_an_archive_without_room_does_not_end_the_run(tmp_path: Path) -> None:
    cluster = Watched(tmp_path, budget=2)
    with disk_error():
        cluster.master.checkpoint(0.0)
    (line,) = cluster.said
    assert "study.h5: cannot write the archive: No space left on device; the journal has everything" in line
    assert not list((tmp_path / "s").glob(".*.tmp"))
    cluster.watch(50.0)
    assert cluster.master.status == 0

"""trials.csv: valid csv in Optuna's columns, however it comes about."""

import csv
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utilities.storage.trials_csv import TrialsCsv
from utilities.trial import Outcome, Trial, TrialRecord, TrialState

START = 1718000000.25


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trials.csv"


@pytest.fixture(autouse=True)
def time_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def ended(number: int, **metrics: float) -> TrialRecord:
    outcome = Outcome(TrialState.COMPLETE, 0.1 + number, metrics, 1.5)
    return TrialRecord(Trial(number, {"lr": 1e-6}), "model", outcome, "2@node7", START, START + 1.5)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def test_a_row(path: Path) -> None:
    table = TrialsCsv(path, ["lr", "layers"])
    assert table.restore([]) is False
    assert rows(path) == []
    table.append([ended(0, accuracy=0.5)])
    assert rows(path) == [
        {
            "number": "0",
            "value": "0.1",
            "state": "COMPLETE",
            "datetime_start": "2024-06-10T11:43:20.250000",
            "datetime_complete": "2024-06-10T11:43:21.750000",
            "duration": "0 days 00:00:01.500000",
            "params_lr": "1e-06",
            "params_layers": "",
            "user_attrs_failure": "",
            "user_attrs_worker": "2@node7",
            "user_attrs_origin": "model",
            "user_attrs_accuracy": "0.5",
        }
    ]
    assert datetime.fromisoformat(rows(path)[0]["datetime_start"]).timestamp() == START


def test_a_failure(path: Path) -> None:
    table = TrialsCsv(path, ["lr"])
    outcome = Outcome(TrialState.FAIL, message='ValueError: "a",\tb\rc\nTraceback ...')
    table.restore([TrialRecord(Trial(0, {"lr": 0.5}), "initial", outcome)])
    (row,) = rows(path)
    assert (row["state"], row["value"], row["user_attrs_failure"]) == ("FAIL", "", 'ValueError: "a", b c')
    assert (row["datetime_start"], row["datetime_complete"], row["duration"]) == ("", "", "")


def test_durations(path: Path) -> None:
    table = TrialsCsv(path, [])
    table.restore([])
    for number, seconds in enumerate([0.0, 3661.000001, 2 * 86400 + 0.5, -3.0]):
        record = ended(number)
        record.started, record.completed = 0.0, seconds
        table.append([record])
    assert [row["duration"] for row in rows(path)] == [
        "0 days 00:00:00.000000",
        "0 days 01:01:01.000001",
        "2 days 00:00:00.500000",
        "0 days 00:00:00.000000",
    ]


def test_new_metric_widens_the_table(path: Path) -> None:
    table = TrialsCsv(path, ["lr"])
    table.restore([])
    table.append([ended(0, a=1.0)])
    inode = path.stat().st_ino
    table.append([ended(1, a=2.0)])
    assert path.stat().st_ino == inode
    table.append([ended(2, b=float("nan")), ended(3, a=4.0, b=5.0)])
    assert [(row["user_attrs_a"], row["user_attrs_b"]) for row in rows(path)] == [
        ("1.0", ""),
        ("2.0", ""),
        ("", "nan"),
        ("4.0", "5.0"),
    ]


def test_metrics_with_the_names_of_other_columns(path: Path) -> None:
    TrialsCsv(path, ["lr"]).restore([ended(0, worker=1.0, metric_worker=2.0, failure=3.0)])
    (row,) = rows(path)
    assert (row["user_attrs_worker"], row["user_attrs_metric_worker"]) == ("2@node7", "1.0")
    assert (row["user_attrs_metric_metric_worker"], row["user_attrs_metric_failure"]) == ("2.0", "3.0")


def test_rows_that_a_killed_run_had_not_written_yet_are_added_without_a_word(path: Path) -> None:
    records = [ended(number, a=1.0) for number in range(5)]
    TrialsCsv(path, ["lr"]).restore(records)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for kept in (1, 3, 5):
        path.write_bytes(b"".join(lines[:kept]))
        assert TrialsCsv(path, ["lr"]).restore(records) is False
        assert path.read_bytes() == whole


def test_file_that_does_not_match_is_written_anew(path: Path) -> None:
    records = [ended(0, a=1.0), ended(1, b=2.0)]
    assert TrialsCsv(path, ["lr"]).restore(records) is False
    whole = path.read_bytes()
    assert TrialsCsv(path, ["lr"]).restore(records) is False
    for torn in (whole[:-5], whole + b"2,", b""):
        path.write_bytes(torn)
        assert TrialsCsv(path, ["lr"]).restore(records) is True
        assert path.read_bytes() == whole


def test_file_that_another_program_touched_is_written_anew(path: Path) -> None:
    table = TrialsCsv(path, ["lr"])
    table.restore([ended(0)])
    path.write_bytes(b"")
    table.append([ended(1)])
    path.unlink()
    table.append([ended(2)])
    assert [row["number"] for row in rows(path)] == ["0", "1", "2"]


def test_a_running_trial_has_no_row(path: Path) -> None:
    with pytest.raises(ValueError, match="trial 3 has not ended"):
        TrialsCsv(path, []).restore([TrialRecord(Trial(3, {}), "model")])


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@given(
    values=st.lists(TEXT | st.sampled_from(["a,b", '"', "\r", "\n", "\r\n", " ", "\u2028"]), min_size=1, max_size=3),
    metrics=st.dictionaries(TEXT, st.floats(), max_size=3),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back(path: Path, values: list[str], metrics: dict[str, float]) -> None:
    table = TrialsCsv(path, ["choice"])
    table.restore([])
    for number, value in enumerate(values):
        outcome = Outcome(TrialState.COMPLETE, 1.0, metrics)
        table.append([TrialRecord(Trial(number, {"choice": value}), "model", outcome)])
    assert [row["params_choice"] for row in rows(path)] == values
    assert len(rows(path)[0]) == 10 + len(metrics)

"""The rules of single keys: durations and amounts of memory."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from utilities.errors import StudyError
from utilities.space import Space
from utilities.storage.study import Study
from utilities.storage.study_file import override, read_study
from utilities.storage.study_rules import parse_duration, parse_memory


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("8h", 28800),
        ("10m", 600),
        ("90s", 90),
        ("1h30m", 5400),
        ("2d", 172800),
        ("1d2h3m4.5s", 93784.5),
        (" 1.5 h ", 5400),
        ("90", 90),
        (".5", 0.5),
        (90, 90),
        (0.25, 0.25),
        (0, 0),
    ],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert parse_duration(text, "--time-limit") == seconds


@pytest.mark.parametrize(
    "text", ["", "h", "8x", "30m1h", "-1h", "1h 1h", "nan", "inf", -1, math.nan, math.inf, "9" * 400]
)
def test_what_is_no_duration(text: str | float) -> None:
    with pytest.raises(StudyError, match=r"^--grace must be a duration such as \"8h\""):
        parse_duration(text, "--grace")


@pytest.mark.parametrize(
    ("text", "amount"),
    [("4G", 4 << 30), ("512M", 512 << 20), (" 1.5 GiB ", 3 << 29), ("2kb", 2048), ("1T", 1 << 40), ("7", 7), (7, 7)],
)
def test_amounts_of_memory(text: str | int, amount: int) -> None:
    assert parse_memory(text, "--trial-memory") == amount


@pytest.mark.parametrize("text", ["", "G", "4X", "4GG", "-1G", "0", 0, -1, "nan", "9" * 400, "8388608T"])
def test_what_is_no_amount_of_memory(text: str | int) -> None:
    with pytest.raises(StudyError, match=r"^--trial-memory must be an amount of memory such as \"4G\""):
        parse_memory(text, "--trial-memory")


# --- workers and what they leave --------------------------------------------------------------------------------------


def plain() -> Study:
    space = Space.from_dict({"x": {"type": "float", "low": 0.0, "high": 1.0}})
    return Study(name="s", objective="branin", space=space, folder=Path(), source="study.json")


def read(folder: Path, **keys: Any) -> Study:
    tables = plain().to_dict()
    (folder / "study.json").write_text(json.dumps({**tables, "study": {**tables["study"], **keys}}))
    return read_study(folder / "study.json")


@pytest.mark.parametrize(
    ("value", "gpus"),
    [(0, 0), (2, 2), (2.0, 2), (0.5, 1 / 2), (0.33, 1 / 3), ("1/3", 1 / 3), (0.17, 1 / 6), ("4", 4), (0.001, 1 / 1000)],
)
def test_shares_of_gpus(tmp_path: Path, value: float | str, gpus: float) -> None:
    study = read(tmp_path, gpus_per_worker=value, ranks_per_worker=2, threads_per_worker=3, keep_best=5)
    assert (study.gpus_per_worker, study.ranks_per_worker, study.threads_per_worker, study.keep_best) == (gpus, 2, 3, 5)
    assert read(tmp_path, **study.to_dict()["study"]) == study
    assert override(plain(), gpus_per_worker=str(value)).gpus_per_worker == gpus


SHARE = "gpus_per_worker must be a whole number of at least 0, or 1/k for k workers on a GPU, such as 0.5 or"


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        *(
            ("gpus_per_worker", value, SHARE)
            for value in (-1.0, 1.5, 0.4, 5e-324, "2/3", "1/0", "1/", "all", "nan", "inf")
        ),
        ("gpus_per_worker", True, "gpus_per_worker must be a number or a string"),
        ("threads_per_worker", 0, "threads_per_worker must be at least 1"),
        ("threads_per_worker", "all", "threads_per_worker must be an integer"),
        ("ranks_per_worker", 0, "ranks_per_worker must be at least 1"),
        ("ranks_per_worker", 1.5, "ranks_per_worker must be an integer"),
        ("keep_best", 0, "keep_best must be at least 1"),
        ("keep_best", "all", "keep_best must be an integer"),
    ],
)
def test_what_a_worker_cannot_have(tmp_path: Path, key: str, value: object, rule: str) -> None:
    with pytest.raises(StudyError) as caught:
        read(tmp_path, **{key: value})
    assert f"[study] {rule}" in str(caught.value)
    assert str(caught.value).endswith(f"; got {json.dumps(value)}")

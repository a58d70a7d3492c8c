"""The rules of single keys: durations and amounts of memory."""

import math

import pytest

from utilities.errors import StudyError
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

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utilities.display.frame import frame
from utilities.display.progress import PlainDisplay
from utilities.display.run_status import RunStatus, ShownFront, ShownTrial, WorkerStatus
from utilities.display.text import clean, duration, emit, number, printable, setting, shorten, uncertain
from utilities.trial import TrialState, Value

ROOT = Path(__file__).parent.parent
CONFIG: dict[str, Value] = {
    "learning_rate": 0.0031234,
    "weight_decay": 1.2e-6,
    "momentum": 0.9,
    "batch_size": 64,
    "hidden_width": 211,
    "layers": 2,
    "dropout": 0.125,
    "optimizer": "sgd",
    "nesterov": True,
}
NASTY = "\x1b[31mred\x1b[0m\x1b]0;title\x07 [bold]x[/bold]\r\n\ttab\x9b2J\x00\x7f\u202e\u2028 end"


def status(done: int = 30, budget: int | None = 100, workers: int = 3, **changes: Any) -> RunStatus:
    best = ShownTrial(17, CONFIG, TrialState.COMPLETE, 0.0231) if done else None
    base = RunStatus(
        study="digits",
        method="gp",
        done=done,
        budget=budget,
        elapsed=48.0,
        seconds_left=75.0,
        running=min(workers, 3),
        states={TrialState.COMPLETE: done},
        best=best,
        busy_fraction=0.97,
        workers=tuple(WorkerStatus(i + 1, f"node{i // 8}", i + done, 0.5 * i) for i in range(workers)),
        recent=tuple(ShownTrial(i, CONFIG, TrialState.COMPLETE, 0.5 / i) for i in range(done, max(done - 10, 0), -1)),
        phase="model",
        surrogate="exact GP on 30 trials, fitted in 0.3 s",
    )
    return replace(base, **changes)


# -- text


@given(st.text())
def test_clean_text_is_one_printable_line_and_stays_so(text: str) -> None:
    once = clean(text)
    assert once.isprintable()
    assert clean(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NASTY, "red [bold]x[/bold] tab end"),
        ("a\x1bPq#0\x1b\\b", "ab"),
        ("an unfinished \x1b]0;title loses nothing", "an unfinished 0;title loses nothing"),
        ("Grüße, 世界 🎉", "Grüße, 世界 🎉"),
    ],
)
def test_escape_sequences_go_as_a_whole(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_printable_keeps_the_spaces_of_a_command() -> None:
    assert printable("run 'my  study.toml'\x1b[0m\x07") == "run 'my  study.toml'"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"), (-0.0, "0"), (1.0, "1"), (-3.32236801, "-3.3224"), (0.397887, "0.39789"), (0.0231, "0.0231"),
        (123456.7, "123457"), (1e-7 / 3, "3.3333e-08"), (1e12, "1e+12"), (99999.96, "100000"), (float("nan"), "nan"),
        (float("-inf"), "-inf"), (0.1 + 0.2, "0.3"),
    ],
)  # fmt: skip
def test_numbers_without_noise(value: float, expected: str) -> None:
    assert number(value) == expected


@given(st.floats(-1e300, 1e300))
def test_a_written_number_is_the_number_to_five_digits(value: float) -> None:
    assert float(number(value)) == pytest.approx(value, rel=0.51e-4, abs=0)


@pytest.mark.parametrize(
    ("value", "deviation", "expected"),
    [
        (0.0142211, 0.00113, "0.0142 +- 0.0011"), (-3.3191, 0.04, "-3.319 +- 0.040"), (1266.23, 14.2, "1266 +- 14"),
        (0.5, None, "0.5"), (0.5, 0.0, "0.5 +- 0"), (0.5, float("nan"), "0.5"), (2.0, 1e-9, "2 +- 1e-09"),
    ],
)  # fmt: skip
def test_a_deviation_decides_the_digits(value: float, deviation: float | None, expected: str) -> None:
    assert uncertain(value, deviation) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0 s"), (0.0123, "12 ms"), (0.42, "0.42 s"), (9.0, "9 s"), (59.4, "59 s"), (59.6, "1:00"), (272, "4:32"),
        (3723, "1:02:03"), (183845, "2 d 3:04:05"),
    ],
)  # fmt: skip
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.mark.parametrize(("value", "expected"), [(True, "true"), (3, "3"), (0.1, "0.1"), ("a\nb", "a b")])
def test_settings(value: bool | int | float | str, expected: str) -> None:
    assert setting(value) == expected


def test_shortened_text_says_so() -> None:
    assert shorten("abcdefgh", 8) == "abcdefgh"
    assert shorten("abcdefghi", 8) == "abcde..."


def test_a_stream_gets_what_its_encoding_has() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    emit(stream, "best 世")
    assert stream.buffer.getvalue() == b"best ?\n"


def test_a_reader_who_has_gone_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", buffering=1) as stream:
        emit(stream, "nobody reads this")
        # What could not be written would be tried once more on closing.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), writing)


# -- plain lines


class FlushedOnly(io.StringIO):
    """Shows what a reader of the log would have seen: what was flushed."""

    seen = ""

    def flush(self) -> None:
        self.seen = self.getvalue()


def test_one_plain_line_at_each_tenth() -> None:
    stream = FlushedOnly()
    display = PlainDisplay(stream)
    for done in range(51):
        display.update(status(done, 50, best=ShownTrial(1, CONFIG, TrialState.COMPLETE, 1 / (done + 1))))
        display.update(status(done, 50))
    display.close()
    assert stream.seen.splitlines()[:3] == [
        "0.100 completion...  best 0.16667",
        "0.200 completion...  best 0.090909",
        "0.300 completion...  best 0.0625",
    ]
    assert [line[:5] for line in stream.seen.splitlines()] == [f"{k / 10:.3f}" for k in range(1, 11)]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([0], []), ([1, 2, 3], ["0.333", "0.667", "1.000"]), ([40], ["0.400"]), ([0, 1], ["0.143"]), ([9], ["1.000"])],
)
def test_small_extended_and_continued_budgets(counts: list[int], expected: list[str]) -> None:
    stream = FlushedOnly()
    display = PlainDisplay(stream)
    budget = {40: 100, 9: 8}.get(counts[-1], 3 if len(counts) == 3 else 7)
    for done in counts:
        display.update(status(done, budget))
    assert [line[:5] for line in stream.seen.splitlines()] == expected


def test_tenths_of_the_time_limit_where_only_time_is_limited() -> None:
    stream = FlushedOnly()
    display = PlainDisplay(stream)
    for tick in range(200):
        display.update(status(tick, None, elapsed=tick * 0.1, time_limit=20.0, best=None))
    lines = stream.seen.splitlines()
    assert lines[:3] == [f"{k / 10:.3f} completion...  best none yet" for k in (1, 2, 3)]
    assert len(lines) == 9


def test_no_line_without_any_limit() -> None:
    stream = FlushedOnly()
    PlainDisplay(stream).update(status(30, None))
    assert stream.getvalue() == ""


def test_plain_notices_carry_no_control_characters() -> None:
    stream = FlushedOnly()
    PlainDisplay(stream).say(NASTY)
    assert stream.seen == "red [bold]x[/bold] tab end\n"


def test_a_plain_display_is_due_when_it_has_a_line_to_write() -> None:
    display = PlainDisplay(io.StringIO())
    assert display.due(0, 0.0)
    display.update(status(0, 20))
    assert [done for done in range(21) if display.due(done, 1.0)] == list(range(2, 21))
    display.update(status(2, 20))
    assert not display.due(3, 1.0)


def test_plain_runs_do_not_import_rich() -> None:
    code = """
import sys, io
from utilities.display import progress, summary
display = progress.make_display(io.StringIO())
assert isinstance(display, progress.PlainDisplay)
assert not {"rich", "torch", "scipy", "numpy", "mpi4py"} & set(sys.modules), "imported"
"""
    environment = os.environ | {"REVERIE_PLAIN": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=60, cwd=ROOT)


# -- the live view


def rows(shown: RunStatus, width: int, height: int = 40) -> list[str]:
    return [line.plain.rstrip() for line in frame(shown, width, height)]


@pytest.mark.parametrize("workers", [0, 1, 3, 9, 1000])
@pytest.mark.parametrize("width", [10, 30, 79, 119, 120, 159])
@pytest.mark.parametrize("height", [1, 4, 9, 12, 22, 43])
@pytest.mark.parametrize("done", [0, 30])
def test_the_view_fits(workers: int, width: int, height: int, done: int) -> None:
    lines = frame(status(done, workers=workers), width, height)
    assert len(lines) <= height
    assert max(line.cell_len for line in lines) <= width


@given(st.text(), st.text(), st.integers(1, 200))
def test_the_view_fits_whatever_the_user_writes(name: str, value: str, width: int) -> None:
    config = {name: value, name + "2": value * 9}
    trial = ShownTrial(3, config, TrialState.COMPLETE, 0.1)
    lines = frame(status(study=name, best=trial, recent=(trial,), surrogate=value, method=value), width, 40)
    assert all(line.cell_len <= width and line.plain.isprintable() for line in lines)


def test_the_view_at_80_columns() -> None:
    shown = status(30, states={TrialState.COMPLETE: 26, TrialState.FAIL: 3, TrialState.PRUNED: 1})
    shown = replace(shown, recent=(ShownTrial(29, CONFIG, TrialState.FAIL), *shown.recent))
    assert rows(shown, 79, 22) == [
        "digits " + "─" * 56 + " gp, model, 48 s",
        "━" * 15 + "─" * 34 + "   30 of 100 trials  1:15 left",
        "",
        "Best       0.0231  lowest so far, trial 17",
        "           learning_rate 0.003123  weight_decay 1.2e-06  momentum 0.9",
        "           batch_size 64  hidden_width 211  layers 2  dropout 0.125",
        "           optimizer sgd  nesterov true",
        "Trials     3 running, 26 complete, 1 pruned, 3 failed",
        "Workers    3 of 3 busy, 97% of their time so far",
        "Surrogate  exact GP on 30 trials, fitted in 0.3 s",
        "",
        "Latest  Objective  Configuration",
        "    29  fail       learning_rate 0.003123  weight_decay 1.2e-06  ...",
        "    30  0.01667    learning_rate 0.003123  weight_decay 1.2e-06  ...",
        "    29  0.01724    learning_rate 0.003123  weight_decay 1.2e-06  ...",
        "    28  0.01786    learning_rate 0.003123  weight_decay 1.2e-06  ...",
        "    27  0.01852    learning_rate 0.003123  weight_decay 1.2e-06  ...",
        "",
        "Worker   Trial  Time",
        "1@node0     30   0 s",
        "2@node0     31   0 s",
        "3@node0     32   1 s",
    ]


def test_a_thousand_workers_are_summarised_at_160_columns() -> None:
    lines = rows(status(workers=1000), 159)
    assert "Workers    1,000 of 1,000 busy, on 125 hosts, 97% of their time so far" in lines
    start = lines.index(next(line for line in lines if line.startswith("Longest at work")))
    assert lines[start].endswith("Latest  Objective  Configuration")
    assert lines[start + 1].startswith("1000@node124      1029  8:19        30  0.01667")
    assert lines[-1] == "and 992 more"


def test_the_view_of_an_idle_start() -> None:
    start = status(0, None, states={}, running=0, time_limit=3600.0, seconds_left=None)
    lines = rows(replace(start, workers=(WorkerStatus(1, "a"), WorkerStatus(2, "b"))), 79)
    assert lines[1].endswith("0 trials, 48 s of 1:00:00")
    assert "Best       none yet" in lines
    assert "1@a      idle" in lines


def test_a_long_configuration_says_what_is_left_out() -> None:
    config = {f"parameter_{i}": i for i in range(40)}
    lines = rows(status(best=ShownTrial(1, config, TrialState.COMPLETE, 1.0)), 79)
    shown = sum(line.count("parameter_") for line in lines[4:8])
    assert lines[7].endswith(f"and {40 - shown} more")


def test_ascii_where_the_terminal_has_no_more() -> None:
    assert all(line.plain.isascii() for line in frame(status(), 79, 40, ascii_only=True))


def test_what_needs_a_word_has_one() -> None:
    """Without colours, too: paused trials have their budgets, those of several objectives their names."""
    paused = ShownTrial(4, {}, TrialState.PAUSED, 0.5, budget=3)
    pruned = ShownTrial(5, {}, TrialState.PRUNED, 0.75, budget=9)
    lines = rows(status(best=None, states={TrialState.PAUSED: 1}, recent=(paused, pruned)), 79)
    assert "Best       none yet: no trial has had the full budget" in lines
    start = lines.index("Latest  Budget  Objective    Configuration")
    assert lines[start + 1 : start + 3] == ["     4  3       0.5", "     5  9       0.75 pruned"]
    front = ShownFront(("error", "a very long name"), 1, (0.5, 2.0))
    values = ShownTrial(4, {}, TrialState.COMPLETE, None, (0.5, 2.0))
    broken = ShownTrial(5, {}, TrialState.COMPLETE, None, (0.125, 3.0), False)
    failed = ShownTrial(6, {}, TrialState.FAIL)
    lines = rows(status(front=front, recent=(values, broken, failed)), 79)
    assert "Front      1 trial, best error 0.5, best a very long name 2" in lines
    start = lines.index("Latest  error             a very lo...  Configuration")
    assert lines[start + 1 : start + 4] == [
        "     4  0.5               2",
        "     5  0.125 infeasible  3",
        "     6  fail",
    ]


@pytest.mark.parametrize(("height", "count"), [(12, 1), (22, 2), (40, 3)])
def test_failures_are_told_by_reason(height: int, count: int) -> None:
    failures = (("ValueError: loss is nan", 7), ("out of memory", 40), *((f"reason {i}", 1) for i in range(5)))
    lines = rows(status(failures=failures), 79, height)
    start = next(place for place, line in enumerate(lines) if line.startswith("Failures"))
    wanted = [
        "Failures   40 x out of memory",
        "           7 x ValueError: loss is nan",
        "           5 x 5 other reasons",
    ]
    assert lines[start : start + count] == (
        wanted if count == 3 else [wanted[0], "           12 x 6 other reasons"][:count]
    )
    assert not lines[start + count].startswith("   ")


def test_every_worker_has_a_line_where_there_is_room_and_its_trial_stays_in_sight() -> None:
    host = "gpu-node-17.a.very.long.domain.of.a.cluster.example.org"
    many = tuple(WorkerStatus(i, host, i, 60.0, ("GPU-0123456789abcdef",)) for i in range(20))

    lines = rows(replace(status(), workers=many), 159, 50)
    assert all(any(line.startswith(f"{i}@gpu-node-17 GPU 01234567") for line in lines) for i in range(20))
    assert all(f" {i}  1:00" in line for i in range(20) for line in lines if line.startswith(f"{i}@"))
    assert sum("@gpu" in line for line in rows(replace(status(), workers=many), 79, 24)) < 8

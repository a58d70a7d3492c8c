"""How busy workers are on real ranks: what evaluations note, what share that is, and what the table makes of it."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.launching import launchers
from benchmarks.scaling import busy, busy_report
from benchmarks.scaling.results import append, read, write
from benchmarks.scaling.runners import catalogue, sleeping
from benchmarks.scaling.timeline import Timeline, read_spans, timeline
from learning_objective.hartmann import HARTMANN6


def spans(*pairs: tuple[float, float]) -> np.ndarray:
    return np.array(sorted(pairs), dtype=float)


# --- what an evaluation notes -----------------------------------------------------------------------------------------


def test_an_evaluation_notes_when_it_ran_and_one_that_is_killed_when_it_began(tmp_path: Path) -> None:
    program = f"""
import os
from benchmarks.scaling.runners.sleeping import objective
config = {HARTMANN6.minimisers[0]}
print(objective(config), flush=True)
objective(config)
os.environ["BUSY_SECONDS"] = "60"
objective(config)
"""
    own = {sleeping.RECORDS: str(tmp_path), sleeping.SECONDS: "0.05"}
    launched = time.time()
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env={**os.environ, **own}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert float(process.stdout.readline()) == pytest.approx(HARTMANN6.minimum)
        while len(read_spans(tmp_path)) < 3:
            time.sleep(0.01)
        process.kill()
    first, second, third = read_spans(tmp_path)
    assert launched < first[0]
    assert 0.05 <= first[1] - first[0] < 1.0
    assert first[1] <= second[0] < second[1] <= third[0] < time.time()
    assert third[1] == math.inf


def test_processes_that_are_forked_have_records_of_their_own(tmp_path: Path) -> None:
    program = """
import os
from benchmarks.scaling.runners.sleeping import objective
config = {f"x{i}": 0.5 for i in range(1, 7)}
objective(config)
if os.fork():
    os.wait()
objective(config)
"""
    own = {sleeping.RECORDS: str(tmp_path), sleeping.SECONDS: "0"}
    subprocess.run([sys.executable, "-c", program], env={**os.environ, **own}, check=True)
    assert sorted(len(file.read_text().splitlines()) for file in tmp_path.iterdir()) == [1, 2]


def test_records_of_all_processes_are_in_the_order_of_their_beginnings(tmp_path: Path) -> None:
    (tmp_path / "17").write_text("3.000000 4.000000\n1.000000 2.000000\n")
    (tmp_path / "18").write_text("2.500000 2.750000\n5.000000 ")
    (tmp_path / "19").write_text("6.000000 6.5")  # the end itself was torn
    assert read_spans(tmp_path).tolist() == [[1.0, 2.0], [2.5, 2.75], [3.0, 4.0], [5.0, math.inf], [6.0, math.inf]]


# --- the share --------------------------------------------------------------------------------------------------------


def test_the_share_of_two_workers_is_what_a_hand_computes() -> None:
    found = timeline(spans((10.0, 14.0), (10.0, 12.0), (13.0, 15.0), (14.0, 16.0)), workers=2)
    assert found == Timeline(4, span=6.0, busy=10.0 / 12.0, busy_later=10.0 / 12.0, took=2.0, longest=4.0)


def test_without_the_first_tenth_the_window_begins_later_and_what_still_runs_counts() -> None:
    slow = (0.0, 12.5)
    quick = [(0.5 + k, 1.25 + k) for k in range(12)]
    found = timeline(spans(slow, *quick), workers=2)
    assert found.busy == pytest.approx((12.5 + 12 * 0.75) / 25.0)
    # 13 evaluations: the slow one is the first tenth, and runs on through the window from 0.5 to 12.5.
    assert found.busy_later == pytest.approx((12.0 + 12 * 0.75) / 24.0)


def test_what_a_limit_cuts_counts_up_to_there() -> None:
    cut = spans((0.0, 6.0), (0.0, math.inf), (7.0, 14.0), (10.5, 11.0))
    found = timeline(cut, workers=2, limit=10.0)
    assert found == Timeline(1, span=10.0, busy=19.0 / 20.0, busy_later=19.0 / 20.0, took=6.0, longest=6.0)


def test_a_run_in_which_nothing_ended_has_no_share() -> None:
    for nothing in (spans((0.0, math.inf), (0.0, 20.0)), np.empty((0, 2))):
        with pytest.raises(ValueError, match="no evaluation"):
            timeline(nothing, workers=2, limit=10.0)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), min_size=1, max_size=40),
    st.integers(1, 8),
    st.one_of(st.none(), st.integers(16, 60)),
)
def test_the_share_is_that_of_counting_second_by_second(
    pairs: list[tuple[int, int]], workers: int, limit: int | None
) -> None:
    begun = sorted((began, began + length) for began, length in pairs)
    start = begun[0][0]
    end = max(stop for _, stop in begun) if limit is None else start + limit
    found = timeline(np.array(begun, dtype=float), workers, math.inf if limit is None else float(limit))
    running = [sum(began <= second < stop for began, stop in begun) for second in range(start, end)]
    assert found.busy == pytest.approx(sum(running) / (workers * len(running)))
    counted = [pair for pair in begun if limit is None or pair[0] < end]
    late = running[counted[len(counted) // 10][0] - start :]
    assert found.busy_later == pytest.approx(sum(late) / (workers * len(late)))
    assert found.evaluations == sum(stop <= end for _, stop in begun)


def test_a_run_that_was_ended_counts_to_its_limit_and_one_that_fell_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1").write_text("0.0 4.0\n4.0 8.0\n8.0 ")
    with pytest.raises(busy.NoMeasurementError, match="3 evaluations were asked for; 2 ended"):
        busy.evaluations(tmp_path, 3, 10.0, over=True)
    assert busy.evaluations(tmp_path, 3, 10.0, over=False).span == 10.0
    assert busy.evaluations(tmp_path, 2, 10.0, over=False).span == 8.0  # done, though its ranks stayed


# --- runs -------------------------------------------------------------------------------------------------------------


def row(subject: str, seconds: str, seed: int, share: float, evaluations: int = 100, **more: Any) -> dict[str, Any]:
    own = {
        "subject": subject,
        "seconds": seconds,
        "seed": seed,
        "asked": 100,
        "evaluations": evaluations,
        "limit": 60.0,
    }
    times = {"span": 2.0, "busy": share, "busy_later": share + 0.01, "took": 0.1, "longest": 0.1}
    return {**own, **times, "processes": 8, "load": 0.5, "version": "1.0", **more}


def test_runs_that_are_kept_are_not_repeated_and_those_that_told_nothing_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy, "RUNS", tmp_path / "measured.csv")
    monkeypatch.setattr(busy, "missing", lambda _: None)
    monkeypatch.setattr(busy, "report", lambda: None)
    measured = []

    def measure(name: str, seconds: float, count: int, seed: int, limit: float) -> dict[str, Any]:
        measured.append((name, seconds, count, seed))
        if len(measured) == 3:
            raise busy.NoMeasurementError("it stood still")
        return row(name, f"{seconds:g}", seed, 0.9)

    monkeypatch.setattr(busy, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["busy", "--subjects", "raw,auto", "--seconds", "0.1,1", "--repeats", "1"])
    with pytest.raises(SystemExit, match="1 runs told nothing"):
        busy.main()
    assert measured == [("raw", 0.1, 1000, 0), ("auto", 0.1, 1000, 0), ("raw", 1.0, 96, 0), ("auto", 1.0, 96, 0)]
    busy.main()
    assert measured[4:] == [("raw", 1.0, 96, 0)]
    busy.main()
    assert len(measured) == 5
    assert len(read(tmp_path / "measured.csv")) == 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--subjects", "raw,optuna"], 'Did you mean "optuna-tpe"'),
        (["--seconds", "0.5", "--subjects", "random"], "--seconds must be of 0.01, 0.1, 1.0"),
        (["--subjects", "raw"], "there is no /nowhere/bin/mpiexec"),
    ],
)
def test_what_cannot_be_measured_is_said(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "PEERS", catalogue.Launcher(Path("/nowhere/bin/mpiexec")))
    monkeypatch.setattr(sys, "argv", ["busy", *words])
    with pytest.raises(SystemExit):
        busy.main()
    assert told in capsys.readouterr().err


@pytest.mark.mpi
@pytest.mark.parametrize("name", ["raw", "futures", "random", "random-child"])
def test_eight_workers_evaluate_what_is_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert launchers(), "there is no mpiexec: pip install reverie[mpich]"
    monkeypatch.setattr(catalogue, "PEERS", launchers()[0])
    found = busy.measure(name, 0.1, 32, seed=0, limit=30.0)
    assert found["evaluations"] == 32
    assert found["processes"] == 8
    assert found["span"] >= 4 * 0.1
    assert 0.1 < found["busy"] <= 1.0
    assert 0.1 <= found["took"] <= found["longest"]


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("sys.exit('broken')", "no evaluation began: ended too early\n\nbroken"),
        ("evaluate(); time.sleep(0.1); sys.exit(3)", "it ended with exit status 3"),
        ("evaluate(); time.sleep(0.1)", "8 evaluations were asked for; 1 ended"),
        ("os.environ['BUSY_SECONDS'] = '60'; evaluate()", "no evaluation of 1 ended within 1.0 s"),
        ("evaluate(); time.time = itertools.count(time.time(), 5.0).__next__; evaluate(7)", "took 5.00 s"),
    ],
)
def test_a_run_that_fails_or_is_disturbed_is_no_measurement(
    program: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"""
import itertools, os, sys, time
from benchmarks.scaling.runners.sleeping import objective

def evaluate(count=1):
    for _ in range(count):
        objective({HARTMANN6.minimisers[0]})

{program}
"""
    monkeypatch.setattr(catalogue, "PEERS", catalogue.Launcher(Path(sys.executable)))
    monkeypatch.setitem(catalogue.SUBJECTS, "faulty", catalogue.Subject("", "numpy", "", 0, ("-c", source)))
    with pytest.raises(busy.NoMeasurementError, match=re.escape(told)):
        busy.measure("faulty", 0.0, 8, seed=0, limit=1.0)


def test_a_run_that_does_all_but_stays_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    source = f"""
import time
from benchmarks.scaling.runners.sleeping import objective
[objective({HARTMANN6.minimisers[0]}) for _ in range(8)]
time.sleep(60)
"""
    monkeypatch.setattr(catalogue, "PEERS", catalogue.Launcher(Path(sys.executable)))
    monkeypatch.setitem(catalogue.SUBJECTS, "staying", catalogue.Subject("", "numpy", "", 0, ("-c", source)))
    found = busy.measure("staying", 0.02, 8, seed=0, limit=1.0)
    assert (found["evaluations"], found["processes"]) == (8, 1)
    assert 0.16 <= found["span"] < 1.0
    assert found["busy"] == pytest.approx(1.0 / 8, rel=0.2)


@pytest.mark.mpi
def test_a_run_that_takes_too_long_is_ended_and_leaves_nothing_running() -> None:
    assert launchers(), "there is no mpiexec: pip install reverie[mpich]"
    seconds = 0.2 + 1e-9 * os.getpid()  # tells these processes from those of other tests
    found = busy.measure("random", seconds, 10_000, seed=0, limit=1.0)
    assert found["span"] == pytest.approx(1.0)
    assert 8 <= found["evaluations"] <= 40
    mark = f"{sleeping.SECONDS}={seconds}".encode()
    assert not any(mark in environment(path) for path in Path("/proc").glob("[0-9]*/environ"))


def environment(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\0")
    except OSError:
        return []


# --- tables -----------------------------------------------------------------------------------------------------------


def test_the_table_has_medians_ranges_and_ratios_within_a_repeat(tmp_path: Path) -> None:
    kept = tmp_path / "measured.csv"
    append(kept, [row("auto", "1", 0, 0.5), row("raw", "1", 0, 0.8), row("auto", "0.1", 0, 0.6)])
    append(kept, [row("auto", "1", 1, 0.9, evaluations=40), row("raw", "1", 1, 1.0)])
    append(kept, [row("auto", "1", 2, 0.1, evaluations=40)])
    _, _, *lines = busy_report.busy_table(read(kept))
    cells = [line.strip("| ").split(" | ") for line in lines]
    assert [line[:2] for line in cells] == [
        ["0.1", "ours, `auto`, inside the worker"],
        ["1", "raw polling"],
        ["1", "ours, `auto`, inside the worker"],
    ]
    repeats, evaluations, share, ratio, later, beside = cells[2][3:]
    assert (repeats, evaluations, share) == ("3", "40 of 100", "50.0 % (10.0 to 90.0)")
    assert ratio == "0.762"  # of 0.5 / 0.8 and 0.9 / 1.0; the third repeat lacks raw polling
    assert later == "51.0 % (11.0 to 91.0)"
    # 8 x 2 s x (1 - share) over the evaluations: 80, 40 and 360 ms.
    assert beside == "80"
    assert cells[0][6] == ""


def test_a_report_is_written_whatever_has_been_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(busy_report, "FOLDER", tmp_path)
    monkeypatch.setattr(busy_report, "RUNS", tmp_path / "measured.csv")
    append(busy_report.RUNS, [row("raw", "0.01", 0, 0.8), row("libensemble", "1", 0, 0.9, version="1.6.1")])
    busy_report.report()
    text = (tmp_path / "measured.md").read_text()
    assert "libensemble 1.6.1" in text
    assert "ended\n60 s after" in text
    assert "were 100.0 to 100.0 ms, 100.0 to 100.0 ms." in text
    assert "| 0.01 | raw polling | master | 1 | 100 | 80.0 % (80.0 to 80.0) | 1.000 |" in text
    assert (tmp_path / "measured.png").stat().st_size > 5000


def test_rows_replace_what_a_file_held_and_may_have_no_other_columns(tmp_path: Path) -> None:
    file = tmp_path / "new" / "runs.csv"
    write(file, [{"b": 0.123456789, "a": "old"}, {"b": 2, "a": "older"}], ("a", "b"))
    assert file.read_text() == "a,b\nold,0.12346\nolder,2\n"
    write(file, [{"a": 1, "b": 2}], ("a", "b"))
    assert read(file) == [{"a": "1", "b": "2"}]
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        write(file, [{"a": 1, "c": 2}], ("a", "b"))

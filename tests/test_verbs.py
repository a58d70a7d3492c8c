"""The command `reverie`: what each verb is called with, how studies are found, what is told and in what form."""

import json
import os
import pty
import re
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_folders import BAD, CONFIG, GOOD, opened, play, study

from reverie.cli import VERBS, main, module_of
from reverie.verbs.finding import find_run
from reverie.verbs.status import Observer
from utilities.errors import StudyError
from utilities.storage.records import Asked, Finished, Started, encode_record
from utilities.storage.toml_text import toml_key, toml_value
from utilities.trial import Outcome, Trial, TrialState


def told(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    """What a command prints on standard output, or where it fails on standard error."""
    capsys.readouterr()
    assert main(words) == status
    printed = capsys.readouterr()
    return printed.out if status == 0 else printed.err


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb_has_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, verb, "--help")
    assert text.startswith(f"usage: reverie {verb}")
    assert re.search(rf"\nexample:\s+.*reverie {verb} ", text)


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_one_sentence(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    needed = {"export": ["--to", "csv"], "slurm": ["s.toml", "--time", "1h"], "check": ["s.toml"], "repair": ["r"]}
    needed |= {"completion": ["bash"], "rerun": ["runs/r"]}
    text = told(capsys, verb, *needed.get(verb, []), "--hepl", status=2)
    assert text.startswith("error: unrecognized arguments: --hepl. Did you mean")
    assert text.count("\n") == 1


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_help_loads_no_numerics_and_no_mpi(verb: str | None) -> None:
    words = [*filter(None, [verb]), "--help"]
    heavy = "{'numpy', 'scipy', 'h5py', 'torch', 'rich', 'optuna', 'pyarrow', 'shtab'}"
    allowed = "set()" if verb == "run" else "{'mpi4py'}"
    source = f"""
import sys
from reverie.cli import main
assert main({words!r}) == 0
print({heavy} & set(sys.modules), {allowed} & set(sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert run.stdout.splitlines()[-1] == "set() set()", run.stderr


def test_every_verb_has_its_module() -> None:
    for verb in VERBS:
        assert __import__(module_of(verb), fromlist=["main"]).main


# --- which study ------------------------------------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def begin(runs: Path, *names: str) -> None:
    for name in names:
        with opened(runs, study(name=name)) as run:
            play(run)


def test_the_only_study_there_is(runs: Path) -> None:
    begin(runs, "one")
    assert find_run(None, "runs") == Path("runs/one")
    begin(runs, "two")
    with pytest.raises(StudyError, match=r"no study was named, and runs holds '(one|two)', '(one|two)'; name one"):
        find_run(None, "runs")
    with pytest.raises(StudyError, match="and elsewhere holds none; `reverie run` starts one"):
        find_run(None, "elsewhere")


def test_a_study_by_folder_journal_file_and_name(runs: Path) -> None:
    begin(runs, "one", "two", "branin-gp-seed1")
    Path("a.toml").write_text('[study]\nname = "two"\nobjective = "mistaken')
    for name in ("runs/two", "runs/two/", "runs/two/journal.jsonl", str(runs / "two"), "two"):
        assert find_run(name, "runs").absolute() == runs / "two"
    assert find_run("branin", "runs") == Path("runs/branin-gp-seed1")
    Path("two.json").write_text('{"study": {"objective": "train.py:objective"}}')
    Path("b.toml").write_text('[study]\nname = "one"')
    assert find_run("two.json", "runs") == Path("runs/two")
    assert find_run("b.toml", "runs") == Path("runs/one")
    Path("two").mkdir()  # a folder of that name that is no run folder hides none
    assert find_run("two", "runs") == Path("runs/two")
    os.chdir("runs/one")
    assert find_run(".", "runs") == Path()
    assert find_run("../two", "runs") == Path("../two")
    assert find_run("two", "..") == Path("../two")


def test_a_study_that_is_not_there(runs: Path) -> None:
    begin(runs, "digits", "hartmann6-gp-seed1", "hartmann6-gp-seed2")
    with pytest.raises(StudyError, match=r"got 'digist'. Here, runs holds .*'digits'.* Did you mean \"digits\"\?"):
        find_run("digist", "runs")
    with pytest.raises(StudyError, match="several studies in runs begin so: 'hartmann6-gp-seed"):
        find_run("hartmann6", "runs")
    Path("x.toml").write_text("[study]")
    with pytest.raises(StudyError, match="this study has not run yet: there is no runs/x"):
        find_run("x.toml", "runs")
    with pytest.raises(StudyError, match=r"runs is no run folder: it has no journal\.jsonl, and holds 'hartmann6-"):
        find_run("runs", "elsewhere")


# --- best -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("direction", "best"), [("minimize", [3, 1, 4]), ("maximize", [4, 1, 3])])
def test_the_best_are_ranked_as_by_sorting(
    runs: Path, capsys: pytest.CaptureFixture[str], direction: str, best: list[int]
) -> None:
    values = {1: 0.5, 3: 0.25, 4: 0.75}
    with opened(runs, study(direction=direction)) as run:
        for number in range(6):
            run.asked(Trial(number, {**CONFIG, "factors": 10 + number}), "initial")
        for number, value in values.items():
            run.finished(number, Outcome(TrialState.COMPLETE, value), 9.0)
        run.finished(0, BAD, 9.0)
        run.finished(2, Outcome(TrialState.PRUNED, -9.0 if direction == "minimize" else 9.0), 9.0)
        run.sync()
    trials = json.loads(told(capsys, "best", "--top", "9", "-f", "json"))
    assert [trial["number"] for trial in trials] == best
    assert [trial["objective"] for trial in trials] == [values[number] for number in best]
    assert json.loads(told(capsys, "best", "-f", "json")) == trials[0]
    assert tomllib.loads(told(capsys, "best")) == trials[0]
    assert tomllib.loads(told(capsys, "best", "--top", "2")) == {"trial": trials[:2]}
    assert told(capsys, "best", "-f", "args") == f"--lr 0.001 --model multiplicative --factors {10 + best[0]}\n"


def test_nothing_has_succeeded(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(runs) as run:
        run.session(1, 1.0)
        run.sync()
    assert told(capsys, "best", status=3) == "error: runs/digits: no trial has succeeded yet\n"
    assert "best      none yet" in told(capsys, "status")


def test_arguments_are_quoted_as_a_shell_reads_them(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = {
        "lr": {"type": "float", "low": -1.0, "high": 1.0},
        "act": {"type": "categorical", "choices": ["a b", "$HOME", "'"]},
        "on": {"type": "bool"},
    }
    config = {"lr": -0.25, "act": "$HOME", "on": True}
    for command in (None, ["python", "my train.py", "--lr={lr}", "--act", "{act}", "{{x}}"]):
        objective = None if command else "train.py:objective"
        with opened(runs, study(space, name="s" if command else "t", command=command, objective=objective)) as run:
            run.asked(Trial(0, config), "initial")
            run.finished(0, GOOD, 9.0)
            run.sync()
    plain = shlex.split(told(capsys, "best", "t", "-f", "args"))
    assert plain == ["--lr=-0.25", "--act", "$HOME", "--on", "true"]
    filled = shlex.split(told(capsys, "best", "s", "-f", "args"))
    assert filled == ["python", "my train.py", "--lr=-0.25", "--act", "$HOME", "{x}"]


TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.one_of(st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False), TEXT)


@settings(deadline=None)
@given(st.dictionaries(TEXT, VALUES))
def test_toml_comes_back(table: dict[str, object]) -> None:
    text = "\n".join(f"{toml_key(key)} = {toml_value(value)}" for key, value in table.items())  # type: ignore[arg-type]
    back = tomllib.loads(text)
    assert back == table
    assert list(map(type, back.values())) == list(map(type, table.values()))


# --- status -----------------------------------------------------------------------------------------------------------


def test_status_as_lines_and_as_json(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(runs, study(budget=20)) as run:
        play(run)
        lines = told(capsys, "status").splitlines()
        table = json.loads(told(capsys, "status", "--json"))
    assert re.fullmatch(rf"digits: running: pid {os.getpid()} on \S+ since \d{{4}}-.*", lines[0])
    by_label = {line[:10].strip(): line[10:] for line in lines[1:] if line[:1].strip()}
    assert by_label["trials"].startswith("2 of 20, about ")
    assert by_label["best"] == "0.25, trial 1: lr 0.001, model multiplicative, factors 20"
    assert by_label["states"] == "1 complete, 1 failed, 1 running"
    assert by_label["failures"] == "1 x ValueError: no"
    assert re.fullmatch(r"2 on 3@node7 for .*, step 1: inf", by_label["running"])
    assert by_label["latest"] == "0  fail  lr 0.001, model multiplicative, factors 20"
    assert (table["state"], table["ended"], table["budget"], table["waiting"]) == ("running", 2, 20, 1)
    assert table["states"] == {"COMPLETE": 1, "FAIL": 1}
    assert table["best"] == {"number": 1, "objective": 0.25, "config": CONFIG}
    assert table["running"][0] | {"seconds": 0} == {
        "number": 2, "config": CONFIG, "worker": "3@node7", "seconds": 0, "report": [1, None],
    }  # fmt: skip


def test_status_of_a_run_that_is_over_has_nothing_running(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin(runs, "digits")
    lines = told(capsys, "status").splitlines()
    assert lines[0] == "digits: not running"
    assert not any(line.startswith("running") for line in lines)
    assert "2 waiting" in lines[1]


def test_a_look_counts_what_is_new_alone(runs: Path) -> None:
    with opened(runs) as run:
        observer = Observer(run.folder)
        assert observer.look(1.0).done == 0
        play(run)
        first = observer.look(1010.0)
        run.finished(2, GOOD, 1011.0)
        run.finished(3, Outcome(TrialState.COMPLETE, 0.125), 1012.0)
        run.sync()
        second = observer.look(1013.0)
        assert (first.done, first.states, first.best and first.best.number) == (
            2,
            {TrialState.COMPLETE: 1, TrialState.FAIL: 1},
            1,
        )
        assert (second.done, second.states[TrialState.COMPLETE], second.best and second.best.number) == (4, 3, 3)
        fresh = Observer(run.folder).look(1013.0)
        assert fresh == second


def test_the_time_left_follows_the_pace_of_this_run(runs: Path) -> None:
    with opened(runs, study(budget=10, time_limit=500.0)) as run:
        play(run)
        assert Observer(run.folder).look(1100.0).seconds_left == pytest.approx(100.0 / 2 * 8)
        assert Observer(run.folder).look(1200.0).seconds_left == pytest.approx(300.0), "the time limit comes first"


def test_damaged_lines_are_told(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin(runs, "digits")
    path = runs / "digits" / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"objective":0.25', b'"objective":0.26'))
    assert "1 line cannot be read, or contradict others: see `reverie repair`" in told(capsys, "status")


def test_at_a_terminal_the_view_is_drawn(runs: Path) -> None:
    begin(runs, "digits")
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("REVERIE_PLAIN", None)
    words = [sys.executable, "-m", "reverie", "status"]
    with subprocess.Popen(words, stdout=follower, env=environment, start_new_session=True) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
    os.close(leader)
    assert process.returncode == 0
    assert b"digits" in shown
    assert b"not running" in shown
    assert b"ValueError: no" in shown


@pytest.mark.slow
def test_a_hundred_thousand_trials_take_seconds(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin(runs, "digits")
    good = Outcome(TrialState.COMPLETE, 0.5)
    with (runs / "digits" / "journal.jsonl").open("ab") as file:
        for number in range(10, 100_010):
            records = Asked(Trial(number, CONFIG), "model"), Started(number, "1@node7", 2.0)
            file.write(b"".join(map(encode_record, (*records, Finished(number, good, "1@node7", 2.0, 3.0)))))
    began = time.process_time()
    assert json.loads(told(capsys, "status", "--json"))["ended"] == 100_002
    assert time.process_time() - began < 30.0  # some 4 s; the rest is for machines that are busy

"""`reverie check`: what is shown of a study, one trial of it, and nothing that stays."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from reverie.cli import main

SPACE = """
[space]
lr = { type = "float", low = 1e-6, high = 1.0, log = true }
width = { type = "int", low = 32, high = 1024, step = 32 }
optimiser = { type = "categorical", choices = ["sgd", "adam"] }
momentum = { type = "float", low = 0.0, high = 0.99, when = { optimiser = "sgd", width = ["> 64", 32] } }
on = { type = "bool", when = [{ width = "> 64" }, { optimiser = "adam" }] }
fixed = { type = "constant", value = "cosine" }
"""
TRAIN = """
import pathlib
def objective(config, trial):
    print(config)
    for step in range(7):
        trial.report(step, config["lr"])
    (trial.folder / "model").write_text("x" * 10)
    return {"objective": config["lr"], "loss": 2.5}
def fails(config):
    return 1 / 0
def hungry(config):
    import time
    block = b"x" * 300_000_000
    time.sleep(2)  # a trial's memory is looked at ten times a second
    return len(block)
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(TRAIN)
    return tmp_path


def write(*settings: str, space: str = SPACE) -> None:
    own = "\n".join(settings or ('objective = "train.py:objective"',))
    Path("study.toml").write_text(f'[study]\nmethod = "random"\n{own}\n{space}')


def check(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    capsys.readouterr()
    assert main(["check", "study.toml", *words]) == status
    printed = capsys.readouterr()
    return printed.err if status == 2 and not printed.out else printed.out


def test_the_space_is_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write('objective = "train.py:objective"', "budget = 40", 'constraints = ["width < 512"]')
    text = check(capsys, "--no-evaluate")
    rows = {line.split()[0]: re.split(r"  +", line)[1:] for line in text.splitlines() if line}
    assert text.startswith("study: minimize train.py:objective by random, 40 trials\n")
    assert rows["lr"] == ["float", "1e-06 to 1, logarithmic"]
    assert rows["width"] == ["int", "32 to 1024, step 32"]
    assert rows["optimiser"] == ["categorical", "sgd, adam"]
    assert rows["momentum"] == ["float", "0 to 0.99", "optimiser is sgd and width > 64 or width is 32"]
    assert rows["on"] == ["bool", "false, true", "width > 64 or optimiser is adam"]
    assert rows["fixed"] == ["constant", "cosine"]
    assert "infinitely many configurations" in text
    assert "constraint: width < 512" in text
    assert "evaluates" not in text


def test_combinations_are_counted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(space="[space]\na = { type = 'int', low = 1, high = 9 }\nb = { type = 'bool' }\n")
    assert "\n18 configurations\n" in check(capsys, "--no-evaluate")
    write(space="[space]\na = { type = 'int', low = 1, high = 9 }\nb = { type = 'bool', when = { a = 3 } }\n")
    assert "\n18 configurations at most\n" in check(capsys, "--no-evaluate")


def test_one_trial_is_evaluated_and_nothing_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write()
    before = {path.name for path in home.iterdir()}
    text = check(capsys, "--workers", "25")
    (lr,) = re.findall(r"^evaluates lr (\S+), width", text, re.MULTILINE)
    (value,) = re.findall(r"^  value    (\S+)$", text, re.MULTILINE)
    assert float(value) == pytest.approx(float(lr), rel=1e-3)
    assert re.search(r"^  seconds  \S+ m?s$", text, re.MULTILINE)
    assert re.search(r"^  memory   [\d.]+ MiB$", text, re.MULTILINE)
    assert "  metric   loss 2.5\n" in text
    assert text.count("  report   step") == 5
    assert "  report   and 2 more" in text
    assert "\nwith 25 workers: 100 trials such as this take " in text
    assert {path.name for path in home.iterdir()} - {"__pycache__"} == before


def test_it_is_the_trial_with_which_a_run_begins(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ("", "\n[[enqueue]]\nwidth = 96\n"):
        write('objective = "train.py:objective"', f'name = "n{len(more)}"', space=SPACE + more)
        (shown,) = re.findall(r"^evaluates (.*)$", check(capsys), re.MULTILINE)
        assert main(["run", "study.toml", "--budget", "1"]) == 0
        capsys.readouterr()
        assert main(["status", f"n{len(more)}"]) == 0
        (evaluated,) = re.findall(r"^latest    0  \S+  (.*)$", capsys.readouterr().out, re.MULTILINE)
        assert evaluated == shown


def test_memory_is_that_of_the_trial(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write('objective = "train.py:hungry"')
    Path("train.py").write_text(TRAIN.replace("return len(block)", "import time; time.sleep(0.5); return len(block)"))
    (mebibytes,) = re.findall(r"^  memory   ([\d.]+) MiB$", check(capsys), re.MULTILINE)
    assert 286 < float(mebibytes) < 400


def test_a_trial_that_fails(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write('objective = "train.py:fails"')
    text = check(capsys, status=3)
    assert "  failed   ZeroDivisionError: division by zero\n" in text
    assert "return 1 / 0" in text
    assert "with 1 worker" not in text
    write('objective = "train.py:hungry"', "trial_memory = '50M'")
    assert "exceeded trial_memory of 50 MiB" in check(capsys, status=3)


def test_mistakes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write('objective = "train.py:objektive"')
    assert 'Did you mean "objective"?' in check(capsys, status=2)
    write("budgt = 3", 'objective = "train.py:objective"')
    assert "budgt is not a known key" in check(capsys, status=2)
    Path("train.py").write_text("raise RuntimeError('no data')\ndef objective(config): return 1.0\n")
    write()
    assert "RuntimeError: no data" in check(capsys, status=2)


def test_several_ranks_a_worker_and_gpus_that_are_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write('objective = "train.py:objective"', "ranks_per_worker = 2")
    assert "not evaluated: ranks_per_worker is above 1" in check(capsys)
    Path("train.py").write_text("def objective(config, trial): return len(trial.devices or ())\n")
    write('objective = "train.py:objective"', "gpus_per_worker = 1")
    assert "gpus_per_worker = 1, and this machine offers 0" in check(capsys)


def test_a_command_and_a_time_limit(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write('command = ["sh", "-c", "sleep 0.3; echo $0", "{lr}"]', 'time_limit = "1h"')
    text = check(capsys, "--workers", "2")
    (seconds,) = re.findall(r"^  seconds  (\S+) s$", text, re.MULTILINE)
    (count,) = re.findall(r"^with 2 workers: ([\d,]+) trials such as this fit into 1:00:00$", text, re.MULTILINE)
    assert int(count.replace(",", "")) == pytest.approx(2 * 3600 / float(seconds), rel=0.05)


def test_mpi_is_not_loaded(home: Path) -> None:
    write()
    act = "status = main(['check', 'study.toml'])"
    source = f"import sys; from reverie.cli import main; {act}; print('mpi4py' in sys.modules, status)"
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=120, cwd=home)
    assert run.stdout.splitlines()[-1] == "False 0", run.stderr

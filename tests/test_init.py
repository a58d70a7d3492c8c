"""`reverie init`: what it writes is a study that `reverie check` passes, with ranges about what the source tells."""

import os
import pty
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reverie.cli import main
from reverie.drafting.answers import read_command, read_limit, read_vary
from reverie.drafting.presets import PRESETS, template
from reverie.drafting.ranges import around, by_name
from utilities.errors import StudyError
from utilities.parameters import parse_parameter
from utilities.space import Space

TRAIN = '''
import enum
from dataclasses import dataclass, field
from typing import Literal, Optional

class Act(enum.Enum):
    RELU = "relu"
    TANH = "tanh"

@dataclass
class Config:
    lr: float = 1e-3
    width: int = 64
    act: Act = Act.TANH
    opt: Literal["sgd", "adam"] = "adam"
    names: list = field(default_factory=list)
    on: bool = True

DEFAULTS = {"lr": 0.1, "layers": 3, "name": "plain"}

def of_dataclass(config: Config, trial):
    assert isinstance(config.act, Act) and config.names == [] and trial.number == 0
    return config.lr

def by_name(data_size: int, lr=1e-3, batch_size=64, dropout: float = 0.1, scale: float = 1, seed=7, note="x", *,
            act: "Act" = Act.RELU, opt: Optional[Literal["sgd", "adam"]] = None, callback=None, decay=0.0):
    """Must not be run: this docstring has a "quote"."""
    assert isinstance(act, Act) and seed == 7 and callback is None and isinstance(scale, float)
    return lr

def of_config(config):
    lr = config["lr"]
    return lr * config.get("width", 32) + config["batch_size"] + config["strange"]

def of_default(config=DEFAULTS):
    return config["lr"]

def of_literal(config={"lr": 0.5, "k": 2}):
    return config["lr"]

def nothing(): ...
def unreadable(*args): ...
'''


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(TRAIN)
    return tmp_path


def written(*words: str) -> dict[str, Any]:
    """The study file that is written; `reverie check` must pass it."""
    assert main(["init", *words]) == 0
    path = words[words.index("-o") + 1] if "-o" in words else "study.toml"
    assert main(["check", path, "--method", "random"]) == 0
    return tomllib.loads(Path(path).read_text())


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["init", *words]) == 2
    assert not Path("study.toml").exists()
    return capsys.readouterr().err


# --- from a function --------------------------------------------------------------------------------------------------


def test_parameters_by_name(home: Path) -> None:
    study = written("train.py:by_name")
    assert study["study"]["objective"] == "tune_train.py:objective"
    space = study["space"]
    assert space["lr"] == {"type": "float", "low": 1e-5, "high": 0.1, "log": True}
    assert space["batch_size"] == {"type": "ordinal", "choices": [16, 32, 64, 128, 256]}
    assert space["dropout"] == {"type": "float", "low": 0.0, "high": 0.6}
    assert space["scale"] == {"type": "float", "low": 0.01, "high": 100.0, "log": True}
    assert space["seed"] == {"type": "constant", "value": 7}
    assert space["note"] == {"type": "constant", "value": "x"}
    assert space["act"] == {"type": "categorical", "choices": ["relu", "tanh"]}
    assert space["opt"] == {"type": "categorical", "choices": ["sgd", "adam"]}
    assert space["decay"] == {"type": "float", "low": 0.0, "high": 1.0}
    assert space["data_size"]["type"] == "int"
    assert "callback" not in space, "left at its default"
    assert study["enqueue"] == [
        {"lr": 1e-3, "batch_size": 64, "dropout": 0.1, "scale": 1.0, "act": "relu", "decay": 0.0}
    ]


def test_a_function_of_the_adapters_own_name(home: Path) -> None:
    Path("train.py").write_text("def objective(lr=1e-3, width=64): return lr * width")
    assert set(written("train.py")["space"]) == {"lr", "width"}


def test_a_dataclass(home: Path) -> None:
    space = written("train.py:of_dataclass")["space"]
    assert list(space) == ["lr", "width", "act", "opt", "on"]
    assert space["width"] == {"type": "int", "low": 8, "high": 512, "log": True}
    assert space["on"] == {"type": "bool"}


def test_a_configuration_read_key_by_key(home: Path) -> None:
    study = written("train.py:of_config")
    assert study["study"]["objective"] == "train.py:of_config"
    assert set(study["space"]) == {"lr", "width", "batch_size", "strange"}
    assert study["space"]["width"] == {"type": "int", "low": 4, "high": 256, "log": True}
    assert study["space"]["lr"]["log"]
    assert not Path("tune_train.py").exists()
    assert "# set type and range: nothing tells them" in Path("study.toml").read_text()


@pytest.mark.parametrize(("function", "keys"), [("of_default", ["lr", "layers", "name"]), ("of_literal", ["lr", "k"])])
def test_a_dict_as_default(home: Path, function: str, keys: list[str]) -> None:
    assert list(written(f"train.py:{function}")["space"]) == keys


def test_a_file_elsewhere_is_named_from_the_study_file(home: Path) -> None:
    Path("deep").mkdir()
    Path("train.py").rename("deep/train.py")
    assert written("deep/train.py:of_default")["study"]["objective"] == "deep/train.py:of_default"
    study = written("deep/train.py:by_name", "--force", "-o", "other.toml")
    assert study["study"]["objective"] == "deep/tune_train.py:objective"


def test_nothing_is_run(home: Path) -> None:
    Path("train.py").write_text(f"raise SystemExit('run')\n{TRAIN}")
    assert main(["init", "train.py:of_default"]) == 0


def test_functions_that_cannot_be_tuned(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "defines no function 'by_nam', as in train.py:objective; it has" in refused(capsys, "train.py:by_nam")
    assert 'Did you mean "by_name"?' in refused(capsys, "train.py:by_nam")
    assert "has several functions, or none: name one" in refused(capsys, "train.py")
    assert "has no parameters whose values could vary" in refused(capsys, "train.py:nothing")
    assert "must take its parameters by name" in refused(capsys, "train.py:unreadable")
    assert 'Did you mean "train.py"?' in refused(capsys, "trian.py:by_name")
    assert "WHAT must be a function such as train.py:objective, or a command" in refused(capsys, "train")
    Path("train.py").write_text("def objective(config:\n")
    assert "train.py, line 1: " in refused(capsys, "train.py:objective")
    Path("my-train.py").write_text("def f(lr=0.1): return lr")
    assert "a file whose name cannot be imported" in refused(capsys, "my-train.py:f")


# --- ranges -----------------------------------------------------------------------------------------------------------


NAMES = st.sampled_from(
    ["x", "lr", "dropout", "momentum", "beta2", "subsample", "batch_size", "seed", "epochs", "width"]
)


@settings(deadline=None)
@given(NAMES, st.one_of(st.booleans(), st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6), st.text("ab", max_size=3)))
def test_a_range_holds_its_default(name: str, default: Any) -> None:
    draft = around(name, default)
    if abs(default if isinstance(default, float) else 1.0) < 1e-9 and default:
        return  # beyond the digits that are kept
    parameter = parse_parameter(draft.table, f"[space.{name}]")
    assert parameter.accepts(default)
    assert draft.default in (None, default)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_name_has_a_range(name: str) -> None:
    parse_parameter(by_name(name).table, "[space.x]")


# --- presets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_passes_with_its_template(home: Path, name: str) -> None:
    Path("train.py").unlink()
    study = written("--preset", name)
    preset = PRESETS[name]
    assert study["space"] == {draft.name: draft.table for draft in preset.drafts}
    assert all(draft.why for draft in preset.drafts), "each range has its source"
    text = Path("study.toml").read_text()
    assert all(draft.why in text for draft in preset.drafts)
    source = Path("train.py").read_text()
    assert all(f'"{draft.name}"' in source for draft in preset.drafts)


def test_every_configuration_of_a_preset_can_be_evaluated_by_its_template(home: Path) -> None:
    for name, preset in PRESETS.items():
        space = Space.from_dict({draft.name: draft.table for draft in preset.drafts})
        names: dict[str, Any] = {}
        exec(template(name, "study.toml"), names)
        rng = np.random.default_rng(0)
        for config in space.from_unit(rng.random((200, len(space)))):
            assert names["objective"](config, None) == pytest.approx(names["objective"](config, None))


def test_a_preset_for_an_objective_that_is_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "train.py: is there already, and nothing was written" in refused(capsys, "--preset", "svm")
    assert Path("train.py").read_text() == TRAIN
    assert main(["init", "train.py:of_config", "--preset", "svm"]) == 0
    assert tomllib.loads(Path("study.toml").read_text())["study"]["objective"] == "train.py:of_config"
    assert 'Did you mean "svm"?' in (main(["init", "--preset", "svn"]), capsys.readouterr().err)[1]


# --- commands, and what is asked --------------------------------------------------------------------------------------


def test_a_command(home: Path) -> None:
    study = written("sh -c 'echo $0' {lr} --w {width}", "--for", "2h", "-o", "c.toml")
    assert study["study"]["command"] == ["sh", "-c", "echo $0", "{lr}", "--w", "{width}"]
    assert (study["study"]["time_limit"], "budget" in study["study"]) == ("2h", False)
    assert set(study["space"]) == {"lr", "width"}
    study = written("echo {lr}", "--vary", "lr=0.1..0.5", "--for", "7", "--force", "-o", "c.toml")
    assert study["space"] == {"lr": {"type": "float", "low": 0.1, "high": 0.5}}
    assert study["study"]["budget"] == 7


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("lr=1e-5..0.1 log", [{"type": "float", "low": 1e-5, "high": 0.1, "log": True}]),
        ("n=1..8, f=1..8.0", [{"type": "int", "low": 1, "high": 8}, {"type": "float", "low": 1.0, "high": 8.0}]),
        ("a=relu|tanh", [{"type": "categorical", "choices": ["relu", "tanh"]}]),
        ("a=1|2.5|true", [{"type": "categorical", "choices": [1, 2.5, True]}]),
        ("on=true", [{"type": "bool"}]),
        ("momentum", [{"type": "float", "low": 0.0, "high": 0.99}]),
    ],
)
def test_what_may_vary(text: str, tables: list[dict[str, Any]]) -> None:
    assert [draft.table for draft in read_vary(text)] == tables


@pytest.mark.parametrize("text", ["", ",", "lr=", "=3", "a=1..b", "a b", "a=1, a=2", "x=1..true"])
def test_what_may_not_vary(text: str) -> None:
    with pytest.raises(StudyError):
        read_vary(text)


def test_limits_and_commands() -> None:
    assert [read_limit(text) for text in ("100", " 8h ", "1h30m", "90.5")] == [100, "8h", "1h30m", "90.5"]
    for text in ("", "soon", "0", "-3", "0s"):
        with pytest.raises(StudyError):
            read_limit(text)
    assert read_command("a {x} '{y} {x}'") == (["a", "{x}", "{y} {x}"], ["x", "y"])
    for text in ("a 'b", "a {", "a }"):
        with pytest.raises(StudyError, match="a command must be like"):
            read_command(text)


def test_mistakes_leave_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "this is no terminal" in refused(capsys)
    assert "low must be below high" in refused(capsys, "echo {lr}", "--vary", "lr=5..1")
    assert "how long must be trials" in refused(capsys, "echo {lr}", "--for", "soon")
    assert "-o must name a file that ends in .toml" in refused(capsys, "echo {lr}", "-o", "study.json")
    assert main(["init", "train.py:of_default"]) == 0
    before = Path("study.toml").read_text()
    assert main(["init", "train.py:by_name"]) == 2
    assert "study.toml: is there already, and nothing was written; --force" in capsys.readouterr().err
    assert (Path("study.toml").read_text(), Path("tune_train.py").exists()) == (before, False)


def test_three_questions_at_a_terminal(home: Path) -> None:
    leader, follower = pty.openpty()
    words = [sys.executable, "-m", "reverie", "init"]
    with subprocess.Popen(words, stdin=follower, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        os.close(follower)
        # A mistake is told, and asked again.
        os.write(leader, b"train.py:nowhere\ntrain.py:of_config\n\n0\n12\n")
        printed, _ = process.communicate(timeout=60)
    os.close(leader)
    assert process.returncode == 0
    assert "defines no function 'nowhere'" in printed
    assert "Nothing for what was found: batch_size, lr, strange, width" in printed
    assert "how long must be at least 1; got 0" in printed
    study = tomllib.loads(Path("study.toml").read_text())
    assert (study["study"]["objective"], study["study"]["budget"]) == ("train.py:of_config", 12)

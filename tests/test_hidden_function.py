"""What is said of an objective before a run starts."""

from pathlib import Path

import pytest

from learning_objective import hidden_function
from learning_objective.hidden_function import check, load
from learning_objective.objective_spec import ObjectiveSpec
from utilities.errors import StudyError


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """Check an objective with a given train.py; count the times that a process is started for it."""
    tried = []
    really_try = hidden_function._try
    monkeypatch.setattr(hidden_function, "_try", lambda spec: (tried.append(spec), really_try(spec)))

    def run(source: str, objective: str = "train.py:objective") -> int:
        (tmp_path / "train.py").write_text(source)
        check(ObjectiveSpec(objective, None, str(tmp_path)))
        return len(tried)

    return run


def complaint(objective: str | None = None, command: list[str] | None = None, folder: Path = Path(), **options) -> str:
    with pytest.raises(StudyError) as caught:
        check(ObjectiveSpec(objective, command, str(folder)), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "def objective(config): ...",
        "def objective(config, trial): ...",
        "def objective(config, trial=None, *, verbose=False): ...",
        "try:\n    import torch\nexcept ImportError:\n    pass\nelse:\n    def objective(config): ...",
        "objective = None\nif True:\n    def objective(config): ...",
    ],
)
def test_plain_function_is_found_without_running_anything(checked, source):
    assert checked(f"{source}\nraise SystemExit('never run')") == 0


@pytest.mark.parametrize(
    "source",
    [
        "from math import fsum as objective",
        "import functools\nobjective = functools.partial(max, 1)",
        "from os.path import *\nobjective = getsize",
        "def __getattr__(name):\n    if name == 'objective':\n        return abs\n    raise AttributeError(name)",
        "import functools\n@functools.cache\ndef objective(config): ...",
        "class objective:\n    def __init__(self, config): ...",
        "objective = lambda config: 1.0",
    ],
)
def test_what_reading_cannot_decide_is_tried(checked, source):
    assert checked(source) == 1


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def objectiv(config): ...", ["train.py defines no 'objective'", 'Did you mean "objectiv"?']),
        ("", ["train.py defines no 'objective'."]),
        ("objective = 3", ["'objective' in", "train.py, line 1,", "is not callable: objective = 3"]),
        ("def objective(c): ...\nobjective: dict = {}", ["line 2, is not callable: objective: dict = {}"]),
        ("async def objective(c): ...", ['is an "async def"; a plain function is needed']),
        ("\ndef objective(:", ["train.py, line 2: invalid syntax"]),
        ("x = '\0'", ["train.py"]),
        ("def objective(a, b, c): ...", ["cannot be loaded: train.py:objective(a, b, c) cannot be called"]),
        ("def objective(): ...", ["cannot be loaded: train.py:objective() cannot be called: too many"]),
        (
            "def make(): return 3\nobjective = make()",
            ["cannot be loaded: train.py:objective is not callable: it is a int"],
        ),
        ("from math import pi as objective", ["is not callable: it is a float"]),
        ("from os.path import *", ["cannot be loaded: train.py has no 'objective'"]),
        ("from no_such_package import objective", ["cannot be loaded: ModuleNotFoundError: No module named 'no_such"]),
    ],
)
def test_objective_that_will_not_do(checked, source, words):
    with pytest.raises(StudyError) as caught:
        checked(source)
    message = str(caught.value)
    assert message.startswith('objective = "train.py:objective"')
    assert "\n" not in message
    for word in words:
        assert word in message


def test_missing_file(tmp_path):
    (tmp_path / "train.py").write_text("")
    message = complaint("trian.py:objective", folder=tmp_path)
    assert message.endswith(f'there is no file {tmp_path / "trian.py"}. Did you mean "train.py"?')


def test_neither_file_nor_benchmark(tmp_path):
    assert complaint("hartman6").endswith('Did you mean "hartmann6"?')
    assert '"train.py:objective"' in complaint("train.py")
    assert "missing after the colon" in complaint("train.py:")
    assert "needs an objective" in complaint()
    check(ObjectiveSpec("hartmann6"))


def test_module_on_the_path(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "fit.py").write_text("def run(config): ...")
    check(ObjectiveSpec("package.fit:run", None, str(tmp_path)))
    assert "cannot be loaded: package.fit has no 'ran'" in complaint("package.fit:ran", folder=tmp_path)
    assert "there is no module 'package.fat'" in complaint("package.fat:run", folder=tmp_path)


def test_command(tmp_path):
    check(ObjectiveSpec(None, ["sh", "-c", "echo {lr} {{1}}"], str(tmp_path)), {"lr"})
    check(ObjectiveSpec(None, ["{program}"], str(tmp_path)))
    assert "command = []" in complaint(command=[])
    assert complaint(command=["no-such-program"], folder=tmp_path).endswith(
        f'"no-such-program" is neither a program on PATH nor an executable file in {tmp_path}'
    )
    assert 'Did you mean "learning_rate"?' in complaint(command=["sh", "{learning_rat}"], parameters=["learning_rate"])
    assert "a lone '{' in 'a{b'" in complaint(command=["sh", "a{b"])
    script = tmp_path / "fit.sh"
    script.write_text("#!/bin/sh\n")
    assert "neither a program" in complaint(command=["./fit.sh"], folder=tmp_path)
    script.chmod(0o755)
    for program in ("./fit.sh", "fit.sh"):
        check(ObjectiveSpec(None, [program], str(tmp_path)))


def test_loading_here(tmp_path):
    assert load("branin")({"x1": 0.0, "x2": 0.0}, None) == pytest.approx(55.602113)

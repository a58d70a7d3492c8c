"""The command line of all entries: what --help and --list say, and one sentence for every mistake."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from learning_objective.benchmarks import BENCHMARKS
from learning_objective.command_line import Options, parse_arguments
from learning_objective.studies import open_study
from mpi.mpi_session import prepare_study
from reverie.cli import VERBS, main
from utilities.errors import StudyError
from utilities.methods import ACQUISITIONS, METHODS

ENTRIES = {
    "mpi": ("-m", "mpi.mpi_optimizer"),
    "reverie": ("-m", "reverie", "run"),
    "sequential": ("-m", "sequential.seq_optimizer"),
    "gp": ("-m", "sequential.seq_gaussian_process"),
}
DEFAULTS = {
    "STUDY": "digits",
    "--method M": "the study file, else auto",
    "--acquisition A": "the study file, else ei",
    "--kappa K": "the study file, else 1.8",
    "--budget B": "the study file, else the benchmark's own, else 100",
    "--time-limit T": "the study file, else no limit",
    "--seed S": "the study file, else 0",
    "--trial-timeout T": "the study file, else no limit",
    "--output DIR": "runs",
}
FLOAT = {"type": "float", "low": 0.0, "high": 1.0}
CHOICE = {"type": "categorical", "choices": ["sgd", "adam"]}
SPACE = {"x": FLOAT}


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60)


# --- help and lists ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ENTRIES)
def test_help_names_every_flag_with_its_default(entry: str) -> None:
    run = python(*ENTRIES[entry], "--help")
    assert (run.returncode, run.stderr) == (0, "")
    text = " ".join(run.stdout.split())
    defaults = {**DEFAULTS, "--method M": "gp"} if entry == "gp" else DEFAULTS
    for flag, default in defaults.items():
        assert re.search(rf" {flag} [^()]+\(default: {re.escape(default)}\)", text), flag
    assert ", ".join(METHODS) in text
    assert ", ".join(ACQUISITIONS) in text
    assert "--list list the benchmarks" in text


def test_list_names_each_benchmark_with_dimension_and_minimum(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_arguments(["--list"], "program") == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["name", "dimension", "minimum", "budget", "source"]
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    assert rows.keys() == BENCHMARKS.keys()
    for name, benchmark in BENCHMARKS.items():
        assert rows[name][0] == str(len(benchmark.space))
        assert rows[name][2] == str(benchmark.budget)
        if benchmark.minimum is None:
            assert rows[name][1] == "unknown"
        else:
            assert float(rows[name][1]) == pytest.approx(benchmark.minimum, rel=1e-5)


def test_help_and_lists_load_no_numerics() -> None:
    source = """
        import sys
        from reverie.cli import main

        assert [main(words) for words in ([], ["--help"], ["run", "--list"])] == [0, 0, 0]
        assert [main([verb, "--help"]) for verb in ("run", "repair")] == [0, 0]
        print("loaded:", *{"numpy", "scipy", "torch", "h5py", "mpi4py", "rich"} & sys.modules.keys())
        """
    run = python("-c", "\n".join(line[8:] for line in source.splitlines()))
    assert (run.stdout.splitlines()[-1], run.stderr) == ("loaded:", "")


def test_the_command_without_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == main(["--help"]) == main(["--version"]) == 0
    printed = capsys.readouterr().out
    for verb in (r"run +run or continue a study", r"rerun +evaluate the best", r"repair +mend the journal"):
        assert re.search(rf"^  {verb}", printed, re.MULTILINE)
    for words, message in {
        ("rnu",): f"""error: 'rnu' is not a verb; known: {", ".join(VERBS)}. Did you mean "run"?""",
        ("--verison",): """error: '--verison' is not an option; known: --help, --version. Did you mean "--version"?""",
    }.items():
        assert main(words) == 2
        assert capsys.readouterr().err == message + "\n"


# --- flags ------------------------------------------------------------------------------------------------------------


def test_flags_override_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, {"objective": "branin", "budget": 5, "seed": 3, "method": "sobol", "name": "mine"})
    words = [str(path), "--budget", "7", "--time-limit", "1h30m", "--trial-timeout=90"]
    options = parse_arguments(words, "program")
    assert isinstance(options, Options)
    study = open_study(options)
    assert (study.budget, study.time_limit, study.trial_timeout) == (7, 5400.0, 90.0)
    assert (study.seed, study.method, study.name) == (3, "sobol", "mine")


def test_an_acquisition_of_the_flags(tmp_path: Path) -> None:
    path = write(tmp_path, {"objective": "branin", "acquisition": "ucb", "kappa": 3})
    options = parse_arguments([str(path), "--kappa", "0.5"], "program")
    assert isinstance(options, Options)
    study = open_study(options)
    assert (study.acquisition, study.kappa) == ("ucb", 0.5)


def test_a_benchmark_has_a_folder_for_each_method_and_seed() -> None:
    assert open_study(Options(study="branin", method="sobol", seed="4")).name == "branin-sobol-seed4"
    assert open_study(Options(study="branin", acquisition="ucb", kappa="2.50")).name == "branin-auto-ucb-kappa2.5-seed0"
    assert open_study(Options(study="branin")).budget == BENCHMARKS["branin"].budget


def test_budgets_where_nothing_says_one(tmp_path: Path) -> None:
    space = {"x": {**FLOAT, "grid": 4}, "m": CHOICE}
    path = str(write(tmp_path, {"objective": "branin"}, space))
    assert open_study(Options(study=path)).budget == 100
    assert open_study(Options(study=path, method="grid")).budget == 8
    assert open_study(Options(study=path, time_limit="1h")).budget is None


def test_a_method_of_the_entry_yields_to_the_command_line() -> None:
    for words, method in (([], "gp"), (["--method", "random"], "random")):
        options = parse_arguments(words, "program", "gp")
        assert isinstance(options, Options)
        assert options.method == method


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bugdet", "3"], 'unrecognized arguments: --bugdet. Did you mean "--budget"?'),
        (["--tme-limit=3"], 'unrecognized arguments: --tme-limit=3. Did you mean "--time-limit"?'),
        (["--meth", "gp"], 'unrecognized arguments: --meth. Did you mean "--method"?'),
        (["branin", "digits"], "unrecognized arguments: digits."),
        (["--budget"], "argument --budget: expected one argument."),
    ],
)
def test_mistakes_in_the_flags(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_arguments(words, "reverie run") == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"error: {message} reverie run --help lists the options.\n")


def test_only_the_first_rank_speaks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for variable in ("PMI_RANK", "OMPI_COMM_WORLD_RANK"):
        monkeypatch.setenv(variable, "3")
        lingered: list[float] = []
        monkeypatch.setattr("time.sleep", lingered.append)
        assert parse_arguments(["--bugdet"], "program") == 2
        assert lingered == [2.0]  # until the first rank has said what is wrong
        assert parse_arguments(["--help"], "program") == parse_arguments(["--list"], "program") == 0
        assert capsys.readouterr() == ("", "")
        assert len(lingered) == 1
        monkeypatch.delenv(variable)


# --- mistakes in a study ----------------------------------------------------------------------------------------------


def write(folder: Path, settings: dict[str, Any], space: dict[str, Any] | None = None) -> Path:
    path = folder / "study.json"
    path.write_text(json.dumps({"study": settings, "space": SPACE if space is None else space}))
    return path


def space(**parameters: dict[str, Any]) -> dict[str, Any]:
    return {"space": {"x": FLOAT, **parameters}}


MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown key": ({"bugdet": 3}, ["[study] bugdet is not a known key", 'Did you mean "budget"?']),
    "unknown key of a parameter": (
        space(x={**FLOAT, "hgih": 2.0}),
        ["[space.x] hgih is not a key of type float; known keys: grid, high, likely", 'Did you mean "high"?'],
    ),
    "unknown type": (space(x={**FLOAT, "type": "flaot"}), ["[space.x] type must be one of", 'Did you mean "float"?']),
    "low above high": (
        space(x={**FLOAT, "low": 2.0}),
        ["[space.x] low must be below high; got low = 2.0, high = 1.0"],
    ),
    "log of zero": (space(x={**FLOAT, "log": True}), ["[space.x] log = true needs low above 0; got low = 0.0"]),
    "no choices": (space(m={"type": "categorical", "choices": []}), ["[space.m] choices must not be empty; got []"]),
    "when on an unknown parameter": (
        space(model=CHOICE, y={**FLOAT, "when": {"modle": "sgd"}}),
        ["[space.y] when names an unknown parameter 'modle'", 'Did you mean "model"?'],
    ),
    "when on an unknown value": (
        space(m=CHOICE, y={**FLOAT, "when": {"m": "sdg"}}),
        ["[space.y] when m must be one of ['sgd', 'adam']; got 'sdg'", 'Did you mean "sgd"?'],
    ),
    "circular when": (
        space(a={**CHOICE, "when": {"b": "sgd"}}, b={**CHOICE, "when": {"a": "sgd"}}),
        ["[space.a] when must not be circular; got a -> b -> a"],
    ),
    "no space": ({"space": {}}, ["[space] must name at least one parameter; got none"]),
    "missing file": (
        {"objective": "trian.py:objective"},
        ['[study] objective = "trian.py:objective": there is no file', 'Did you mean "train.py"?'],
    ),
    "missing function": (
        {"objective": "train.py:objectiv"},
        ["train.py defines no 'objectiv'", 'Did you mean "objective"?'],
    ),
    "not callable": (
        {"objective": "train.py:limit"},
        ['[study] objective = "train.py:limit"', "'limit' in", "line 2, is not callable: limit = 3"],
    ),
    "not callable, found by importing": ({"objective": "train.py:result"}, ["is not callable: it is a float"]),
    "unknown benchmark": ({"objective": "brannin"}, ["[study] objective", "neither a benchmark", 'mean "branin"?']),
    "unknown program": (
        {"objective": None, "command": ["no-such-program", "{x}"]},
        ['[study] command: "no-such-program" is neither a program on PATH nor an executable file in'],
    ),
    "unknown placeholder": (
        {"objective": None, "command": ["true", "{lr}"]},
        ["[study] command[1]: {lr} must name a parameter; known: x"],
    ),
    "objective and command": ({"command": ["true"]}, ["[study] must have exactly one of objective and command"]),
    "no budget": ({"budget": 0}, ["[study] budget must be at least 1; got 0"]),
    "negative budget": ({"budget": -2}, ["[study] budget must be at least 1; got -2"]),
    "no number": ({"budget": "ten"}, ['[study] budget must be an integer; got "ten"']),
    "duration": ({"time_limit": "soon"}, ['[study] time_limit must be a duration such as "8h"', 'got "soon"']),
    "method": ({"method": "dgno"}, ["[study] method must be one of auto", 'got "dgno"', 'Did you mean "dngo"?']),
}


@pytest.mark.parametrize(("changes", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_study_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("def objective(config): return 0.0\nlimit = 3\nresult = objective({})\n")
    settings = {"objective": "train.py:objective", **changes}
    path = write(Path(), settings, settings.pop("space", None))
    with pytest.raises(StudyError) as caught:
        prepare_study(Options(study=str(path)))
    message = str(caught.value)
    assert message.startswith("study.json: ")
    assert "\n" not in message
    for word in words:
        assert word in message
    assert {file.name for file in tmp_path.iterdir()} <= {"study.json", "train.py", "__pycache__"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"study": "stduy.toml"}, 'cannot read this study file: No such file or directory. Did you mean "study.toml"?'),
        ({"study": "hartman6"}, """got 'hartman6'. Did you mean "hartmann6"?"""),
        ({"study": "notes.txt"}, "notes.txt: a study file must end in .toml or .json"),
        ({"study": "."}, "a study file must end in .toml or .json"),
        ({"budget": "0"}, "--budget must be at least 1; got 0"),
        ({"budget": "many"}, '--budget must be an integer; got "many"'),
        ({"seed": "-1"}, "--seed must be at least 0; got -1"),
        ({"acquisition": "uct"}, 'acquisition must be one of ei, ucb, thompson; got "uct". Did you mean "ucb"?'),
        ({"acquisition": "ucb", "kappa": "0"}, '--kappa must be a finite number above 0; got "0"'),
        ({"acquisition": "ei", "method": "sobol"}, "needs a method that learns (auto, gp, dngo, dngo-paper); got"),
        ({"kappa": "1"}, "branin: [study] kappa needs acquisition ucb; got kappa 1, acquisition ei"),
        ({"method": "ranodm"}, 'got "ranodm". Did you mean "random"?'),
        (
            {"time_limit": "8x"},
            '--time-limit must be a duration such as "8h", "1h30m", "90s" or 90 (seconds); got "8x"',
        ),
        ({"trial_timeout": "0"}, '--trial-timeout must be above 0; got "0"'),
    ],
)
def test_mistakes_in_the_values_of_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: dict[str, str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("study.toml", "notes.txt"):
        Path(name).write_text("")
    with pytest.raises(StudyError) as caught:
        prepare_study(Options(**{"study": "branin", **flags}))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)

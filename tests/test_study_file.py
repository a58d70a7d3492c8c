"""Study files: what they give, and one clear sentence for every mistake."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utilities.errors import StudyError
from utilities.methods import METHODS
from utilities.storage.study import Study
from utilities.storage.study_file import override, read_study
from utilities.storage.tables import SUFFIXES

WHOLE = """
[study]
name = "digits-cnn"
objective = "train.py:objective"
direction = "maximize"
budget = 100
time_limit = "8h"
method = "gp"
acquisition = "ucb"
kappa = 2
seed = 1
trial_timeout = "10m"
grace = 5
isolation = "none"

[space.lr]
type = "float"
low = 1e-6
high = 1.0
log = true

[space.model]
type = "categorical"
choices = ["additive", "multiplicative"]

[space.factors]
type = "int"
low = 10
high = 200
when = { model = "multiplicative" }
"""
LEAST = '[study]\nobjective = "branin"\n[space.x]\ntype = "float"\nlow = 0.0\nhigh = 1.0\n'
COMMAND = '[study]\ncommand = {}\n[space.lr]\ntype = "float"\nlow = 0.0\nhigh = 1.0\n'


def study_of(folder: Path, text: str, name: str = "study.toml") -> Study:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_study(path)


def refusal(folder: Path, text: str, name: str = "study.toml") -> str:
    with pytest.raises(StudyError) as caught:
        study_of(folder, text, name)
    assert str(caught.value).startswith(str(folder / name))
    return str(caught.value).removeprefix(f"{folder / name}: ")


def test_every_key_is_read(tmp_path: Path) -> None:
    study = study_of(tmp_path, WHOLE)
    assert (study.name, study.objective, study.command, study.direction) == (
        "digits-cnn",
        "train.py:objective",
        None,
        "maximize",
    )
    assert (study.budget, study.time_limit, study.trial_timeout, study.grace) == (100, 28800.0, 600.0, 5.0)
    assert (study.method, study.seed, study.isolation) == ("gp", 1, "none")
    assert (study.acquisition, study.kappa) == ("ucb", 2.0)
    assert study.space.names == ["lr", "model", "factors"]
    assert (study.folder, study.source) == (tmp_path, str(tmp_path / "study.toml"))


def test_defaults(tmp_path: Path) -> None:
    study = study_of(tmp_path, LEAST, "first try.toml")
    assert (study.name, study.direction, study.budget, study.time_limit) == ("first try", "minimize", None, None)
    assert (study.method, study.seed, study.grace, study.isolation) == ("auto", 0, 30.0, "process")
    assert (study.acquisition, study.kappa) == (None, None)


def test_json_has_the_same_keys(tmp_path: Path) -> None:
    study = study_of(tmp_path, WHOLE)
    again = study_of(tmp_path, json.dumps(study.to_dict()), "study.json")
    assert again.to_dict() == study.to_dict()


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert study_of(tmp_path, "\ufeff" + LEAST).objective == "branin"


def test_relative_path_gives_an_absolute_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study_of(tmp_path, LEAST)
    monkeypatch.chdir(tmp_path)
    study = read_study(Path("study.toml"))
    assert (study.folder, study.source) == (tmp_path, "study.toml")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('budget = "ten"', '[study] budget must be an integer; got "ten"'),
        ("budget = true", "[study] budget must be an integer; got true"),
        ("budget = 2.5", "[study] budget must be an integer; got 2.5"),
        ("budget = 0", "[study] budget must be at least 1; got 0"),
        ("budget = -3", "[study] budget must be at least 1; got -3"),
        ("budget = nan", "[study] budget must be a finite number; got nan"),
        ("budget = 9223372036854775808", "[study] budget must be below 2^63 in size; got 9223372036854775808"),
        ("seed = -1", "[study] seed must be at least 0; got -1"),
        ("seed = 2020-02-02", '[study] seed must be an integer; got "2020-02-02"'),
        (
            'method = "dgno"',
            '[study] method must be one of auto, dngo, dngo-paper, gp, optuna-tpe, random, sobol, grid; got "dgno".',
        ),
        ('method = "dgno"', 'Did you mean "dngo"?'),
        (
            'acquisition = "thomson"',
            '[study] acquisition must be one of ei, ucb, thompson; got "thomson". Did you mean "th',
        ),
        ("acquisition = 1", "[study] acquisition must be a string; got 1"),
        (
            'acquisition = "ei"\nmethod = "grid"',
            "[study] acquisition needs a method that learns (auto, gp, dngo, dngo-p",
        ),
        ("kappa = 1.5", "[study] kappa needs acquisition ucb; got kappa 1.5, acquisition ei"),
        ('acquisition = "ucb"\nkappa = 0', "[study] kappa must be a finite number above 0; got 0"),
        ('acquisition = "ucb"\nkappa = "much"', '[study] kappa must be a number; got "much"'),
        ("method = 1", "[study] method must be a string; got 1"),
        ('direction = "minimise"', '[study] direction must be one of minimize, maximize; got "minimise". Did you mean'),
        (
            'isolation = "proces"',
            '[study] isolation must be one of process, none; got "proces". Did you mean "process"?',
        ),
        ("time_limit = true", "[study] time_limit must be a number or a string; got true"),
        ('time_limit = "8 hours"', '[study] time_limit must be a duration such as "8h"'),
        ('time_limit = "0s"', '[study] time_limit must be above 0; got "0s"'),
        ("trial_timeout = -1", "[study] trial_timeout must be a duration"),
        ("trial_timeout = inf", "[study] trial_timeout must be a finite number; got inf"),
        ('bugdet = 3\nname = "x"', "[study] bugdet is not a known key; known keys: name, objective, command"),
        ("bugdet = 3", 'Did you mean "budget"?'),
        ("gpu_per_worker = 1", 'Did you mean "gpus_per_worker"?'),
        ('name = "a/b"', "[study] name must be usable as a folder's name"),
        ('name = ".."', 'got ".."'),
        ('name = ""', 'got ""'),
        ('name = " x"', 'got " x"'),
        ('name = "a\\nb"', 'got "a\\nb"'),
        (f'name = "{"é" * 101}"', "[study] name must have at most 200 bytes; got 202"),
        ('command = ["echo", "1"]', "[study] must have exactly one of objective and command; got both"),
    ],
)
def test_wrong_values(tmp_path: Path, line: str, message: str) -> None:
    assert message in refusal(tmp_path, LEAST.replace("[space.x]", line + "\n[space.x]"))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            '"python train.py"',
            'command must be a list, for it never passes through a shell, such as ["python", "train.py"]',
        ),
        ('["python", 3]', "[study] command[1] must be a string; got 3"),
        ("3", "[study] command must be a list of strings; got 3"),
        ("[]", "[study] command must begin with the program to run; got []"),
        ('["python", "a\\u0000b"]', "[study] command[1] must not hold a NUL character"),
        ('["p", "--lr={rl}"]', '[study] command[1]: {rl} must name a parameter; known: lr. Did you mean "lr"?'),
        ('["p", "{}"]', "[study] command[1]: {} must name a parameter"),
        ('["p", "{lr"]', "[study] command[1] must have its braces in pairs"),
        ('["p", "}"]', "[study] command[1] must have its braces in pairs"),
        ('["p", "{lr}}"]', "[study] command[1] must have its braces in pairs"),
    ],
)
def test_wrong_commands(tmp_path: Path, command: str, message: str) -> None:
    assert message in refusal(tmp_path, COMMAND.format(command))


@pytest.mark.parametrize("argument", ["{lr}", "--lr={lr}", "{{lr}}", '{{"lr": {lr}}}', "{lr}{lr}", "{{{lr}}}", "plain"])
def test_braces(tmp_path: Path, argument: str) -> None:
    study = study_of(tmp_path, COMMAND.format(json.dumps(["python", argument])))
    assert study.command == ["python", argument]
    # str.format, which has the same rule for braces, agrees that this can be filled in.
    assert argument.format(lr=0.5).count("{") == argument.count("{{")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[study]\nobjective = 'branin'\n", "the table [space] is missing"),
        (LEAST[LEAST.index("[space") :], "the table [study] is missing"),
        ("[study]\nobjective = 'branin'\n[space]\n", "[space] must name at least one parameter"),
        ("space = 3\n[study]\nobjective = 'branin'\n", "[space] must be a table; got 3"),
        ("[study]\n[space.x]\ntype='float'\nlow=0\nhigh=1", "exactly one of objective and command; got neither"),
        (
            LEAST.replace("study", "stduy"),
            "[stduy] is not a table of a study file; known tables: study, space, enqueue, stage, early_stopping, fid",
        ),
        (
            "budget = 3\n" + LEAST,
            "study, space, enqueue, stage, early_stopping, fidelity. It belongs under [study].",
        ),
        (LEAST.replace("high = 1.0", "high = -1.0"), "[space.x] low must be below high; got low = 0.0, high = -1.0"),
        (LEAST.replace("high = 1.0", "high = nan"), "[space.x] high must be a finite number; got nan"),
        (LEAST.replace("high = 1.0", f"high = 0x{'f' * 5000}"), "[space.x] high must be below 2^63 in size; got a int"),
        (LEAST.replace('"branin"', '" "'), '[study] objective must be "file.py:function"'),
        ("[study\n", "not valid TOML: Expected ']' at the end of a table declaration (at line 1, column 7)"),
        ("x = " + "[" * 5000, "nested too deeply"),
    ],
)
def test_wrong_tables(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"study": {},\n "space": }', "not valid JSON: Expecting value: line 2 column 11"),
        ('{"study": {"seed": 1, "seed": 2}}', 'not valid JSON: the key "seed" must not be given twice in one object'),
        ("[1, 2]", "must hold the tables study and space; got [1, 2]"),
        ('{"study": {"name": "\\ud800"}}', "[study] name' must not hold half of a surrogate pair; got '\\ud800'"),
        ('{"study": {"budget": -Infinity}}', "[study] budget must be a finite number; got -inf"),
        ('{"study": {"method": null}, "space": {}}', "[study] method must be a string; got null"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_wrong_json(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text, "study.json")


def test_null_is_the_default(tmp_path: Path) -> None:
    space = {"x": {"type": "int", "low": 0, "high": 1}}
    text = json.dumps({"study": {"objective": "branin", "command": None, "budget": None}, "space": space})
    assert study_of(tmp_path, text, "s.json").budget is None


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_bytes(b'[study]\nname = "\xff"\n')
    with pytest.raises(StudyError, match="must be UTF-8 text; got the byte 0xff in line 2"):
        read_study(tmp_path / "study.toml")
    with pytest.raises(
        StudyError, match=r'cannot read this study file: No such file or directory. Did you mean "study'
    ):
        read_study(tmp_path / "stuyd.toml")
    with pytest.raises(StudyError, match=r"a study file must end in .toml or .json"):
        read_study(tmp_path / "study.yaml")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(StudyError, match="Is a directory"):
        read_study(tmp_path / "folder.json")
    with pytest.raises(StudyError, match="null byte"):
        read_study(tmp_path / "a\0b.toml")
    with pytest.raises(StudyError, match="No such file"):
        read_study(tmp_path / "nowhere" / "study.toml")


def test_a_file_name_that_is_no_folder_name(tmp_path: Path) -> None:
    assert "name is missing and the file's name must be usable" in refusal(tmp_path, LEAST, " .toml")


def test_override(tmp_path: Path) -> None:
    study = study_of(tmp_path, WHOLE)
    changed = override(
        study, method="dngo", kappa="3", budget="7", time_limit="1m", seed=3, trial_timeout=2, grace="1s", name="b"
    )
    assert (changed.method, changed.budget, changed.time_limit, changed.seed) == ("dngo", 7, 60.0, 3)
    assert (changed.acquisition, changed.kappa) == ("ucb", 3.0)
    assert (changed.trial_timeout, changed.grace, changed.name) == (2.0, 1.0, "b")
    assert override(study) == study
    assert changed.space is study.space


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"budget": 0}, "--budget must be at least 1; got 0"),
        ({"budget": "ten"}, '--budget must be an integer; got "ten"'),
        ({"budget": "9" * 5000}, "--budget must be an integer; got"),
        ({"time_limit": "soon"}, "--time-limit must be a duration"),
        ({"trial_timeout": 0}, "--trial-timeout must be above 0; got 0"),
        ({"seed": "-1"}, "--seed must be at least 0; got -1"),
        ({"acquisition": "eI"}, '--acquisition must be one of ei, ucb, thompson; got "eI". Did you mean "ei"?'),
        ({"kappa": "-1"}, '--kappa must be a finite number above 0; got "-1"'),
        ({"kappa": "nan"}, "--kappa must be a finite number above 0; got"),
        ({"method": "gpp"}, '--method must be one of .* Did you mean "gp"?'),
        ({"isolation": "x"}, "--isolation must be one of process, none"),
        ({"name": "a/b"}, "--name must be usable as a folder's name"),
    ],
)
def test_wrong_flags(tmp_path: Path, flags: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=f"^{message}"):
        override(study_of(tmp_path, LEAST), **flags)  # type: ignore[arg-type]


def test_importing_loads_no_numpy() -> None:
    code = "import sys, utilities.storage.study_file; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[1]).returncode == 0


# --- no file at all gives another exception ---------------------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([*METHODS, "8h", "float", "int", "categorical", "{lr}", "minimize", "x", "0"])
)
KEYS = st.text(max_size=3) | st.sampled_from(
    ["study", "space", "name", "objective", "command", "budget", "seed", "grace", "x", "type", "low", "choices", "when"]
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
VALID: dict[str, dict[str, object]] = {
    "study": {"command": ["x", "{lr}"], "budget": 3, "time_limit": "1h", "seed": 1, "method": "gp"},
    "space": {
        "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True},
        "x": {"type": "categorical", "choices": ["a", True, 1]},
        "n": {"type": "int", "low": 1, "high": 5, "when": {"x": ["a", 1]}},
    },
}


@st.composite
def nearly(draw: st.DrawFn) -> object:
    """Spoil a valid study in at most three places."""
    tree = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(0, 3))):
        node: object = tree
        for _ in range(draw(st.integers(0, 3))):
            inner = list(node.values()) if isinstance(node, dict) else []
            tables = [child for child in inner if isinstance(child, dict)]
            node = draw(st.sampled_from(tables)) if tables else node
        assert isinstance(node, dict)
        node[draw(KEYS | st.sampled_from(sorted(node)) if node else KEYS)] = draw(SCALARS | TREES)
    return tree


def toml(value: object) -> str:
    """Spell `value` as TOML, None as 0."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in value if not "\ud800" <= c <= "\udfff") + '"'
    return {True: "true", False: "false", None: "0"}[value] if isinstance(value, bool | None) else str(value)


@given(tree=nearly() | TREES, suffix=st.sampled_from(SUFFIXES))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_gives_a_study_or_a_study_error(tmp_path: Path, tree: object, suffix: str) -> None:
    if suffix == ".json":
        text = json.dumps(tree)
    else:
        text = "\n".join(
            f"{toml(k)} = {toml(v)}" for k, v in (tree if isinstance(tree, dict) else {"study": tree}).items()
        )
    try:
        study = study_of(tmp_path, text, "s" + suffix)
    except StudyError:
        return
    assert study.space.names
    assert (study.objective is None) != (study.command is None)
    assert study_of(tmp_path, json.dumps(study.to_dict()), "s.json").to_dict() == study.to_dict()


@given(data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode), suffix=st.sampled_from(SUFFIXES))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_a_study_error(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"s{suffix}"
    path.write_bytes(data)
    with pytest.raises(StudyError):
        read_study(path)

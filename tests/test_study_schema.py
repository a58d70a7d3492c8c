"""The JSON Schema of study files agrees with the reader, key by key and file by file."""

import copy
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from utilities.budgets import Fidelity, as_fidelity
from utilities.errors import StudyError
from utilities.parameters import KINDS, parse_parameter
from utilities.stage_plan import Stage
from utilities.stopping_rule import Settings
from utilities.storage import early_stopping_table, stage_tables
from utilities.storage.rules import Rule, check_key
from utilities.storage.study_file import study_of
from utilities.storage.study_rules import RULES
from utilities.storage.study_schema import study_schema

ROOT = Path(__file__).parent.parent
SCHEMA = study_schema()
WHOLE = Draft7Validator(SCHEMA)
TABLES = SCHEMA["properties"]
STAGE = TABLES["stage"]["items"]

POOL: list[Any] = [
    *(True, False, -1, 0, 1, 2, 3, 2**53, 2**53 + 2, -(2**53), -(2**53) - 2, 10_000, 10_001, 100_000, 100_001),
    *(-0.5, 0.0, 1e-300, 0.3, 0.5, 0.999, 1.0, 2.5, 7.25, 1e9),
    *("", " ", "x", "a/b", "a\\b", " a", "a ", ".", "..", "...", "a b", "n" * 60, "n" * 61, "n" * 200, "n" * 201),
    *("8h", "1h30m", "1.5 h", "30m1h", "90", "90s", "0s", "0", "1e3", "1_000", ".5", "5.", "+5", "-5", "8 hours", "s"),
    *("4G", "512M", "1.5 GiB", "4g", "4X", "4 gib", "0.5", "2", "1/3", "1/3/4", "/3", "-1/2"),
    *("gp", "auto", "dngo", "ei", "ucb", "minimize", "maximise", "process", "none", "asha", "model", "very", "verily"),
    *("seconds < 5", "seconds", "a <= 1e3 ", "a < b < c", "< 3", "a <> 3"),
    *([], ["a"], ["a", "b"], ["a", "a"], ["a", 1], [1, 2], ["minimize"], ["seconds < 5"], [""], [True, 2], [["a"]]),
    *({}, {"a": 1}, [{}], [{"a": 1}], {"a": [1, 2]}, {"a": {"low": 1}}, {"a": {"low": "x"}}, {"a": {"middle": 1}}),
]
"""Values that some key takes and others do not."""

LOOSER: dict[str, list[Any]] = {
    "study.command": [[""]],
    "study.trial_memory": ["0", "0.5"],
    "study.gpus_per_worker": [1e-300, 0.3, 2.5, 7.25],
    "study.instances": [["a", "a"]],
}
"""What the reader refuses and JSON Schema has no words for; besides, 1.0 is an integer to it."""


def accepted(check: Callable[[Any], object], value: Any) -> bool:
    try:
        check(value)
    except StudyError:
        return False
    return True


def allows(schema: dict[str, Any], value: Any) -> bool:
    return bool(Draft7Validator(schema | {"definitions": SCHEMA["definitions"]}).is_valid(value))


# --- key by key -------------------------------------------------------------------------------------------------------


def of_rule(rules: Mapping[str, Rule], key: str) -> Callable[[Any], object]:
    return lambda value: check_key(rules, key, value, "")


LEAST = {
    "float": {"type": "float", "low": -1e300, "high": 1e300},
    "int": {"type": "int", "low": -(2**53), "high": 2**53},
    "categorical": {"type": "categorical", "choices": ["a", "b", 1, 2]},
    "ordinal": {"type": "ordinal", "choices": ["a", "b", 1, 2]},
    "bool": {"type": "bool"},
    "constant": {"type": "constant", "value": 1},
}

WITHIN_ITSELF = [
    *((f"study.{key}", of_rule(RULES, key), TABLES["study"]["properties"][key]) for key in RULES if key != "forbid"),
    *(
        (f"early_stopping.{key}", of_rule(early_stopping_table.RULES, key), schema)
        for key, schema in TABLES["early_stopping"]["properties"].items()
    ),
    *((f"stage.{key}", of_rule(stage_tables.RULES, key), STAGE["properties"][key]) for key in ("budget", "shrink")),
]
"""Keys whose value alone says whether the reader takes it."""


@pytest.mark.parametrize(("key", "check", "schema"), WITHIN_ITSELF, ids=[case[0] for case in WITHIN_ITSELF])
def test_a_key_takes_what_its_rule_takes(key: str, check: Callable[[Any], object], schema: dict[str, Any]) -> None:
    whole = [value for value in POOL if type(value) is float and value.is_integer() and "integer" in schema["type"]]
    for value in POOL:
        if allows(schema, value) != accepted(check, value):
            assert value in [*whole, *LOOSER.get(key, ())], value
            assert allows(schema, value), value
    assert {allows(schema, value) for value in POOL} == {True, False}


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_takes_what_its_type_takes(kind: str) -> None:
    schema = SCHEMA["definitions"]["parameter"]
    assert allows(schema, LEAST[kind])
    known = KINDS[kind].__struct_fields__
    for key in {*(key for other in KINDS.values() for key in other.__struct_fields__), "no such key"}:
        verdicts = set()
        for value in POOL:
            table = LEAST[kind] | {key: value}
            reads = accepted(lambda table: parse_parameter(table, ""), table)
            verdicts.add(allows(schema, table))
            assert allows(schema, table) or not reads, table
            assert key in known or not allows(schema, table), table
        assert verdicts == ({True, False} if key in known else {False}), key


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("float", {"low": "1"}),
        ("float", {"low": True}),
        ("float", {"step": 0}),
        ("float", {"step": -0.5}),
        ("float", {"log": 1}),
        ("float", {"grid": 1}),
        ("float", {"grid": 100_001}),
        ("float", {"sure": 0, "likely": 1.0}),
        ("float", {"sure": 1, "likely": 1.0}),
        ("float", {"sure": "verily", "likely": 1.0}),
        ("float", {"when": "x"}),
        ("float", {"when": {"x": {"y": 1}}}),
        ("int", {"low": 0.5}),
        ("int", {"high": 2**53 + 2}),
        ("int", {"step": 0}),
        ("int", {"step": 1.5}),
        ("categorical", {"choices": []}),
        ("categorical", {"choices": [["a"]]}),
        ("ordinal", {"choices": "abc"}),
        ("constant", {"value": [1]}),
        ("constant", {"likely": 1}),
        ("bool", {"low": 0}),
        ("real", {}),
    ],
)
def test_a_parameter_that_cannot_be(kind: str, table: dict[str, Any]) -> None:
    table = LEAST.get(kind, {"type": kind}) | table
    assert not accepted(lambda value: parse_parameter(value, ""), table)
    assert not allows(SCHEMA["definitions"]["parameter"], table)


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_that_lacks_a_key(kind: str) -> None:
    for key in LEAST[kind]:
        table = {other: value for other, value in LEAST[kind].items() if other != key}
        assert not accepted(lambda value: parse_parameter(value, ""), table)
        assert not allows(SCHEMA["definitions"]["parameter"], table)


def test_fidelity_takes_what_the_reader_takes() -> None:
    for key in Fidelity.__struct_fields__:
        verdicts = set()
        for value in POOL:
            table = {"low": 1, "high": 9} | {key: value}
            reads = accepted(as_fidelity, table)
            verdicts.add((allows(TABLES["fidelity"], table), reads))
            assert allows(TABLES["fidelity"], table) or not reads, table
        assert {(True, True), (False, False)} <= verdicts


@pytest.mark.parametrize(
    "table",
    [
        {"low": 0, "high": 9},
        {"low": 1},
        {"high": 9},
        {"low": "1", "high": 9},
        {"low": 1, "high": 2**53 + 2},
        {"low": 1, "high": 9, "eta": 1},
        {"low": 1, "high": 9, "eta": 2.5},
        {"low": 1, "high": 9, "brackets": 0},
        {"low": 1, "high": 9, "guided": 1},
        {"low": 1, "high": 9, "name": " "},
        {"low": 1, "high": 9, "name": "n" * 61},
        {"low": 1, "high": 9, "etta": 3},
    ],
)
def test_a_fidelity_that_cannot_be(table: dict[str, Any]) -> None:
    assert not accepted(as_fidelity, table)
    assert not allows(TABLES["fidelity"], table)


def test_each_rule_of_early_stopping_has_its_own_keys() -> None:
    for rule in early_stopping_table.OF_RULE:
        least: dict[str, Any] = {"rule": rule, "max_steps": 9} if rule == "hyperband" else {"rule": rule}
        least |= {"upper": 1.0} if rule == "threshold" else {}
        alone = [{"rule": rule, key: value} for key, value in RULE_VALUES.items()]
        beside = [least | {key: value} for key, value in RULE_VALUES.items()]
        for table in ({}, least, *alone, *beside):
            reads = accepted(lambda table: early_stopping_table.parse_early_stopping(table, ""), table)
            assert allows(TABLES["early_stopping"], table) == reads, table


RULE_VALUES: dict[str, Any] = {
    **dict.fromkeys(("min_steps", "max_steps", "eta", "min_trials", "patience"), 2),
    **dict.fromkeys(("probability", "min_delta", "lower", "upper"), 0.5),
    "guided": True,
}


def test_every_key_is_there_with_a_sentence() -> None:
    tables = {
        "study": (TABLES["study"], set(RULES)),
        "early_stopping": (TABLES["early_stopping"], set(Settings.__struct_fields__)),
        "stage": (STAGE, set(Stage.__struct_fields__)),
        "fidelity": (TABLES["fidelity"], set(Fidelity.__struct_fields__)),
        "space": (
            SCHEMA["definitions"]["parameter"],
            {"type"}.union(*(kind.__struct_fields__ for kind in KINDS.values())),
        ),
    }
    assert set(TABLES) == {*tables, "enqueue", "$schema"}
    for name, (schema, keys) in tables.items():
        assert set(schema["properties"]) == keys, name
        for key, own in schema["properties"].items():
            assert own["description"], f"{name}.{key}"
            assert not own["description"].endswith("."), f"{name}.{key}"


# --- whole files ------------------------------------------------------------------------------------------------------


def files() -> list[Any]:
    found = [
        pytest.param(tomllib.loads(path.read_text()), id=str(path)) for path in sorted(ROOT.glob("examples/*/*.toml"))
    ]
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")]):
        texts = re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        for i, table in enumerate(map(tomllib.loads, texts)):
            whole = table if "study" in table else {"study": table, "space": {"lr": LEAST["float"]}}
            found.append(pytest.param(whole, id=f"{page.relative_to(ROOT)}-{i}"))
    return found


@pytest.mark.parametrize("tables", files())
def test_study_files_of_the_repository_are_valid(tables: dict[str, Any]) -> None:
    assert [error.message for error in WHOLE.iter_errors(tables)] == []


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert '"allOf"' not in json.dumps(SCHEMA)  # beside it taplo completes no key
    assert len(files()) >= 20


@pytest.mark.parametrize(
    "study",
    [
        {},
        {"objective": "branin", "command": ["true"]},
        {"command": "true"},
        {"objective": "branin", "bugdet": 3},
    ],
)
def test_a_study_that_cannot_be(study: dict[str, Any]) -> None:
    tables = {"study": study, "space": {"x": LEAST["float"]}}
    assert not accepted(lambda value: study_of(value, "", ROOT, "x"), tables)
    assert not WHOLE.is_valid(tables)


@pytest.mark.parametrize(
    "damage",
    [
        {"space": {}},
        {"space": {"x": 1}},
        {"space": [1]},
        {"study": [1]},
        {"spaces": {}},
        {"enqueue": {"x": 1}},
        {"enqueue": [{}]},
        {"stage": {"budget": 3}},
        {"stage": [{"budget": 3, "space": {"x": {}}}]},
        {"stage": [{"budget": 3, "space": {"x": {"step": 1}}}]},
        {"stage": [{"budget": 3, "free": []}]},
        {"stage": [{"budget": 3, "free": ["x", "x"]}]},
        {"stage": [{"budget": 0}]},
        {"early_stopping": {"min_steps": 2}},
        {"early_stopping": [{"rule": "asha"}]},
        {"fidelity": {"low": 3}},
    ],
)
def test_tables_that_cannot_be(damage: dict[str, Any]) -> None:
    tables = {"study": {"objective": "branin"}, "space": {"x": LEAST["float"]}} | damage
    assert not accepted(lambda value: study_of(value, "", ROOT, "x"), tables)
    assert not WHOLE.is_valid(tables)


SOUND: dict[str, Any] = {
    "study": {
        "name": "digits",
        "objective": "train.py:objective",
        "direction": "minimize",
        "budget": 90,
        "time_limit": "1h30m",
        "trial_memory": "4G",
        "gpus_per_worker": "1/2",
        "method": "gp",
        "acquisition": "ucb",
        "kappa": 2.5,
        "constraints": ["lr < 0.5"],
        "forbid": [{"layers": [1, 2], "size": "l"}],
        "warm_start": ["runs/old"],
    },
    "early_stopping": {"rule": "hyperband", "min_steps": 2, "max_steps": 81, "eta": 3},
    "enqueue": [{"lr": 0.01}, {"size": "m", "layers": 2}],
    "stage": [
        {"budget": 20, "free": ["lr"], "fixed": {"layers": 2}},
        {"budget": 9, "shrink": 0.5, "space": {"size": {"choices": ["m", "l"]}}},
    ],
    "space": {
        "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True, "likely": 0.1, "sure": "very"},
        "layers": {"type": "int", "low": 1, "high": 9, "grid": 3, "likely": 2},
        "size": {"type": "ordinal", "choices": ["s", "m", "l"], "likely": "m"},
        "flag": {"type": "bool", "when": [{"layers": ">= 2"}, {"size": ["s", "m"]}], "likely": True},
        "kind": {"type": "constant", "value": "cosine"},
    },
}


def places(tree: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [path for key in keys for path in ((*above, key), *places(tree[key], (*above, key)))]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_the_schema_refuses_the_reader_refuses(data: st.DataObject) -> None:
    tables = copy.deepcopy(SOUND)
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(tables)))
        above = tables
        for key in path[:-1]:
            above = above[key]
        if isinstance(above, dict) and data.draw(st.booleans()):
            del above[path[-1]]
        else:
            above[path[-1]] = copy.deepcopy(data.draw(st.sampled_from(POOL)))
    if not WHOLE.is_valid(tables):
        assert not accepted(lambda value: study_of(value, "", ROOT, "x"), tables)


def test_the_sound_study_is_sound() -> None:
    assert accepted(lambda value: study_of(value, "", ROOT, "x"), SOUND)
    assert WHOLE.is_valid(SOUND)

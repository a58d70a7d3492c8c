"""The JSON Schema of study files, by which editors complete and check them, made of the rules by which they are read.

It refuses what is wrong with single keys: their names, types, words and ranges. What keys mean to each other is told by
``reverie check`` alone, but for what a study, a parameter and a rule of early stopping cannot do without. What the
schema refuses, the reader refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from utilities.budgets import Fidelity
from utilities.conditional import Wanted
from utilities.parameters import KINDS
from utilities.stopping_rule import Settings
from utilities.storage import early_stopping_table, stage_tables
from utilities.storage.fidelity_table import FIDELITY
from utilities.storage.rules import Rule
from utilities.storage.space_file import KEY as CONFIGSPACE
from utilities.storage.study import Study
from utilities.storage.study_rules import RULES
from utilities.storage.tables import SCHEMA_KEY

Schema: TypeAlias = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The draft that editors of TOML and of JSON read alike."""

_INNER = ("items", "additionalProperties")
_VALUE = {"type": ["boolean", "number", "string"]}
_CHOICES = {"type": "array", "minItems": 1, "items": _VALUE}


def study_schema() -> Schema:
    """Make the schema of a study file, in the words of draft-07."""
    tables = {
        "study": ("What to optimise, and for how long", _of_study()),
        "space": ("The parameters, a table for each", _of_space()),
        "enqueue": (
            "Configurations, whole or in part, that are evaluated first",
            _list_of({"type": "object", "minProperties": 1, "additionalProperties": _VALUE}),
        ),
        stage_tables.TABLE: (
            "Stages of the search, from coarse to fine",
            _list_of(_of_stage()),
        ),
        early_stopping_table.TABLE: ("A rule by which trials are ended early", _of_early_stopping()),
        FIDELITY: ("Trials begin with a small budget, and the best are promoted to larger ones", _of_fidelity()),
        SCHEMA_KEY: ("Where this schema lies, for editors", {"type": "string"}),
    }
    properties = {name: {"description": what} | schema for name, (what, schema) in tables.items()}
    return {
        "$schema": DRAFT,
        "title": "Study file of Reverie",
        **_table(properties, required=("study", "space")),
        "definitions": {"parameter": _of_parameter()},
    }


def _table(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    """Schema of a table with these keys and no others."""
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": dict(properties), **needed, "additionalProperties": False}


def _list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


# --- keys -------------------------------------------------------------------------------------------------------------


def _of_rules(rules: Mapping[str, Rule], defaults: Mapping[str, Any]) -> dict[str, Schema]:
    """Schemas of keys by name; a default that is None is told in the sentence, if at all."""
    found: dict[str, Schema] = {}
    for key, rule in rules.items():
        schema = {"description": rule.what} | _merged(msgspec.json.schema(rule.kind)) | dict(rule.limits)
        if "enum" in schema and "null" in schema["type"]:
            schema["enum"] = [*schema["enum"], None]
        found[key] = schema | ({} if defaults.get(key) is None else {"default": defaults[key]})
    return found


def _defaults(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Defaults of the fields of a struct that have one."""
    defaults = struct.__struct_defaults__
    pairs = zip(struct.__struct_fields__[-len(defaults) :], defaults, strict=True)
    return {name: default for name, default in pairs if default is not msgspec.NODEFAULT}


def _fields(struct: type[msgspec.Struct]) -> Schema:
    """Schema of the table that a struct is read from: ``properties`` and ``required``."""
    _, components = msgspec.json.schema_components([struct], ref_template="{name}")
    found: Schema = components[struct.__name__]
    return found | {"properties": {key: _merged(field) for key, field in found["properties"].items()}}


def _merged(schema: Any) -> Any:
    """Schema with a list of types in place of ``anyOf``: what else is said holds for values of one of them alone."""
    if not isinstance(schema, Mapping):
        return schema
    found = {word: _merged(value) if word in _INNER else value for word, value in schema.items() if word != "anyOf"}
    kinds = [_merged(kind) for kind in schema.get("anyOf", ())]
    if kinds:
        names = {kind["type"] for kind in kinds}
        found["type"] = sorted(names - ({"integer"} if "number" in names else set()))
        for kind in kinds:
            found |= {word: value for word, value in kind.items() if word != "type"}
    if found.get("default") in (None, {}):
        found.pop("default", None)
    return found


# --- tables -----------------------------------------------------------------------------------------------------------


def _of_study() -> Schema:
    keys = _of_rules(RULES, _defaults(Study))
    keys["forbid"]["items"] = _merged(msgspec.json.schema(Wanted)) | {"minProperties": 1}
    is_command = {"required": ["command"], "properties": {"command": {"type": "array"}}}
    return {
        **_table(keys),
        "if": is_command,
        "then": {"properties": {"objective": {"type": "null"}}},
        "else": {"required": ["objective"]},
    }


def _of_space() -> Schema:
    parameter = {"$ref": "#/definitions/parameter"}
    file = {"type": "string", "description": "File of a space that ConfigSpace wrote, in place of all parameters"}
    return {
        "type": "object",
        "minProperties": 1,
        "properties": {CONFIGSPACE: {"anyOf": [file, parameter]}},
        "additionalProperties": parameter,
    }


def _of_parameter() -> Schema:
    """Schema of a parameter: all keys of all types, and beside them what is of each type alone."""
    kinds = {name: _fields(kind) for name, kind in KINDS.items()}
    keys: dict[str, list[Schema]] = {}
    for kind in kinds.values():
        for key, schema in kind["properties"].items():
            keys.setdefault(key, []).append(schema)
    shared = {key: _shared(schemas) for key, schemas in keys.items()}
    shared["type"] = {"description": "What values there are", "enum": list(kinds)}
    cases: dict[str, Schema] = {}
    for name, kind in kinds.items():
        own = {key: schema for key, schema in kind["properties"].items() if schema != shared[key] and key != "type"}
        cases[name] = _only(kind["properties"], kind["required"]) | ({"properties": own} if own else {})
    return _table(shared, required=("type",)) | _by("type", cases)


def _shared(schemas: list[Schema]) -> Schema:
    """What all of them say."""
    return {word: value for word, value in schemas[0].items() if all(other.get(word) == value for other in schemas)}


def _only(known: Iterable[str], required: Iterable[str]) -> Schema:
    """Schema of a table that has no other keys, and that has all that are required."""
    return {"propertyNames": {"enum": list(known)}, "required": list(required)}


def _by(key: str, cases: Mapping[str, Schema]) -> Schema:
    """What a table must keep besides, by the value of one of its keys.

    One case stands in the ``else`` of another: beside an ``allOf`` taplo completes no key.
    """
    found: Schema = {}
    for value, schema in list(cases.items())[::-1]:
        condition = {"properties": {key: {"const": value}}, "required": [key]}
        found = {"if": condition, "then": schema, **({"else": found} if found else {})}
    return found


def _of_stage() -> Schema:
    keys = _of_rules(stage_tables.RULES, {})
    limit = _table({"low": {"type": "number"}, "high": {"type": "number"}, "choices": _CHOICES})
    keys["space"]["additionalProperties"] = limit | {"minProperties": 1}
    keys["fixed"]["additionalProperties"] = _VALUE
    return _table(keys)


def _of_early_stopping() -> Schema:
    keys = _of_rules(early_stopping_table.RULES, _defaults(Settings))
    cases: dict[str, Schema] = {}
    for rule, own in early_stopping_table.OF_RULE.items():
        needed = ("rule", "max_steps") if rule == "hyperband" else ("rule",)
        cases[rule] = _only((*early_stopping_table.OF_ALL, *own), needed)
    cases["threshold"]["anyOf"] = [{"required": [key]} for key in early_stopping_table.OF_RULE["threshold"]]
    return _table(keys, required=("rule",)) | _by("rule", cases)


def _of_fidelity() -> Schema:
    fields = _fields(Fidelity)
    return _table(fields["properties"], fields["required"])

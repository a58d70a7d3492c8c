"""Write the list of a study file's keys that is made of its JSON Schema.

python docs/site/key_reference.py          docs/reference/study-file-keys.md
"""

from __future__ import annotations

import json
from pathlib import Path

from utilities.storage.study_schema import Schema, study_schema

PAGE = Path(__file__).resolve().parent.parent / "reference" / "study-file-keys.md"

_HEAD = """\
# Keys of a study file

Made of the schema that [`reverie schema`](../commands.md#reverie-schema) prints. What the keys do, with examples, is in
[study-file.md](../study-file.md).
"""
_BY_NAME = "A key is the name of a parameter, with a value that it can have.\n"
_TITLES = {
    "study": "[study]",
    "space": "[space.NAME]",
    "enqueue": "[[enqueue]]",
    "stage": "[[stage]]",
    "early_stopping": "[early_stopping]",
    "fidelity": "[fidelity]",
}
_WORDS = {
    "array": "list",
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "object": "table",
    "string": "text",
}
_MANY = {"boolean": "booleans", "number": "numbers", "object": "tables", "string": "text"}
_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def page() -> str:
    """Text of the page."""
    schema = study_schema()
    parts = [_HEAD]
    for name, title in _TITLES.items():
        table = schema["properties"][name]
        keys = schema["definitions"]["parameter"] if name == "space" else table.get("items", table)
        parts.append(f"## `{title}`\n\n{table['description']}.\n")
        parts.append(_table(keys) if "properties" in keys else _BY_NAME)
    return "\n".join(parts)


def _table(table: Schema) -> str:
    """Rows of all keys of a table; with cases, such as types of parameters, of which of them each is."""
    cases, by = _cases(table), ""
    if cases:
        by = f" `{table['if']['required'][0]}` |"
    lines = [f"| key |{by} what it is | value | default |", f"|---|{'---|' * bool(cases)}---|---|---|"]
    for key, schema in table["properties"].items():
        own = {case: then for case, then in cases.items() if key in then["propertyNames"]["enum"]}
        of = f" {'all' if len(own) == len(cases) else ', '.join(own)} |" if cases else ""
        needed = key in table.get("required", ()) or [case for case, then in own.items() if key in then["required"]]
        value = _values(schema, {case: then.get("properties", {}).get(key, schema) for case, then in own.items()})
        lines.append(f"| `{key}` |{of} {schema['description']} | {value} | {_default(schema, needed, own)} |")
    return "\n".join(lines) + "\n"


def _cases(table: Schema) -> dict[str, Schema]:
    """What a table keeps besides, by the value of one of its keys."""
    found = {}
    while "if" in table and "propertyNames" in table["then"]:
        ((_, case),) = table["if"]["properties"].items()
        found[case["const"]] = table["then"]
        table = table.get("else", {})
    return found


def _default(schema: Schema, needed: bool | list[str], cases: Schema) -> str:
    """Default of a key, or where there is none because it must be there: everywhere, or in some cases."""
    if needed is True or (needed and len(needed) == len(cases)):
        return "needed"
    if needed:
        return f"needed of {', '.join(needed)}"
    return _code(schema["default"]) if "default" in schema else ""


def _values(schema: Schema, cases: dict[str, Schema]) -> str:
    """Type and range of a key, of each case where they differ."""
    told = {case: _value(own) for case, own in cases.items()} or {"": _value(schema)}
    first = next(iter(told.values()))
    return first if set(told.values()) == {first} else "; ".join(f"{case}: {value}" for case, value in told.items())


def _value(schema: Schema) -> str:
    """Type and range in words."""
    if "enum" in schema:
        return ", ".join(_code(word) for word in schema["enum"] if word is not None)
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    bounds = [f"{told} {_number(schema[word])}" for word, told in _BOUNDS.items() if word in schema]
    number = " ".join(["", *" and ".join(bounds).split()])
    words = {"array": _list(schema), "integer": f"integer{number}", "number": f"number{number}"}
    return ", or ".join(words.get(kind, _WORDS[kind]) for kind in types if kind != "null")


def _list(schema: Schema) -> str:
    items, least = schema.get("items", {}), schema.get("minItems")
    types = items.get("type", [])
    words = [_MANY[kind] for kind in ([types] if isinstance(types, str) else types)]
    of = _value(items) if "enum" in items else " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
    return (f"list of {of}" if of else "list") + (f", {least} or more" if least else "")


def _number(value: float) -> str:
    return "2^53" if abs(value) == 2**53 and value > 0 else "-2^53" if abs(value) == 2**53 else f"{value:,}"


def _code(value: object) -> str:
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

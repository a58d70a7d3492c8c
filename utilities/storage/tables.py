"""TOML or JSON text into plain tables, with the line or the key of whatever cannot be read."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from utilities.errors import StudyError, nearest

SUFFIXES = (".toml", ".json")
SCHEMA_KEY = "$schema"
"""By this key, text, editors find the schema of a file; it says nothing of the study."""

LARGEST = 2**63 - 1
"""Largest size of an integer that a table may hold: what fits into 64 bits."""


def show(value: object) -> str:
    """`value` as a study file spells it, cut to a readable length."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 100 else text[:97] + "..."


def as_table(value: Any, here: str) -> Mapping[str, Any]:
    """See that what a file has under a table's name is one; `here` names it.

    Raises
    ------
    StudyError
        It is none.
    """
    if not isinstance(value, Mapping):
        raise StudyError(f"{here} must be a table; got {show(value)}")
    return value


def read_tables(path: Path) -> Any:
    """Read a ``.toml`` or ``.json`` file: a dict, unless it is JSON of something else. SCHEMA_KEY is left out.

    Raises
    ------
    StudyError
        The file cannot be read, is not UTF-8, breaks the syntax, repeats a key, or holds a NaN, an infinity, an
        integer beyond 64 bits or half of a surrogate pair, none of which reach the journal and come back.
    """
    source = str(path)
    tables = _parse(_read_text(path), path.suffix, source)
    _check_leaves(tables, source)
    if isinstance(tables, dict) and isinstance(tables.get(SCHEMA_KEY), str):
        del tables[SCHEMA_KEY]
    return tables


def _read_text(path: Path) -> str:
    if path.suffix not in SUFFIXES:
        raise StudyError(f"{path}: a study file must end in .toml or .json{_neighbour(path)}")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise StudyError(f"{path}: a study file must be UTF-8 text; got the byte 0x{byte:02x} in line {line}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StudyError(f"{path}: cannot read this study file: {reason}.{_neighbour(path)}") from None


def _neighbour(path: Path) -> str:
    """Hint at the study file in the same folder with the nearest name."""
    try:
        return nearest(path.name, [file.name for file in path.parent.iterdir() if file.suffix in SUFFIXES])
    except (OSError, ValueError):
        return ""


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f"the key {show(key)} must not be given twice in one object")
        table[key] = value
    return table


def _parse(text: str, suffix: str, source: str) -> Any:
    try:
        return tomllib.loads(text) if suffix == ".toml" else json.loads(text, object_pairs_hook=_no_repeats)
    except RecursionError:
        raise StudyError(f"{source}: nested too deeply for a study file") from None
    except ValueError as error:
        raise StudyError(f"{source}: not valid {suffix[1:].upper()}: {error}") from None


def _leaves(tree: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every key and every value that is no table or list, each with its path."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), tree)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, dict):
            for key, child in node.items():
                yield path, key
                stack.append(((*path, key), child))
        elif isinstance(node, list):
            stack.extend(((*path, i), child) for i, child in enumerate(node))
        else:
            yield path, node


def _place(path: tuple[str | int, ...]) -> str:
    """``[space.lr] choices[2]`` for the path to it."""
    tables = 2 if path[:1] == ("space",) else 1
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[tables:]).lstrip(".")
    return f"[{'.'.join(map(str, path[:tables]))}] {key}".strip()


def _check_leaves(tree: Any, source: str) -> None:
    for path, value in _leaves(tree):
        if isinstance(value, float) and not math.isfinite(value):
            raise StudyError(f"{source}: {_place(path)} must be a finite number; got {value}")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise StudyError(f"{source}: {_place(path)} must be below 2^63 in size; got {show(value)}")
        if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
            rule = "must not hold half of a surrogate pair"
            raise StudyError(f"{source}: {_place(path)!a} {rule}; got {value!a}")

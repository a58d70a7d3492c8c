"""Keys and values as TOML 1.0 spells them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from utilities.trial import Value

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_key(name: str) -> str:
    """`name` as a key, quoted where it must be."""
    return name if _BARE.fullmatch(name) else toml_value(name)


def toml_value(value: Value | Sequence[Value]) -> str:
    """A value, or a list of values, on one line; text is a basic string."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)
    return f"[{', '.join(map(toml_value, value))}]"

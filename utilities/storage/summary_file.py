"""The file summary.json of a run folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from utilities.storage.atomic import replace_file
from utilities.storage.disk import writing


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Replace the file; numbers that are not finite are null in it.

    Raises
    ------
    DiskError, OSError
        The disk takes no more for now, or the folder cannot be written; the old file is as it was.
    """
    text = json.dumps(_finite(summary), indent=2, ensure_ascii=False, allow_nan=False)
    with writing(path, "the summary"):
        replace_file(path, text.encode("utf-8", "backslashreplace") + b"\n")


def _finite(value: Any) -> Any:
    """`value` with None for every float that is not finite."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

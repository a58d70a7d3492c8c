"""A study file as `reverie init` writes it: each key and each range with a comment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reverie.drafting.ranges import Draft
from utilities.storage.toml_text import toml_key, toml_value

SCHEMA_FILE = "study.schema.json"
"""Name of the file beside a study file that tells editors its keys."""

_COLUMN = 44


def study_text(subject: str | list[str], drafts: Sequence[Draft], limit: int | str, space_note: str = "") -> str:
    """Text of a study file.

    Parameters
    ----------
    subject
        ``train.py:objective``, or the words of a command.
    drafts
        The parameters.
    limit
        Trials, or a duration such as ``8h``.
    space_note
        Comment above the space.
    """
    key = "objective" if isinstance(subject, str) else "command"
    what = "file and function, which gets the configuration" if key == "objective" else "{name} stands for a value"
    lines = [
        f"#:schema ./{SCHEMA_FILE}",
        "# Written by `reverie init`. Next: `reverie check` evaluates one configuration, `reverie run` tunes,",
        "# alone in one process, under mpiexec on as many ranks as there are.",
        "",
        "[study]",
        _commented(f"{key} = {toml_value(subject)}", what),
        _commented('direction = "minimize"', 'or "maximize"'),
        *_limits(limit),
        _commented('# trial_timeout = "10m"', "end a trial that takes longer, as failed"),
        _commented('# trial_memory = "8G"', "end a trial that takes more, as failed"),
        _commented("# keep_best = 5", "keep what the five best trials saved, and nothing else"),
        _commented("# gpus_per_worker = 1", "each worker's trials see a GPU of their own"),
        "",
    ]
    if space_note:
        lines += [f"# {space_note}", ""]
    for draft in drafts:
        lines += [*_parameter(draft), ""]
    return "\n".join([*lines, *_defaults(drafts)]).rstrip() + "\n"


def _limits(limit: int | str) -> list[str]:
    if isinstance(limit, int):
        return [
            _commented(f"budget = {limit}", "trials in all; a larger one continues the study later"),
            _commented('# time_limit = "8h"', "of one run; the same command again continues it"),
        ]
    return [
        _commented("# budget = 100", "trials in all"),
        _commented(f"time_limit = {toml_value(limit)}", "of one run; the same command again continues it"),
    ]


def _parameter(draft: Draft) -> list[str]:
    head = f"[space.{toml_key(draft.name)}]"
    lines = [_commented(head, draft.why) if draft.why else head]
    return [*lines, *(f"{key} = {_value(value)}" for key, value in draft.table.items())]


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml_key(key)} = {toml_value(own)}" for key, own in value.items()) + " }"
    return toml_value(value)


def _defaults(drafts: Sequence[Draft]) -> list[str]:
    known = [draft for draft in drafts if draft.default is not None]
    if not known:
        return []
    return [
        _commented("[[enqueue]]", "the defaults come first, to compare with"),
        *(f"{toml_key(draft.name)} = {toml_value(draft.default)}" for draft in known if draft.default is not None),
    ]


def _commented(text: str, comment: str) -> str:
    return f"{text:<{_COLUMN}} # {comment}" if len(text) < _COLUMN else f"# {comment}\n{text}"


def relative(path: Path, folder: Path) -> str:
    """`path` as a study file in `folder` names it."""
    path, folder = path.absolute(), folder.absolute()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)

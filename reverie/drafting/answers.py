"""What a user answers to the three questions, as text: what is tuned, what may vary, and for how long."""

from __future__ import annotations

import re
import shlex

from learning_objective.command import TemplateError, placeholders
from reverie.drafting.ranges import Draft, around, by_name, choices
from utilities.errors import StudyError, quoted
from utilities.storage.rules import integer
from utilities.storage.study_rules import parse_duration
from utilities.trial import Value

_ENTRY = re.compile(r"\s*([^\s=,]+)\s*=\s*(.+?)\s*")
_LOG = re.compile(r"\s+log(arithmic)?$")
EXAMPLE = "lr=1e-5..0.1 log, width=16..512, activation=relu|tanh, dropout=0.1"


def read_vary(text: str) -> list[Draft]:
    """Read what may vary: ``name=low..high``, with ``log`` behind it, ``name=a|b|c``, ``name=default`` or ``name``.

    Raises
    ------
    StudyError
        An entry is none of these, or a name comes twice.
    """
    drafts: list[Draft] = []
    for entry in filter(None, map(str.strip, text.split(","))):
        match = _ENTRY.fullmatch(entry)
        if match is None and re.search(r"[\s=]", entry):
            raise StudyError(f"what may vary must be like {EXAMPLE}; got {quoted(entry)}")
        draft = by_name(entry) if match is None else _draft(match[1], match[2])
        if any(draft.name == other.name for other in drafts):
            raise StudyError(f"what may vary must name each parameter once; got {quoted(draft.name)} twice")
        drafts.append(draft)
    if not drafts:
        raise StudyError(f"what may vary must name a parameter, as in {EXAMPLE}; got {quoted(text)}")
    return drafts


def _draft(name: str, text: str) -> Draft:
    log = _LOG.search(text) is not None
    text = _LOG.sub("", text)
    if ".." in text:
        low, _, high = text.partition("..")
        ends = [end for end in (_value(low), _value(high)) if not isinstance(end, bool | str)]
        if len(ends) < 2:
            raise StudyError(f"a range must be like 1e-5..0.1 or 8..512; got {quoted(f'{name}={text}')}")
        whole = all(isinstance(end, int) for end in ends)
        first, last = ends if whole else map(float, ends)
        table = {"type": "int" if whole else "float", "low": first, "high": last}
        return Draft(name, table | ({"log": True} if log else {}))
    if "|" in text:
        return choices(name, [_value(part) for part in text.split("|")])
    return around(name, _value(text))


def _value(text: str) -> Value:
    """Integer, float, boolean or text that `text` says."""
    text = text.strip().strip("'\"")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text == "true" if text.lower() in ("true", "false") else text


def read_limit(text: str) -> int | str:
    """Read for how long: a number of trials, or a duration as it stands.

    Raises
    ------
    StudyError
        It is neither.
    """
    text = text.strip()
    if text.removeprefix("-").isdecimal():
        return integer(text, "how long", 1)
    try:
        if parse_duration(text, "") > 0:
            return text
    except StudyError:
        pass
    raise StudyError(f'how long must be trials such as 100, or a duration such as "8h" or "1h30m"; got {quoted(text)}')


def read_command(text: str) -> tuple[list[str], list[str]]:
    """Words of a command, and the names of the parameters that its placeholders stand for.

    Raises
    ------
    StudyError
        The quotes or the braces in it do not match.
    """
    try:
        words = shlex.split(text)
        names = [name for word in words for name in placeholders(word)]
    except (ValueError, TemplateError) as error:
        raise StudyError(f"a command must be like python train.py --lr {{lr}}; got {quoted(text)}: {error}") from None
    return words, list(dict.fromkeys(names))

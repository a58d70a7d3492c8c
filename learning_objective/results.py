"""What an objective returned, raised or printed, read into a number or a reason.

Standard library only: the child process imports this file.
"""

from __future__ import annotations

import json
import math
import os
import signal
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from types import TracebackType
from typing import Any, TypeAlias

from .trial_handle import TrialHandle

Objective: TypeAlias = "Callable[[dict[str, Any], TrialHandle], object]"
"""An objective made ready to be called: always with both arguments."""

OUTPUT_FILE = "output.log"
"""Name, in a trial's folder, of the file of what the objective printed."""


def output_file(rank: int) -> str:
    """Name of that file for a rank of a worker of several: the first one's is `OUTPUT_FILE`."""
    stem, dot, ending = OUTPUT_FILE.partition(".")
    return OUTPUT_FILE if rank == 0 else f"{stem}-{rank}{dot}{ending}"


TAIL_BYTES = 4096
"""How much of its output's end a failed trial quotes."""

_TRACEBACK_CHARACTERS = 8000
_REASON_CHARACTERS = 1000
_NAME_CHARACTERS = 200
_MOST_METRICS = 1000
_MOST_NAMED = 10
_MEASURED = "seconds"
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_OWN_FILES = frozenset(
    os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    for name in ("child.py", "serving.py", "together.py", "loading.py", "command.py", "results.py")
)


class ResultError(Exception):
    """The objective gave no finite number; the message is the reason, then whatever else there is to say."""


class KilledError(ResultError):
    """What evaluated the trial was killed from outside."""


@dataclass(frozen=True)
class Wanted:
    """What a result must hold beside, or in place of, the number "objective".

    Attributes
    ----------
    objectives
        Names of several objectives; none where there is one.
    metrics
        Names of the metrics that constraints are on.
    """

    objectives: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    @classmethod
    def of(cls, message: Mapping[str, Any] | None) -> Wanted:
        """As the message says it with which an objective is loaded."""
        return cls() if message is None else cls(tuple(message["objectives"] or ()), tuple(message["metrics"]))

    @property
    def names(self) -> tuple[str, ...]:
        """Keys that a result must have, each once."""
        return tuple(dict.fromkeys([*(self.objectives or ("objective",)), *self.metrics]))


NUMBER = Wanted()


@dataclass(frozen=True)
class Result:
    """How an evaluation ended.

    Attributes
    ----------
    state
        "COMPLETE", "PRUNED" or "FAIL".
    objective
        None where it failed.
    metrics
        Further finite numbers by name.
    message
        Reason of a failure, then the traceback.
    killed
        Whether what evaluated it was killed from outside.
    """

    state: str
    objective: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    message: str = ""
    killed: bool = False


def attempt(objective: Objective, config: dict[str, Any], trial: TrialHandle, wanted: Wanted = NUMBER) -> Result:
    """Evaluate, whatever happens: every exception becomes a failed result, SystemExit and KeyboardInterrupt included.

    An objective that stops early because it was asked to need not return a number: it is pruned, not failed.
    """
    try:
        returned = objective(config, trial)
        value, metrics = read_result(returned, Wanted(wanted.objectives) if trial.stop_seen else wanted)
    except ResultError as error:
        if trial.stop_seen:
            return Result("PRUNED")
        return Result("FAIL", message=str(error), killed=isinstance(error, KilledError))
    except BaseException as error:
        return Result("FAIL", message=describe(error), killed=isinstance(error, KeyboardInterrupt))
    return Result("PRUNED" if trial.stop_seen else "COMPLETE", value, metrics)


def read_result(value: object, wanted: Wanted = NUMBER) -> tuple[float | None, dict[str, float]]:
    """Objective and metrics in what an objective returned.

    Parameters
    ----------
    value
        A number (Python's, NumPy's, an array or tensor of no dimensions), or a mapping of one under "objective" and
        of metrics.
    wanted
        What it must hold. ``seconds``, which is measured, may be left out.

    Returns
    -------
    tuple
        The objective, finite (None where there are several, and none is called so), and those of the first 1,000
        metrics that are finite numbers and have names of at most 200 characters. What is left out is said on standard
        output.

    Raises
    ------
    ResultError
        Neither of these, not finite, or without what is wanted.
    """
    needed = [name for name in wanted.names if name != _MEASURED]
    if not isinstance(value, Mapping):
        if needed != ["objective"]:
            keys = " and ".join(f'"{name}"' for name in needed)
            raise ResultError(f"objective returned {_shown(value)}; a dict with {keys} is needed")
        return _finite(value), {}
    for name in wanted.names:
        if name in value:
            _finite(value[name], name)
        elif name != _MEASURED:
            keys = _listed(map(repr, value), len(value)) or "no keys"
            raise ResultError(f'objective returned a dict without "{name}" (it has {keys})')
    objective = _number(value.get("objective"))
    return objective if objective is not None and math.isfinite(objective) else None, _metrics(value, wanted)


def _metrics(value: Mapping[object, object], wanted: Wanted) -> dict[str, float]:
    first = [name for name in wanted.names if name in value and name != "objective"]
    others = (key for key in value if key != "objective" and key not in first)
    metrics = {str(key): _number(value[key]) for key in islice(chain(first, others), _MOST_METRICS)}
    short = {name: number for name, number in metrics.items() if len(name) <= _NAME_CHARACTERS}
    kept = {name: number for name, number in short.items() if number is not None and math.isfinite(number)}
    if len(value) - 1 > _MOST_METRICS:
        print(f"metrics left out, more than {_MOST_METRICS}: {len(value) - 1 - _MOST_METRICS}")
    for why, names in (
        (f"names of more than {_NAME_CHARACTERS} characters", metrics.keys() - short.keys()),
        ("not finite numbers", short.keys() - kept.keys()),
    ):
        if names:
            print(f"metrics left out, {why}:", _listed(sorted(names), len(names)))
    return kept


def _listed(names: Iterable[str], count: int) -> str:
    """The first few of `count` names."""
    shown = ", ".join(_short(name, _NAME_CHARACTERS) for name in islice(names, _MOST_NAMED))
    return shown + (f", and {count - _MOST_NAMED} more" if count > _MOST_NAMED else "")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + " [...]"


def _finite(value: object, name: str = "objective") -> float:
    number = _number(value)
    of = "" if name == "objective" else f' for "{name}"'
    if number is None:
        needed = "a number" if of else 'a number or a dict with "objective"'
        raise ResultError(f"objective returned {_shown(value)}{of}; {needed} is needed")
    if not math.isfinite(number):
        raise ResultError(f"objective returned {number}{of}")
    return number


def _number(value: Any) -> float | None:
    """`value` as a float, None where it is no number. True and "1" are none: they are slips more often than meant."""
    if isinstance(value, bool | complex | str | bytes | bytearray) or type(value).__name__.startswith("bool"):
        return None
    if getattr(value, "ndim", 0) != 0:
        return None
    try:
        return float(value)
    except Exception:
        return None


def _shown(value: object) -> str:
    if value is None:
        return "None"
    try:
        text = repr(value)
    except Exception:
        text = ""
    return f"a {_name_of(type(value))}" + (f" ({text})" if 0 < len(text) <= 60 and "\n" not in text else "")


def describe(error: BaseException) -> str:
    """Reason in one line, ``ValueError: what``, then the traceback without this project's own frames.

    Whatever the exception does when it is asked, nothing comes out of this but text.
    """
    try:
        told = traceback.TracebackException(type(error), error, _own_frames_left_out(error.__traceback__))
        text = "".join(told.format())
    except BaseException:
        text = "[its traceback cannot be shown]"
    if len(text) > _TRACEBACK_CHARACTERS:
        text = "[...]\n" + text[-_TRACEBACK_CHARACTERS:]
    return f"{reason(error)}\n{text}".rstrip()


def reason(error: BaseException) -> str:
    """One line: the exception's type and the first line of what it says."""
    try:
        text = _short(str.strip(str(error)).partition("\n")[0], _REASON_CHARACTERS)
    except BaseException:
        text = ""
    kind = _name_of(type(error))
    return f"{kind}: {text}" if text else kind


def _name_of(kind: type) -> str:
    """Name of a class, also where its metaclass has another idea of it; in one line, and of bounded length."""
    name: str = type.__dict__["__name__"].__get__(kind)
    return _short(name.partition("\n")[0], _NAME_CHARACTERS)


def _own_frames_left_out(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and _is_ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return frames


def _is_ours(filename: str) -> bool:
    return filename in _OWN_FILES or filename.startswith("<frozen importlib")


def read_last_line(line: str) -> object:
    """What the last line of a command's output says: a number, or a JSON object.

    Raises
    ------
    ResultError
        Neither.
    """
    for read in (float, json.loads):
        try:
            value = read(line)
        except ValueError:
            continue
        if isinstance(value, float | int | dict):
            return value
    shown = repr(line if len(line) <= 80 else line[:80] + "...")
    raise ResultError(f"the command's last line of output must be a number or a JSON object; got {shown}")


def ending(status: int) -> str:
    """How a process ended, from its return code: ``ended with exit status 3``, ``was killed by signal SIGSEGV``."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    return f"was killed by signal {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def within(status: int) -> int:
    """Return code of what a program ran, where its own tells it: shells end with 128 and the signal that killed it."""
    return 128 - status if from_outside(128 - status) else status


def from_outside(status: int) -> bool:
    """Whether a return code is that of a process killed by others: no fault of its own ends a process so."""
    return -status in _FROM_OUTSIDE


def tail(file: int) -> str:
    """Last lines of an open file of output, empty where there are none."""
    size = os.fstat(file).st_size
    text = os.pread(file, TAIL_BYTES, max(0, size - TAIL_BYTES)).decode("utf-8", "replace")
    if size > TAIL_BYTES:
        text = text.partition("\n")[2] or text
    return text.rstrip()


def tail_of(path: str | os.PathLike[str]) -> str:
    """Last lines of a file of output, empty where there is none."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return tail(file)
    finally:
        os.close(file)

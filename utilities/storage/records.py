"""What the journal's records are, and how each stands in a line of JSON.

A line's last key is ``crc``: the CRC-32, in 8 hex digits, of the line's bytes before ``,"crc":``.

    {"type":"started","number":3,"worker":"2@node7","time":1718000000.5,"crc":"5f1d2c3b"}

JSON knows no NaN: an objective or a metric that is not finite stands there as ``"nan"``, ``"inf"`` or ``"-inf"``.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from utilities.budgets import Budget, Fidelity
from utilities.stage_plan import Begun
from utilities.trial import Config, Instance, Outcome, Trial, TrialState

FORMAT = 3
"""Version of the journal's format that this code writes. 1 had no record `Lost`; 2 no stages, no budgets, no instances,
and none of `Begun`, `Paused`, `Promoted`, `Measured`."""

BEGINNING = b'{"type":"header",'
"""How every journal begins."""

Result = TypeVar("Result")
Number = TypeVar("Number")
Kind = TypeVar("Kind")

_StoredNumber: TypeAlias = float | Literal["nan", "inf", "-inf"]

_CRC = b',"crc":"'
_TAIL = len(_CRC) + len('01234567"}')


class Observation(msgspec.Struct, frozen=True):
    """An outcome of another study: trial `number` of that in the folder `source`, as a configuration of this space.

    `objective` is None with several of them, which are among the `metrics`; these are kept where the study needs them.
    """

    config: Config
    objective: float | None
    source: str
    number: int
    metrics: dict[str, float] = {}


class Header(msgspec.Struct, frozen=True, tag="header", kw_only=True):
    """First record: what the study is, and who began it.

    Attributes
    ----------
    name, direction, objectives, directions, metric_constraints, objective, command, seed, method, acquisition, kappa,
    constraints, forbid, stages, enqueue, warm_start
        As in the study.
    ranks_per_worker, gpus_per_worker, threads_per_worker, keep_best
        As in the study when it began.
    space
        Canonical table of the space.
    fidelity
        The budgets with which trials are evaluated; None where there are none.
    instances
        What each trial is evaluated on, a part each; None where a trial is one evaluation.
    folder
        Folder of the study file; empty in journals of older versions.
    observed
        What the studies of `warm_start` had observed: they are not read again.
    created
        Seconds since the epoch.
    versions
        Version of each package by name.
    format
        Version of the journal's format.
    """

    name: str
    direction: str
    objectives: list[str] | None = None
    directions: list[str] | None = None
    metric_constraints: list[str] | None = None
    objective: str | None
    command: list[str] | None
    space: dict[str, Any]
    seed: int
    method: str
    acquisition: str | None = None
    kappa: float | None = None
    constraints: list[str] | None = None
    forbid: list[dict[str, Any]] | None = None
    stages: list[dict[str, Any]] = []
    enqueue: list[dict[str, Any]] = []
    warm_start: list[str] | None = None
    fidelity: Fidelity | None = None
    instances: list[Instance] | None = None
    folder: str = ""
    observed: list[Observation] = []
    ranks_per_worker: int = 1
    gpus_per_worker: float | None = None
    threads_per_worker: int | None = None
    keep_best: int | None = None
    created: float
    versions: dict[str, str]
    format: int = FORMAT


class SessionStart(msgspec.Struct, frozen=True, tag="session", kw_only=True):
    """A run that begins or continues the study: its start in seconds since the epoch, size, host and settings.

    `study` is all of it, as a study file has it, with which the run goes by; `folder` is what relative paths in it are
    relative to, `source` its file or the name of a benchmark. Journals of older versions lack them.
    """

    time: float
    ranks: int
    host: str
    budget: int | None
    method: str
    seed: int
    acquisition: str | None = None
    kappa: float | None = None
    constraints: list[str] | None = None
    forbid: list[dict[str, Any]] | None = None
    stages: list[dict[str, Any]] = []
    metric_constraints: list[str] | None = None
    ranks_per_worker: int = 1
    gpus_per_worker: float | None = None
    threads_per_worker: int | None = None
    keep_best: int | None = None
    study: dict[str, Any] | None = None
    folder: str = ""
    source: str = ""


class Asked(msgspec.Struct, frozen=True, tag="asked"):
    """A trial was proposed, by `origin`."""

    trial: Trial
    origin: str


class Started(msgspec.Struct, frozen=True, tag="started", omit_defaults=True):
    """A worker began to evaluate a trial, or a part of it, at `time` in seconds since the epoch."""

    number: int
    worker: str
    time: float
    part: int | None = None


class _Reported(msgspec.Struct, Generic[Number], frozen=True, tag="reported", omit_defaults=True):
    number: int
    step: int
    value: Number
    time: float
    part: int | None = None


class Reported(_Reported[float], frozen=True, tag="reported"):
    """A trial, or a part of it, reported an intermediate value, at `time` in seconds since the epoch."""


class Lost(msgspec.Struct, frozen=True, tag="lost", omit_defaults=True):
    """An evaluation came to nothing by no fault of the trial, at `time` in seconds since the epoch: it waits again.

    `reason` says why: the worker was lost, the process killed.
    """

    number: int
    worker: str
    reason: str
    time: float
    part: int | None = None


class _Measured(msgspec.Struct, Generic[Result], frozen=True, tag="measured"):
    number: int
    part: int
    outcome: Result
    worker: str
    started: float
    completed: float


class Measured(_Measured[Outcome], frozen=True, tag="measured"):
    """A trial was evaluated on an instance, its `part`; `started` and `completed` in seconds since the epoch."""


class _Paused(msgspec.Struct, Generic[Result], frozen=True, tag="paused"):
    number: int
    budget: Budget
    outcome: Result
    worker: str
    started: float | None
    completed: float


class Paused(_Paused[Outcome], frozen=True, tag="paused"):
    """A trial was evaluated with less than the full budget, and waits; times in seconds since the epoch."""


class Promoted(msgspec.Struct, frozen=True, tag="promoted"):
    """A paused trial goes on from the budget `previous` to `budget`."""

    number: int
    budget: Budget
    previous: Budget


class _Finished(msgspec.Struct, Generic[Result], frozen=True, tag="finished"):
    number: int
    outcome: Result
    worker: str
    started: float | None
    completed: float


class Finished(_Finished[Outcome], frozen=True, tag="finished"):
    """A trial ended; `started` and `completed` in seconds since the epoch."""


Record: TypeAlias = (
    Header | SessionStart | Begun | Asked | Started | Reported | Lost | Measured | Paused | Promoted | Finished
)


class _StoredOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    state: TrialState
    objective: _StoredNumber | None
    metrics: dict[str, _StoredNumber]
    seconds: float
    message: str
    standard_error: float | None = None


class _Beginning(msgspec.Struct, frozen=True):
    type: str = ""
    format: int = 0


_Stored: TypeAlias = (
    Header
    | SessionStart
    | Begun
    | Asked
    | Started
    | _Reported[_StoredNumber]
    | Lost
    | _Measured[_StoredOutcome]
    | _Paused[_StoredOutcome]
    | Promoted
    | _Finished[_StoredOutcome]
)
_decoder: msgspec.json.Decoder[_Stored] = msgspec.json.Decoder(_Stored)


def encode_record(record: Record) -> bytes:
    """Line of the journal for `record`, with its newline.

    Raises
    ------
    ValueError, TypeError
        The record holds what would not come back from JSON: a NaN outside of the outcome, a foreign type of number.
    """
    body = msgspec.json.encode(_store(record))
    _decoder.decode(body)
    return b'%b%b%08x"}\n' % (body[:-1], _CRC, zlib.crc32(body[:-1]))


def decode_record(body: bytes) -> Record:
    """Record of an intact line's `body`.

    Raises
    ------
    ValueError
        A type of record, or a field, that this version does not know.
    """
    return _restore(_decoder.decode(body))


def intact(line: bytes) -> bytes | None:
    """JSON of the record in `line` without its checksum; None where the line is damaged."""
    text = line.removesuffix(b"\n")
    body = text[:-_TAIL]
    return body + b"}" if text[-_TAIL:] == b'%b%08x"}' % (_CRC, zlib.crc32(body)) else None


def format_of(body: bytes) -> int | None:
    """Format that a journal's first record names, of whatever version; None where it is no header."""
    try:
        beginning = msgspec.json.decode(body, type=_Beginning)
    except msgspec.MsgspecError:
        return None
    return beginning.format if beginning.type == "header" else None


def _store(record: Record) -> _Stored:
    if isinstance(record, Reported):
        return _Reported(record.number, record.step, _store_number(record.value), record.time, record.part)
    if isinstance(record, Finished):
        return _with(_Finished, record, _store_outcome(record.outcome))
    if isinstance(record, Paused):
        return _with(_Paused, record, _store_outcome(record.outcome))
    if isinstance(record, Measured):
        return _with(_Measured, record, _store_outcome(record.outcome))
    if isinstance(record, Lost):
        return msgspec.structs.replace(record, reason=_printable(record.reason))
    return record


def _with(kind: Callable[..., Kind], record: msgspec.Struct, outcome: Outcome | _StoredOutcome) -> Kind:
    """A record of that kind with the fields of another, but for its outcome."""
    values = list(msgspec.structs.astuple(record))
    values[record.__struct_fields__.index("outcome")] = outcome
    return kind(*values)


def _store_outcome(outcome: Outcome) -> _StoredOutcome:
    return _StoredOutcome(
        outcome.state,
        None if outcome.objective is None else _store_number(outcome.objective),
        {_printable(name): _store_number(value) for name, value in outcome.metrics.items()},
        outcome.seconds,
        _printable(outcome.message),
        outcome.standard_error,
    )


def _store_number(value: float) -> _StoredNumber:
    if math.isfinite(value):
        return float(value)
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _printable(text: str) -> str:
    """`text`, with bytes that its program wrote outside of UTF-8 spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _restore(stored: _Stored) -> Record:
    if isinstance(stored, _Reported):
        return Reported(stored.number, stored.step, float(stored.value), stored.time, stored.part)
    if isinstance(stored, _Finished):
        return _with(Finished, stored, _restore_outcome(stored.outcome))
    if isinstance(stored, _Paused):
        return _with(Paused, stored, _restore_outcome(stored.outcome))
    if isinstance(stored, _Measured):
        return _with(Measured, stored, _restore_outcome(stored.outcome))
    return stored


def _restore_outcome(stored: _StoredOutcome) -> Outcome:
    metrics = {name: float(value) for name, value in stored.metrics.items()}
    objective = None if stored.objective is None else float(stored.objective)
    return Outcome(stored.state, objective, metrics, stored.seconds, stored.message, stored.standard_error)

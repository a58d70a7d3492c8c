"""The protocol of a parallel run: roles, tags, messages.

| message  | from -> to        | carries                                                       |
|----------|-------------------|---------------------------------------------------------------|
| READY    | rank -> master    | host, place among the ranks of that host, process id, GPUs    |
| START    | master -> rank    | its role, and what it needs for that                          |
| EVALUATE | master -> worker  | trial; the first of several ranks tells the others            |
| REPORT   | worker -> master  | trial number, step, value                                     |
| STOP     | master -> worker  | trial number: end it early                                    |
| RECALL   | master -> worker  | trial number: do not begin it                                 |
| RETURNED | worker -> master  | trial number: it was not begun                                |
| DONE     | worker -> master  | trial number, outcome; other ranks tell the first             |
| CANCEL   | first -> others   | trial number: it failed on another rank of the worker         |
| FIT      | master -> trainer | kind of surrogate, rows that the trainer does not have yet    |
| FITTED   | trainer -> master | parameters                                                    |
| EXIT     | master -> rank    | exit status; the rank answers EXIT and ends. The first rank   |
|          |                   | of a worker passes it on and is answered, too                 |

A worker may get an EVALUATE while it evaluates: it holds that trial and begins it as soon as it is done with those
before.

Messages travel as MessagePack; the MPI tag tells which one it is. Arrays travel as bytes with a shape, so that ranks
which need no numerics never import numpy.
"""

from __future__ import annotations

import time
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, get_args

import msgspec

from learning_objective.meeting import Meeting, Place
from learning_objective.objective_spec import ObjectiveSpec
from utilities.devices import Devices
from utilities.trial import Outcome, Trial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MASTER = 0

FINISHED, USER_ERROR, NONE_SUCCEEDED, RESUMABLE = 0, 2, 3, 75
"""Exit statuses."""

_SHORTEST_NAP, _MIDDLE_NAP, LONGEST_NAP = 1e-5, 1e-3, 1e-2
_SHARE_OF_QUIET = 0.01


class Tag(IntEnum):
    """MPI tag of each message."""

    READY = 1
    START = 2
    EVALUATE = 3
    REPORT = 4
    STOP = 5
    DONE = 6
    FIT = 7
    FITTED = 8
    EXIT = 9
    RECALL = 10
    RETURNED = 11
    CANCEL = 12


class PackedArray(msgspec.Struct, frozen=True):
    """A float64 array on its way."""

    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def pack(cls, array: NDArray[np.float64]) -> PackedArray:
        """Take a copy of an array."""
        return cls(tuple(array.shape), array.astype("<f8").tobytes())

    def unpack(self) -> NDArray[np.float64]:
        """Give the array back."""
        import numpy as np

        return np.frombuffer(self.data, dtype="<f8").reshape(self.shape).astype(np.float64)


class Ready(msgspec.Struct, frozen=True):
    """A rank is there.

    Attributes
    ----------
    host, local_rank, pid
        Its machine, its place among the ranks there, its process.
    devices
        GPUs that it was offered; None where its environment names none and another rank of the host looks for them.
    own_devices
        Whether they are its own, though those of others there may have the same names.
    """

    tag: ClassVar[Tag] = Tag.READY
    host: str
    local_rank: int = 0
    pid: int = 0
    devices: Devices | None = None
    own_devices: bool = False


class WorkerDuty(msgspec.Struct, frozen=True, tag="worker"):
    """What a worker needs: the objective, where trials keep their files, limits.

    Attributes
    ----------
    threads
        What the study gives a worker; None for its share of the node's cores.
    devices
        The only GPUs that its trials see; None where they see what it sees.
    group, hosts
        The ranks of a worker of several, which evaluate its trials together, and the host of each. The first leads.
    place
        Which of them this is.
    """

    objective: ObjectiveSpec
    trials_folder: str
    trial_timeout: float | None = None
    trial_memory: int | None = None
    isolation: str = "process"
    threads: int | None = None
    devices: Devices | None = None
    group: tuple[int, ...] = ()
    hosts: tuple[str, ...] = ()
    place: Place | None = None

    @property
    def superior(self) -> int:
        """Rank that gives the trials and gets the outcomes."""
        leads = self.place is None or self.place.rank == 0
        return MASTER if leads else self.group[0]


class RestDuty(msgspec.Struct, frozen=True, tag="rest"):
    """Nothing to do: the worker has lost another of its ranks."""


class TrainerDuty(msgspec.Struct, frozen=True, tag="trainer"):
    """What a trainer needs: the space, which lays out the features, and the seed."""

    space: dict[str, Any]
    seed: int


class Start(msgspec.Struct, frozen=True):
    """The role of a rank."""

    tag: ClassVar[Tag] = Tag.START
    duty: WorkerDuty | TrainerDuty | RestDuty


class Evaluate(msgspec.Struct, frozen=True):
    """Evaluate a trial; where a worker has several ranks, together with those that come to the `meeting`."""

    tag: ClassVar[Tag] = Tag.EVALUATE
    trial: Trial
    meeting: Meeting | None = None


class Report(msgspec.Struct, frozen=True):
    """An intermediate value of a running trial."""

    tag: ClassVar[Tag] = Tag.REPORT
    number: int
    step: int
    value: float


class Stop(msgspec.Struct, frozen=True):
    """End a running trial early."""

    tag: ClassVar[Tag] = Tag.STOP
    number: int


class Recall(msgspec.Struct, frozen=True):
    """Give back a trial that is held; nothing is to be done where it has begun."""

    tag: ClassVar[Tag] = Tag.RECALL
    number: int


class Cancel(msgspec.Struct, frozen=True):
    """Give up a trial at once, which is answered by DONE unless it was answered already."""

    tag: ClassVar[Tag] = Tag.CANCEL
    number: int


class Returned(msgspec.Struct, frozen=True):
    """A trial was given back, not begun."""

    tag: ClassVar[Tag] = Tag.RETURNED
    number: int


class Done(msgspec.Struct, frozen=True):
    """A trial has ended.

    Attributes
    ----------
    unloadable
        The objective could not even be loaded, which no other trial will change.
    killed
        Its process was killed from outside, which is not the trial's own fault.
    peer_lost
        It failed because another rank of the worker left it.
    """

    tag: ClassVar[Tag] = Tag.DONE
    number: int
    outcome: Outcome
    unloadable: bool = False
    killed: bool = False
    peer_lost: bool = False


class Fit(msgspec.Struct, frozen=True):
    """Fit a surrogate to the rows sent so far; these follow the first `known` of them.

    Attributes
    ----------
    previous
        Parameters of the last fit, where the trainer lacks them.
    job
        Number of the refit.
    part
        Which part of the surrogate, of how many.
    variance
        Known variance of the rows' noise; None where nothing is known of any so far.
    """

    tag: ClassVar[Tag] = Tag.FIT
    kind: str
    known: int
    x: PackedArray
    y: PackedArray
    previous: dict[str, PackedArray] | None = None
    job: int = 0
    part: tuple[int, int] = (0, 1)
    variance: PackedArray | None = None


class Fitted(msgspec.Struct, frozen=True):
    """Parameters fitted to the first `count` rows, of the refit number `job`.

    Attributes
    ----------
    seconds
        That it took.
    rest
        Seconds that the cores should have for others before the next refit.
    """

    tag: ClassVar[Tag] = Tag.FITTED
    kind: str
    count: int
    parameters: dict[str, PackedArray]
    seconds: float
    job: int = 0
    rest: float = 0.0


class Exit(msgspec.Struct, frozen=True):
    """End with this status."""

    tag: ClassVar[Tag] = Tag.EXIT
    status: int = 0


Message: TypeAlias = Ready | Start | Evaluate | Report | Stop | Recall | Returned | Cancel | Done | Fit | Fitted | Exit
Letter: TypeAlias = tuple[int, Message]
"""A message and the rank it goes to, or comes from."""

_KINDS: tuple[type[Message], ...] = get_args(Message)
_ENCODER = msgspec.msgpack.Encoder()
_DECODERS: dict[int, msgspec.msgpack.Decoder[Message]] = {
    int(kind.tag): msgspec.msgpack.Decoder(kind) for kind in _KINDS
}


def encode(message: Message) -> bytes:
    """Put a message into bytes."""
    return _ENCODER.encode(message)


def decode(tag: int, data: bytes | memoryview) -> Message:
    """Take the message with `tag` out of bytes."""
    return _DECODERS[tag].decode(data)


class Backoff:
    """Naps while nothing happens, so that no rank spins and none is late by more than its share.

    They double from 10 microseconds to 1 millisecond, then grow to 1 % of the time since something happened, and to 10
    milliseconds at most.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Something happened: start with short naps again."""
        self._nap = _SHORTEST_NAP
        self._since = time.monotonic()

    def nap(self) -> None:
        """Sleep."""
        time.sleep(self._nap)
        patience = min(max(_SHARE_OF_QUIET * (time.monotonic() - self._since), _MIDDLE_NAP), LONGEST_NAP)
        self._nap = min(2.0 * self._nap, patience)

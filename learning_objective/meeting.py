"""Where the ranks that evaluate a trial together meet, and which of them each one is. They share a key to the trial."""

from __future__ import annotations

import secrets
import socket
from typing import Any, Self

import msgspec

_KEY_BYTES = 32
_LOCAL = "127.0.0.1"


class Place(msgspec.Struct, frozen=True):
    """One rank of a worker of several: its place, from 0, and their number; the same among those of its node."""

    rank: int
    size: int
    local_rank: int
    local_size: int


class Meeting(msgspec.Struct, frozen=True):
    """Where the ranks of a worker meet for one trial.

    Attributes
    ----------
    host, port
        Where the first rank waits for the others.
    key
        Known to the ranks alone, in hex digits.
    free_port
        Another port of that host, for what the objective itself sets up there.
    """

    host: str
    port: int
    key: str
    free_port: int

    def as_message(self, place: Place, listener: int | None) -> dict[str, Any]:
        """What a child process is told; `listener` is the descriptor at which the first rank's waits."""
        return {**msgspec.structs.asdict(self), **msgspec.structs.asdict(place), "listener": listener}


class MeetingPoint:
    """Where a worker's first rank waits for the others, trial after trial, in whichever child process it has then.

    Parameters
    ----------
    host
        Name of this node to others; None where all ranks are on this node.
    """

    def __init__(self, host: str | None) -> None:
        self._host, self._interface = host or _LOCAL, "" if host else _LOCAL
        self._listener = socket.create_server((self._interface, 0), backlog=socket.SOMAXCONN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def descriptor(self) -> int:
        """Of the socket, which a child process inherits."""
        return self._listener.fileno()

    def arrange(self) -> Meeting:
        """Arrange a meeting for the next trial."""
        with socket.create_server((self._interface, 0)) as probe:
            free_port = probe.getsockname()[1]
        return Meeting(self._host, self._listener.getsockname()[1], secrets.token_hex(_KEY_BYTES), free_port)

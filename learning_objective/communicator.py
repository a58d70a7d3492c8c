"""The communicator of the ranks that evaluate a trial together: collectives over TCP, named and meant as mpi4py's.

Standard library only: the child process imports this file. It is no MPI communicator. MPI could be had in a child only
by connecting it to the others at run time, which not every launcher allows, and a rank that is killed or raises leaves
the others of an MPI communicator waiting in a collective for ever. Here it breaks the connection, and each of the
others gets a PeerLostError.

All ranks are connected to the first. In every collective they send it what they have, and it answers each, in order of
rank: a sum is the same on every rank, and in every run. Objects travel as pickles, arrays beside them as they lie in
memory. Ranks prove to each other that they know the trial's key, before anything is unpickled.
"""

from __future__ import annotations

import contextlib
import hmac
import operator
import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, Self

from .wire import pack, unpack

_LENGTH = struct.Struct("!Q")
_RANK = struct.Struct("!I")
_NONCE = _DIGEST = 32
_GREETING_SECONDS = 10.0
"""How long whoever connects may take to say who it is: it may be anybody."""


class PeerLostError(ConnectionError):
    """Another rank has left the trial: it raised, it was killed, or its node is gone."""


class Communicator:
    """The ranks of one trial.

    Parameters
    ----------
    rank, size
        Place among them, and their number.
    peers
        Connections: of the first rank to each other one in order, of any other to the first.

    Attributes
    ----------
    rank, size
        As above.
    peer_lost
        Whether another rank was found to have left.
    """

    def __init__(self, rank: int, size: int, peers: Sequence[socket.socket]) -> None:
        self.rank, self.size = rank, size
        self._peers = list(peers)
        self.peer_lost = False
        for peer in self._peers:
            peer.settimeout(None)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    @classmethod
    def lead(cls, listener: socket.socket, size: int, key: bytes) -> Self:
        """Wait for the other ranks as the first of them. Whoever does not know the key is turned away."""
        peers: dict[int, socket.socket] = {}
        while len(peers) < size - 1:
            peer, _ = listener.accept()
            with contextlib.suppress(OSError):
                peer.settimeout(_GREETING_SECONDS)
                rank = _recognise(peer, key)
                if rank is not None and 0 < rank < size and rank not in peers:
                    peers[rank] = peer
                    continue
            peer.close()
        return cls(0, size, [peers[rank] for rank in sorted(peers)])

    @classmethod
    def join(cls, address: tuple[str, int], rank: int, size: int, key: bytes) -> Self:
        """Meet the first rank at (host, port); it may keep this one waiting.

        Raises
        ------
        PeerLostError
            It is not there, or does not know the key.
        """
        with contextlib.ExitStack() as unless_joined:
            try:
                peer = unless_joined.enter_context(socket.create_connection(address))
                known = _introduce(peer, rank, key)
            except OSError as error:
                raise PeerLostError(f"the worker's first rank cannot be reached at {address[0]}: {error}") from error
            if not known:
                raise PeerLostError(f"who answers at {address[0]} is not the first rank of the worker")
            unless_joined.pop_all()
        return cls(rank, size, [peer])

    def Get_rank(self) -> int:  # noqa: N802 - as in mpi4py, and so below
        """Place among the ranks, from 0."""
        return self.rank

    def Get_size(self) -> int:  # noqa: N802
        """Number of ranks."""
        return self.size

    # --- of objects -------------------------------------------------------------------------------------------------

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self._exchange("barrier()", None, lambda values: values)

    Barrier = barrier

    def bcast(self, value: Any = None, root: int = 0) -> Any:
        """Give every rank the `value` of the rank `root`."""
        own = value if self.rank == self._checked(root) else None
        return self._exchange(f"bcast(root={root})", own, lambda values: [values[root]] * self.size)

    def scatter(self, values: Sequence[Any] | None = None, root: int = 0) -> Any:
        """Give each rank its own of the `values`, one for each, that the rank `root` has."""
        if self.rank == self._checked(root) and (values is None or len(values) != self.size):
            raise ValueError(f"scatter needs {self.size} values, one for each rank; got {_count(values)}")
        own = values if self.rank == root else None
        return self._exchange(f"scatter(root={root})", own, lambda found: list(found[root]))

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        """Give the rank `root` the values of all ranks in order, the others None."""
        call = f"gather(root={self._checked(root)})"
        found: list[Any] | None = self._exchange(call, value, lambda values: self._to(root, values))
        return found

    def allgather(self, value: Any) -> list[Any]:
        """Give every rank the values of all ranks in order."""
        found: list[Any] = self._exchange("allgather()", value, lambda values: [values] * self.size)
        return found

    def reduce(self, value: Any, op: Callable[[Any, Any], Any] = operator.add, root: int = 0) -> Any:
        """Give the rank `root` the values of all ranks combined by `op`, the others None."""
        call = f"reduce(root={self._checked(root)})"
        return self._exchange(call, value, lambda values: self._to(root, _combined(op, values)))

    def allreduce(self, value: Any, op: Callable[[Any, Any], Any] = operator.add) -> Any:
        """Give every rank the values of all ranks combined by `op`, the function of two values of the first rank."""
        return self._exchange("allreduce()", value, lambda values: [_combined(op, values)] * self.size)

    # --- of arrays --------------------------------------------------------------------------------------------------

    def Bcast(self, array: Any, root: int = 0) -> None:  # noqa: N802
        """Overwrite the array of every rank by that of the rank `root`; of one shape and type."""
        own = _view(array)
        call = f"Bcast(root={self._checked(root)}) of {_kind(own)}"
        found = self._exchange(call, own if self.rank == root else None, lambda values: [values[root]] * self.size)
        if self.rank != root:
            own[...] = found

    def Reduce(  # noqa: N802
        self, array: Any, result: Any, op: Callable[[Any, Any], Any] = operator.add, root: int = 0
    ) -> None:
        """Write the arrays of all ranks, combined element by element by `op`, into `result` of the rank `root`."""
        own = _view(array)
        call = f"Reduce(root={self._checked(root)}) of {_kind(own)}"
        found = self._exchange(call, own, lambda values: self._to(root, _combined(op, values)))
        if self.rank == root:
            _view(result)[...] = found

    def Allreduce(self, array: Any, result: Any, op: Callable[[Any, Any], Any] = operator.add) -> None:  # noqa: N802
        """Write the arrays of all ranks, combined element by element by `op`, into `result`, which may be `array`."""
        own = _view(array)
        call = f"Allreduce() of {_kind(own)}"
        _view(result)[...] = self._exchange(call, own, lambda values: [_combined(op, values)] * self.size)

    # --- how --------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Leave: the others notice as soon as they wait for this rank."""
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)  # a fork may hold the connection too
            peer.close()

    def _checked(self, root: int) -> int:
        if not 0 <= root < self.size:
            raise ValueError(f"root must be a rank from 0 to {self.size - 1}; got {root}")
        return root

    def _to(self, root: int, value: Any) -> list[Any]:
        return [value if rank == root else None for rank in range(self.size)]

    def _exchange(self, call: str, value: Any, answers: Callable[[list[Any]], list[Any]]) -> Any:
        """Bring `value` to the first rank, which gives each rank its part of ``answers(values)``."""
        try:
            if self.rank:
                _send(self._peers[0], (call, value))
                return _receive(self._peers[0])
            values = [value, *(self._called(call, rank) for rank in range(1, self.size))]
            own, *others = answers(values)
            for peer, answer in zip(self._peers, others, strict=True):
                _send(peer, answer)
            return own
        except OSError as error:
            self.peer_lost = True
            self.close()
            raise PeerLostError(f"another rank left the trial, while this one was in {call}") from error

    def _called(self, call: str, rank: int) -> Any:
        other, value = _receive(self._peers[rank - 1])
        if other != call:
            raise RuntimeError(
                f"ranks must call the same in the same order; rank 0 is in {call}, rank {rank} in {other}"
            )
        return value


def _combined(op: Callable[[Any, Any], Any], values: list[Any]) -> Any:
    total = values[0]
    for value in values[1:]:
        total = op(total, value)
    return total


def _count(values: Sequence[Any] | None) -> str:
    return "none" if values is None else str(len(values))


def _view(array: Any) -> Any:
    """`array`, or a tensor in the memory of the CPU, as an array of NumPy's in the same memory."""
    import numpy as np  # here, for the objective alone decides whether it is loaded

    view = np.asarray(array)
    if view.dtype.hasobject or (view.size and not np.may_share_memory(view, np.asarray(array))):
        raise TypeError(f"an array or a tensor of numbers is needed; got a {type(array).__name__}")
    return view


def _kind(array: Any) -> str:
    return f"{array.dtype} {array.shape}"


def _digest(key: bytes, *parts: bytes | bytearray) -> bytes:
    return hmac.digest(key, b"".join(parts), "sha256")


def _introduce(peer: socket.socket, rank: int, key: bytes) -> bool:
    """Prove that this rank knows the key; returns whether the first rank does, too."""
    nonce, own = _receive_exactly(peer, _NONCE), os.urandom(_NONCE)
    peer.sendall(_RANK.pack(rank) + own + _digest(key, nonce, _RANK.pack(rank)))
    return hmac.compare_digest(_receive_exactly(peer, _DIGEST), _digest(key, own, b"first"))


def _recognise(peer: socket.socket, key: bytes) -> int | None:
    """Rank of whoever has connected, once it has proved that it knows the key; None where it does not."""
    nonce = os.urandom(_NONCE)
    peer.sendall(nonce)
    greeting = _receive_exactly(peer, _RANK.size + _NONCE + _DIGEST)
    rank, theirs, proof = greeting[: _RANK.size], greeting[_RANK.size : -_DIGEST], greeting[-_DIGEST:]
    if not hmac.compare_digest(proof, _digest(key, nonce, rank)):
        return None
    peer.sendall(_digest(key, theirs, b"first"))
    return int(_RANK.unpack(rank)[0])


def _send(peer: socket.socket, value: Any) -> None:
    """Send a value: the number of its parts, then each with its length."""
    parts = [memoryview(part) for part in pack(value)]
    peer.sendall(_LENGTH.pack(len(parts)))
    for part in parts:
        peer.sendall(_LENGTH.pack(len(part)))
        peer.sendall(part)


def _receive(peer: socket.socket) -> Any:
    count = _LENGTH.unpack(_receive_exactly(peer, _LENGTH.size))[0]
    parts = [_receive_exactly(peer, _LENGTH.unpack(_receive_exactly(peer, _LENGTH.size))[0]) for _ in range(count)]
    return unpack(parts)


def _receive_exactly(peer: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    left = memoryview(data)
    while left:
        count = peer.recv_into(left)
        if not count:
            raise PeerLostError("the connection was closed")
        left = left[count:]
    return data

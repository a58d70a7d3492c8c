"""The communicator of a trial's ranks, over real sockets: results against plain sums, and what a lost rank does."""

import contextlib
import operator
import secrets
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning_objective.communicator import Communicator, PeerLostError
from learning_objective.wire import pack, unpack

PATIENCE = 20.0


@contextlib.contextmanager
def meeting(size):
    """Communicators of the ranks, each to be used in a thread of its own."""
    key = secrets.token_bytes(32)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(size) as pool:
        first = pool.submit(Communicator.lead, listener, size, key)
        others = [
            pool.submit(Communicator.join, listener.getsockname(), rank, size, key) for rank in reversed(range(1, size))
        ]
        ranks = [first.result(PATIENCE), *(other.result(PATIENCE) for other in reversed(others))]
        try:
            yield ranks
        finally:
            for rank in ranks:
                rank.close()


def together(ranks, call):
    """What each rank's ``call(communicator)`` returns or raises."""
    with ThreadPoolExecutor(len(ranks)) as pool:
        calls = [pool.submit(call, rank) for rank in ranks]
        return [call.exception(PATIENCE) or call.result() for call in calls]


@pytest.fixture(params=[2, 3, 5])
def ranks(request):
    with meeting(request.param) as found:
        yield found


def test_places(ranks):
    assert [(rank.rank, rank.Get_rank()) for rank in ranks] == [(i, i) for i in range(len(ranks))]
    assert {(rank.size, rank.Get_size()) for rank in ranks} == {(len(ranks), len(ranks))}


def test_objects(ranks):
    size = len(ranks)
    everything = [{"rank": rank} for rank in range(size)]
    for root in range(size):
        assert together(ranks, lambda c, root=root: c.bcast({"rank": c.rank}, root)) == [{"rank": root}] * size
        found = together(ranks, lambda c, root=root: c.gather({"rank": c.rank}, root))
        assert found == [everything if rank == root else None for rank in range(size)]
        found = together(ranks, lambda c, root=root: c.scatter(list(range(10, 10 + size)), root))
        assert found == list(range(10, 10 + size))
        found = together(ranks, lambda c, root=root: c.reduce(str(c.rank), root=root))
        assert found == ["".join(map(str, range(size))) if rank == root else None for rank in range(size)]
    assert together(ranks, lambda c: c.allgather({"rank": c.rank})) == [everything] * size
    assert together(ranks, lambda c: c.allreduce(c.rank + 1, operator.mul)) == [np.prod(range(1, size + 1))] * size
    assert together(ranks, lambda c: c.allreduce(c.rank, max)) == [size - 1] * size


@settings(max_examples=20, deadline=None)
@given(shape=st.tuples(st.integers(0, 4), st.integers(0, 50)), kind=st.sampled_from(["f4", "f8", "i8", "c16"]))
def test_arrays_are_summed_in_order_of_rank_on_all(shape, kind):
    rng = np.random.default_rng(0)
    arrays = [(1e6 * rng.normal(size=shape)).astype(kind) for _ in range(3)]
    expected = (arrays[0] + arrays[1]) + arrays[2]

    def reduce(c):
        result, rooted, spread = np.zeros(shape, kind), np.zeros(shape, kind), arrays[c.rank].copy()
        c.Allreduce(arrays[c.rank], result)
        c.Reduce(arrays[c.rank], rooted, root=1)
        c.Bcast(spread, root=2)
        return result, rooted, spread

    with meeting(3) as found:
        results = together(found, reduce)
    for rank, (result, rooted, spread) in enumerate(results):
        np.testing.assert_array_equal(result, expected, strict=True)
        np.testing.assert_array_equal(rooted, expected if rank == 1 else 0 * expected)
        np.testing.assert_array_equal(spread, arrays[2], strict=True)


def test_large_arrays_and_arrays_that_are_not_contiguous():
    large = np.arange(3_000_000.0)

    def reduce(c):
        square = np.arange(12.0).reshape(3, 4) + c.rank
        c.Allreduce(square.T, square.T)
        own = large + c.rank
        c.Allreduce(own, own)
        return square, own

    with meeting(2) as ranks:
        for square, own in together(ranks, reduce):
            np.testing.assert_array_equal(square, 2 * np.arange(12.0).reshape(3, 4) + 1)
            np.testing.assert_array_equal(own, 2 * large + 1)


def test_tensors_share_their_memory():
    torch = pytest.importorskip("torch")

    def reduce(c):
        gradient = torch.full((3,), float(c.rank + 1))
        c.Allreduce(gradient, gradient)
        return gradient.tolist()

    with meeting(2) as ranks:
        assert together(ranks, reduce) == [[3.0] * 3] * 2


def test_what_ranks_do_differently_is_told_and_waits_for_nobody():
    def differ(c):
        try:
            return c.barrier() if c.rank else c.bcast(1)
        finally:
            c.close()

    with meeting(3) as ranks:
        first, *others = together(ranks, differ)
    assert str(first) == "ranks must call the same in the same order; rank 0 is in bcast(root=0), rank 1 in barrier()"
    assert all(isinstance(other, PeerLostError) for other in others)


def test_arrays_of_different_shapes_are_told():
    def differ(c):
        try:
            c.Allreduce(np.zeros(3 + c.rank), np.zeros(3 + c.rank))
        finally:
            c.close()

    with meeting(2) as ranks:
        first, other = together(ranks, differ)
    assert "rank 0 is in Allreduce() of float64 (3,), rank 1 in Allreduce() of float64 (4,)" in str(first)
    assert isinstance(other, PeerLostError)


@pytest.mark.parametrize("leaver", [0, 1, 2])
def test_a_rank_that_leaves_ends_the_waiting_of_all_others(leaver):
    def leave(c):
        c.barrier()
        if c.rank == leaver:
            c.close()
            return "left"
        try:
            return c.allreduce(1)
        except PeerLostError as error:
            c.close()
            assert c.peer_lost
            return str(error)

    with meeting(3) as ranks:
        said = together(ranks, leave)
    assert said.pop(leaver) == "left"
    assert set(said) == {"another rank left the trial, while this one was in allreduce()"}


NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False), st.complex_numbers(allow_nan=False))
KEYS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(), st.binary())
VALUES = st.recursive(
    KEYS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.sets(KEYS),
        st.frozensets(KEYS),
        st.dictionaries(st.tuples(KEYS, KEYS), inner),
    ),
    max_leaves=20,
)


@given(VALUES)
def test_values_arrive_as_they_were(value):
    found = unpack([bytearray(part) for part in pack(value)])
    assert found == value
    assert repr(found) == repr(value) or "{" in repr(value)  # 1, 1.0 and True are equal, sets have no order


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.float32(0.1),
        np.array(7),
        np.zeros((0, 3)),
        np.arange(3) > 1,
        np.array(["ab", "c"]),
        np.array([1 + 2j]),
        np.array(["2026-01-01"], dtype="M8[s]"),
        np.arange(4, dtype=">i2"),
    ],
)
def test_arrays_arrive_as_they_were(array):
    (found,) = unpack([bytearray(part) for part in pack({"a": array})]).values()
    assert type(found) is type(array)
    np.testing.assert_array_equal(found, array, strict=True)


@pytest.mark.parametrize("value", [object(), print, np.array([{}]), np.zeros(2, dtype=[("x", "f4")]), {"a": [pytest]}])
def test_what_cannot_be_sent_is_told(value):
    with pytest.raises(TypeError, match=r"^trial\.comm cannot send a \w+: only None, numbers, text, bytes, lists"):
        pack(value)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.bcast(1, root=2), ValueError, "root must be a rank from 0 to 1; got 2"),
        (lambda c: c.scatter([1], root=c.rank), ValueError, "scatter needs 2 values, one for each rank; got 1"),
        (lambda c: c.scatter(root=c.rank), ValueError, "got none"),
        (lambda c: c.Allreduce([1.0], [0.0]), TypeError, "an array or a tensor of numbers is needed; got a list"),
        (lambda c: c.Bcast(np.array([{}])), TypeError, "an array or a tensor of numbers is needed"),
    ],
)
def test_misuse(call, error, message):
    with meeting(2) as ranks, pytest.raises(error, match=message):
        call(ranks[1])


def test_strangers_are_turned_away_and_delay_nothing():
    key = secrets.token_bytes(32)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(3) as pool:
        address = listener.getsockname()
        socket.create_connection(address).close()
        talker = socket.create_connection(address)
        talker.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(200))
        stranger = pool.submit(Communicator.join, address, 1, 2, b"another key")
        first = pool.submit(Communicator.lead, listener, 2, key)
        assert isinstance(stranger.exception(PATIENCE), PeerLostError)
        other = pool.submit(Communicator.join, address, 1, 2, key).result(PATIENCE)
        assert first.result(PATIENCE).size == 2
        for communicator in (other, first.result()):
            communicator.close()
        talker.close()


def test_an_impostor_is_not_joined():
    """Who listens there must know the key, too."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        joined = pool.submit(Communicator.join, listener.getsockname(), 1, 2, b"key")
        peer, _ = listener.accept()
        with peer:
            peer.sendall(bytes(32))
            peer.recv(68, socket.MSG_WAITALL)
            peer.sendall(bytes(32))
            assert "is not the first rank of the worker" in str(joined.exception(PATIENCE))

"""Ranks that report become workers with GPUs of their nodes, and none of them where a node has too few."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_cluster import Cluster

from learning_objective.objective_spec import ObjectiveSpec
from mpi.mpi_definitions import Evaluate, Exit, Ready, RestDuty, Start, WorkerDuty
from mpi.mpi_node import threads_per_rank
from mpi.mpi_roster import Roster
from utilities.errors import StudyError
from utilities.space import Space
from utilities.storage.study import Study

DUTY = WorkerDuty(ObjectiveSpec("branin"), "trials")


def roster(awaited: int, **settings: Any) -> Roster:
    space = Space.from_dict({"x": {"type": "float", "low": 0.0, "high": 1.0}})
    study = Study(name="s", objective="branin", space=space, folder=Path(), source="study.toml", **settings)
    return Roster(study, DUTY, awaited)


def enlisted(ranks: Roster, reports: dict[int, Ready], trainers: tuple[int, ...] = ()) -> dict[int, Any]:
    """Devices of the workers, once all have reported in the order given."""
    begun: dict[int, Any] = {}
    for number, (rank, ready) in enumerate(reports.items(), start=1):
        ranks.report(rank, ready)
        for worker, duty in ranks.enlist([] if rank in trainers else [rank]):
            assert number == len(reports)
            begun[worker] = duty.devices
    return begun


def test_without_a_share_workers_begin_as_they_report():
    ranks = roster(3)
    ranks.report(2, Ready("node1", devices=("0",)))
    assert ranks.enlist([2]) == [(2, DUTY)]


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 5), (5, 3, 1, 4, 2)])
def test_workers_of_a_node_take_its_gpus_in_order_of_rank_and_trainers_take_none(order):
    reports = {
        1: Ready("node1", 1, devices=("0", "1", "2", "3")),
        2: Ready("node1", 2),  # looked for none: what rank 1 found is the node's
        3: Ready("node1", 3),
        4: Ready("node2", 0, devices=("GPU-a", "GPU-b")),
        5: Ready("node2", 1, devices=("GPU-a", "GPU-b")),
    }
    found = enlisted(roster(5, gpus_per_worker=1), {rank: reports[rank] for rank in order}, trainers=(1,))
    assert found == {2: ("0",), 3: ("1",), 4: ("GPU-a",), 5: ("GPU-b",)}


def test_workers_that_share_are_spread_over_all_gpus():
    seen = Ready("node1", devices=("0", "1", "2"))
    found = enlisted(roster(5, gpus_per_worker=0.5), dict.fromkeys(range(1, 6), seen))
    assert list(found.values()) == [("0",), ("1",), ("2",), ("0",), ("1",)]


def test_gpus_of_their_own_are_not_shared_though_they_have_one_name():
    own = Ready("node1", devices=("0",), own_devices=True)
    assert enlisted(roster(2, gpus_per_worker=1), {1: own, 2: own}) == {1: ("0",), 2: ("0",)}


def test_ranks_that_see_different_gpus_take_of_those_they_see():
    reports = {rank: Ready("node1", devices=(str(rank % 2),)) for rank in (1, 2)}
    assert enlisted(roster(2, gpus_per_worker=1), reports) == {1: ("1",), 2: ("0",)}


def test_with_no_gpus_each_sees_none():
    assert enlisted(roster(1, gpus_per_worker=0), {1: Ready("node1", devices=("0",))}) == {1: ()}


@pytest.mark.parametrize(
    ("share", "devices", "message"),
    [
        (1, ("0", "1"), "gpus_per_worker = 1 needs 3 GPUs for the 3 workers on node7, which offers its job 2 (0, 1)"),
        (1, ("0", "1"), 'Start fewer ranks there, or give each worker gpus_per_worker = "1/2"'),
        (2, ("0", "1", "2"), "needs 6 GPUs for the 3 workers on node7, which offers its job 3 (0, 1, 2)"),
        (2, ("0", "1", "2"), "or give each worker gpus_per_worker = 1"),
        (1 / 2, ("0",), "gpus_per_worker = 0.5 needs 2 GPUs for the 3 workers on node7, which offers its job 1 (0)"),
        (1, (), "which offers its job none. Leave gpus_per_worker out, or see that nvidia-smi -L lists them"),
    ],
)
def test_too_few_gpus(share, devices, message):
    reports = {rank: Ready("node7", devices=devices) for rank in (1, 2, 3)}
    reports[4] = Ready("node8", devices=("0", "1", "2"))
    with pytest.raises(StudyError, match="^" + re.escape("study.toml: [study] gpus_per_worker")) as caught:
        enlisted(roster(4, gpus_per_worker=share), reports)
    assert message in str(caught.value)


@pytest.mark.parametrize("share", [1, 1 / 2])
def test_the_fix_that_an_error_names_is_one(share):
    reports = {rank: Ready("node7", devices=("0", "1")) for rank in range(1, 8)}
    with pytest.raises(StudyError) as caught:
        enlisted(roster(7, gpus_per_worker=share), reports)
    named = re.search(r'gpus_per_worker = "1/(\d+)"$', str(caught.value))
    assert named is not None
    assert len(enlisted(roster(7, gpus_per_worker=1 / int(named[1])), reports)) == 7


def test_a_rank_that_is_lost_is_not_waited_for_and_frees_its_gpu():
    ranks = roster(3, gpus_per_worker=1)
    reports = {1: Ready("node1", devices=("0", "1")), 2: Ready("node1", devices=("0", "1"))}
    assert enlisted(ranks, reports) == {}
    ranks.lose(3)
    assert [(rank, duty.devices) for rank, duty in ranks.enlist()] == [(1, ("0",)), (2, ("1",))]
    ranks.release(1)
    ranks.lose(1)
    ranks.report(4, Ready("node1", devices=("0", "1")))
    assert [(rank, duty.devices) for rank, duty in ranks.enlist([4])] == [(4, ("0",))]


# --- several ranks a worker -------------------------------------------------------------------------------------------


def groups(hosts: dict[int, str], size: int, **settings: Any) -> tuple[list[tuple[int, ...]], list[int]]:
    """Ranks of each worker, and those left over."""
    ranks = roster(len(hosts), ranks_per_worker=size, **settings)
    begun: list[tuple[int, WorkerDuty]] = []
    for rank, host in hosts.items():
        ranks.report(rank, Ready(host, devices=("0", "1", "2", "3")))
        begun += ranks.enlist([rank])
    for rank, duty in begun:
        assert duty.place is not None
        assert duty.group[duty.place.rank] == rank
        assert duty.superior == (0 if duty.place.rank == 0 else duty.group[0])
        beside = [other for other in duty.group if hosts[other] == hosts[rank]]
        assert (beside[duty.place.local_rank], duty.place.local_size) == (rank, len(beside))
    return sorted({duty.group for _, duty in begun}), ranks.idle


@pytest.mark.parametrize(
    ("nodes", "size", "found", "idle"),
    [
        ("aaaa", 2, [(1, 2), (3, 4)], []),
        ("aaaaa", 2, [(1, 2), (3, 4)], [5]),
        ("abab", 2, [(1, 3), (2, 4)], []),  # launched by turns: on one node each all the same
        ("aaabbb", 2, [(1, 2), (3, 6), (4, 5)], []),  # what is left over on two nodes
        ("aabb", 4, [(1, 2, 3, 4)], []),
        ("aaabb", 4, [(1, 2, 3, 4)], [5]),
        ("a", 2, [], [1]),
    ],
)
def test_workers_are_on_one_node_where_possible(nodes, size, found, idle):
    assert groups(dict(enumerate(nodes, start=1)), size) == (found, idle)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(2, 5))
def test_no_two_workers_share_a_rank_and_too_few_are_left_over(nodes, size):
    hosts = dict(enumerate(nodes, start=1))
    found, idle = groups(hosts, size)
    assert sorted([*chain.from_iterable(found), *idle]) == sorted(hosts)
    assert all(len(group) == size for group in found)
    assert len(idle) < size
    spread = sum(len({hosts[rank] for rank in group}) > 1 for group in found)
    whole = sum(nodes.count(node) // size for node in "abc")
    assert len(found) - spread == whole


def test_the_ranks_of_a_worker_see_the_same_gpus_and_share_its_threads():
    ranks = roster(4, ranks_per_worker=2, gpus_per_worker=2, threads_per_worker=6)
    found = {}
    for rank in range(1, 5):
        ranks.report(rank, Ready("node1", devices=("0", "1", "2", "3")))
        found.update(ranks.enlist([rank]))
    assert [duty.devices for duty in found.values()] == [("0", "1")] * 2 + [("2", "3")] * 2
    assert {duty.threads for duty in found.values()} == {3}


def test_a_worker_on_two_nodes_takes_of_both_what_can_be_divided():
    ranks = roster(2, ranks_per_worker=2, gpus_per_worker=2)
    ranks.report(1, Ready("node1", devices=("0", "1")))
    ranks.report(2, Ready("node2", devices=("4", "5")))
    assert [duty.devices for _, duty in ranks.enlist([1, 2])] == [("0",), ("4",)]
    ranks = roster(2, ranks_per_worker=2, gpus_per_worker=1)
    ranks.report(1, Ready("node1", devices=("0", "1")))
    ranks.report(2, Ready("node2", devices=("4", "5")))
    with pytest.raises(StudyError, match=r"= 1 cannot be divided evenly among the 2 ranks of a worker on node1, n"):
        ranks.enlist([1, 2])


def test_what_is_left_of_a_worker_that_lost_a_rank_makes_another(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=0, ranks=5, ranks_per_worker=2)
    letters: list[Any] = []
    for rank in range(1, 6):
        letters += cluster.master.handle(Ready("node1"), rank, 0.0)
    running = {rank: message.trial.number for rank, message in letters if isinstance(message, Evaluate)}
    assert running == {1: 0, 3: 1}
    cluster.master.lose(4, others=4, now=1.0)
    letters = cluster.master.answer(1.0)
    duties = [(rank, message.duty) for rank, message in letters if isinstance(message, Start)]
    assert duties[0] == (3, RestDuty())
    assert [(rank, duty.group) for rank, duty in duties[1:]] == [(3, (3, 5)), (5, (3, 5))]
    assert [(rank, m.trial.number) for rank, m in letters if isinstance(m, Evaluate)] == [(3, 1)]
    cluster.master.lose(1, others=3, now=2.0)
    cluster.master.lose(5, others=2, now=2.0)
    letters = cluster.master.answer(2.0)
    assert [(rank, m.duty.group) for rank, m in letters if isinstance(m, Start) and m.duty != RestDuty()] == [
        (2, (2, 3)),
        (3, (2, 3)),
    ]
    cluster.master.lose(2, others=1, now=3.0)
    letters = cluster.master.answer(3.0)
    assert letters == [(3, Start(RestDuty())), (3, Exit(75))]
    assert cluster.master.ending.stopped == "too few ranks are left for a worker"


# --- at the master ----------------------------------------------------------------------------------------------------


def test_a_shortage_ends_a_run_before_its_first_trial(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=0, gpus_per_worker=1, ranks=2)
    assert cluster.master.handle(Ready("node1", devices=("0",)), 1, 0.0) == []
    letters = cluster.master.handle(Ready("node1", devices=("0",)), 2, 0.0)
    assert letters == [(1, Exit(2)), (2, Exit(2))]
    assert "needs 2 GPUs for the 2 workers on node1" in cluster.master.ending.error
    assert cluster.run.records == {}


def test_a_worker_that_is_lost_before_others_report_holds_nobody_up(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=0, gpus_per_worker=1, ranks=2)
    assert cluster.master.handle(Ready("node1", devices=("0",)), 1, 0.0) == []
    cluster.master.lose(2, others=1, now=0.0)
    letters = cluster.master.answer(0.0)
    assert isinstance(letters[0][1], Start)
    assert cluster.master.ledger.summary(None, None, None, 1.0)["devices"] == {"1@node1": ("0",)}


# --- cores ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "others", "threads"),
    [
        (range(8), [], 8),
        (range(8), [range(8)] * 2, 2),  # eight cores for three ranks
        (range(2), [range(2)] * 5, 1),
        (range(4), [range(4, 8)], 4),  # bound apart
        (range(4), [range(4), range(4, 8)], 2),  # a job of its own cores, bound by socket
        (range(8), [range(4)], 6),  # one of two is bound
        ([63], [[0]], 1),
        (range(6), [range(6)] * 2, 2),
    ],
)
def test_cores_are_shared_by_the_ranks_that_may_use_them(own, others, threads):
    assert threads_per_rank(own, [own, *others]) == threads

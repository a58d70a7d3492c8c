"""Ranks that report become workers with GPUs of their nodes, and none of them where a node has too few."""

import re
from pathlib import Path
from typing import Any

import pytest
from virtual_cluster import Cluster

from learning_objective.objective_spec import ObjectiveSpec
from mpi.mpi_definitions import Exit, Ready, Start, WorkerDuty
from mpi.mpi_node import threads_per_rank
from mpi.mpi_roster import Roster
from utilities.errors import StudyError
from utilities.space import Space
from utilities.storage.study_file import Study

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
    ranks.lose(1)
    ranks.report(4, Ready("node1", devices=("0", "1")))
    assert [(rank, duty.devices) for rank, duty in ranks.enlist([4])] == [(4, ("0",))]


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

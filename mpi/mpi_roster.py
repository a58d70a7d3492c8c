"""The ranks that have reported: which of them form a worker, and what each worker gets of its nodes' GPUs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain

from msgspec.structs import replace

from learning_objective.meeting import Place
from mpi.mpi_definitions import Ready, WorkerDuty
from utilities.devices import Devices, GpuPool, GpuShortageError
from utilities.display.text import counted, shorten
from utilities.errors import StudyError
from utilities.storage.study import Study

_SHOWN = 100
"""Characters of a list of GPUs in an error."""


class Roster:
    """Knows the ranks by name, and says which may begin as workers, with which GPUs.

    Where workers share out GPUs or have several ranks, none begins before every rank has reported: too few GPUs on one
    node are a mistake that should cost no trial on another, and a worker should not be spread over nodes without need.

    Parameters
    ----------
    study
        How many ranks and GPUs a worker gets.
    duty
        What each worker is told, but for its ranks and GPUs.
    awaited
        Number of ranks that will report.

    Attributes
    ----------
    hosts
        Host of each rank that is there; empty for one that was lost before it reported.
    idle
        Ranks that are too few for another worker, in ascending order.
    """

    def __init__(self, study: Study, duty: WorkerDuty, awaited: int) -> None:
        self._study, self._awaited = study, awaited
        self._size = study.ranks_per_worker
        threads = study.threads_per_worker
        self._duty = replace(duty, threads=None if threads is None else max(1, threads // self._size))
        self._ready: dict[int, Ready] = {}
        self._pools: dict[tuple[str, Devices, int | None], GpuPool] = {}
        self._taken: dict[int, list[tuple[GpuPool, Devices]]] = {}
        self._groups: dict[int, tuple[int, ...]] = {}
        self.hosts: dict[int, str] = {}
        self.idle: list[int] = []

    def name(self, rank: int) -> str:
        """Name of a rank for messages."""
        host = self.hosts.setdefault(rank, "")
        return f"rank {rank} on {host}" if host else f"rank {rank}"

    def report(self, rank: int, ready: Ready) -> None:
        """Note a rank that is there."""
        self.hosts[rank], self._ready[rank] = ready.host, ready

    @property
    def complete(self) -> bool:
        """Whether every rank has reported."""
        return len(self._ready) >= self._awaited

    def enlist(self, ranks: Iterable[int] = ()) -> list[tuple[int, WorkerDuty]]:
        """Make ranks workers as soon as that can be; returns those that begin now, with what each is to do.

        Raises
        ------
        StudyError
            A node has too few GPUs: which, how many it has and needs, and what to change.
        """
        self.idle = sorted([*self.idle, *ranks])
        share = self._study.gpus_per_worker
        if (share is not None or self._size > 1) and not self.complete:
            return []
        groups = self._form_groups()
        members = set(chain.from_iterable(groups))
        self.idle = [rank for rank in self.idle if rank not in members]
        return [begun for group in groups for begun in self._equip(group, share, groups)]

    def _form_groups(self) -> list[tuple[int, ...]]:
        """Ranks for as many workers as there can be: on one node each where possible, in order of rank."""
        by_host: dict[str, list[int]] = {}
        for rank in self.idle:
            by_host.setdefault(self.hosts[rank], []).append(rank)
        left, groups = [], []
        for ranks in by_host.values():
            whole = len(ranks) // self._size * self._size
            groups += _cut(ranks[:whole], self._size)
            left += ranks[whole:]
        groups += _cut(sorted(left)[: len(left) // self._size * self._size], self._size)
        return sorted(groups)

    def led_by(self, rank: int) -> tuple[int, ...]:
        """Ranks of the worker that a rank leads, itself included; none where it leads none."""
        return self._groups.get(rank, ())

    def leader_of(self, rank: int) -> int:
        """First rank of the worker that a rank belongs to; the rank itself where it is none of several."""
        return next((first for first, group in self._groups.items() if rank in group), rank)

    def release(self, leader: int) -> None:
        """Forget the worker that a rank leads, and free its GPUs."""
        self._groups.pop(leader, None)
        for pool, devices in self._taken.pop(leader, ()):
            pool.give_back(devices)

    def lose(self, rank: int) -> None:
        """Forget a rank that was lost; others may begin now that it is not awaited any more, see `enlist`."""
        self.hosts.pop(rank, None)
        self._ready.pop(rank, None)
        self._awaited -= 1
        self.idle = [other for other in self.idle if other != rank]

    # --- GPUs -------------------------------------------------------------------------------------------------------

    def _equip(
        self, group: tuple[int, ...], share: float | None, groups: Sequence[tuple[int, ...]]
    ) -> list[tuple[int, WorkerDuty]]:
        """What each rank of a worker is to do. Those that see the same GPUs of a node get the same of them."""
        together: dict[object, list[int]] = {}
        for rank in group:
            together.setdefault(self.hosts[rank] if share is None else self._pool(rank), []).append(rank)
        duties = {}
        for ranks in together.values():
            devices = None if share is None else self._take(group, ranks, share, groups)
            for place, rank in enumerate(ranks):
                duties[rank] = replace(self._duty, devices=devices)
                if self._size > 1:
                    seat = Place(group.index(rank), self._size, place, len(ranks))
                    hosts = tuple(self.hosts[other] for other in group)
                    duties[rank] = replace(duties[rank], group=group, hosts=hosts, place=seat)
        if self._size > 1:
            self._groups[group[0]] = group
        return [(rank, duties[rank]) for rank in group]

    def _take(
        self, group: tuple[int, ...], ranks: list[int], share: float, groups: Sequence[tuple[int, ...]]
    ) -> Devices:
        pool, part = self._pool(ranks[0]), share * len(ranks) / self._size if share >= 1 else share
        try:
            if share >= 1 and not part.is_integer():
                raise StudyError(self._indivisible(group, share))
            devices = pool.take(part)
        except GpuShortageError:
            sharing = sum(any(self._pool(rank) is pool for rank in other) for other in groups)
            raise StudyError(self._shortage(self.hosts[ranks[0]], pool.devices, part, sharing)) from None
        self._taken.setdefault(group[0], []).append((pool, devices))
        return devices

    def _pool(self, rank: int) -> GpuPool:
        """The GPUs that a rank shares with those others that see the same ones of the same node."""
        ready = self._ready[rank]
        devices = ready.devices
        if devices is None:
            seen = (other.devices for other in self._ready.values() if other.host == ready.host)
            devices = next((found for found in seen if found is not None), ())
        key = ready.host, devices, rank if ready.own_devices else None
        return self._pools.setdefault(key, GpuPool(devices))

    def _indivisible(self, group: tuple[int, ...], share: float) -> str:
        where = ", ".join(dict.fromkeys(self.hosts[rank] for rank in group))
        return (
            f"{self._study.source}: [study] gpus_per_worker = {share:.3g} cannot be divided evenly among the "
            f"{self._size} ranks of a worker on {where}, which do not see the same GPUs. Make it a multiple of "
            "ranks_per_worker"
        )

    def _shortage(self, host: str, devices: Devices, share: float, workers: int) -> str:
        needed = counted(math.ceil(workers * share), "GPU")
        offer = f"{len(devices)} ({shorten(', '.join(devices), _SHOWN)})" if devices else "none"
        if devices:
            enough = len(devices) // workers or f'"1/{math.ceil(workers / len(devices))}"'
            fix = f"Start fewer ranks there, or give each worker gpus_per_worker = {enough}"
        else:
            fix = "Leave gpus_per_worker out, or see that nvidia-smi -L lists them or CUDA_VISIBLE_DEVICES names them"
        return (
            f"{self._study.source}: [study] gpus_per_worker = {self._study.gpus_per_worker:.3g} needs {needed} for the "
            f"{counted(workers, 'worker')} on {host}, which offers its job {offer}. {fix}"
        )


def _cut(ranks: list[int], size: int) -> list[tuple[int, ...]]:
    return [tuple(ranks[first : first + size]) for first in range(0, len(ranks), size)]

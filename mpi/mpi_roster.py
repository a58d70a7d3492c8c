"""The ranks that have reported, and what each worker gets of its node's GPUs."""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec.structs import replace

from mpi.mpi_definitions import Ready, WorkerDuty
from utilities.devices import Devices, GpuPool, GpuShortageError
from utilities.display.text import counted, shorten
from utilities.errors import StudyError
from utilities.storage.study_file import Study

_SHOWN = 100
"""Characters of a list of GPUs in an error."""


class Roster:
    """Knows the ranks by name, and says which may begin as workers, with which GPUs.

    Where workers share out GPUs, none begins before every rank has reported: too few GPUs on one node are a mistake
    that should cost no trial on another.

    Parameters
    ----------
    study
        How many GPUs a worker gets.
    duty
        What each worker is told, but for its GPUs.
    awaited
        Number of ranks that will report.

    Attributes
    ----------
    hosts
        Host of each rank that is there; empty for one that was lost before it reported.
    """

    def __init__(self, study: Study, duty: WorkerDuty, awaited: int) -> None:
        self._study, self._duty, self._awaited = study, duty, awaited
        self._ready: dict[int, Ready] = {}
        self._waiting: list[int] = []
        self._pools: dict[tuple[str, Devices, int | None], GpuPool] = {}
        self._taken: dict[int, Devices] = {}
        self.hosts: dict[int, str] = {}

    def name(self, rank: int) -> str:
        """Name of a rank for messages."""
        host = self.hosts.setdefault(rank, "")
        return f"rank {rank} on {host}" if host else f"rank {rank}"

    def report(self, rank: int, ready: Ready) -> None:
        """Note a rank that is there."""
        self.hosts[rank], self._ready[rank] = ready.host, ready

    def enlist(self, ranks: Iterable[int] = ()) -> list[tuple[int, WorkerDuty]]:
        """Make ranks workers as soon as that can be; returns those that begin now, with what each is to do.

        Raises
        ------
        StudyError
            A node has too few GPUs: which, how many it has and needs, and what to change.
        """
        self._waiting += ranks
        share = self._study.gpus_per_worker
        if share is not None and len(self._ready) < self._awaited:
            return []
        begun, self._waiting = sorted(self._waiting), []
        if share is not None:
            for rank in begun:
                self._equip(rank, share, begun)
        return [(rank, replace(self._duty, devices=self._taken.get(rank))) for rank in begun]

    def release(self, rank: int) -> None:
        """Free the GPUs of a worker that is none any more."""
        if rank in self._taken:
            self._pool(rank).give_back(self._taken.pop(rank))

    def lose(self, rank: int) -> None:
        """Forget a rank that was lost; others may begin now that it is not awaited any more, see `enlist`."""
        self.release(rank)
        self.hosts.pop(rank, None)
        self._ready.pop(rank, None)
        self._awaited -= 1
        self._waiting = [other for other in self._waiting if other != rank]

    def _equip(self, rank: int, share: float, workers: list[int]) -> None:
        pool = self._pool(rank)
        try:
            self._taken[rank] = pool.take(share)
        except GpuShortageError:
            sharing = sum(self._pool(other) is pool for other in workers)
            raise StudyError(self._shortage(self.hosts[rank], pool.devices, share, sharing)) from None

    def _pool(self, rank: int) -> GpuPool:
        """The GPUs that a rank shares with those others that see the same ones of the same node."""
        ready = self._ready[rank]
        devices = ready.devices
        if devices is None:
            seen = (other.devices for other in self._ready.values() if other.host == ready.host)
            devices = next((found for found in seen if found is not None), ())
        key = ready.host, devices, rank if ready.own_devices else None
        return self._pools.setdefault(key, GpuPool(devices))

    def _shortage(self, host: str, devices: Devices, share: float, workers: int) -> str:
        needed = counted(math.ceil(workers * share), "GPU")
        offer = f"{len(devices)} ({shorten(', '.join(devices), _SHOWN)})" if devices else "none"
        if devices:
            enough = len(devices) // workers or f'"1/{math.ceil(workers / len(devices))}"'
            fix = f"Start fewer ranks there, or give each worker gpus_per_worker = {enough}"
        else:
            fix = "Leave gpus_per_worker out, or see that nvidia-smi -L lists them or CUDA_VISIBLE_DEVICES names them"
        return (
            f"{self._study.source}: [study] gpus_per_worker = {share:.3g} needs {needed} for the "
            f"{counted(workers, 'worker')} on {host}, which offers its job {offer}. {fix}"
        )

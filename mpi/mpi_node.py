"""What a rank's node offers it: a share of the cores, and the GPUs."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Collection, Iterable

from mpi.mpi_definitions import Ready
from utilities.devices import find, has_own, offered


def threads_per_rank(own: Collection[int], of_ranks: Iterable[Collection[int]]) -> int:
    """Threads for a rank: its share of the cores that it may use, each shared by the ranks that may use it.

    Parameters
    ----------
    own
        Numbers of the cores that the launcher, or the batch system, lets this rank use.
    of_ranks
        Those of every rank of its node, this one included.
    """
    users = Counter(core for cores in of_ranks for core in cores)
    return max(1, int(sum(1.0 / users[core] for core in own) + 1e-9))


def introduce(local_rank: int = 0, *, look: bool = True) -> Ready:
    """Introduction of this rank.

    Parameters
    ----------
    local_rank
        Place among the ranks of this node.
    look
        Whether to look for GPUs where the environment names none: one rank of a node is enough.
    """
    environment = os.environ
    devices = offered(environment, find if look else None)
    return Ready(socket.gethostname(), local_rank, os.getpid(), devices, has_own(environment))

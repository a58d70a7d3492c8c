"""The floor: a master that polls without a pause and answers at once, from points that are ready; nothing is kept.

mpiexec -np 9 python -m benchmarks.scaling.runners.raw_polling COUNT SEED
"""

from __future__ import annotations

import sys

from mpi4py import MPI

from benchmarks.scaling.runners.points import points
from benchmarks.scaling.runners.sleeping import objective

MASTER = 0


def lead(comm: MPI.Comm, count: int, seed: int) -> None:
    """Give each worker a point, and another for each value; None where there is none left."""
    left = iter(points(count, seed))
    for worker in range(1, comm.size):
        comm.send(next(left, None), worker)
    status = MPI.Status()
    for _ in range(count):
        while not comm.iprobe(status=status):
            pass
        comm.recv(source=status.source)
        comm.send(next(left, None), status.source)


def work(comm: MPI.Comm) -> None:
    """Evaluate until there is nothing left."""
    while (config := comm.recv(source=MASTER)) is not None:
        comm.send(objective(config), MASTER)


if __name__ == "__main__":
    world = MPI.COMM_WORLD
    if world.rank == MASTER:
        lead(world, *map(int, sys.argv[1:3]))
    else:
        work(world)

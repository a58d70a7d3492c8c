"""The executor of mpi4py: all points are submitted at once, and each goes to the next worker that is free.

mpiexec -np 9 python -m mpi4py.futures -m benchmarks.scaling.runners.mpi_futures COUNT SEED
"""

from __future__ import annotations

import sys

from mpi4py.futures import MPIPoolExecutor

from benchmarks.scaling.runners.points import points
from benchmarks.scaling.runners.sleeping import objective

if __name__ == "__main__":
    count, seed = map(int, sys.argv[1:3])
    with MPIPoolExecutor() as pool:
        for _ in pool.map(objective, points(count, seed), unordered=True):
            pass

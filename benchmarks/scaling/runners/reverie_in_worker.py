"""Ours with the sleeping objective as a benchmark, on every rank: only these are evaluated inside a worker.

mpiexec -np 9 python -m benchmarks.scaling.runners.reverie_in_worker STUDY [options]
"""

from __future__ import annotations

import dataclasses
import sys
from types import MappingProxyType

from benchmarks.scaling.runners.sleeping import objective
from learning_objective import benchmarks
from learning_objective.hartmann import HARTMANN6

SLEEPING = dataclasses.replace(HARTMANN6, name="sleeping", function=objective)

if __name__ == "__main__":
    benchmarks.BENCHMARKS = MappingProxyType({SLEEPING.name: SLEEPING})
    from mpi.mpi_optimizer import main

    sys.exit(main())

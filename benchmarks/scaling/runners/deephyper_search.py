"""DeepHyper: random search, or CBO as by default but for ``qUCBd``, which its authors use with many workers.

``sampling`` is that CBO with the cheaper of its two optimisers of the acquisition. Ranks evaluate, rank 0 searches, and
what it knows is kept in its memory: the default storage aborts under MPICH.

mpiexec -np 9 python -m benchmarks.scaling.runners.deephyper_search random|cbo|sampling COUNT SEED
"""

from __future__ import annotations

import sys
from typing import Any

from deephyper.evaluator import Evaluator
from deephyper.evaluator.storage import MemoryStorage
from deephyper.hpo import CBO, HpProblem, RandomSearch

from benchmarks.scaling.runners.points import NAMES
from benchmarks.scaling.runners.sleeping import objective


def run(job: Any) -> float:
    """Evaluate; it maximises."""
    return -objective({name: job.parameters[name] for name in NAMES})


def make(kind: str, seed: int) -> RandomSearch | CBO:
    """Search with its files in the working folder."""
    problem = HpProblem()
    for name in NAMES:
        problem.add_hyperparameter((0.0, 1.0), name)
    if kind == "random":
        return RandomSearch(problem, random_state=seed)
    optimizer = {"acq_optimizer": "sampling"} if kind == "sampling" else {}
    return CBO(problem, random_state=seed, multi_point_strategy="qUCBd", **optimizer)


if __name__ == "__main__":
    kind, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with Evaluator.create(run, method="mpicomm", method_kwargs={"storage": MemoryStorage()}) as evaluator:
        if evaluator.is_master:
            make(kind, seed).search(evaluator, max_evals=count, max_evals_strict=True)

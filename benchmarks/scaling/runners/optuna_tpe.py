"""Optuna: TPE in eight processes that share a journal, each with its part of the trials.

Running trials count as bad ones (``constant_liar``), as its documentation advises for parallel runs.

mpiexec -np 8 python -m benchmarks.scaling.runners.optuna_tpe COUNT SEED
"""

from __future__ import annotations

import os
import sys

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.scaling.runners.points import NAMES
from benchmarks.scaling.runners.sleeping import objective


def run(trial: optuna.Trial) -> float:
    """Evaluate."""
    return objective({name: trial.suggest_float(name, 0.0, 1.0) for name in NAMES})


if __name__ == "__main__":
    count, seed = map(int, sys.argv[1:3])
    ranks, rank = int(os.environ["PMI_SIZE"]), int(os.environ["PMI_RANK"])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name="hartmann6",
        storage=JournalStorage(JournalFileBackend("journal.log")),
        sampler=optuna.samplers.TPESampler(seed=ranks * seed + rank, constant_liar=True),
        load_if_exists=True,
    )
    study.optimize(run, n_trials=count // ranks + (rank < count % ranks))

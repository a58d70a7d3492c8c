"""libEnsemble: its uniform sampling, all points drawn in one call, handed out by its fast allocation.

python -m benchmarks.scaling.runners.libensemble_random COUNT SEED --comms local --nworkers 8
"""

from __future__ import annotations

import sys

import numpy as np
from libensemble import Ensemble
from libensemble.alloc_funcs.fast_alloc import give_sim_work_first
from libensemble.gen_funcs.sampling import uniform_random_sample
from libensemble.specs import AllocSpecs, ExitCriteria, GenSpecs, LibeSpecs, SimSpecs

from benchmarks.scaling.runners.points import NAMES
from benchmarks.scaling.runners.sleeping import objective


def simulate(points: np.ndarray, *_: object) -> np.ndarray:
    """Evaluate the one point that is given."""
    (x,) = points["x"]
    out = np.zeros(1, dtype=[("f", float)])
    out["f"] = objective(dict(zip(NAMES, x.tolist(), strict=True)))
    return out


if __name__ == "__main__":
    count, seed = map(int, sys.argv[1:3])
    box = {"lb": np.zeros(len(NAMES)), "ub": np.ones(len(NAMES))}
    ensemble = Ensemble(
        parse_args=True,
        libE_specs=LibeSpecs(disable_log_files=True, disable_resource_manager=True),
        sim_specs=SimSpecs(sim_f=simulate, inputs=["x"], outputs=[("f", float)]),
        gen_specs=GenSpecs(
            gen_f=uniform_random_sample, outputs=[("x", float, (len(NAMES),))], user={"gen_batch_size": count, **box}
        ),
        alloc_specs=AllocSpecs(alloc_f=give_sim_work_first, user={"num_active_gens": 1}),
        exit_criteria=ExitCriteria(sim_max=count),
    )
    ensemble.persis_info = {"next_to_give": 0, "total_gen_calls": 0}
    ensemble.add_random_streams(seed=str(seed))
    ensemble.run()

"""Vizier's GP-UCB-PE on a flattened space; it is given all active trials at each update, and failures as infeasible.

In JAX's default of 32 bits its proposals are soon NaN, so 64 are set.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import jax
from vizier import algorithms as vza
from vizier import pyvizier as vz
from vizier._src.algorithms.designers.gp_ucb_pe import VizierGPUCBPEBandit

from benchmarks.regret.peers.flat import Row, Table, drop_inactive
from benchmarks.regret.peers.loop import Config, Start, serve


def problem_statement(space: Table) -> vz.ProblemStatement:
    """Vizier's description of a space and of what is minimised; a category is named by its place among the choices."""
    problem = vz.ProblemStatement()
    for name, row in space.items():
        scale = vz.ScaleType.LOG if row.get("log") else vz.ScaleType.LINEAR
        if row["type"] == "categorical":
            problem.search_space.root.add_categorical_param(name, [str(i) for i in range(len(row["choices"]))])
        elif row["type"] == "int":
            problem.search_space.root.add_int_param(name, row["low"], row["high"], scale_type=scale)
        else:
            problem.search_space.root.add_float_param(name, row["low"], row["high"], scale_type=scale)
    problem.metric_information.append(vz.MetricInformation("objective", goal=vz.ObjectiveMetricGoal.MINIMIZE))
    return problem


jax.config.update("jax_enable_x64", True)


class VizierRun:
    """A designer that is told what ended since its last proposal, and all that is running."""

    def __init__(self, start: Start) -> None:
        self._space = start.space
        self._designer = VizierGPUCBPEBandit(problem_statement(start.space), rng=jax.random.PRNGKey(start.seed))
        self._active: dict[int, vz.Trial] = {}
        self._ended: list[vz.Trial] = []
        self._asked = 0

    def ask(self) -> tuple[int, Config]:
        """Propose."""
        self._designer.update(vza.CompletedTrials(self._ended), vza.ActiveTrials(list(self._active.values())))
        self._ended = []
        self._asked += 1
        trial = self._designer.suggest(1)[0].to_trial(self._asked)
        self._active[self._asked] = trial
        values = trial.parameters.as_dict()
        return self._asked, drop_inactive(self._space, {name: self._normal(name, values[name]) for name in self._space})

    def _normal(self, name: str, value: Any) -> Any:
        row: Row = self._space[name]
        if row["type"] == "categorical":
            return row["choices"][int(value)]
        number = round(float(value)) if row["type"] == "int" else float(value)
        return min(max(number, row["low"]), row["high"])

    def tell(self, number: int, value: float | None) -> None:
        """Report."""
        trial = self._active.pop(number)
        if value is None:
            trial.complete(vz.Measurement(), infeasibility_reason="the evaluation failed")
        else:
            trial.complete(vz.Measurement(metrics={"objective": value}))
        self._ended.append(trial)


if __name__ == "__main__":
    serve(f"google-vizier {version('google-vizier')}", VizierRun)

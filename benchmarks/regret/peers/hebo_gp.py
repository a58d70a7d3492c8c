"""HEBO on a flattened space: its default model "gp" (no input warping), and "gpy", the model of its paper.

It knows no pending points, and is told a failure as the worst value so far.
"""

from __future__ import annotations

import functools
import sys
import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.models import model_factory
from hebo.optimizers.hebo import HEBO

from benchmarks.regret.peers.flat import Row, drop_inactive
from benchmarks.regret.peers.loop import Config, Start, Worst, serve


def parameter(name: str, row: Row) -> dict[str, Any]:
    """HEBO's description of a parameter; a category is named by its place among the choices."""
    if row["type"] == "categorical":
        return {"name": name, "type": "cat", "categories": [str(i) for i in range(len(row["choices"]))]}
    kinds = {("float", False): "num", ("float", True): "pow", ("int", False): "int", ("int", True): "pow_int"}
    kind = kinds[row["type"], bool(row.get("log"))]
    return {"name": name, "type": kind, "lb": row["low"], "ub": row["high"]}


class HeboRun:
    """One proposal at a time."""

    def __init__(self, start: Start, model: str) -> None:
        np.random.seed(start.seed)  # noqa: NPY002 - HEBO draws from the global state
        torch.manual_seed(start.seed)
        self._space = start.space
        design = DesignSpace().parse([parameter(name, row) for name, row in start.space.items()])
        self._hebo = HEBO(design, model_name=model, scramble_seed=start.seed)
        self._asked: dict[int, pd.DataFrame] = {}
        self._worst = Worst()

    def ask(self) -> tuple[int, Config]:
        """Propose."""
        number = len(self._asked)
        self._asked[number] = frame = self._hebo.suggest(1)
        row = frame.iloc[0]
        return number, drop_inactive(self._space, {name: self._normal(name, row[name]) for name in self._space})

    def _normal(self, name: str, value: Any) -> Any:
        row = self._space[name]
        if row["type"] == "categorical":
            return row["choices"][int(value)]
        number = round(float(value)) if row["type"] == "int" else float(value)
        return min(max(number, row["low"]), row["high"])

    def tell(self, number: int, value: float | None) -> None:
        """Report."""
        for settled, cost in self._worst.settle(number, value):
            self._hebo.observe_new_data(self._asked[settled], np.array([[cost]]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # pandas and GPy warn at every call
    if sys.argv[1] == "gpy":
        from hebo.models.gp.gpy_wgp import GPyGP

        model_factory.model_dict["gpy"] = GPyGP
    serve(f"HEBO {version('HEBO')}", functools.partial(HeboRun, model=sys.argv[1]))

"""Measured tables as npz: FCNet (log10 of the mean squared error), MLP (1 - accuracy), NAS-Bench-201 (error in %)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.regret.problem import Config, Problem

_UNITS = [16, 32, 64, 128, 256, 512]
FCNET: dict[str, list[Any]] = {
    "activation_fn_1": ["relu", "tanh"],
    "activation_fn_2": ["relu", "tanh"],
    "batch_size": [8, 16, 32, 64],
    "dropout_1": [0.0, 0.3, 0.6],
    "dropout_2": [0.0, 0.3, 0.6],
    "init_lr": [5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1],
    "lr_schedule": ["cosine", "const"],
    "n_units_1": _UNITS,
    "n_units_2": _UNITS,
}
MLP: dict[str, list[Any]] = {
    "alpha": list(range(10)),
    "batch_size": list(range(10)),
    "depth": list(range(3)),
    "learning_rate_init": list(range(10)),
    "width": list(range(10)),
}
OPERATIONS = ["op0", "op1", "op2", "op3", "op4"]
NASBENCH: dict[str, list[Any]] = {f"edge{i}": list(OPERATIONS) for i in range(1, 7)}

SOURCES = {
    "fcnet": "Klein, Hutter (2019), Tabular benchmarks for joint architecture and hyperparameter optimization",
    "mlp": "Eggensperger et al. (2021), HPOBench",
    "nasbench201": "Dong, Yang (2020), NAS-Bench-201",
}


class Axis(NamedTuple):
    """One axis of a table: choices by name, or places 0, 1, ... in an order."""

    choices: list[str] | None
    length: int

    @property
    def parameter(self) -> Mapping[str, Any]:
        """What a study file says of it."""
        if self.choices is None:
            return {"type": "int", "low": 0, "high": self.length - 1}
        return {"type": "categorical", "choices": self.choices}

    def place(self, value: Any) -> int:
        """Index of a value along the axis."""
        return int(value) if self.choices is None else self.choices.index(value)


def problems(folder: Path) -> list[Problem]:
    found = []
    for task in ("parkinsons_telemonitoring", "protein_structure"):
        mean = _read(folder / f"hpolib_{task}.npz").mean(axis=1)
        found.append(table_problem(f"fcnet-{task.split('_')[0]}", "fcnet", FCNET, np.log10(mean)))
    for task in ("australian", "segment", "vehicle"):
        accuracy = _read(folder / f"hpobench_{task}.npz").mean(axis=1)
        found.append(table_problem(f"mlp-{task}", "mlp", MLP, 1.0 - accuracy))
    accuracy = np.nanmean(_read(folder / "nasbench201_cifar10.npz"), axis=1)
    found.append(table_problem("nasbench201-cifar10", "nasbench201", NASBENCH, 100.0 - accuracy))
    return found


def table_problem(name: str, family: str, axes: Mapping[str, list[Any]], values: NDArray[Any]) -> Problem:
    """Problem of a table whose rows are in the order of itertools.product over its axes.

    An axis of text is categorical; one of numbers is an integer index into them.
    """
    parsed = {axis: Axis(points if isinstance(points[0], str) else None, len(points)) for axis, points in axes.items()}
    table = values.astype(np.float64).reshape([axis.length for axis in parsed.values()])
    return Problem(
        name=name,
        family=family,
        space={name: axis.parameter for name, axis in parsed.items()},
        true=functools.partial(_value, parsed, table),
        best=float(table.min()),
        source=SOURCES.get(family, ""),
    )


def _value(axes: Mapping[str, Axis], table: NDArray[np.float64], config: Config) -> float:
    return float(table[tuple(axis.place(config[name]) for name, axis in axes.items())])


def _read(file: Path) -> NDArray[np.float64]:
    with np.load(file, allow_pickle=False) as archive:
        return archive["y"].astype(np.float64)

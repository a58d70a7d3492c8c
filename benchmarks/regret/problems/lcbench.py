"""YAHPO's LCBench: a surrogate of the learning curves of MLPs on OpenML tasks, at its last epoch."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.regret.problem import Config, Problem

TASKS = ("3945", "167168", "189906")
EPOCH = 52
CROSS_ENTROPY = 2
SPACE: dict[str, dict[str, Any]] = {
    "batch_size": {"type": "int", "low": 16, "high": 512, "log": True},
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "momentum": {"type": "float", "low": 0.1, "high": 0.99},
    "weight_decay": {"type": "float", "low": 1e-5, "high": 1e-1},
    "num_layers": {"type": "int", "low": 1, "high": 5},
    "max_units": {"type": "int", "low": 64, "high": 1024, "log": True},
    "max_dropout": {"type": "float", "low": 0.0, "high": 1.0},
}


def problems(folder: Path) -> list[Problem]:
    tasks = json.loads((folder / "yahpo_lcbench" / "encoding.json").read_text())["OpenML_task_id"]
    model = folder / "yahpo_lcbench" / "model.onnx"
    return [
        Problem(
            name=f"lcbench-{task}",
            family="lcbench",
            space=SPACE,
            true=functools.partial(_value, model, tasks[task]),
            best=None,
            source="Pfisterer et al. (2022), YAHPO Gym; Zimmer, Lindauer, Hutter (2021), LCBench",
        )
        for task in TASKS
    ]


def _value(model: Path, task: int, config: Config) -> float:
    """Validation cross-entropy."""
    row = np.array([[EPOCH, *(float(config[name]) for name in SPACE)]], dtype=np.float32)
    session, inputs = _session(model)
    outputs = session.run(None, {inputs[0]: np.array([[task]], dtype=np.int32), inputs[1]: row})[0]
    return float(outputs[0, CROSS_ENTROPY])


@functools.cache
def _session(model: Path) -> tuple[Any, list[str]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return session, [entry.name for entry in session.get_inputs()]

"""Learning curves of multilayer perceptrons: YAHPO Gym's surrogate of LCBench (Pfisterer et al. 2022, 2109.03670).

A configuration's curve is its validation error in percent after 1, 2, ..., `EPOCHS` epochs, without noise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from utilities.surrogate import Array

EPOCHS = 52

SPACE: dict[str, dict[str, Any]] = {
    "batch_size": {"type": "int", "low": 16, "high": 512, "log": True},
    "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
    "momentum": {"type": "float", "low": 0.1, "high": 0.99},
    "weight_decay": {"type": "float", "low": 1e-5, "high": 0.1},
    "num_layers": {"type": "int", "low": 1, "high": 5},
    "max_units": {"type": "int", "low": 64, "high": 1024, "log": True},
    "max_dropout": {"type": "float", "low": 0.0, "high": 1.0},
}
"""As published, in the order of the surrogate's inputs."""

_ACCURACY = 1


class Surrogate:
    """The surrogate of all tasks.

    Parameters
    ----------
    folder
        With ``model.onnx`` and ``encoding.json``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._codes: dict[str, int] = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]

    @property
    def tasks(self) -> list[str]:
        """OpenML numbers of the tasks, ascending."""
        return sorted((name for name in self._codes if name.isdigit()), key=int)

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(str(self._folder / "model.onnx"), options)

    def curve(self, task: str, config: Mapping[str, Any]) -> Array:
        """Validation errors (EPOCHS,) in percent after each epoch."""
        epochs = np.arange(1, EPOCHS + 1, dtype=np.float32)
        rest = np.array([float(config[name]) for name in SPACE], dtype=np.float32)
        inputs = {
            "x_cat": np.full((EPOCHS, 1), self._codes[task], dtype=np.int32),
            "x_cont": np.column_stack([epochs, np.tile(rest, (EPOCHS, 1))]).astype(np.float32),
        }
        return 100.0 - np.asarray(self._session.run(None, inputs)[0][:, _ACCURACY], dtype=np.float64)

"""A finished study whose truth is known, for the tests of its report."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from tests.run_folders import opened, study
from utilities.space import Space
from utilities.trial import Config, Outcome, Trial, TrialState

SPACE: dict[str, dict[str, Any]] = {
    "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
    "width": {"type": "int", "low": 8, "high": 512, "log": True},
    "optimiser": {"type": "categorical", "choices": ["sgd", "adam"]},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimiser": "sgd"}},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
}
EPOCHS = 9


def truth(config: Config) -> float:
    """Only the learning rate and the momentum matter; the best learning rate is 0.003."""
    value = 0.1 + 0.2 * (math.log10(float(config["lr"])) + 2.5) ** 2
    return value + (0.3 * abs(float(config["momentum"]) - 0.9) if "momentum" in config else 0.05)


def write(root: Path, *, trials: int = 60, workers: int = 3, direction: str = "minimize", **changes: Any) -> Path:
    """Random trials: those with a learning rate above 0.3 fail, every seventh of the others is ended early."""
    space, rng = Space.from_dict(SPACE), np.random.default_rng(1)
    sign = 1.0 if direction == "minimize" else -1.0
    configs = space.from_unit(rng.random((trials, len(space))))
    with opened(root, study(SPACE, name="demo", direction=direction, **changes)) as run:
        run.session(workers + 2, 1000.0)
        for number, config in enumerate(configs):
            began = 1001.0 + 10.0 * (number // workers)
            run.asked(Trial(number, config, seed=number), "initial")
            run.started(number, f"{number % workers + 2}@node", began)
            if float(config["lr"]) > 0.3:
                run.finished(number, Outcome(TrialState.FAIL, message="ValueError: loss is nan"), began + 2.0)
                continue
            value, early = truth(config), number % 7 == 3
            for epoch in range(1, 4 if early else EPOCHS + 1):
                run.reported(number, epoch, sign * (value + 0.5 / epoch), began + epoch)
            state = TrialState.PRUNED if early else TrialState.COMPLETE
            shown = value + 0.5 / 3 if early else value
            run.finished(number, Outcome(state, sign * shown, {}, 8.0), began + 8.0)
        run.sync()
    return root / "demo"

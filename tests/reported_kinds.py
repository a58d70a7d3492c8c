"""Small finished studies of each kind, run by the master itself in virtual time, for the tests of the report."""

from pathlib import Path
from typing import Any

import numpy as np
from virtual_cluster import Cluster, bowl

from mpi.mpi_definitions import Done, Evaluate, Letter
from tests.run_folders import opened, study
from utilities.budgets import Fidelity
from utilities.trial import Config, Outcome, Trial, TrialState

FIDELITY = Fidelity(name="epochs", low=1, high=9, eta=3)
INSTANCES = ["spring", "summer", "autumn", "winter", "leap"]
SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}, "y": {"type": "float", "low": 0.0, "high": 1.0}}


def several(root: Path, names: tuple[str, ...] = ("loss", "speed"), trials: int = 40) -> Path:
    """Loss is to be minimised, all others maximised; trials whose x is above 0.9 are too large."""
    directions = ["minimize", *["maximize"] * (len(names) - 1)]
    rng = np.random.default_rng(4)
    own = study(
        SPACE,
        name="several",
        objectives=list(names),
        directions=directions,
        metric_constraints=["size <= 0.9"],
    )
    with opened(root, own) as run:
        run.session(3, 1000.0)
        for number, (x, y) in enumerate(rng.random((trials, 2)).tolist()):
            run.asked(Trial(number, {"x": x, "y": y}), "initial")
            run.started(number, f"{number % 2 + 1}@node", 1001.0 + number)
            run.finished(number, Outcome(TrialState.COMPLETE, None, values(x, y, names), 1.0), 1002.0 + number)
        run.sync()
    return root / "several"


def values(x: float, y: float, names: tuple[str, ...]) -> dict[str, float]:
    """The larger x is the lower the loss, and the slower; y is the same for all."""
    others = {name: -((x - 0.1 * place) ** 2) - y for place, name in enumerate(names[1:])}
    return {names[0]: (1.0 - x) ** 2 + y, **others, "size": x}


class Budgets(Cluster):
    """Trials come to less with a larger budget; those with an x above 4 fail at once."""

    def outcome(self, config: Config, number: int) -> Outcome:
        budget = self.run.records[number].budget or 1
        if config["x"] > 4.0:  # type: ignore[operator]
            return Outcome(TrialState.FAIL, seconds=self.seconds, message="diverged")
        return Outcome(TrialState.COMPLETE, bowl(config) + 1.0 / budget, seconds=self.seconds)


def budgets(root: Path, trials: int = 60) -> Path:
    cluster = Budgets(root, workers=3, budget=trials, fidelity=FIDELITY)
    assert cluster.drive() == 0
    return root / "s"


class Race(Cluster):
    """Evaluations of part i come to i more, and to a little noise."""

    def deliver(self, letters: list[Letter]) -> None:
        for rank, message in letters:
            if not isinstance(message, Evaluate):
                super().deliver([(rank, message)])
                continue
            trial = message.trial
            noise = 0.1 * float(np.random.default_rng([trial.number, trial.part or 0]).standard_normal())
            value = bowl(trial.config) + (trial.part or 0) + noise
            self._free[rank] = max(self.now, self._free.get(rank, 0.0)) + self.seconds
            done = Done(trial.number, Outcome(TrialState.COMPLETE, value, seconds=self.seconds))
            self._post(self._free[rank] - self.now, rank, done)


def raced(root: Path, trials: int = 30, **changes: Any) -> Path:
    cluster = Race(root, workers=3, budget=trials, instances=INSTANCES, **changes)
    assert cluster.drive() == 0
    return root / "s"


def staged(root: Path) -> Path:
    plan: list[dict[str, Any]] = [{"budget": 15}, {"budget": 10, "shrink": 0.5}, {"budget": 10, "shrink": 0.2}]
    cluster = Cluster(root, workers=3, budget=35, stages=plan)
    assert cluster.drive() == 0
    return root / "s"

"""A study: what to optimise, where, and for how long, as a study file says it and flags may change it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from utilities.budgets import Fidelity
from utilities.stopping_rule import Settings
from utilities.storage.early_stopping_table import TABLE
from utilities.storage.fidelity_table import FIDELITY
from utilities.storage.stage_tables import TABLE as STAGE
from utilities.storage.study_rules import RULES
from utilities.trial import Instance

if TYPE_CHECKING:
    from utilities.goals import Goals
    from utilities.space import Space

Direction: TypeAlias = Literal["minimize", "maximize"]
Isolation: TypeAlias = Literal["process", "none"]


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """What to optimise, where, and for how long.

    Attributes
    ----------
    name
        Name of the study and of its folder.
    objective
        ``train.py:objective``, ``package.module:function`` or the name of a benchmark; None where `command` is given.
    command
        Program and arguments, with ``{parameter}`` for a value and ``{{``, ``}}`` for braces.
    direction
        Whether the smallest or the largest objective is wanted.
    objectives, directions
        Names of several objectives among the metrics, and the direction of each; None means one objective, and that
        all are to be minimised.
    metric_constraints
        What the metrics of a feasible trial keep, such as ``seconds < 5``; None means nothing.
    budget
        Number of trials; None means no limit.
    time_limit, trial_timeout
        Seconds for the run and for one trial; None means no limit.
    method
        One of METHODS.
    acquisition
        One of ACQUISITIONS, for methods that learn; None means the default.
    kappa
        Standard deviations in the bound of acquisition ``ucb``; None means the default.
    seed
        Seed of the proposals and, through the trials' own seeds, of the objective.
    constraints, forbid
        Expressions that every configuration must keep, and tables of values of which it must match none; `space` holds
        them. None means none.
    warm_start
        Folders of earlier studies whose trials are observations of this one; None means none.
    trial_memory
        Bytes of memory for one trial; None means no limit.
    trainers
        Ranks of a parallel run that refit the surrogate, where there are enough.
    ranks_per_worker
        Ranks that evaluate each of a worker's trials together.
    gpus_per_worker
        GPUs of its node that a worker's trials see, 1/k for one that k workers share, 0 for none; None leaves that to
        the environment.
    threads_per_worker
        Threads of the numerical libraries in a worker's trials, of all its ranks; None means its share of the cores.
    keep_best
        So many trials' folders are kept, those of the best; None keeps all.
    retries
        How often a trial is evaluated again after its worker was lost or its process killed, neither its own fault.
    max_consecutive_failures
        So many failed trials in a row end the run.
    grace
        Seconds that running trials get once a time limit or a signal ends the run.
    isolation
        Whether the objective runs in a child process of its worker or inside it.
    instances
        What each configuration is evaluated on, a part each; None where a trial is one evaluation.
    first_instances
        How many of them every configuration gets.
    race_alpha
        Probability with which a comparison gives up a configuration that equals the best; 0 lets all finish.
    early_stopping
        The rule by which trials are ended early; None means that none is.
    fidelity
        The budgets with which trials are evaluated; None means that there are none.
    enqueue
        Configurations, whole or in part, that come first.
    stages
        Tables of the stages, from coarse to fine, see `utilities.stage_plan`; none means that there are none.
    space
        The parameters.
    folder
        What a relative path of the objective is relative to.
    source
        The study file's path as given, or the benchmark's name: for messages.
    """

    name: str
    objective: str | None = None
    command: list[str] | None = None
    direction: Direction = "minimize"
    objectives: list[str] | None = None
    directions: list[str] | None = None
    metric_constraints: list[str] | None = None
    budget: int | None = None
    time_limit: float | None = None
    method: str = "auto"
    acquisition: str | None = None
    kappa: float | None = None
    seed: int = 0
    constraints: list[str] | None = None
    forbid: list[dict[str, Any]] | None = None
    warm_start: list[str] | None = None
    trial_timeout: float | None = None
    trial_memory: int | None = None
    trainers: int = 1
    ranks_per_worker: int = 1
    gpus_per_worker: float | None = None
    threads_per_worker: int | None = None
    keep_best: int | None = None
    retries: int = 2
    max_consecutive_failures: int = 25
    grace: float = 30.0
    isolation: Isolation = "process"
    instances: list[Instance] | None = None
    first_instances: int | None = None
    race_alpha: float | None = None
    early_stopping: Settings | None = None
    fidelity: Fidelity | None = None
    enqueue: list[dict[str, Any]] = []
    stages: list[dict[str, Any]] = []
    space: Space
    folder: Path
    source: str

    @property
    def goals(self) -> Goals:
        """What its trials are judged by."""
        from utilities.goals import make_goals

        return make_goals(self.direction, self.directions, self.objectives, self.metric_constraints)

    def to_dict(self) -> dict[str, Any]:
        """The tables as a study file has them, without keys that are None and tables that are empty."""
        table = {key: getattr(self, key) for key in RULES}
        own = {key: value for key, value in table.items() if value is not None}
        if self.objectives is not None:
            del own["direction"]
        tables: dict[str, Any] = {"study": own, "space": self.space.to_dict()}
        if self.enqueue:
            tables["enqueue"] = self.enqueue
        if self.stages:
            tables[STAGE] = self.stages
        if self.early_stopping is not None:
            tables[TABLE] = msgspec.to_builtins(self.early_stopping)
        if self.fidelity is not None:
            tables[FIDELITY] = msgspec.to_builtins(self.fidelity)
        return tables

"""Ask and tell: the optimiser itself, without I/O, clock or MPI.

>>> from utilities.space import Space
>>> space = Space.from_dict({"x": {"type": "float", "low": -5.0, "high": 5.0}})
>>> optimizer = Optimizer(space, method="gp", seed=1)
>>> for _ in range(12):
...     trial = optimizer.ask()
...     optimizer.tell(trial, (trial.config["x"] - 1.0) ** 2)
>>> abs(optimizer.best.config["x"] - 1.0) < 0.5
True
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from utilities.budgets import Fidelity, as_fidelity
from utilities.designs import design_size
from utilities.errors import SpaceExhaustedError, StudyError
from utilities.goal import goal_of
from utilities.goal_rules import check_goals
from utilities.goals import make_goals
from utilities.history import History
from utilities.incumbents import FrontTrial, Incumbents
from utilities.methods import check_choice
from utilities.pauses import Pauses
from utilities.proposal_queue import ProposalQueue
from utilities.proposals import Proposer
from utilities.proposers import make_proposer
from utilities.rungs import Rungs
from utilities.space import Space
from utilities.staged_proposer import StagedProposer
from utilities.stages import Stages
from utilities.storage.stage_tables import parse_stages
from utilities.surrogate import Array, Dataset
from utilities.telling import Telling
from utilities.trial import Config, Incumbent, Prediction, Trial, TrialRecord


class Optimizer(Telling):
    """Proposes configurations and learns from their outcomes.

    Parameters
    ----------
    space
        A Space, or the ``[space]`` table of a study file.
    method
        One of METHODS.
    seed
        Not negative. The same seed and the same order of calls give the same proposals.
    direction
        ``minimize`` or ``maximize``.
    directions
        That of each objective, where there are several.
    objectives
        Their names; by default ``values_0``, ``values_1`` and so on.
    metric_constraints
        What a trial must keep to be feasible, such as ``"seconds < 5"``.
    acquisition
        What a method that learns maximises to choose, one of ACQUISITIONS: ``ei`` (by default), the log of the expected
        improvement, or `utilities.portfolio` with many pending trials; ``ucb``, the confidence bound; ``thompson``,
        minus a function drawn from the posterior.
    kappa
        Standard deviations in the bound of ``ucb``, above 0; 1.8 by default.
    initial
        Trials of the space-filling design; by default 2 (d + 1), at most 20. The model takes over once they are handed
        out and a few of them completed.
    stages
        Tables as the ``[[stage]]`` of a study file: each stage proposes within a part of the space.
    refit
        ``inline``: ask() refits the surrogate when that is due. ``external``: it never does; somebody else calls
        `fit_due`, fits, and calls `adopt`.
    fidelity
        Budgets of the trials, as `utilities.budgets.Fidelity` or a dict of its fields. What is told of a trial at less
        than the full one pauses it; ask() gives it again once it is promoted.
    max_steps
        Step that a trial which runs to its end reports last; by default the full budget of `fidelity`, or the largest
        of any completed trial.
    ended_by_model
        Whether trials are ended early only by what the model foresees of them, rather than by what they report. What it
        expects of a configuration says then already whether that would be ended, see `utilities.survival`.

    Raises
    ------
    StudyError
        An unknown method, direction or acquisition, a negative seed, a `kappa` that is not above 0, a `max_steps` below
        1, an acquisition or kappa that the other settings have no use for, a stage that breaks a rule, a wrong
        fidelity, objectives or constraints on metrics that break a rule or do not go with the method, the stages or the
        fidelity.
    """

    def __init__(
        self,
        space: Space | Mapping[str, Any],
        method: str = "auto",
        seed: int = 0,
        *,
        direction: Literal["minimize", "maximize"] = "minimize",
        directions: Sequence[str] | None = None,
        objectives: Sequence[str] | None = None,
        metric_constraints: Sequence[str] | None = None,
        acquisition: str | None = None,
        kappa: float | None = None,
        initial: int | None = None,
        stages: Sequence[Mapping[str, Any]] = (),
        refit: Literal["inline", "external"] = "inline",
        fidelity: Fidelity | Mapping[str, Any] | None = None,
        max_steps: int | None = None,
        ended_by_model: bool = False,
    ) -> None:
        check_choice(method, direction, seed)
        if max_steps is not None and max_steps < 1:
            raise StudyError(f"max_steps must be at least 1; got {max_steps}")
        self.goals = make_goals(direction, directions, objectives, metric_constraints)
        check_goals(
            self.goals.names if self.goals.several else (),
            method,
            constrained=bool(self.goals.constraints),
            fidelity="fidelity" * (fidelity is not None),
            stages="stages" * bool(stages),
        )
        goal = goal_of(method, acquisition, kappa, several=self.goals.several)
        self.space = space if isinstance(space, Space) else Space.from_dict(space)
        self.method, self.seed, self.direction = method, seed, self.goals.directions[0]
        self._sign = float(self.goals.signs[0])
        budgets = None if fidelity is None else as_fidelity(fidelity)
        full = budgets.high if budgets is not None and max_steps is None else max_steps
        self._history = History(self.space, full, len(self.goals.targets), ended_by_model=ended_by_model)
        self.incumbents = Incumbents(self.goals)
        self.stages = Stages(self.space, parse_stages(stages, self.space))
        design = design_size(len(self.space)) if initial is None else initial
        proposer = make_proposer(method, self.space, seed, design, goal, self.goals, inline=refit == "inline")
        self._proposer: Proposer = StagedProposer(proposer, self.stages, initial) if self.stages else proposer
        self._queue = ProposalQueue(self.space, seed, self._proposer, self._history)
        self._asked: dict[int, Trial] = {}
        self.origins: dict[int, str] = {}
        rungs = None if fidelity is None else Rungs(as_fidelity(fidelity), seed)
        self._pauses = None if rungs is None else Pauses(rungs, self._history, self._asked, self.foresee_finals)

    # --- ask --------------------------------------------------------------------------------------------------------

    def enqueue(self, config: Mapping[str, Any]) -> None:
        """Put a configuration of one's own first; what it leaves open is drawn by the seed.

        Raises
        ------
        StudyError
            It is not of this space, or breaks its constraints.
        """
        self._queue.enqueue(config)

    def enqueue_outstanding(self, points: Sequence[Mapping[str, Any]], records: Iterable[TrialRecord]) -> None:
        """Put those of a study's own `points` first that are not among its trials, see `utilities.completion`."""
        self._queue.enqueue_outstanding(points, records)

    def ask(self) -> Trial:
        """Propose the next trial, or give one that is promoted; it is pending until it is told.

        Raises
        ------
        SpaceExhaustedError
            Every configuration of a finite space was asked before; or of a stage, see `blocked`.
        """
        if (promoted := self.promote()) is not None:
            return promoted
        proposal = self._queue.next()
        number = self._next_number
        self.stages.handed_out(proposal.stage, number)
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        budget = self.rungs.first(number) if self.rungs else None
        trial = Trial(number, proposal.config, seed, budget)
        self._note(trial, proposal.origin)
        self._history.ask(trial.number, trial.config)
        return trial

    def promote(self, *, last: bool = False) -> Trial | None:
        """Trial that goes on with a larger budget; None where none does. For `last` see `Rungs.candidate`."""
        return None if self._pauses is None else self._pauses.promote(last=last)

    def promotable(self, *, last: bool = False) -> bool:
        """Whether promote() would give a trial."""
        return self._pauses is not None and self._pauses.candidate(last=last) is not None

    def ask_batch(self, count: int) -> list[Trial]:
        """Propose `count` trials, fewer where a finite space has no more."""
        trials: list[Trial] = []
        for _ in range(count):
            try:
                trials.append(self.ask())
            except SpaceExhaustedError:
                break
        return trials

    def prepare(self, count: int, batch: int = 1, seconds: float = math.inf) -> list[str]:
        """Make proposals towards having `count` ready, so that as many calls of ask() answer at once.

        Parameters
        ----------
        count
            Proposals wanted.
        batch
            How many may be made in one pass: each costs less than one by itself, and is searched less finely. With 1,
            and `count` ready, the oldest that the model made before the latest outcome is made anew.
        seconds
            What a proposal of a batch may cost; how finely they are searched depends on it.

        Returns
        -------
        list of str
            Origins of the proposals made; empty when there is nothing to do, or nothing left to propose.
        """
        return self._queue.prepare(count, batch, seconds)

    @property
    def ready(self) -> int:
        """Number of proposals that ask() can give at once."""
        return len(self._queue)

    @property
    def blocked(self) -> bool:
        """Whether ask() that found nothing will find something once another trial has ended: the next stage begins."""
        return bool(self.stages) and not self.stages.last and self._history.waiting > 0

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def best(self) -> Incumbent | None:
        """Best completed trial that is feasible, None before the first; None with several objectives."""
        return self.incumbents.best

    @property
    def best_trials(self) -> list[FrontTrial]:
        """Feasible trials that no other dominates, by their first objective; with one objective, the best."""
        return self.incumbents.front

    @property
    def rungs(self) -> Rungs | None:
        """Where paused trials wait; None without budgets."""
        return None if self._pauses is None else self._pauses.rungs

    @property
    def asked(self) -> int:
        """Number of trials asked so far."""
        return len(self._asked)

    @property
    def data(self) -> Dataset:
        """Completed trials as the surrogate sees them: features, and the (first) objective to be minimised."""
        return self._history.data

    def predicted_best(self) -> Prediction | None:
        """Minimiser of the posterior mean (maximiser, when maximising); None where there is no model yet."""
        found = self._proposer.predict_best(self._history)
        return None if found is None else Prediction(self._sign * found.mean, found.sd, found.config)

    def foresee(self, configs: Sequence[Config]) -> Array | None:
        """Expected outcome (m,) of configurations, lower being better, on a scale of the model's; None without one."""
        return self._proposer.foresee(self._history, self.space.to_unit(configs))

    def take_unchanged(self) -> int:
        """Number of the first rows of `data` that are as they were at the last call."""
        revised, self._history.revised = self._history.revised, None
        return len(self.data) if revised is None else revised

    def predict_final(self, trial: Trial | int) -> Prediction | None:
        """Objective at full length that the model foresees of a trial, by what it and the others have reported.

        None where too little is known: before the model's first fit, without reports, of a method that learns nothing.

        Raises
        ------
        ValueError
            The trial was never asked.
        """
        number = self._known(trial)
        forecast = self.forecast([number])
        if forecast is None:
            return None
        mean, sd = forecast.summary()
        return Prediction(self._sign * float(mean[0]), float(sd[0]), self._asked[number].config)

    @property
    def bound(self) -> float | None:
        """The incumbent's objective, to be minimised whatever the direction; None before there is one."""
        return None if self.best is None else self._sign * self.best.objective

    @property
    def must_wait(self) -> bool:
        """Whether to ask now would waste evaluations: a fit elsewhere is overdue."""
        return not self.ready and self._proposer.must_wait(self._history)

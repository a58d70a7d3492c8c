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

import itertools
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from utilities.budgets import Fidelity, as_fidelity
from utilities.completion import ORIGIN, complete, outstanding
from utilities.designs import design_size
from utilities.errors import SpaceExhaustedError, StudyError
from utilities.goal import goal_of
from utilities.goal_rules import check_goals
from utilities.goals import make_goals
from utilities.history import History
from utilities.methods import check_choice
from utilities.model_access import ModelAccess
from utilities.pauses import Pauses
from utilities.proposals import Proposal, Proposer
from utilities.proposers import make_proposer
from utilities.rungs import Rungs, in_order
from utilities.space import Space
from utilities.staged_proposer import StagedProposer
from utilities.stages import Stages
from utilities.standing import FrontTrial, Standing
from utilities.storage.stage_tables import parse_stages
from utilities.surrogate import Array, Dataset
from utilities.trial import Config, Incumbent, Outcome, Prediction, Trial, TrialRecord, TrialState


class Optimizer(ModelAccess):
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
        self._history = History(self.space, full, len(self.goals.targets))
        self.standing = Standing(self.goals)
        self.stages = Stages(self.space, parse_stages(stages, self.space))
        design = design_size(len(self.space)) if initial is None else initial
        proposer = make_proposer(method, self.space, seed, design, goal, self.goals, inline=refit == "inline")
        self._proposer: Proposer = StagedProposer(proposer, self.stages, initial) if self.stages else proposer
        self._asked: dict[int, Trial] = {}
        self._enqueued: deque[Config] = deque()
        self._given = 0
        self._ready: deque[tuple[Proposal, int]] = deque()
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
        self._enqueued.append(complete(self.space, config, self.seed, self._given))
        self._given += 1

    def enqueue_outstanding(self, points: Sequence[Mapping[str, Any]], records: Iterable[TrialRecord]) -> None:
        """Put those of a study's own `points` first that are not among its trials, see `utilities.completion`."""
        self._enqueued.extend(outstanding(self.space, points, self.seed, records))
        self._given += len(points)

    def ask(self) -> Trial:
        """Propose the next trial, or give one that is promoted; it is pending until it is told.

        Raises
        ------
        SpaceExhaustedError
            Every configuration of a finite space was asked before; or of a stage, see `blocked`.
        """
        if (promoted := self.promote()) is not None:
            return promoted
        proposal = self._next()
        number = self._next_number
        self.stages.handed_out(proposal.stage, number)
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        budget = self.rungs.first(number) if self.rungs else None
        trial = Trial(number, proposal.config, seed, budget)
        self._register(trial, proposal.origin)
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
        told, ready = self._history.told, len(self._ready)
        if batch == 1 and self.ready >= count:
            stale = next((entry for entry in self._ready if entry[1] < told and entry[0].origin == "model"), None)
            if stale is None:
                return []
            self._ready.remove(stale)
            count, ready = count + 1, ready - 1
        if self.ready >= count:
            return []
        try:
            if batch == 1:
                self._ready.append((self._propose(), told))
            else:
                known = [proposal.config for proposal, _ in self._ready]
                made = self._proposer.propose_batch(self._history, known, min(batch, count - self.ready), seconds)
                self._ready.extend((proposal, told) for proposal in made)
        except SpaceExhaustedError:
            return []
        return [proposal.origin for proposal, _ in itertools.islice(self._ready, ready, None)]

    @property
    def ready(self) -> int:
        """Number of proposals that ask() can give at once."""
        return len(self._ready) + len(self._enqueued)

    @property
    def blocked(self) -> bool:
        """Whether ask() that found nothing will find something once another trial has ended: the next stage begins."""
        return bool(self.stages) and not self.stages.last and self._history.waiting > 0

    @property
    def _next_number(self) -> int:
        return next(reversed(self._asked), -1) + 1  # numbers ascend, but a mended journal may lack some

    def _next(self) -> Proposal:
        if self._enqueued:
            return Proposal(self._enqueued.popleft(), ORIGIN)
        if self._ready:
            return self._ready.popleft()[0]
        return self._propose()

    def _propose(self) -> Proposal:
        return self._proposer.propose(self._history, [proposal.config for proposal, _ in self._ready])

    def _register(self, trial: Trial, origin: str) -> None:
        self._note(trial, origin)
        self._history.ask(trial.number, trial.config)

    def _note(self, trial: Trial, origin: str) -> None:
        self._asked[trial.number] = trial
        self.origins[trial.number] = origin
        if self._pauses is not None:
            self._pauses.begin(trial)

    # --- tell -------------------------------------------------------------------------------------------------------

    def tell(
        self,
        trial: Trial | int,
        objective: float | Sequence[float] | None = None,
        *,
        failed: str | None = None,
        pruned: bool = False,
        metrics: Mapping[str, float] | None = None,
        standard_error: float | None = None,
    ) -> None:
        """Report the outcome of a pending trial: its objective, or why it failed. One that is not finite is a failure.

        Parameters
        ----------
        trial
            It, or its number.
        objective
            In the user's own direction; of several objectives, a sequence of their values.
        failed
            Why there is none.
        pruned
            Whether it was ended early: then `objective` is the last that it reported, None where it reported nothing.
            The model learns of it; the best trial is a completed one.
        metrics
            Further numbers: all that constraints on metrics name, but for objectives.
        standard_error
            Of the objective, where it is a mean of several evaluations, say: a surrogate takes it for known noise.

        Raises
        ------
        ValueError
            The trial was never asked or was told already, both or neither of objective and failed were given, or as
            many values as there are no objectives; a metric of a constraint is missing; a standard error is below 0.
        """
        if (objective is None) == (failed is None) and not (pruned and failed is None):
            raise ValueError(f"tell() needs an objective or failed=...; got {objective!r} and failed={failed!r}")
        if standard_error is not None and not 0.0 <= standard_error < math.inf:
            raise ValueError(f"standard_error must be finite and not negative; got {standard_error}")
        values = None if objective is None else self.goals.check_values(objective)
        if values is not None and not pruned:
            self.goals.check_metrics(metrics or {})
        self._end(trial, values, metrics or {}, standard_error, pruned=pruned)

    def _end(
        self,
        trial: Trial | int,
        values: Sequence[float] | None,
        metrics: Mapping[str, float],
        standard_error: float | None,
        *,
        pruned: bool,
    ) -> None:
        """Note the end of a pending trial, with the values of its objectives where it has them."""
        number = self._known(trial)
        if not self._history.is_pending(number):
            raise ValueError(f"trial {number} was told already")
        if values is None or not all(map(math.isfinite, values)):
            if pruned:
                self._history.drop(number)
            else:
                self._history.fail(number)
            return
        entry, variance = self.goals.entry(values, metrics), (standard_error or 0.0) ** 2
        if self._pauses is not None and not pruned and self._pauses.take(number, entry.objective, variance):
            return
        self._history.complete(number, entry.objective, variance, entry.targets, feasible=entry.feasible, pruned=pruned)
        if not pruned:
            self.standing.note(number, self._asked[number].config, values, feasible=entry.feasible)

    def give_up(self, number: int) -> None:
        """Promote a paused trial no more; what it came to stays known."""
        if self._pauses is not None:
            self._pauses.give_up(number)

    def _known(self, trial: Trial | int) -> int:
        number = trial if isinstance(trial, int) else trial.number
        if number not in self._asked:
            raise ValueError(f"trial {number} was never asked; asked so far: 0 to {self._next_number - 1}")
        return number

    def report(self, trial: Trial | int, step: int, value: float) -> None:
        """Report an intermediate value of a pending trial: an observation at that step's fidelity.

        The model learns how values tell of those at full length, which is `max_steps`, or else the largest step that a
        completed trial reported. There the objective counts, and where reports end far from it none is learned from.

        Parameters
        ----------
        trial
            It, or its number. Of one that has ended already, nothing is taken.
        step
            What was done so far, such as 1 after the first epoch. Of steps up to an earlier one, nothing is taken.
        value
            In the user's own direction. One that is not finite is no observation, nor is any with several objectives.

        Raises
        ------
        ValueError
            The trial was never asked.
        """
        number = self._known(trial)
        if self._history.is_pending(number) and not self.goals.several:
            self._history.report(number, step, self._sign * float(value))

    def observe(
        self,
        config: Mapping[str, Any],
        objective: float | Sequence[float],
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Learn from an outcome of elsewhere, such as another study: it is no trial, and not the best of this one.

        Raises
        ------
        StudyError
            The configuration is not of this space, or an objective is not finite.
        """
        values = self.goals.check_values(objective)
        if not all(map(math.isfinite, values)):
            raise StudyError(f"an observed objective must be finite; got {objective}")
        entry = self.goals.entry(values, metrics or {})
        self._history.observe(self.space.validate(config), entry.objective, entry.targets, feasible=entry.feasible)

    def restore(self, records: Iterable[TrialRecord], reports: Iterable[tuple[int, int, float, float]] = ()) -> None:
        """Take over the trials of a journal; those without an outcome are pending.

        Numbers that a mended journal has lost stay unused.

        Parameters
        ----------
        records
            The trials.
        reports
            What they reported, in that order: number, step, value and seconds since the epoch.

        Raises
        ------
        ValueError
            A number is there twice, or was given out before.
        """
        held = sorted(records, key=lambda record: record.trial.number)
        for record in held:
            if record.trial.number < self._next_number:
                raise ValueError(f"trial {self._next_number} or later must be restored next; got {record.trial.number}")
            self._note(record.trial, record.origin)
            self._proposer.skip(record.origin)
        self._history.ask_all([record.trial.number for record in held], [record.trial.config for record in held])
        values = deque(sorted(reports, key=lambda report: report[3]))

        def report_until(time: float) -> None:
            while values and values[0][3] <= time:
                self.report(*values.popleft()[:3])

        if self._pauses is not None:
            self._pauses.retell(held, self._sign, self.tell_outcome, report_until)
        else:
            for record, _ in in_order(held):
                report_until(record.completed or 0.0)
                self.tell_outcome(record.trial, record.outcome)
        report_until(math.inf)

    def tell_outcome(self, trial: Trial, outcome: Outcome | None) -> None:
        """Report an outcome as a worker gives it; None leaves the trial pending."""
        if outcome is None:
            return
        failed = outcome.state is TrialState.FAIL
        values, metrics = None if failed else self.goals.values_of(outcome), self.goals.metrics_of(outcome)
        self._end(trial, values, metrics, outcome.standard_error, pruned=outcome.state is TrialState.PRUNED)

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def best(self) -> Incumbent | None:
        """Best completed trial that is feasible, None before the first; None with several objectives."""
        return self.standing.best

    @property
    def best_trials(self) -> list[FrontTrial]:
        """Feasible trials that no other dominates, by their first objective; with one objective, the best."""
        return self.standing.front

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

"""Proposals by stages: a proposer that is led from one part of the space to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from utilities.designs import design_size
from utilities.errors import SpaceExhaustedError
from utilities.forecast import Forecast
from utilities.history import History
from utilities.proposals import PredictedBest, Proposal, Proposer
from utilities.stages import Stages
from utilities.subspace import Subspace
from utilities.surrogate import Array, Dataset, FitState, Parameters
from utilities.trial import Config, Trial

T = TypeVar("T")


class StagedProposer:
    """Leads another proposer through the stages of a study.

    A stage in which parameters vary that never did begins with a design for these, of at most half of its trials.

    Parameters
    ----------
    proposer
        Makes the proposals.
    stages
        Where it stands; told by the optimiser which proposals became trials.
    initial
        Trials of the first stage's design; None for as many as its parameters need.
    """

    def __init__(self, proposer: Proposer, stages: Stages, initial: int | None) -> None:
        self._proposer, self._stages, self._initial = proposer, stages, initial
        self._part: Subspace | None = None

    def propose(self, history: History, ready: list[Config]) -> Proposal:
        """Next configuration, of the present stage or of the next."""
        return self._mark(self._in_stage(history, ready, lambda: self._proposer.propose(history, ready)))

    def propose_batch(
        self, history: History, ready: list[Config], count: int, seconds: float = math.inf
    ) -> list[Proposal]:
        """Several configurations in one pass, all of one stage."""
        made = self._in_stage(history, ready, lambda: self._proposer.propose_batch(history, ready, count, seconds))
        return [self._mark(proposal) for proposal in made]

    def _mark(self, proposal: Proposal) -> Proposal:
        return proposal._replace(stage=self._stages.index)

    def _in_stage(self, history: History, ready: list[Config], make: Callable[[], T]) -> T:
        """Make something in the stage that is due; where nothing is left, in the one after it, as soon as that may be.

        Raises
        ------
        SpaceExhaustedError
            Nothing is left in the last stage, or in one that more outcomes must end first.
        """
        stages = self._stages
        position, ended = history.asked + len(ready), history.asked - history.waiting
        exhausted = False
        while True:
            try:
                while stages.over(position, ended, exhausted=exhausted):
                    exhausted = False
                    stages.begin(position, history, self._proposer.optima(history))
                self._follow(history)
                return make()
            except SpaceExhaustedError:
                exhausted = True
                if not stages.over(position, ended, exhausted=True):
                    raise

    def _follow(self, history: History) -> None:
        """Lead the proposer to the present part."""
        part = self._stages.part
        if part is None:
            raise SpaceExhaustedError(f"nothing in stage {self._stages.index + 1} keeps the constraints")
        if part is not self._part:
            self._part = part
            self._proposer.confine(part, self._design(history))

    def _design(self, history: History) -> int:
        """Trials that are handed out, of all, before the model may propose."""
        stages = self._stages
        if stages.index == 0 and self._initial is not None:
            return self._initial
        size = design_size(stages.new) if stages.new else 0
        budget = stages.plan[stages.index].budget
        size = size if budget is None else min(size, -(-budget // 2))
        before = history.told + history.waiting - (history.asked - stages.start)
        return size if stages.index == 0 else before + size

    # --- what has nothing to do with stages ---------------------------------------------------------------------------

    def confine(self, part: Subspace, initial: int) -> None:
        """Pass it on."""
        self._proposer.confine(part, initial)

    def optima(self, history: History) -> Array | None:
        """As the other proposer's."""
        return self._proposer.optima(history)

    def foresee(self, history: History, points: Array) -> Array | None:
        """As the other proposer's."""
        return self._proposer.foresee(history, points)

    def skip(self, origin: str) -> None:
        """Pass it on."""
        self._proposer.skip(origin)

    def predict_best(self, history: History) -> PredictedBest | None:
        """As the other proposer's: over the whole space."""
        return self._proposer.predict_best(history)

    def forecast(self, history: History, trials: Sequence[Trial]) -> Forecast | None:
        """As the other proposer's."""
        return self._proposer.forecast(history, trials)

    def foresees(self, history: History) -> bool:
        """As the other proposer's."""
        return self._proposer.foresees(history)

    def fit_due(self, history: History) -> str | None:
        """As the other proposer's."""
        return self._proposer.fit_due(history)

    def data_of(self, kind: str, history: History) -> Dataset:
        """As the other proposer's."""
        return self._proposer.data_of(kind, history)

    def must_wait(self, history: History) -> bool:
        """As the other proposer's."""
        return self._proposer.must_wait(history)

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Pass it on."""
        self._proposer.adopt(kind, parameters, fitted)

    def refit_inline(self) -> None:
        """Pass it on."""
        self._proposer.refit_inline()

    @property
    def fits(self) -> dict[str, FitState]:
        """As the other proposer's."""
        return self._proposer.fits

    @property
    def calibration(self) -> dict[str, Array]:
        """As the other proposer's."""
        return self._proposer.calibration

    def restore_calibration(self, tables: Mapping[str, Array]) -> None:
        """Pass it on."""
        self._proposer.restore_calibration(tables)

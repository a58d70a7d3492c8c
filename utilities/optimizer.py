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
from typing import Any, Literal, NamedTuple

import numpy as np

from utilities.completion import ORIGIN, complete, outstanding
from utilities.errors import SpaceExhaustedError, StudyError, nearest
from utilities.history import History
from utilities.methods import ACQUISITIONS, KAPPA, METHODS, acquisition_misuse
from utilities.model_proposer import Goal, make_proposer
from utilities.proposals import Proposal
from utilities.space import Space
from utilities.surrogate import Array, Dataset, FitState, Parameters
from utilities.trial import Config, Outcome, Trial, TrialRecord, TrialState

MOST_INITIAL = 20
"""Most trials of the initial design by default. With 10, over ten problems of 4 to 10 dimensions and nine seeds, regret
was a quarter less after 20 evaluations and 1.4 times as much after 50: a model of few data trusts one basin."""


class Incumbent(NamedTuple):
    """The best trial so far: its objective is in the user's own direction."""

    number: int
    objective: float
    config: Config


class Prediction(NamedTuple):
    """Where the posterior mean is best, and what is predicted there: mean and standard deviation, user's units."""

    objective: float
    sd: float
    config: Config


class Optimizer:
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
    acquisition
        What a method that learns maximises to choose, one of ACQUISITIONS: ``ei`` (by default), the log of the expected
        improvement, or `utilities.portfolio` with many pending trials; ``ucb``, the confidence bound; ``thompson``,
        minus a function drawn from the posterior.
    kappa
        Standard deviations in the bound of ``ucb``, above 0; 1.8 by default.
    initial
        Trials of the space-filling design; by default 2 (d + 1), at most 20. The model takes over once they are handed
        out and a few of them completed.
    refit
        ``inline``: ask() refits the surrogate when that is due. ``external``: it never does; somebody else calls
        `fit_due`, fits, and calls `adopt`.

    Raises
    ------
    StudyError
        An unknown method, direction or acquisition, a negative seed, a `kappa` that is not above 0, an acquisition or
        kappa that the other settings have no use for.
    """

    def __init__(
        self,
        space: Space | Mapping[str, Any],
        method: str = "auto",
        seed: int = 0,
        *,
        direction: Literal["minimize", "maximize"] = "minimize",
        acquisition: str | None = None,
        kappa: float | None = None,
        initial: int | None = None,
        refit: Literal["inline", "external"] = "inline",
    ) -> None:
        if method not in METHODS:
            raise StudyError(f"method must be one of {', '.join(METHODS)}; got {method!r}.{nearest(method, METHODS)}")
        if direction not in ("minimize", "maximize"):
            raise StudyError(f"direction must be minimize or maximize; got {direction!r}")
        if seed < 0:
            raise StudyError(f"seed must not be negative; got {seed}")
        goal = _goal(method, acquisition, kappa)
        self.space = space if isinstance(space, Space) else Space.from_dict(space)
        self.method, self.seed, self.direction = method, seed, direction
        self._sign = 1.0 if direction == "minimize" else -1.0
        self._history = History(self.space)
        initial = min(2 * (len(self.space) + 1), MOST_INITIAL) if initial is None else initial
        self._proposer = make_proposer(method, self.space, seed, initial, goal, inline=refit == "inline")
        self._asked: dict[int, Trial] = {}
        self._enqueued: deque[Config] = deque()
        self._given = 0
        self._ready: deque[tuple[Proposal, int]] = deque()
        self._best: Incumbent | None = None
        self.origins: dict[int, str] = {}

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
        """Propose the next trial; it is pending until it is told.

        Raises
        ------
        SpaceExhaustedError
            Every configuration of a finite space was asked before.
        """
        proposal = self._next()
        number = self._next_number
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        trial = Trial(number=number, config=proposal.config, seed=seed)
        self._register(trial, proposal.origin)
        return trial

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

    # --- tell -------------------------------------------------------------------------------------------------------

    def tell(
        self,
        trial: Trial | int,
        objective: float | None = None,
        *,
        failed: str | None = None,
        pruned: bool = False,
        standard_error: float | None = None,
    ) -> None:
        """Report the outcome of a pending trial: its objective, or why it failed.

        An objective that is not finite counts as a failure.

        Parameters
        ----------
        trial
            It, or its number.
        objective
            In the user's own direction.
        failed
            Why there is none.
        pruned
            Whether it was ended early: then `objective` is the last that it reported, None where it reported nothing.
            The model learns of it; the best trial is a completed one.
        standard_error
            Of the objective, where it is a mean of several evaluations, say: a surrogate takes it for known noise.

        Raises
        ------
        ValueError
            A trial never asked or told already, both or neither of objective and failed, a standard error below 0.
        """
        number = trial if isinstance(trial, int) else trial.number
        if (objective is None) == (failed is None) and not (pruned and failed is None):
            raise ValueError(f"tell() needs an objective or failed=...; got {objective!r} and failed={failed!r}")
        if standard_error is not None and not 0.0 <= standard_error < math.inf:
            raise ValueError(f"standard_error must be finite and not negative; got {standard_error}")
        if number not in self._asked:
            raise ValueError(f"trial {number} was never asked; asked so far: 0 to {self._next_number - 1}")
        if not self._history.is_pending(number):
            raise ValueError(f"trial {number} was told already")
        if objective is None or not math.isfinite(objective):
            if pruned:
                self._history.drop(number)
            else:
                self._history.fail(number)
            return
        self._history.complete(number, self._sign * float(objective), (standard_error or 0.0) ** 2)
        if pruned:
            return
        if self._best is None or self._sign * (objective - self._best.objective) < 0:
            self._best = Incumbent(number, float(objective), self._asked[number].config)

    def observe(self, config: Mapping[str, Any], objective: float) -> None:
        """Learn from an outcome of elsewhere, such as another study: it is no trial, and not the best of this one.

        Raises
        ------
        StudyError
            The configuration is not of this space, or the objective is not finite.
        """
        if not math.isfinite(objective):
            raise StudyError(f"an observed objective must be finite; got {objective}")
        self._history.observe(self.space.validate(config), self._sign * float(objective))

    def restore(self, records: Iterable[TrialRecord]) -> None:
        """Take over the trials of a journal; those without an outcome are pending.

        Numbers that a mended journal has lost stay unused.

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
        ended = [record for record in held if record.outcome is not None]
        for record in sorted(ended, key=lambda record: record.completed or 0.0):
            self.tell_outcome(record.trial, record.outcome)

    def tell_outcome(self, trial: Trial, outcome: Outcome | None) -> None:
        """Report an outcome as a worker gives it; None leaves the trial pending."""
        if outcome is None:
            return
        pruned = outcome.state is TrialState.PRUNED
        if not pruned and (outcome.state is TrialState.FAIL or outcome.objective is None):
            self.tell(trial, failed=outcome.reason or outcome.state.value)
        else:
            self.tell(trial, outcome.objective, pruned=pruned, standard_error=outcome.standard_error)

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def best(self) -> Incumbent | None:
        """Best completed trial, None before the first."""
        return self._best

    @property
    def asked(self) -> int:
        """Number of trials asked so far."""
        return len(self._asked)

    @property
    def data(self) -> Dataset:
        """Completed trials as the surrogate sees them: features and objectives to be minimised."""
        return self._history.data

    def predicted_best(self) -> Prediction | None:
        """Minimiser of the posterior mean (maximiser, when maximising); None where there is no model yet."""
        found = self._proposer.predict_best(self._history)
        return None if found is None else Prediction(self._sign * found.mean, found.sd, found.config)

    # --- the model, for whoever fits it elsewhere -------------------------------------------------------------------

    def fit_due(self) -> str | None:
        """Kind of surrogate that is due for a refit to `data`; None where none is."""
        return self._proposer.fit_due(self._history)

    @property
    def must_wait(self) -> bool:
        """Whether to ask now would waste evaluations: a fit elsewhere is overdue."""
        return not self.ready and self._proposer.must_wait(self._history)

    def adopt(self, kind: str, parameters: Parameters, fitted: int) -> None:
        """Take surrogate parameters fitted elsewhere to the first `fitted` rows of `data`."""
        self._proposer.adopt(kind, parameters, fitted)

    def refit_inline(self) -> None:
        """From now on, ask() refits the surrogate when that is due, as with ``refit="inline"``."""
        self._proposer.refit_inline()

    @property
    def fits(self) -> dict[str, FitState]:
        """Latest fit of each surrogate in use, by its kind."""
        return self._proposer.fits

    @property
    def fit_state(self) -> FitState | None:
        """The fit to most rows; None before the first."""
        return max(self.fits.values(), key=lambda fit: fit.rows, default=None)

    @property
    def calibration(self) -> dict[str, Array]:
        """How well each surrogate foresaw the outcomes, by its kind.

        Each is an array (r, 5), a row a refit; its columns are the fields of `utilities.calibration.CalibrationRow`.
        """
        return self._proposer.calibration

    def restore_calibration(self, tables: Mapping[str, Array]) -> None:
        """Take back the `calibration` of an earlier life of the study."""
        self._proposer.restore_calibration(tables)


def _goal(method: str, acquisition: str | None, kappa: float | None) -> Goal:
    """What the model is to maximise; None stands for the default."""
    if acquisition is not None and acquisition not in ACQUISITIONS:
        known = ", ".join(ACQUISITIONS)
        hint = nearest(acquisition, ACQUISITIONS)
        raise StudyError(f"acquisition must be one of {known}; got {acquisition!r}.{hint}")
    if kappa is not None and not 0.0 < kappa < math.inf:
        raise StudyError(f"kappa must be a finite number above 0; got {kappa}")
    misuse = acquisition_misuse(method, acquisition, kappa)
    if misuse:
        raise StudyError(misuse)
    return Goal(acquisition or ACQUISITIONS[0], kappa or KAPPA)

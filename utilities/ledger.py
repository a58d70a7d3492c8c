"""The books of a run: what ran where and for how long, what failed and why, and what is worth telling of it."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from utilities.calibration import CalibrationRow
from utilities.devices import Devices
from utilities.display.judged import shown_front, shown_trial
from utilities.display.run_status import RunStatus, ShownTrial, WorkerStatus
from utilities.display.text import counted
from utilities.fitting import family
from utilities.goals import Goals
from utilities.incumbents import Incumbents
from utilities.optimizer import Optimizer
from utilities.storage.study import Study
from utilities.surrogate import Array, FitState
from utilities.trial import Incumbent, Outcome, Prediction, Trial, TrialRecord, TrialState

RECENT = 8
_FEW = 5
_KEPT_TIMES = 10_000
_MOST_REASONS = 100


@dataclass
class _Seat:
    """A worker, and what it does."""

    host: str
    devices: Devices = ()
    trial: int | None = None
    since: float = 0.0


@dataclass
class Ledger:
    """Counts and times of one run of a study.

    Times are seconds since the epoch. Outcomes of earlier runs count as done, but not as time spent.

    Attributes
    ----------
    study
        What is run.
    began
        When this run began.
    """

    study: Study
    began: float
    seats: dict[int, _Seat] = field(default_factory=dict)
    states: Counter[TrialState] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    recent: deque[ShownTrial] = field(default_factory=lambda: deque(maxlen=RECENT))
    proposal_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_TIMES))
    _latest_proposals: deque[float] = field(default_factory=lambda: deque(maxlen=20))
    _latest_fits: deque[float] = field(default_factory=lambda: deque(maxlen=5))
    _latest_passes: deque[float] = field(default_factory=lambda: deque(maxlen=20))
    _latest_calls: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=20))
    evaluated: int = 0
    ended_here: int = 0
    retries: int = 0
    lost_ranks: list[str] = field(default_factory=list)
    _left_seconds: float = 0.0
    busy_seconds: float = 0.0
    first_worker: float | None = None
    last_outcome: float | None = None

    def __post_init__(self) -> None:
        self._goals = self.study.goals

    @property
    def ended(self) -> int:
        """Trials that ended, in this run or before; those that are paused have an outcome so far, and count."""
        return self.states.total()

    @property
    def mean_evaluation(self) -> float | None:
        """Mean seconds of an evaluation in this run, None before the first ended."""
        return self.busy_seconds / self.evaluated if self.evaluated else None

    @property
    def typical_proposal(self) -> float:
        """Median seconds of the last proposals made one by one, 0 before the first."""
        return statistics.median(self._latest_proposals) if self._latest_proposals else 0.0

    @property
    def typical_pass(self) -> float:
        """Median seconds of the last batches of proposals, 0 before the first."""
        return statistics.median(self._latest_passes) if self._latest_passes else 0.0

    @property
    def long_pass(self) -> float:
        """Longest of the last few batches of proposals in seconds, 0 before the first."""
        return max(itertools.islice(reversed(self._latest_passes), _FEW), default=0.0)

    @property
    def recent_proposal(self) -> float:
        """Mean seconds of each of the last proposals, made one by one or in batches; 0 before the first."""
        count = sum(count for _, count in self._latest_calls)
        return sum(seconds for seconds, _ in self._latest_calls) / count if count else 0.0

    @property
    def refits(self) -> bool:
        """Whether any refit was made elsewhere in this run."""
        return bool(self._latest_fits)

    @property
    def typical_fit(self) -> float:
        """Median seconds of the last refits elsewhere, half a second before the first."""
        return statistics.median(self._latest_fits) if self._latest_fits else 0.5

    def refitted(self, seconds: float) -> None:
        """Note how long a refit elsewhere took."""
        self._latest_fits.append(seconds)

    def proposed(self, seconds: float, count: int = 1) -> None:
        """Note how long the model took for so many proposals."""
        self.proposal_seconds.extend([seconds / count] * count)
        self._latest_calls.append((seconds, count))
        (self._latest_proposals if count == 1 else self._latest_passes).append(seconds)

    def restore(self, records: Iterable[TrialRecord]) -> None:
        """Count the trials that ended in earlier runs."""
        for record in records:
            if record.outcome is not None:
                self._count(record.trial, record.outcome)
            elif record.paused:
                self.states[TrialState.PAUSED] += 1

    def promote(self) -> None:
        """Note that a paused trial goes on."""
        self.states[TrialState.PAUSED] -= 1

    def close(self) -> None:
        """Note that a paused trial is pruned."""
        self.promote()
        self.states[TrialState.PRUNED] += 1

    def seat(self, rank: int, host: str, now: float, devices: Devices = ()) -> None:
        """Note a worker that is ready, and the GPUs that it got."""
        self.seats[rank] = _Seat(host, devices)
        self.first_worker = now if self.first_worker is None else self.first_worker

    def worker(self, rank: int) -> str:
        """Name of a worker in the records: rank and host."""
        return f"{rank}@{self.seats[rank].host}"

    def leave(self, rank: int, now: float) -> None:
        """Note that a worker is none any more; its time as one still counts."""
        if self.seats.pop(rank, None) is not None and self.first_worker is not None:
            self._left_seconds += now - self.first_worker

    def start(self, rank: int, number: int, now: float) -> None:
        """Note that a worker begins a trial."""
        self.seats[rank].trial, self.seats[rank].since = number, now

    def trial_at(self, rank: int) -> int | None:
        """Number of the trial that a worker evaluates."""
        return self.seats[rank].trial if rank in self.seats else None

    def retry(self, rank: int) -> None:
        """Note that a worker's trial is to be evaluated again: the time it took was wasted."""
        self.seats[rank].trial = None
        self.retries += 1

    def seconds_at(self, rank: int, now: float) -> float:
        """Seconds since a worker began its trial."""
        return now - self.seats[rank].since

    def take_back(self, rank: int) -> None:
        """Note that a worker's trial is left to the next run."""
        self.seats[rank].trial = None

    def end_part(self, rank: int, outcome: Outcome, now: float) -> None:
        """Note that a worker's evaluation ended: of a trial, with one of its budgets, or of a part of one."""
        self.seats[rank].trial = None
        self.busy_seconds += outcome.seconds
        self.evaluated += 1
        self.last_outcome = now

    def count(self, trial: Trial, outcome: Outcome) -> None:
        """Count a trial that ended, or was paused, in this run."""
        self.ended_here += not trial.resumed
        self._count(trial, outcome)

    def _count(self, trial: Trial, outcome: Outcome) -> None:
        self.states[outcome.state] += 1
        if outcome.state is TrialState.FAIL:
            self.reasons[outcome.reason] += 1
        self.recent.appendleft(shown_trial(trial, outcome, self._goals))

    def busy_fraction(self, now: float) -> float | None:
        """Share of the workers' time since the first was ready that went into evaluations, in [0, 1]."""
        if self.first_worker is None:
            return None
        span = (now - self.first_worker) * len(self.seats) + self._left_seconds
        running = sum(now - seat.since for seat in self.seats.values() if seat.trial is not None)
        return min(1.0, (self.busy_seconds + running) / span) if span > 0 else None

    def seconds_left(self, now: float) -> float | None:
        """Estimate of the seconds until the budget is spent, within the time limit."""
        limit = None if self.study.time_limit is None else max(0.0, self.began + self.study.time_limit - now)
        if self.study.budget is None or not self.ended_here or self.first_worker is None:
            return limit
        pace = (now - self.first_worker) / self.ended_here
        by_budget = max(0, self.study.budget - self.ended) * pace
        return by_budget if limit is None else min(limit, by_budget)

    def status(self, optimizer: Optimizer, phase: str, now: float) -> RunStatus:
        """Status for a display."""
        best, fit = optimizer.best, optimizer.fit_state
        workers = tuple(
            WorkerStatus(rank, seat.host, seat.trial, 0.0 if seat.trial is None else now - seat.since, seat.devices)
            for rank, seat in sorted(self.seats.items())
        )
        return RunStatus(
            study=self.study.name,
            method=self.study.method,
            done=self.ended,
            budget=self.study.budget,
            elapsed=now - self.began,
            time_limit=self.study.time_limit,
            seconds_left=self.seconds_left(now),
            running=sum(worker.trial is not None for worker in workers),
            states=self.states,
            direction=self.study.direction,
            best=None if best is None else ShownTrial(best.number, best.config, TrialState.COMPLETE, best.objective),
            busy_fraction=self.busy_fraction(now),
            workers=workers,
            recent=tuple(self.recent),
            phase=phase,
            front=shown_front(optimizer.goals, optimizer.incumbents),
            surrogate="" if fit is None else _surrogate(fit, optimizer.calibration.get(fit.kind)),
            failures=tuple(self.reasons.most_common(_MOST_REASONS)),
        )

    def summary(
        self, best: Incumbent | None, predicted: Prediction | None, initial: Incumbent | None, now: float
    ) -> dict[str, Any]:
        """Content of summary.json, but for the front, where the files are and how the run ended."""
        times = sorted(self.proposal_seconds)
        return {
            "study": self.study.name,
            "method": self.study.method,
            "seed": self.study.seed,
            **_judged_by(self._goals),
            "budget": self.study.budget,
            "best": None if best is None else best._asdict(),
            "predicted_best": None if predicted is None else predicted._asdict(),
            "initial_best": None if initial is None else initial._asdict(),
            "states": {state.value: count for state, count in self.states.items() if count},
            "failures": [[reason, count] for reason, count in self.reasons.most_common()],
            "wall_seconds": now - self.began,
            "evaluated": self.evaluated,
            "retries": self.retries,
            "lost_ranks": self.lost_ranks,
            "workers": len(self.seats),
            "devices": {self.worker(rank): seat.devices for rank, seat in self.seats.items() if seat.devices},
            "busy_fraction": self.busy_fraction(now if self.last_outcome is None else self.last_outcome),
            "seconds_per_proposal": {
                "median": statistics.median(times) if times else None,
                "p99": times[int(0.99 * (len(times) - 1))] if times else None,
            },
        }


def _surrogate(fit: FitState, calibration: Array | None) -> str:
    """Which surrogate is in use, and of the outcomes that it foresaw how many lay in its 90 % intervals."""
    told = f"{family(fit.kind)} of {counted(fit.rows, 'observation')}"
    if calibration is None or not len(calibration):
        return told
    latest = CalibrationRow(*calibration[-1].tolist())
    inside = round(latest.coverage_90 * latest.judged)
    return f"{told}; {inside} of {latest.judged:.0f} outcomes in its 90 % intervals"


def _judged_by(goals: Goals) -> dict[str, Any]:
    told: dict[str, Any] = {"direction": goals.directions[0]}
    if goals.several:
        told = {"objectives": goals.names, "directions": goals.directions}
    if goals.constraints:
        told["metric_constraints"] = [f"{one.name} {one.operator} {one.bound:g}" for one in goals.constraints]
    return told


def found(optimizer: Optimizer) -> dict[str, Any]:
    """What summary.json says of the front, of several objectives, and of how many trials are feasible."""
    told: dict[str, Any] = {"feasible": optimizer.incumbents.feasible} if optimizer.goals.constraints else {}
    if optimizer.goals.several:
        told["pareto"] = [trial._asdict() for trial in optimizer.best_trials]
    return told


def best_initial(records: Iterable[TrialRecord], goals: Goals) -> Incumbent | None:
    """Best feasible trial of the initial design; None with several objectives."""
    incumbents = Incumbents(goals)
    for record in records:
        outcome = record.outcome
        if record.origin == "initial" and outcome is not None and outcome.state is TrialState.COMPLETE:
            values = goals.values_of(outcome)
            if values is not None:
                incumbents.note(record.trial.number, record.trial.config, values, feasible=goals.keeps(outcome))
    return incumbents.best

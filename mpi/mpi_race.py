"""The evaluations on instances that trials are made of, as the master sees them.

A trial goes to workers part by part: an EVALUATE, and a DONE, for each instance. No worker has two parts of one trial
at a time, so that its number tells them apart on their way. A trial ends only when none of its parts is out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np
from msgspec.structs import replace

from mpi.mpi_hands import Hands
from utilities.racing import Race, Verdict
from utilities.storage.study import Study
from utilities.trial import Instance, Outcome, Trial, TrialRecord, TrialState


class Ended(NamedTuple):
    """A trial that has ended, and what came of all its parts."""

    trial: Trial
    outcome: Outcome


class Parts:
    """Says which part of which trial is evaluated next, and what becomes of trials as their parts end.

    Parameters
    ----------
    instances
        What each part is evaluated on.
    study
        Its direction, the settings of the race, and the full budget, which each part has where there are budgets.
    seed
        Of the study when it began: the same part has the same seed in all trials, so that they are compared in pairs.
    hands
        Who has which.
    """

    def __init__(self, instances: list[Instance], study: Study, seed: int, hands: Hands) -> None:
        self._instances, self._hands = instances, hands
        self._budget = None if study.fidelity is None else study.fidelity.high
        self._sign = -1.0 if study.direction == "maximize" else 1.0
        self._race = Race(len(instances), seed, study.first_instances, study.race_alpha)
        roots = [np.random.SeedSequence([seed, 7, part]) for part in range(len(instances))]
        self._seeds = [int(root.generate_state(1)[0]) for root in roots]
        self._trials: dict[int, Trial] = {}
        self._outcomes: dict[int, dict[int, Outcome]] = {}
        self._out: defaultdict[int, set[int]] = defaultdict(set)
        self._lacking: dict[int, tuple[float, list[int]]] = {}
        self._failed: set[int] = set()
        self._due: set[int] = set()
        self._standing: set[int] = set()

    def restore(self, records: Iterable[TrialRecord]) -> Self:
        """Take over what earlier runs have evaluated."""
        for record in records:
            number, outcome = record.trial.number, record.outcome
            if outcome is not None:
                if outcome.state is not TrialState.FAIL and record.parts:
                    self._race.resume(number, self._losses(record.parts), ended=True)
                continue
            self._trials[number], self._outcomes[number] = record.trial, dict(record.parts)
            self._race.resume(number, self._losses(record.parts), ended=False)
            self._due.add(number)
            if any(part.objective is None for part in record.parts.values()):
                self._failed.add(number)
            else:
                self._offer(number)
        return self

    def _losses(self, parts: dict[int, Outcome]) -> Iterable[tuple[int, float]]:
        for part, outcome in parts.items():
            if outcome.objective is not None:
                yield part, self._sign * outcome.objective

    def __len__(self) -> int:
        """Number of trials that have begun and not ended."""
        return len(self._trials)

    def enter(self, trial: Trial) -> None:
        """Take a new trial."""
        self._trials[trial.number], self._outcomes[trial.number] = trial, {}
        self._race.enter(trial.number)
        self._offer(trial.number)

    def _offer(self, number: int) -> None:
        """Have those parts of a trial handed out that it lacks, none of which is out."""
        wanted = self._race.wanted(number)
        if wanted:
            self._lacking[number] = self._race.promise(number), wanted

    @property
    def waiting(self) -> bool:
        """Whether any part could be handed out."""
        return bool(self._lacking)

    def next(self, worker: int) -> Trial | None:
        """Hand out a part to a worker: of the most promising trial that lacks one and of which it has none."""
        free = (number for number in self._lacking if not self._hands.has(worker, number))
        number = min(free, key=lambda number: (self._lacking[number][0], number), default=None)
        if number is None:
            return None
        part = self._lacking[number][1].pop(0)
        if not self._lacking[number][1]:
            del self._lacking[number]
        self._out[number].add(part)
        own = {"seed": self._seeds[part], "instance": self._instances[part], "part": part}
        return replace(self._trials[number], budget=self._budget, **own)

    def useless(self, trial: Trial) -> bool:
        """Whether a part that was to be evaluated again is needed no longer, as another of its trial has failed."""
        if trial.number not in self._failed or trial.part is None:
            return False
        self._out[trial.number].discard(trial.part)
        self._due.add(trial.number)
        return True

    def take(self, trial: Trial, outcome: Outcome) -> None:
        """Note the outcome of a part."""
        number, part = trial.number, trial.part
        if part is None:
            raise ValueError(f"trial {number} came back whole, and was handed out in parts")
        self._out[number].discard(part)
        self._outcomes[number][part] = outcome
        self._due |= {number, *self._standing}
        if outcome.objective is None:
            self._failed.add(number)
            self._lacking.pop(number, None)
        else:
            self._race.take(number, part, self._sign * outcome.objective)

    def settle(self) -> list[Ended]:
        """Decide about the trials whose parts have come back since the last call, and those that wait for others.

        Returns
        -------
        list of Ended
            Those that have ended with it.
        """
        ended: list[Ended] = []
        while self._due:
            number = min(self._due)
            self._due.discard(number)
            self._standing.discard(number)
            if self._out[number] or number in self._lacking:
                continue
            if number in self._failed:
                self._race.leave(number)
                ended.append(Ended(self._trials.pop(number), self._failure(self._forget(number))))
            elif (verdict := self._race.judge(number)) is Verdict.WAIT:
                self._standing.add(number)
                continue
            elif verdict is Verdict.GO_ON:
                self._offer(number)
                continue
            else:
                ended.append(self._end(number, verdict))
            self._due |= self._standing
        return ended

    def _forget(self, number: int) -> dict[int, Outcome]:
        self._failed.discard(number)
        del self._out[number]
        return self._outcomes.pop(number)

    def _end(self, number: int, verdict: Verdict) -> Ended:
        trial, outcomes = self._trials.pop(number), self._forget(number)
        state = TrialState.COMPLETE if verdict is Verdict.COMPLETE else TrialState.PRUNED
        estimate = self._race.estimate(number)
        metrics = _mean_metrics(outcomes.values())
        metrics |= {"instances": float(len(outcomes)), "standard_error": estimate.error}
        seconds = sum(outcome.seconds for outcome in outcomes.values())
        return Ended(trial, Outcome(state, self._sign * estimate.mean, metrics, seconds, "", estimate.error))

    def _failure(self, outcomes: dict[int, Outcome]) -> Outcome:
        """Outcome of a trial that failed on an instance: the first of its failures, with the instance named."""
        part, first = next((part, outcome) for part, outcome in outcomes.items() if outcome.objective is None)
        instance = self._instances[part]
        where = "" if instance is None else f"on instance {instance}: "
        seconds = sum(outcome.seconds for outcome in outcomes.values())
        return Outcome(TrialState.FAIL, seconds=seconds, message=where + first.message)


def _mean_metrics(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """Mean of each metric over the parts that have it."""
    values: dict[str, list[float]] = {}
    for outcome in outcomes:
        for name, value in outcome.metrics.items():
            values.setdefault(name, []).append(value)
    return {name: float(np.mean(found)) for name, found in values.items()}

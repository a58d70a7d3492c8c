"""What simulated workers evaluate and for how long: drawn for each trial by its number, whatever the optimiser does."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from learning_objective.benchmark import Benchmark
from utilities.trial import Outcome, Trial, TrialState

SLOWER = 10.0
"""How much longer a straggler takes than it would have."""


@dataclass(frozen=True)
class Workload:
    """Log-normal durations, stragglers and failures.

    Attributes
    ----------
    benchmark
        The objective, which the simulation evaluates in no virtual time.
    seconds
        Mean of a duration, stragglers aside.
    sigma
        Standard deviation of its logarithm.
    stragglers, failures
        Shares of the trials, in [0, 1], that take `SLOWER` times as long, and that fail at their end.
    noise
        Standard deviation of the Gaussian noise in what the optimiser is told.
    seed
        The same seed and the same trial number: the same duration, fate and noise.
    """

    benchmark: Benchmark
    seconds: float = 60.0
    sigma: float = 0.5
    stragglers: float = 0.0
    failures: float = 0.0
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seconds <= 0.0 or min(self.sigma, self.noise) < 0.0:
            raise ValueError(
                "seconds must be above 0, sigma and noise not below 0; "
                f"got {self.seconds}, {self.sigma} and {self.noise}"
            )
        if not all(0.0 <= share <= 1.0 for share in (self.stragglers, self.failures)):
            raise ValueError(f"stragglers and failures must be in [0, 1]; got {self.stragglers} and {self.failures}")

    def evaluate(self, trial: Trial) -> tuple[Outcome, float]:
        """Outcome of a trial, and the objective without noise, infinite where it fails."""
        rng = np.random.default_rng([self.seed, trial.number])
        z, slow, fails, noise = rng.standard_normal(), rng.random(), rng.random(), rng.standard_normal()
        seconds = self.seconds * math.exp(self.sigma * z - 0.5 * self.sigma**2)
        seconds *= SLOWER if slow < self.stragglers else 1.0
        if fails < self.failures:
            return Outcome(TrialState.FAIL, seconds=seconds, message="failure of the simulation"), math.inf
        value = self.benchmark.function(trial.config)
        if not isinstance(value, float):
            raise TypeError(f"the objective of a simulation must return a float; got {type(value).__name__}")
        return Outcome(TrialState.COMPLETE, value + self.noise * noise, seconds=seconds), value

"""The optimisers that are compared, behind one pair of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from unittest import mock

from benchmarks.pareto.problems import Problem
from reverie import Optimizer
from utilities import front_proposer

if TYPE_CHECKING:
    from collections.abc import Callable


class Asked(Protocol):
    """Somebody who proposes configurations, any number of which may be pending."""

    def ask(self) -> tuple[Any, dict[str, float]]:
        """Next trial and its configuration."""

    def tell(self, trial: Any, objectives: list[float], metrics: list[float]) -> None:
        """Outcome of a trial."""


class Reverie:
    """Our own, by a method; with another share of scalarisations, where one is given."""

    def __init__(self, problem: Problem, seed: int, method: str, scalarised: float | None = None) -> None:
        several = max(1, len(problem.reference))
        bounds = [f"c{i} <= 0" for i in range(problem.constraints)]
        self._scalarised = {} if scalarised is None else dict.fromkeys(range(2, 5), scalarised)
        self._optimizer = Optimizer(
            problem.space, method, seed, directions=["minimize"] * several, metric_constraints=bounds
        )

    def ask(self) -> tuple[Any, dict[str, float]]:
        """Next trial and its configuration."""
        with mock.patch.dict(front_proposer.SCALARISED, self._scalarised):
            trial = self._optimizer.ask()
        return trial, dict(trial.config)  # type: ignore[arg-type]

    def tell(self, trial: Any, objectives: list[float], metrics: list[float]) -> None:
        """Outcome of a trial."""
        self._optimizer.tell(trial, objectives, metrics={f"c{i}": value for i, value in enumerate(metrics)})


class Optuna:
    """Optuna's samplers that know several objectives and constraints."""

    def __init__(self, problem: Problem, seed: int, sampler: str, pending: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)

        def constraints(trial: Any) -> list[float]:
            return list(trial.user_attrs["metrics"])

        limited = {"constraints_func": constraints} if problem.constraints else {}
        made: Any = {
            "random": lambda: optuna.samplers.RandomSampler(seed=seed),
            "nsga2": lambda: optuna.samplers.NSGAIISampler(population_size=20, seed=seed, **limited),
            "tpe": lambda: optuna.samplers.TPESampler(seed=seed, constant_liar=pending > 1, **limited),
        }[sampler]()
        self._dimension = problem.dimension
        self._study = optuna.create_study(sampler=made, directions=["minimize"] * max(1, len(problem.reference)))

    def ask(self) -> tuple[Any, dict[str, float]]:
        """Next trial and its configuration."""
        trial = self._study.ask()
        return trial, {f"x{i}": trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(self._dimension)}

    def tell(self, trial: Any, objectives: list[float], metrics: list[float]) -> None:
        """Outcome of a trial."""
        trial.set_user_attr("metrics", metrics)
        self._study.tell(trial, objectives)


OPTIMIZERS: dict[str, Callable[[Problem, int, int], Asked]] = {
    "reverie-gp": lambda problem, seed, _: Reverie(problem, seed, "gp"),
    "reverie-hypervolume": lambda problem, seed, _: Reverie(problem, seed, "gp", scalarised=0.0),
    "reverie-chebyshev": lambda problem, seed, _: Reverie(problem, seed, "gp", scalarised=1.0),
    "reverie-dngo": lambda problem, seed, _: Reverie(problem, seed, "dngo"),
    "optuna-tpe": lambda problem, seed, pending: Optuna(problem, seed, "tpe", pending),
    "optuna-nsga2": lambda problem, seed, pending: Optuna(problem, seed, "nsga2", pending),
    "random": lambda problem, seed, pending: Optuna(problem, seed, "random", pending),
}

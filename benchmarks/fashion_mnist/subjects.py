"""The optimisers that are compared, by name.

| name | what |
|---|---|
| `METHOD` | ours by that method, every trial to its end |
| `METHOD+RULE` | ours, trials ended early by that rule of `[early_stopping]` |
| `METHOD+RULE:KEY=VALUE` | likewise, with keys of that table, such as `auto+median:min_trials=3` |
| `optuna-tpe+hyperband` | Optuna's TPESampler and HyperbandPruner, by their defaults |

Ours are the very master of a run, with its journal on disk: what it does with reports and stops is what a user gets.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fashion_mnist.race import WORKERS, Proposal
from learning_objective.command_line import Options
from mpi.mpi_definitions import Done, Evaluate, Letter, Ready, Report, Stop
from mpi.mpi_session import Plan, Session, prepare_study
from utilities.trial import Outcome, Trial, TrialState

OPTUNA = "optuna-tpe+hyperband"
DEFAULT = ("auto", "auto+asha:probability=0.1", "random+asha", OPTUNA)
SECONDS = 60.0
"""An epoch in the time of the master: long enough that no proposal or refit is hurried."""

_LOOKS = 1000


def early_stopping(name: str) -> dict[str, Any] | None:
    """The table of the study file that a name of ours stands for; None where trials run to their end."""
    _, plus, words = name.partition("+")
    if not plus:
        return None
    rule, *pairs = words.split(":")
    table: dict[str, Any] = {"rule": rule}
    for pair in pairs:
        key, _, text = pair.partition("=")
        try:
            table[key] = json.loads(text)
        except json.JSONDecodeError:
            table[key] = text
    return table


class Ours:
    """A study, led by the master of a parallel run.

    Parameters
    ----------
    name
        See above.
    seed
        Of the study.
    space
        The table of a study file.
    objective
        A file and a function that the study file may name; it is not called.
    folder
        For the study file and what the run leaves.

    Raises
    ------
    StudyError
        There is no such method or rule, or the rule has no such key.
    """

    def __init__(self, name: str, seed: int, space: Mapping[str, Any], objective: str, folder: Path) -> None:
        method, _, _ = name.partition("+")
        study = {"name": "bench", "objective": objective, "method": method, "seed": seed, "budget": 10**6}
        rule = early_stopping(name)
        tables = {"study": study, "space": space} | ({} if rule is None else {"early_stopping": rule})
        path = folder / "study.json"
        path.write_text(json.dumps(tables))
        self._given: dict[int, Trial] = {}
        self._stopped: set[int] = set()
        self._output = io.StringIO()
        with contextlib.redirect_stdout(self._output):
            opened = prepare_study(Options(study=str(path)))
            self._session = Session(Plan(*opened, folder), ranks=WORKERS + 1, trainers=(), ahead=False)
        self._master = self._session.master
        self._began = self._master.ledger.began
        for worker in range(1, WORKERS + 1):
            self._deliver(self._master.handle(Ready(f"node{worker}"), worker, self._at(0)))

    def _at(self, now: int) -> float:
        return self._began + SECONDS * now

    def _deliver(self, letters: list[Letter]) -> None:
        for worker, message in letters:
            if isinstance(message, Evaluate):
                self._given[worker] = message.trial
            elif isinstance(message, Stop):
                self._stopped.add(message.number)

    def ask(self, worker: int, now: int) -> Proposal:
        """What the master has given a worker.

        Raises
        ------
        RuntimeError
            It gives nothing, which would be a defect of the master.
        """
        for _ in range(_LOOKS):
            if worker in self._given:
                trial = self._given.pop(worker)
                return Proposal(trial.number, trial.config, trial.seed)
            self._deliver(self._master.idle(self._at(now)))
        raise RuntimeError(f"the master gives worker {worker} nothing to do:\n{self._output.getvalue()}")

    def report(self, worker: int, number: int, step: int, error: float, now: int) -> bool:
        """Send a report; whether STOP came back."""
        self._deliver(self._master.handle(Report(number, step, error), worker, self._at(now)))
        return number in self._stopped

    def tell(self, worker: int, number: int, error: float, now: int, *, pruned: bool) -> None:
        """Send an outcome; the next trial comes back."""
        state = TrialState.PRUNED if pruned else TrialState.COMPLETE
        outcome = Outcome(state, error, seconds=SECONDS)
        self._deliver(self._master.handle(Done(number, outcome), worker, self._at(now)))

    def close(self) -> None:
        """Let go of the run's folder."""
        with contextlib.redirect_stdout(self._output):
            self._session.close()


class OptunaHyperband:
    """Optuna, asked and told.

    Parameters
    ----------
    seed
        Of the sampler, and, with a trial's number, of the trial as in ours.
    space
        The table of a study file: floats and integers, all active.
    longest
        Epochs of a trial that is not stopped.
    """

    def __init__(self, seed: int, space: Mapping[str, Any], longest: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._seed, self._space, self._pruned = seed, space, optuna.trial.TrialState.PRUNED
        pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=longest, reduction_factor=3)
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=pruner,
            study_name=f"seed {seed}",  # the pruner draws brackets by it; the default is another one each time
        )
        self._trials: dict[int, Any] = {}

    def ask(self, worker: int, now: int) -> Proposal:
        """Propose."""
        trial = self._study.ask()
        self._trials[trial.number] = trial
        suggest = {"float": trial.suggest_float, "int": trial.suggest_int}
        config = {
            key: suggest[row["type"]](key, row["low"], row["high"], log=row.get("log", False))
            for key, row in self._space.items()
        }
        seed = int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0])
        return Proposal(trial.number, config, seed)

    def report(self, worker: int, number: int, step: int, error: float, now: int) -> bool:
        """Report, and ask the pruner."""
        self._trials[number].report(error, step)
        return bool(self._trials[number].should_prune())

    def tell(self, worker: int, number: int, error: float, now: int, *, pruned: bool) -> None:
        """Tell; a pruned trial's value is its latest."""
        trial = self._trials.pop(number)
        if pruned:
            self._study.tell(trial, state=self._pruned)
        else:
            self._study.tell(trial, error)

    def close(self) -> None:
        """Nothing is held."""

"""A rerun: the best configurations of a study, evaluated again, as a study of its own in the study's folder.

Each repeat, on each instance where there are any, is a part of a trial (see `mpi.mpi_race`); nothing is raced. The
parts have the same seeds in all configurations, and others than the study had; in a study with budgets each has the
full one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import replace

from learning_objective.benchmarks import BENCHMARKS
from learning_objective.command_line import Options
from learning_objective.rerun_line import RerunOptions
from learning_objective.studies import open_study
from utilities.display.comparison import as_table
from utilities.errors import StudyError
from utilities.race_results import RaceResult, comparison, given_up, race_results
from utilities.storage.reading import read_trials
from utilities.storage.records import Header
from utilities.storage.resumption import OF_A_RUN
from utilities.storage.study import Study
from utilities.storage.tables import SUFFIXES
from utilities.trial import TrialRecord


class Rerun(NamedTuple):
    """What is evaluated again.

    Attributes
    ----------
    folder
        Of the study whose configurations these are.
    originals
        The configurations, the best first: trial i of the rerun is of the i-th.
    instances
        Number of instances, 1 where there are none.
    """

    folder: Path
    originals: list[RaceResult]
    instances: int

    def numbers(self, summary: dict[str, Any]) -> None:
        """Put the study's own numbers of trials into a summary, in place of the rerun's."""
        if summary.get("best"):
            summary["best"]["number"] = self.originals[summary["best"]["number"]].number

    def results(self, records: Mapping[int, TrialRecord], direction: str) -> dict[str, Any]:
        """What summary.json says: each configuration before and now, and how they compare now."""
        found = comparison(records.values(), direction, self.instances)
        errors = {} if found is None else {trial.number: trial.standard_error for trial in found.trials}
        trials = [self._result(i, records.get(i), errors.get(i)) for i in range(len(self.originals))]
        table: dict[str, Any] = {"rerun": {"of": str(self.folder), "trials": trials}}
        if found is not None:
            own = [original.number for original in self.originals]
            renamed = [trial._replace(number=own[trial.number]) for trial in found.trials]
            pairs = [pair._replace(trials=(own[pair.trials[0]], own[pair.trials[1]])) for pair in found.pairs]
            table["significance"] = as_table(found._replace(trials=renamed, pairs=pairs))
        return table

    def _result(self, i: int, record: TrialRecord | None, error: float | None) -> dict[str, Any]:
        original = self.originals[i]
        outcome = None if record is None else record.outcome
        return {
            "number": original.number,
            "config": original.config,
            "original": original.objective,
            "objective": None if outcome is None else outcome.objective,
            "standard_error": error if error is not None or outcome is None else outcome.standard_error,
            "evaluations": 0 if record is None else len(record.parts),
            "failure": "" if outcome is None else outcome.reason,
        }


def plan_rerun(options: RerunOptions) -> tuple[Study, Path, Rerun]:
    """Study of a rerun, the folder in which its own folder lies, and what is evaluated again.

    Raises
    ------
    StudyError
        There is no such study, nothing of it has succeeded, or an earlier rerun of the same name was of others.
    """
    given = Path(options.target)
    study = None
    if given.suffix in SUFFIXES or options.target in BENCHMARKS:
        study = open_study(Options(study=options.target))
    folder = given if study is None else Path(options.output) / study.name
    folder = folder.parent if folder.name == "journal.jsonl" else folder
    replay = read_trials(folder, f"rerun: {folder}")
    header = replay.header
    study = _study_of(header, folder) if study is None else study
    best = _best(replay.trials.values(), header.direction, options.top)
    if not best:
        raise StudyError(f"rerun: {folder} has no trial that succeeded: there is nothing to evaluate again")
    derived = int(np.random.SeedSequence([header.seed, 11]).generate_state(1)[0])
    name = f"rerun-{options.top}x{options.repeats}" + ("" if options.seed is None else f"-seed{options.seed}")
    again = replace(
        study,
        name=name,
        direction=header.direction,
        budget=len(best),
        time_limit=options.time_limit,
        trial_timeout=options.trial_timeout or study.trial_timeout,
        method="random",
        acquisition=None,
        kappa=None,
        seed=derived if options.seed is None else options.seed,
        constraints=None,
        forbid=None,
        warm_start=None,
        early_stopping=None,
        stages=[],
        keep_best=None,
        max_consecutive_failures=max(study.max_consecutive_failures, len(best)),
        instances=(header.instances or [None]) * options.repeats,
        first_instances=None,
        race_alpha=0.0,
        enqueue=[result.config for result in best],
        space=replay.space,
    )
    if len(again.instances or ()) * len(best) > 1 << 20:
        raise StudyError(f"rerun: --top times --repeats must be at most {1 << 20:,} evaluations")
    _refuse_others(folder / name, best)
    return again, folder, Rerun(folder, best, len(header.instances or [None]))


def _best(records: Iterable[TrialRecord], direction: str, count: int) -> list[RaceResult]:
    """The best configurations: those that completed, and where they are too few, those that a race gave up."""
    records = list(records)
    best = race_results(records, direction)
    known = [result.config for result in best]
    others = (result for result in given_up(records, direction) if result.config not in known)
    return [*best, *others][:count]


def _study_of(header: Header, folder: Path) -> Study:
    """The study that a journal tells of, its objective looked for where it was, or here."""
    from utilities.space import Space

    home = Path(header.folder) if header.folder and Path(header.folder).is_dir() else Path.cwd()
    return Study(
        name=header.name,
        objective=header.objective,
        command=header.command,
        direction="maximize" if header.direction == "maximize" else "minimize",
        seed=header.seed,
        fidelity=header.fidelity,
        space=Space.from_dict(header.space),
        folder=home,
        source=str(folder),
        **{key: getattr(header, key) for key in OF_A_RUN},
    )


def _refuse_others(folder: Path, best: Iterable[RaceResult]) -> None:
    """See that an earlier rerun in this folder was of the same configurations."""
    journal = folder / "journal.jsonl"
    if not journal.exists() or journal.stat().st_size == 0:
        return
    earlier = read_trials(folder, f"rerun: {folder}").header.enqueue
    if earlier != [result.config for result in best]:
        raise StudyError(
            f"rerun: {folder} holds a rerun of other configurations, for the study has gone on since: choose another "
            "--seed, --top or --repeats, or move it away"
        )

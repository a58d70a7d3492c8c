"""From the command line to a study: a study file, or a benchmark by its name."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path

import msgspec

from learning_objective import memory
from learning_objective.benchmarks import BENCHMARKS, Benchmark
from learning_objective.command_line import Options
from learning_objective.hidden_function import check, check_takes_trial
from learning_objective.objective_spec import ObjectiveSpec
from utilities.display.text import clean, emit
from utilities.errors import StudyError, nearest, quoted
from utilities.methods import missing_extra
from utilities.storage.stored_study import read_stored
from utilities.storage.study import Study
from utilities.storage.study_file import override, read_study
from utilities.storage.tables import LARGEST, SUFFIXES

DEFAULT_BUDGET = 100


def prepare_study(options: Options) -> tuple[Study, ObjectiveSpec]:
    """Read the study and see that its objective is there, before anything is started or written.

    Raises
    ------
    StudyError
        Whatever is wrong with the command line, the study file or the objective.
    """
    study = open_study(options)
    return study, spec_of(study, "; --objective-folder names another folder" if options.resumed else "")


def spec_of(study: Study, hint: str = "") -> ObjectiveSpec:
    """Where the study's objective is, having seen that it is there; `hint` ends the message where it is not.

    Raises
    ------
    StudyError
        What is wrong with it, or what this machine or installation lacks.
    """
    if study.trial_memory is not None and not memory.available():
        raise StudyError(
            f"{study.source}: [study] trial_memory needs /proc to tell what a process has; leave it out here"
        )
    if lacking := missing_extra(study.method):
        raise StudyError(f"{study.source}: {lacking}")
    spec = ObjectiveSpec(
        objective=study.objective,
        command=study.command,
        folder=str(study.folder),
        objectives=study.objectives,
        metrics=[constraint.name for constraint in study.goals.constraints],
    )
    try:
        check(spec)
        if study.fidelity is not None:
            check_takes_trial(spec)
    except StudyError as error:
        raise StudyError(f"{study.source}: [study] {error}{hint}") from None
    return spec


def open_study(options: Options) -> Study:
    """Read the study that the command line names, with its flags in place.

    A benchmark's study is named after the benchmark, the method, the acquisition where one is asked for, and the seed,
    so that runs of a comparison keep apart.

    Raises
    ------
    StudyError
        Neither a study file nor a benchmark, or whatever is wrong with the file or the flags.
    """
    benchmark = None if options.resumed else BENCHMARKS.get(options.study)
    if options.resumed:
        study = _resumed(options)
    else:
        study = read_study(_path(options.study)) if benchmark is None else _benchmark_study(benchmark)
    study = override(
        study,
        method=options.method,
        acquisition=options.acquisition,
        kappa=options.kappa,
        budget=options.budget,
        time_limit=options.time_limit,
        seed=options.seed,
        trial_timeout=options.trial_timeout,
        trial_memory=options.trial_memory,
        trainers=options.trainers,
        ranks_per_worker=options.ranks_per_worker,
        gpus_per_worker=options.gpus_per_worker,
        threads_per_worker=options.threads_per_worker,
        keep_best=options.keep_best,
        retries=options.retries,
        max_consecutive_failures=options.max_consecutive_failures,
    )
    if benchmark is not None:
        chosen = (study.method, study.acquisition, None if study.kappa is None else f"kappa{study.kappa:g}")
        parts = [benchmark.name, *(part for part in chosen if part is not None), f"seed{study.seed}"]
        study = msgspec.structs.replace(study, name="-".join(parts))
    return _with_limits(study)


def _resumed(options: Options) -> Study:
    """Study that goes on in its run folder; says from where, and what has become of its file."""
    at = None if options.objective_folder is None else Path(options.objective_folder).absolute()
    stored = read_stored(Path(options.study), at)
    study, last = stored.study, stored.last
    budget = "" if study.budget is None else f" of {study.budget:,}"
    when = "" if last is None else time.strftime(", last run %Y-%m-%d %H:%M:%S", time.localtime(last.time))
    what = study.objective or shlex.join(study.command or ())
    emit(sys.stdout, f"{options.study}: continues {clean(study.name)}, {stored.ended:,}{budget} trials ended{when}")
    emit(sys.stdout, f"  objective {clean(what)}, in {clean(str(study.folder))}")
    if not stored.whole:
        lost = "its time limits, early stopping and the like are not known, and have their defaults"
        emit(sys.stdout, f"  an older version wrote this journal, and study.h5 is missing or damaged: {lost}")
    for line in _differences(study):
        emit(sys.stdout, f"  {clean(line)}")
    return study


def _differences(study: Study) -> list[str]:
    """Say in what the study file, where it is there, differs from the study that goes on without it."""
    path = Path(study.source)
    if path.suffix not in SUFFIXES or not path.is_file():
        return []
    try:
        then, now = study.to_dict(), read_study(path).to_dict()
    except StudyError as error:
        return [f"the study file has a mistake by now, and is not read: {error}"]
    keys = [
        f"[study] {key}"
        for key in then["study"] | now["study"]
        if key != "name" and then["study"].get(key) != now["study"].get(key)
    ]
    keys += [f"[{table}]" for table in then | now if table != "study" and then.get(table) != now.get(table)]
    if not keys:
        return []
    return [f"{path} says otherwise in {', '.join(keys)}; `reverie run` goes by that file, this by the last run"]


def _path(text: str) -> Path:
    path = Path(text)
    if path.suffix not in SUFFIXES and not os.path.exists(path):
        raise StudyError(
            f"STUDY must be a .toml or .json file or a benchmark ({', '.join(BENCHMARKS)}); got {quoted(text)}."
            + nearest(text, BENCHMARKS)
        )
    return path


def _benchmark_study(benchmark: Benchmark) -> Study:
    from utilities.space import Space

    return Study(
        name=benchmark.name,
        objective=benchmark.name,
        budget=benchmark.budget,
        isolation=benchmark.isolation,
        space=Space.from_dict(benchmark.space),
        folder=Path.cwd(),
        source=benchmark.name,
    )


def _with_limits(study: Study) -> Study:
    """A study needs an end; limits on trials need a process that can be killed."""
    if study.budget is None and study.time_limit is None:
        study = msgspec.structs.replace(study, budget=_default_budget(study))
    if study.trial_timeout is not None or study.trial_memory is not None:
        study = msgspec.structs.replace(study, isolation="process")
    return study


def _default_budget(study: Study) -> int:
    if study.method == "grid":
        from utilities.grid import Grid

        return min(Grid(study.space).size, LARGEST)
    return DEFAULT_BUDGET

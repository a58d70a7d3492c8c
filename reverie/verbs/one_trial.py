"""The first trial of a study, proposed and evaluated as a run would do it, beside all records."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from learning_objective.evaluation import Evaluator, Report
from learning_objective.memory import format_bytes, held
from learning_objective.objective_spec import ObjectiveSpec
from learning_objective.resources import Resources
from utilities.devices import Devices, GpuPool, find, offered
from utilities.display.text import clean, duration, listed, number, printable, setting
from utilities.storage.study import Study
from utilities.storage.warm_start import observations
from utilities.study_optimizer import make_optimizer
from utilities.trial import Outcome, Trial, TrialState

_LOOK_SECONDS = 0.02
_SHOWN_REPORTS = 5
_SHOWN_LINES = 20


class Result(NamedTuple):
    """What came of it: lines to show, seconds of the evaluation (None where it failed), whether it could be loaded."""

    lines: list[str]
    seconds: float | None
    unloadable: bool


def evaluate_one(study: Study, spec: ObjectiveSpec, folder: Path, tell: Callable[[str], None]) -> Result:
    """Propose a study's first configuration, and evaluate it with its trial's folder in `folder`.

    `tell` is called with what is worth knowing meanwhile, a line at a time.
    """
    trial = first_trial(study)
    where = "" if trial.instance is None else f" on instance {clean(str(trial.instance))}"
    where += "" if trial.budget is None else f" with budget {number(trial.budget)}"
    tell(f"\nevaluates {listed([f'{clean(name)} {setting(value)}' for name, value in trial.config.items()])}{where}")
    threads = study.threads_per_worker or len(os.sched_getaffinity(0))
    resources = Resources(threads, study.threads_per_worker is not None, _devices(study, tell))
    evaluator = Evaluator(spec, folder, study.trial_timeout, study.isolation, resources, memory=study.trial_memory)
    with evaluator:
        reports, outcome, most = _follow(evaluator, trial)
        unloadable = evaluator.load_error is not None
    lines = [*_told(reports), *_outcome_lines(outcome, most)]
    succeeded = outcome.state is not TrialState.FAIL
    return Result(lines, outcome.seconds if succeeded else None, unloadable)


def first_trial(study: Study) -> Trial:
    """Trial with which a new run of the study begins."""
    optimizer = make_optimizer(study, study.fidelity)
    for observation in observations(study)[0]:
        values = optimizer.goals.observed(observation.objective, observation.metrics)
        optimizer.observe(observation.config, values, observation.metrics)
    optimizer.enqueue_outstanding(study.enqueue, [])
    trial = optimizer.ask()
    return trial if study.instances is None else replace(trial, instance=study.instances[0], part=0)


def _devices(study: Study, tell: Callable[[str], None]) -> Devices | None:
    """GPUs of the first worker, as far as this machine has them."""
    share = study.gpus_per_worker
    if share is None:
        return None
    here = offered(os.environ, find) or ()
    if len(here) < share:
        tell(f"gpus_per_worker = {share:g}, and this machine offers {len(here)}: the trial sees those")
        return here
    return GpuPool(here).take(share)


def _follow(evaluator: Evaluator, trial: Trial) -> tuple[list[Report], Outcome, int]:
    """Evaluate a trial to its end; returns its reports, its outcome, and the most bytes that its processes had."""
    reports: list[Report] = []
    evaluator.load()
    most = _held(evaluator)
    evaluator.start(trial)
    while not isinstance(event := evaluator.poll(_LOOK_SECONDS), Outcome):
        most = max(most, _held(evaluator))
        if event is not None:
            reports.append(event)
    return reports, event, most


def _held(evaluator: Evaluator) -> int:
    return 0 if evaluator.group is None else held(evaluator.group)


def _told(reports: list[Report]) -> list[str]:
    lines = [f"  report   step {report.step}: {number(report.value)}" for report in reports[:_SHOWN_REPORTS]]
    more = len(reports) - _SHOWN_REPORTS
    return [*lines, f"  report   and {more:,} more"] if more > 0 else lines


def _outcome_lines(outcome: Outcome, most: int) -> list[str]:
    memory = [f"  memory   {format_bytes(most)}"] if most else []
    lines = [f"  seconds  {duration(outcome.seconds)}", *memory]
    if outcome.state is TrialState.FAIL:
        first, *rest = outcome.message.splitlines() or [""]
        return [*lines, f"  failed   {clean(first)}", *(f"    {printable(line)}" for line in rest[-_SHOWN_LINES:])]
    value = [] if outcome.objective is None and outcome.metrics else [f"  value    {outcome.objective!r}"]
    metrics = [f"  metric   {clean(name)} {number(metric)}" for name, metric in outcome.metrics.items()]
    return [*value, *lines, *metrics]

"""The verb ``reverie check``: a study is read, shown, and one configuration of it evaluated, without MPI."""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from learning_objective.command_line import DURATIONS, Options, Parser, add_settings
from reverie.verbs.speaking import act, at_least, parser
from utilities.display.text import clean, counted, duration, emit, listed, setting
from utilities.storage.study import Study

NONE_SUCCEEDED = 3
_HELP = """\
Validate a study file, show its space, and evaluate the first configuration that a run would, in a process of its own as
a worker does it and in a temporary folder: nothing is left. Then estimate how long the study takes. Exit status: 0 all
is well, 2 the file or the command line is wrong or the objective cannot be loaded, 3 the evaluation failed."""


def make_parser(program: str) -> Parser:
    """Parser of this verb."""
    own = parser(program, _HELP, f"{program} study.toml --workers 14\n\n{DURATIONS}")
    own.add_argument("study", metavar="STUDY", help="a .toml or .json study file, or the name of a benchmark")
    own.add_argument(
        "--evaluate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether to evaluate a configuration (default: it is)",
    )
    own.add_argument("--workers", type=at_least(1), metavar="N", help="workers of the estimate (default: 1 and others)")
    add_settings(own)
    return own


def main(arguments: Sequence[str], program: str) -> int:
    """Check the study that the command line names; return the exit status."""
    return act(make_parser(program), arguments, _check)


def _check(given: argparse.Namespace) -> int:
    from learning_objective.studies import prepare_study

    fields = vars(given)
    evaluate, workers = fields.pop("evaluate"), fields.pop("workers")
    study, spec = prepare_study(Options(**fields))
    for line in _described(study):
        emit(sys.stdout, line)
    if not evaluate:
        return 0
    if study.ranks_per_worker > 1:
        emit(sys.stdout, "not evaluated: ranks_per_worker is above 1, and the other ranks are missing here")
        return 0
    from reverie.verbs.one_trial import evaluate_one

    with tempfile.TemporaryDirectory(prefix="reverie-check-") as folder:
        result = evaluate_one(study, spec, Path(folder), lambda line: emit(sys.stdout, line))
    for line in result.lines:
        emit(sys.stdout, line)
    if result.unloadable:
        return 2
    if result.seconds is None:
        return NONE_SUCCEEDED
    for line in _estimate(study, result.seconds, workers):
        emit(sys.stdout, line)
    return 0


def _described(study: Study) -> Iterator[str]:
    """Lines on the study and its space."""
    what = study.objective or " ".join(study.command or ())
    limits = listed(
        [
            "" if study.budget is None else counted(study.budget, "trial"),
            "" if study.time_limit is None else f"{duration(study.time_limit)} at most",
        ]
    )
    goals = study.goals
    aims = [f"{way} {clean(name)}" for way, name in zip(goals.directions, goals.names, strict=True)]
    aim = f"{listed(aims)} of" if goals.several else study.direction
    yield f"{clean(study.name)}: {aim} {clean(what)} by {study.method}, {limits}"
    yield ""
    rows = [("parameter", "type", "values", "active when"), *map(_row, study.space.to_dict().items())]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        yield "  ".join([*map(str.ljust, row[:3], widths), row[3]]).rstrip()
    yield ""
    size = study.space.cardinality
    yield f"{_size(size)}{' at most' if size < math.inf and study.space.parents else ''}"
    for rule in study.constraints or ():
        yield f"constraint: {clean(rule)}"
    for bound in study.metric_constraints or ():
        yield f"feasible: {clean(bound)}"
    for table in study.forbid or ():
        yield f"forbidden: {clean(str(table))}"


def _row(entry: tuple[str, dict[str, object]]) -> tuple[str, str, str, str]:
    name, table = entry
    return clean(name), str(table["type"]), _values(table), _condition(table.get("when"))


def _values(table: dict[str, object]) -> str:
    if "low" in table:
        ends = f"{_shown(table['low'])} to {_shown(table['high'])}"
        step = table.get("step")
        return listed([ends, f"step {_shown(step)}" if step else "", "logarithmic" if table.get("log") else ""])
    if "choices" in table:
        assert isinstance(table["choices"], list)
        return listed(list(map(_shown, table["choices"])))
    return _shown(table["value"]) if "value" in table else "false, true"


def _shown(value: object) -> str:
    return setting(value) if isinstance(value, bool | int | float | str) else clean(str(value))


def _condition(when: Any) -> str:
    """What the tables of a ``when`` say: alternatives joined by "or", parents by "and"."""
    tables = when if isinstance(when, list) else [when] if when else []
    return " or ".join(
        " and ".join(_wanted(clean(parent), value) for parent, value in table.items()) for table in tables
    )


def _wanted(parent: str, value: Any) -> str:
    """``width > 30``, ``optimiser is sgd or adam``."""
    parts = [
        f"{parent} {clean(wanted)}" if isinstance(wanted, str) and wanted[:1] in "<>=!" and wanted else _shown(wanted)
        for wanted in (value if isinstance(value, list) else [value])
    ]
    return " or ".join(part if part.startswith(f"{parent} ") else f"{parent} is {part}" for part in parts)


def _size(size: float) -> str:
    if size == math.inf:
        return "infinitely many configurations"
    return f"{size:,} configurations" if size < 1e15 else f"10^{math.log10(size):.0f} configurations"


def _estimate(study: Study, seconds: float, workers: int | None) -> Iterator[str]:
    """How long the study takes where every trial takes as long as this one, or how many trials fit."""
    yield ""
    cores = len(os.sched_getaffinity(0))
    for count in [workers] if workers else sorted({1, cores, 16}):
        of = counted(count, "worker")
        if study.budget is not None:
            whole = math.ceil(study.budget * len(study.instances or [None]) / count) * seconds
            late = study.time_limit is not None and whole > study.time_limit
            cut = f"; time_limit ends it after {duration(study.time_limit or 0.0)}" if late else ""
            what = f"{counted(study.budget, 'trial')} such as this take"
            if study.instances is not None:
                what = f"{counted(study.budget, 'trial')} on all {len(study.instances)} instances would take at most"
            yield f"with {of}: {what} {duration(whole)}{cut}"
        elif study.time_limit is not None:
            fit = count * int(study.time_limit / max(seconds, 1e-6))
            yield f"with {of}: {counted(fit, 'trial')} such as this fit into {duration(study.time_limit)}"

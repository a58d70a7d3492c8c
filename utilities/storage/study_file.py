"""The study file: TOML or JSON in, a checked Study out, and one clear sentence for every mistake in it.

The rules of single keys stand in `study_rules`; here are the file, and what keys mean to each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from utilities.budgets import Fidelity
from utilities.early_stopping import Settings
from utilities.errors import StudyError, nearest
from utilities.goal_rules import check_goals
from utilities.methods import acquisition_misuse
from utilities.metric_constraints import check_directions
from utilities.storage.early_stopping_table import TABLE, parse_early_stopping
from utilities.storage.fidelity_table import FIDELITY, PLACEHOLDERS, check_rule, parse_fidelity
from utilities.storage.race_rules import check_race
from utilities.storage.rules import check_key
from utilities.storage.space_file import KEY, read_space_file
from utilities.storage.stage_tables import TABLE as STAGE
from utilities.storage.stage_tables import read_stages
from utilities.storage.study_rules import RULES, name_of_study
from utilities.storage.tables import read_tables, show
from utilities.trial import Instance

if TYPE_CHECKING:
    from utilities.goals import Goals
    from utilities.space import Space

Direction: TypeAlias = Literal["minimize", "maximize"]
Isolation: TypeAlias = Literal["process", "none"]

_TABLES = ("study", "space", "enqueue", STAGE, TABLE, FIDELITY)
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """What to optimise, where, and for how long.

    Attributes
    ----------
    name
        Name of the study and of its folder.
    objective
        ``train.py:objective``, ``package.module:function`` or the name of a benchmark; None where `command` is given.
    command
        Program and arguments, with ``{parameter}`` for a value and ``{{``, ``}}`` for braces.
    direction
        Whether the smallest or the largest objective is wanted.
    objectives, directions
        Names of several objectives among the metrics, and the direction of each; None means one objective, and that
        all are to be minimised.
    metric_constraints
        What the metrics of a feasible trial keep, such as ``seconds < 5``; None means nothing.
    budget
        Number of trials; None means no limit.
    time_limit, trial_timeout
        Seconds for the run and for one trial; None means no limit.
    method
        One of METHODS.
    acquisition
        One of ACQUISITIONS, for methods that learn; None means the default.
    kappa
        Standard deviations in the bound of acquisition ``ucb``; None means the default.
    seed
        Seed of the proposals and, through the trials' own seeds, of the objective.
    constraints, forbid
        Expressions that every configuration must keep, and tables of values of which it must match none; `space` holds
        them. None means none.
    warm_start
        Folders of earlier studies whose trials are observations of this one; None means none.
    trial_memory
        Bytes of memory for one trial; None means no limit.
    trainers
        Ranks of a parallel run that refit the surrogate, where there are enough.
    ranks_per_worker
        Ranks that evaluate each of a worker's trials together.
    gpus_per_worker
        GPUs of its node that a worker's trials see, 1/k for one that k workers share, 0 for none; None leaves that to
        the environment.
    threads_per_worker
        Threads of the numerical libraries in a worker's trials, of all its ranks; None means its share of the cores.
    keep_best
        So many trials' folders are kept, those of the best; None keeps all.
    retries
        How often a trial is evaluated again after its worker was lost or its process killed, neither its own fault.
    max_consecutive_failures
        So many failed trials in a row end the run.
    grace
        Seconds that running trials get once a time limit or a signal ends the run.
    isolation
        Whether the objective runs in a child process of its worker or inside it.
    instances
        What each configuration is evaluated on, a part each; None where a trial is one evaluation.
    first_instances
        How many of them every configuration gets.
    race_alpha
        Probability with which a comparison gives up a configuration that equals the best; 0 lets all finish.
    early_stopping
        The rule by which trials are ended early; None means that none is.
    fidelity
        The budgets with which trials are evaluated; None means that there are none.
    enqueue
        Configurations, whole or in part, that come first.
    stages
        Tables of the stages, from coarse to fine, see `utilities.stage_plan`; none means that there are none.
    space
        The parameters.
    folder
        What a relative path of the objective is relative to.
    source
        The study file's path as given, or the benchmark's name: for messages.
    """

    name: str
    objective: str | None = None
    command: list[str] | None = None
    direction: Direction = "minimize"
    objectives: list[str] | None = None
    directions: list[str] | None = None
    metric_constraints: list[str] | None = None
    budget: int | None = None
    time_limit: float | None = None
    method: str = "auto"
    acquisition: str | None = None
    kappa: float | None = None
    seed: int = 0
    constraints: list[str] | None = None
    forbid: list[dict[str, Any]] | None = None
    warm_start: list[str] | None = None
    trial_timeout: float | None = None
    trial_memory: int | None = None
    trainers: int = 1
    ranks_per_worker: int = 1
    gpus_per_worker: float | None = None
    threads_per_worker: int | None = None
    keep_best: int | None = None
    retries: int = 2
    max_consecutive_failures: int = 25
    grace: float = 30.0
    isolation: Isolation = "process"
    instances: list[Instance] | None = None
    first_instances: int | None = None
    race_alpha: float | None = None
    early_stopping: Settings | None = None
    fidelity: Fidelity | None = None
    enqueue: list[dict[str, Any]] = []
    stages: list[dict[str, Any]] = []
    space: Space
    folder: Path
    source: str

    @property
    def goals(self) -> Goals:
        """What its trials are judged by."""
        from utilities.goals import make_goals

        return make_goals(self.direction, self.directions, self.objectives, self.metric_constraints)

    def to_dict(self) -> dict[str, Any]:
        """The tables as a study file has them, without keys that are None and tables that are empty."""
        table = {key: getattr(self, key) for key in RULES}
        own = {key: value for key, value in table.items() if value is not None}
        if self.objectives is not None:
            del own["direction"]
        tables: dict[str, Any] = {"study": own, "space": self.space.to_dict()}
        if self.enqueue:
            tables["enqueue"] = self.enqueue
        if self.stages:
            tables[STAGE] = self.stages
        if self.early_stopping is not None:
            tables[TABLE] = msgspec.to_builtins(self.early_stopping)
        if self.fidelity is not None:
            tables[FIDELITY] = msgspec.to_builtins(self.fidelity)
        return tables


# --- the file ---------------------------------------------------------------------------------------------------------


def read_study(path: Path) -> Study:
    """Read a study from a ``.toml`` or ``.json`` file.

    Raises
    ------
    StudyError
        Whatever is wrong with the file: its path, the key, the rule, the value received, the nearest known name.
    """
    return study_of(read_tables(path), str(path), path.absolute().parent, path.stem)


def study_of(tables: Any, source: str, folder: Path, stem: str) -> Study:
    """Check the tables of a study file.

    Parameters
    ----------
    tables
        As a file has them, or `Study.to_dict`.
    source, folder
        As of the study.
    stem
        Name of the study where the tables have none.

    Raises
    ------
    StudyError
        As of `read_study`.
    """
    _check_tables(tables, source)
    fields = _study_fields(tables["study"], source)
    if "name" not in fields:
        fields["name"] = name_of_study(stem, f"{source}: [study] name is missing and the file's name")
    if TABLE in tables:
        fields[TABLE] = parse_early_stopping(tables[TABLE], source)
    if FIDELITY in tables:
        fields[FIDELITY] = parse_fidelity(tables[FIDELITY], source)
    check_rule(fields.get(FIDELITY), fields.get(TABLE), source)
    table, others = _table_of_space(tables["space"], folder, source)
    fields |= {key: [*fields.get(key, ()), *found] for key, found in others.items() if found}
    space = _space(table, fields, source)
    enqueue = _enqueue(tables.get("enqueue", []), space, source)
    if STAGE in tables:
        fields |= read_stages(tables[STAGE], space, fields, source)
    study = Study(enqueue=enqueue, space=space, folder=folder, source=source, **fields)
    _check_placeholders(study)
    _check_method(study)
    check_race(study)
    return study


def override(
    study: Study,
    *,
    method: str | None = None,
    acquisition: str | None = None,
    kappa: float | str | None = None,
    budget: int | str | None = None,
    time_limit: float | str | None = None,
    seed: int | str | None = None,
    trial_timeout: float | str | None = None,
    trial_memory: int | str | None = None,
    trainers: int | str | None = None,
    ranks_per_worker: int | str | None = None,
    gpus_per_worker: float | str | None = None,
    threads_per_worker: int | str | None = None,
    keep_best: int | str | None = None,
    retries: int | str | None = None,
    max_consecutive_failures: int | str | None = None,
    grace: float | str | None = None,
    isolation: str | None = None,
    name: str | None = None,
) -> Study:
    """Replace what the command line gives, text or numbers; None leaves the study's own value.

    Raises
    ------
    StudyError
        A value breaks its rule: the flag, the rule, the value received. Or the study has no use for it.
    """
    given = {
        "method": method,
        "acquisition": acquisition,
        "kappa": kappa,
        "budget": budget,
        "time_limit": time_limit,
        "seed": seed,
        "trial_timeout": trial_timeout,
        "trial_memory": trial_memory,
        "trainers": trainers,
        "ranks_per_worker": ranks_per_worker,
        "gpus_per_worker": gpus_per_worker,
        "threads_per_worker": threads_per_worker,
        "keep_best": keep_best,
        "retries": retries,
        "max_consecutive_failures": max_consecutive_failures,
        "grace": grace,
        "isolation": isolation,
        "name": name,
    }
    changes = {
        key: RULES[key].check(value, f"--{key.replace('_', '-')}") for key, value in given.items() if value is not None
    }
    changed: Study = msgspec.structs.replace(study, **changes)
    _check_method(changed)
    return changed


def _check_method(study: Study) -> None:
    """See that what is tuned for goes with how, and with the other tables."""
    several = study.objectives is not None
    misuse = acquisition_misuse(study.method, study.acquisition, study.kappa, several=several)
    if misuse:
        raise StudyError(f"{study.source}: [study] {misuse}")
    check_goals(
        study.objectives or (),
        study.method,
        constrained=bool(study.metric_constraints),
        fidelity=f"[{FIDELITY}]" * (study.fidelity is not None),
        stages=f"[[{STAGE}]]" * bool(study.stages),
        early_stopping=f"[{TABLE}]" * (study.early_stopping is not None),
        source=f"{study.source}: ",
    )


def _check_tables(tables: Any, source: str) -> None:
    if not isinstance(tables, dict):
        raise StudyError(f"{source}: must hold the tables study and space; got {show(tables)}")
    for name in tables:
        if name not in _TABLES:
            hint = " It belongs under [study]." if name in RULES else nearest(name, _TABLES)
            known = ", ".join(_TABLES)
            raise StudyError(f"{source}: [{name}] is not a table of a study file; known tables: {known}.{hint}")
    for name in ("study", "space"):
        if name not in tables:
            raise StudyError(f"{source}: the table [{name}] is missing")
        if not isinstance(tables[name], dict):
            raise StudyError(f"{source}: [{name}] must be a table; got {show(tables[name])}")


def _study_fields(table: Mapping[str, Any], source: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in table.items():
        if key == "command" and isinstance(value, str):
            rule = f"must be a list, for it never passes through a shell, such as {show(value.split())}"
            raise StudyError(f"{source}: [study] {key} {rule}; got {show(value)}")
        checked = check_key(RULES, key, value, f"{source}: [study]")
        if checked is not None:
            fields[key] = checked
    _check_goals(fields, f"{source}: [study]")
    if ("objective" in fields) == ("command" in fields):
        got = "both" if "objective" in fields else "neither"
        raise StudyError(f"{source}: [study] must have exactly one of objective and command; got {got}")
    return fields


def _table_of_space(table: dict[str, Any], folder: Path, source: str) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Table of the parameters, and constraints that come with it where it names a file of ConfigSpace's."""
    if set(table) != {KEY} or not isinstance(table[KEY], str):
        return table, {}
    parameters, constraints, forbid = read_space_file(table[KEY], folder, f"{source}: [space] {KEY}")
    return parameters, {"constraints": constraints, "forbid": forbid}


def _check_goals(fields: Mapping[str, Any], here: str) -> None:
    """See that the keys go together that say what the objectives are."""
    objectives, directions = fields.get("objectives"), fields.get("directions")
    if objectives is None:
        if directions is not None:
            raise StudyError(f"{here} directions needs objectives, their names; of a single one direction is the key")
        return
    if "direction" in fields:
        several = f"directions = {show([fields['direction']] * len(objectives))}"
        raise StudyError(f"{here} direction is of a single objective; with objectives it is {several}")
    if directions is not None:
        check_directions(directions, len(objectives), f"{here} directions")


def _space(table: Mapping[str, Any], fields: Mapping[str, Any], source: str) -> Space:
    from utilities.space import Space  # here, not above: --help does not need numpy

    try:
        space = Space.from_dict(table)
    except StudyError as error:
        raise StudyError(f"{source}: {error}") from None
    constraints, forbid = fields.get("constraints", ()), fields.get("forbid", ())
    try:
        return space.restricted(constraints, forbid) if constraints or forbid else space
    except StudyError as error:
        hint = " Bounds of metrics belong under metric_constraints." if "is not a parameter" in str(error) else ""
        raise StudyError(f"{source}: [study] {error}{hint}") from None


def _enqueue(points: Any, space: Space, source: str) -> list[dict[str, Any]]:
    from utilities.completion import complete

    if not isinstance(points, list):
        raise StudyError(f"{source}: enqueue must be a list of tables, [[enqueue]] for each; got {show(points)}")
    for i, point in enumerate(points):
        where = f"{source}: [[enqueue]] number {i + 1}"
        if not isinstance(point, dict) or not point:
            raise StudyError(f"{where} must be a table of values by parameter, not empty; got {show(point)}")
        try:
            complete(space, point, 0, i)
        except StudyError as error:
            raise StudyError(f"{where}: {error}") from None
    return points


def _check_placeholders(study: Study) -> None:
    known = [*study.space.parameters, *(PLACEHOLDERS if study.fidelity is not None else ())]
    known += ["instance"] if study.instances else []
    for i, argument in enumerate(study.command or ()):
        where = f"{study.source}: [study] command[{i}]"
        for match in _BRACES.finditer(argument):
            if match[0] in ("{", "}"):
                rule = f"{where} must have its braces in pairs, or doubled where a plain one is meant"
                raise StudyError(f"{rule}; got {show(argument)}")
            if match[1] is not None and match[1] not in known:
                needs = f" It needs a table [{FIDELITY}]." if match[1] in PLACEHOLDERS else ""
                hint = needs or nearest(match[1], known)
                raise StudyError(f"{where}: {match[0]} must name a parameter; known: {', '.join(known)}.{hint}")

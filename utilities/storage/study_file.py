"""The study file: TOML or JSON in, a checked Study out, and one clear sentence for every mistake in it.

The rules of single keys stand in `study_rules`, what keys mean to each other in `study_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from utilities.errors import StudyError, nearest
from utilities.storage.early_stopping_table import TABLE, parse_early_stopping
from utilities.storage.fidelity_table import FIDELITY, check_rule, parse_fidelity
from utilities.storage.rules import check_key
from utilities.storage.space_file import KEY, read_space_file
from utilities.storage.stage_tables import TABLE as STAGE
from utilities.storage.stage_tables import read_stages
from utilities.storage.study import Study
from utilities.storage.study_checks import check_method, check_objective_keys, check_placeholders, check_race
from utilities.storage.study_rules import RULES, name_of_study
from utilities.storage.tables import read_tables, show

if TYPE_CHECKING:
    from utilities.space import Space

_TABLES = ("study", "space", "enqueue", STAGE, TABLE, FIDELITY)


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
    check_placeholders(study)
    check_method(study)
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
    check_method(changed)
    return changed


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
    check_objective_keys(fields, f"{source}: [study]")
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

"""What the keys of a study mean to each other: a sentence where one has no use, or contradicts another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from utilities.errors import StudyError, nearest
from utilities.goal_rules import check_goals
from utilities.methods import acquisition_misuse
from utilities.metric_constraints import check_directions
from utilities.storage.early_stopping_table import TABLE
from utilities.storage.fidelity_table import FIDELITY, PLACEHOLDERS
from utilities.storage.stage_tables import TABLE as STAGE
from utilities.storage.study import Study
from utilities.storage.tables import show

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def check_objective_keys(fields: Mapping[str, Any], here: str) -> None:
    """See that the keys of ``[study]`` go together that say what the objectives are; `here` begins an error message.

    Raises
    ------
    StudyError
        One that has no use beside the others, or as many directions as there are no objectives.
    """
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


def check_method(study: Study) -> None:
    """See that what is tuned for goes with how, and with the other tables.

    Raises
    ------
    StudyError
        An acquisition or kappa that the method has no use for; several objectives, or constraints on metrics, with a
        method or a table that knows none.
    """
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


def check_race(study: Study) -> None:
    """See that the keys of a race go together.

    Raises
    ------
    StudyError
        Settings of a race without instances, more first instances than there are, a rule of early stopping or budgets
        besides, or a parameter whose placeholder would be that of the instance.
    """
    where = f"{study.source}: [study]"
    if study.instances is None:
        for key in ("first_instances", "race_alpha"):
            if getattr(study, key) is not None:
                raise StudyError(f"{where} {key} is of a study with instances; set instances, or leave it out")
        return
    count = len(study.instances)
    if study.first_instances is not None and study.first_instances > count:
        raise StudyError(
            f"{where} first_instances must be at most {count}, as many as there are; got {study.first_instances}"
        )
    for key in ("objectives", "metric_constraints"):
        if getattr(study, key) is not None:
            why = "a race compares configurations by one objective, whatever their other metrics"
            raise StudyError(f"{where} {key} must be left out in a study with instances: {why}")
    if study.early_stopping is not None:
        why = "reports of different instances do not compare, and the race over instances gives up what is worse"
        raise StudyError(f"{study.source}: [early_stopping] must be left out in a study with instances: {why}")
    if study.fidelity is not None:
        why = "a race gives up what is worse by its instances, as budgets do by rungs, and the two do not compare"
        raise StudyError(
            f"{study.source}: [fidelity] must be left out in a study with instances; got {count} instances: {why}. "
            "Leave out [fidelity], or the key instances of [study]"
        )
    if study.command is not None and "instance" in study.space.parameters:
        why = "{instance} stands for the instance in a study with instances"
        raise StudyError(f"{study.source}: [space.instance] must have another name: {why}")


def check_placeholders(study: Study) -> None:
    """See that what a command has in braces is there to be put in.

    Raises
    ------
    StudyError
        A single brace, or a name that is no parameter.
    """
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

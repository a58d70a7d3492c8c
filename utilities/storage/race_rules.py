"""The rules of the keys ``instances``, ``first_instances`` and ``race_alpha`` of ``[study]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from utilities.errors import StudyError
from utilities.storage.tables import LARGEST, show
from utilities.trial import Instance

if TYPE_CHECKING:
    from utilities.storage.study_file import Study

MOST_INSTANCES = 10_000


def instances(value: int | list[Any], where: str) -> list[Instance]:
    """Instances as a list; a number k stands for 0, 1, ... k - 1.

    Raises
    ------
    StudyError
        Fewer than two or too many, one that is no text and no number, or one that is there twice.
    """
    count = value if isinstance(value, int) else len(value)
    if not 2 <= count <= MOST_INSTANCES:
        rule = f"{where} must be from 2 to {MOST_INSTANCES:,} instances, or how many there are"
        raise StudyError(f"{rule}; got {show(value)}. With one alone, leave the key out")
    if isinstance(value, int):
        return list(range(value))
    for i, instance in enumerate(value):
        if isinstance(instance, bool) or not isinstance(instance, int | float | str):
            raise StudyError(f"{where}[{i}] must be text or a number; got {show(instance)}")
        if isinstance(instance, str) and (not instance or not instance.isprintable()):
            raise StudyError(f"{where}[{i}] must be printable text, not empty; got {show(instance)}")
        if isinstance(instance, int) and abs(instance) > LARGEST:
            raise StudyError(f"{where}[{i}] must be below 2^63 in size; got {show(instance)}")
        if str(instance) in map(str, value[:i]):
            raise StudyError(f"{where} must differ from each other; got {show(instance)} twice")
    return value


def race_alpha(value: float, where: str) -> float:
    """A probability from 0 to less than 1; StudyError where it is none."""
    if not 0.0 <= value < 1.0:
        raise StudyError(f"{where} must be a probability from 0 to less than 1; got {show(value)}")
    return float(value)


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

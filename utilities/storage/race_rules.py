"""The rules of the keys ``instances``, ``first_instances`` and ``race_alpha`` of ``[study]``."""

from __future__ import annotations

from typing import Any

from utilities.errors import StudyError
from utilities.storage.tables import LARGEST, show
from utilities.trial import Instance

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

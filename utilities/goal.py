"""What a model is to maximise when it chooses."""

from __future__ import annotations

import math
from typing import NamedTuple

from utilities.errors import StudyError, nearest
from utilities.methods import ACQUISITIONS, KAPPA, acquisition_misuse


class Goal(NamedTuple):
    """What a model maximises to choose: one of ACQUISITIONS, and the standard deviations that ``ucb`` hopes for."""

    acquisition: str = ACQUISITIONS[0]
    kappa: float = KAPPA


def goal_of(method: str, acquisition: str | None, kappa: float | None, *, several: bool = False) -> Goal:
    """What the model is to maximise; None stands for the default. `several` says whether there are several objectives.

    Raises
    ------
    StudyError
        There is no such acquisition, or the method or the acquisition has no use for what is given.
    """
    if acquisition is not None and acquisition not in ACQUISITIONS:
        known = ", ".join(ACQUISITIONS)
        hint = nearest(acquisition, ACQUISITIONS)
        raise StudyError(f"acquisition must be one of {known}; got {acquisition!r}.{hint}")
    if kappa is not None and not 0.0 < kappa < math.inf:
        raise StudyError(f"kappa must be a finite number above 0; got {kappa}")
    misuse = acquisition_misuse(method, acquisition, kappa, several=several)
    if misuse:
        raise StudyError(misuse)
    return Goal(acquisition or ACQUISITIONS[0], kappa or KAPPA)

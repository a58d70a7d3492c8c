"""Names of the methods and acquisitions, in a file of their own so that ``--help`` need not load any numerics."""

from __future__ import annotations

from importlib.util import find_spec

from utilities.errors import StudyError, nearest
from utilities.surrogate_kinds import KINDS

OPTUNA_TPE = "optuna-tpe"

METHODS = ("auto", *sorted(KINDS), OPTUNA_TPE, "random", "sobol", "grid")

MODEL_METHODS = ("auto", *KINDS)
"""Methods that learn a surrogate: the only ones that can use a trainer, or an acquisition."""

LEARNING = (*MODEL_METHODS, OPTUNA_TPE)
"""Methods whose proposals depend on outcomes."""

ACQUISITIONS = ("ei", "ucb", "thompson")
"""What a model method maximises to choose the next configuration; the first is the default."""

KAPPA = 1.8
"""Standard deviations that ``ucb`` adds to its hope by default, as in Vizier's GP-UCB-PE (arXiv 2408.11527)."""


def missing_extra(method: str) -> str:
    """Say which package a method lacks, and how to get it; the empty string where it lacks none."""
    if method != OPTUNA_TPE or find_spec("optuna") is not None:
        return ""
    return f"method {method} needs the package optuna, which is not installed: pip install 'reverie[optuna]'"


def acquisition_misuse(method: str, acquisition: str | None, kappa: float | None, *, several: bool = False) -> str:
    """Say which of the settings has no use beside the others, the empty string where each has; None is not set.

    `several` says whether there are several objectives.
    """
    for key, value in (("acquisition", acquisition), ("kappa", kappa)):
        if value is not None and method not in MODEL_METHODS:
            return f"{key} needs a method that learns ({', '.join(MODEL_METHODS)}); got {key} {value}, method {method}"
    if several and acquisition not in (None, ACQUISITIONS[0]):
        return f"acquisition must be {ACQUISITIONS[0]} with several objectives; got {acquisition}"
    if kappa is not None and acquisition != "ucb":
        return f"kappa needs acquisition ucb; got kappa {kappa:g}, acquisition {acquisition or ACQUISITIONS[0]}"
    return ""


def check_choice(method: str, direction: str, seed: int) -> None:
    """See that an optimiser can have these settings.

    Raises
    ------
    StudyError
        An unknown method or direction, a negative seed, or a method whose library is missing.
    """
    if method not in METHODS:
        raise StudyError(f"method must be one of {', '.join(METHODS)}; got {method!r}.{nearest(method, METHODS)}")
    if direction not in ("minimize", "maximize"):
        raise StudyError(f"direction must be minimize or maximize; got {direction!r}")
    if seed < 0:
        raise StudyError(f"seed must not be negative; got {seed}")
    if lacking := missing_extra(method):
        raise StudyError(lacking)

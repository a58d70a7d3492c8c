"""Hyperparameter tuning over MPI: ask and tell, or one call, in one process or on a whole allocation.

>>> from reverie import minimize
>>> result = minimize(lambda config: (config["x"] - 1.0) ** 2,
...                   {"x": {"type": "float", "low": -5.0, "high": 5.0}}, budget=12, method="gp")
>>> result.best.objective < 0.1
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from reverie.house import enter

enter(__name__)

if TYPE_CHECKING:
    from reverie.tuning import Result, minimize
    from utilities.errors import ReverieError, SpaceExhaustedError, StudyError
    from utilities.incumbents import FrontTrial
    from utilities.optimizer import Optimizer
    from utilities.space import Space
    from utilities.trial import Incumbent, Outcome, Prediction, Trial, TrialState

__version__ = "0.1.0"

_HOMES = {
    "FrontTrial": "utilities.incumbents",
    "Incumbent": "utilities.trial",
    "Optimizer": "utilities.optimizer",
    "Outcome": "utilities.trial",
    "Prediction": "utilities.trial",
    "Result": "reverie.tuning",
    "ReverieError": "utilities.errors",
    "Space": "utilities.space",
    "SpaceExhaustedError": "utilities.errors",
    "StudyError": "utilities.errors",
    "Trial": "utilities.trial",
    "TrialState": "utilities.trial",
    "minimize": "reverie.tuning",
}

__all__ = [  # noqa: RUF022
    "Optimizer", "Space", "minimize", "Result", "Trial", "TrialState", "Outcome", "Incumbent", "Prediction",
    "FrontTrial", "ReverieError", "StudyError", "SpaceExhaustedError",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: ``reverie --help`` needs none of the numerics."""
    if name not in _HOMES:
        raise AttributeError(f"module 'reverie' has no attribute {name!r}; it has {', '.join(sorted(_HOMES))}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

"""A range for a parameter of which little is known: its default, its name, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from utilities.trial import Value

_FACTOR = 100.0
_DIGITS = 3

_FIXED = (
    *("seed", "random_seed", "random_state", "verbose", "verbosity"),
    *("n_jobs", "num_workers", "workers", "device"),
    *("epochs", "n_epochs", "num_epochs", "max_epochs", "steps", "max_steps", "n_steps", "iterations", "max_iter"),
)
"""Names of what is set, not tuned: repeatability, resources, and how long a trial takes."""

_KNOWN: dict[str, dict[str, Any]] = {
    "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
    "weight_decay": {"type": "float", "low": 1e-6, "high": 0.1, "log": True},
    "dropout": {"type": "float", "low": 0.0, "high": 0.6},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99},
    "batch_size": {"type": "ordinal", "choices": [16, 32, 64, 128, 256]},
    "width": {"type": "int", "low": 16, "high": 512, "log": True},
    "layers": {"type": "int", "low": 1, "high": 6},
}
_ALIASES = {
    "lr": ("learning_rate", "eta", "step_size"),
    "weight_decay": ("wd", "l2"),
    "dropout": ("dropout_rate", "p_dropout"),
    "batch_size": ("batch", "batchsize"),
    "width": ("hidden", "hidden_size", "hidden_dim", "units", "n_units", "channels", "neurons"),
    "layers": ("n_layers", "num_layers", "depth"),
}
_TO_ONE = ("subsample", "colsample", "fraction", "ratio")
_FROM_ZERO = ("dropout", "prob", "smoothing")
_BELOW_ONE = ("momentum", "beta", "rho")


@dataclass(frozen=True)
class Draft:
    """A parameter of a study file to be.

    Attributes
    ----------
    name
        Of the parameter.
    table
        As a study file has it.
    why
        Comment beside it: where the range comes from.
    default
        Value to begin with; None where none is known.
    """

    name: str
    table: dict[str, Any]
    why: str = ""
    default: Value | None = None


def around(name: str, default: Value) -> Draft:
    """Draft of a parameter with a default: its type, and a range that holds the default well inside."""
    if isinstance(default, bool):
        return Draft(name, {"type": "bool"}, f"default {str(default).lower()}", default)
    if name.lower() in _FIXED or isinstance(default, str):
        why = "a constant: make it a categorical with choices = [...] to vary it"
        if not isinstance(default, str):
            why = "set, not tuned: give it a type and a range to vary it"
        return Draft(name, {"type": "constant", "value": default}, why)
    if isinstance(default, int):
        return _integer(name, default)
    return _float(name, default)


def by_name(name: str) -> Draft:
    """Draft of a parameter without a default: a usual range where the name says what it is."""
    lowered = name.lower()
    for known, table in _KNOWN.items():
        if lowered == known or lowered in _ALIASES.get(known, ()):
            return Draft(name, table, f"a usual range of {known}: there is no default to go by")
    return Draft(name, {"type": "float", "low": 0.0, "high": 1.0}, "set type and range: nothing tells them")


def choices(name: str, options: list[Value], default: Value | None = None) -> Draft:
    """Draft of a parameter that is one of a list."""
    return Draft(name, {"type": "categorical", "choices": options}, "", default)


def _integer(name: str, default: int) -> Draft:
    why = f"default {default}"
    if "batch" in name.lower() and default >= 8 and default & (default - 1) == 0:
        sizes = [default // 4, default // 2, default, default * 2, default * 4]
        return Draft(name, {"type": "ordinal", "choices": sizes}, f"{why}, and powers of two about it", default)
    if default <= 0:
        ends = (default, -default) if default else (0, 10)
        return Draft(name, {"type": "int", "low": ends[0], "high": ends[1]}, why, default)
    if default <= 8:
        return Draft(name, {"type": "int", "low": 1, "high": max(4, 2 * default)}, why, default)
    table = {"type": "int", "low": max(1, default // 8), "high": default * 8, "log": True}
    return Draft(name, table, f"{why}, a factor of 8 either way", default)


def _float(name: str, default: float) -> Draft:
    why, lowered = f"default {default:g}", name.lower()
    if 0.0 <= default <= 1.0:
        for words, low, high in ((_TO_ONE, 0.1, 1.0), (_FROM_ZERO, 0.0, 0.6), (_BELOW_ONE, 0.0, 0.99)):
            if any(word in lowered for word in words):
                table = {"type": "float", "low": min(low, default), "high": max(high, default)}
                return Draft(name, table, why, default)
    if default == 0.0 or 0.3 <= default < 1.0:
        return Draft(name, {"type": "float", "low": 0.0, "high": 1.0}, f"{why}, taken for a fraction", default)
    if default < 0.0:
        return Draft(name, {"type": "float", "low": _round(3.0 * default), "high": _round(-default)}, why, default)
    table = {"type": "float", "low": _round(default / _FACTOR), "high": _round(default * _FACTOR), "log": True}
    return Draft(name, table, f"{why}, a factor of {_FACTOR:g} either way", default)


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")

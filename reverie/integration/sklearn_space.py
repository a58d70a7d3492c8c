"""What scikit-learn's searches take for a space, as a space of ours.

Lists are categories, or in order where they are numbers that only rise or only fall. Of frozen distributions of
`scipy.stats`, ``uniform``, ``loguniform`` and ``randint`` are ranges; of any other, the probability below the value is
the parameter, and its quantile the value: a model then sees the distribution as uniform.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from utilities.errors import StudyError, nearest, quoted
from utilities.space import Space
from utilities.trial import Config

Decoder: TypeAlias = Callable[[Any], Any]
"""From a value in a configuration to what the estimator gets."""

_TAIL = 1e-6
"""Probability that is cut off at either end of a distribution, whose value there may be infinite."""


class SearchSpace:
    """A space, and what an estimator gets for its values.

    Parameters
    ----------
    space
        A Space, or for each parameter a row of a ``[space]`` table, a list of values or a frozen distribution.

    Raises
    ------
    StudyError
        A parameter is none of these, or one that a space cannot hold.
    """

    def __init__(self, space: Space | Mapping[str, Any]) -> None:
        self._decoders: dict[str, Decoder] = {}
        if isinstance(space, Space):
            self.space = space
            return
        if not isinstance(space, Mapping):
            raise StudyError(
                "space must be a Space or a dict of one row of a [space] table, list or distribution of scipy.stats a "
                f"parameter; got {quoted(space)}"
            )
        table: dict[str, Any] = {}
        for name, given in space.items():
            if isinstance(given, Mapping):
                table[name] = given
            else:
                table[name], decoder = _convert(given, f"[space.{name}]")
                if decoder is not None:
                    self._decoders[name] = decoder
        self.space = Space.from_dict(table)

    def params(self, config: Config) -> dict[str, Any]:
        """Values that an estimator's ``set_params`` takes."""
        return {
            name: self._decoders[name](value) if name in self._decoders else value for name, value in config.items()
        }


def check_names(space: Space, known: Sequence[str]) -> None:
    """Raise StudyError where a parameter of the space is none of the estimator's.

    Those of a step that is itself a parameter of the space are not looked at: it may be replaced.
    """
    for name in space.parameters:
        steps = name.split("__")
        replaced = any("__".join(steps[:count]) in space.parameters for count in range(1, len(steps)))
        if name not in known and not replaced:
            raise StudyError(f"[space.{name}] is not a parameter of the estimator.{nearest(name, known)}")


def _convert(given: Any, where: str) -> tuple[dict[str, Any], Decoder | None]:
    if isinstance(given, list | tuple | np.ndarray):
        return _listed(list(given), where)
    if hasattr(given, "dist") and hasattr(given, "ppf"):
        return _distribution(given)
    raise StudyError(
        f"{where} must be a row of a [space] table, a list of values or a frozen distribution of scipy.stats; "
        f"got {quoted(given)}"
    )


def _listed(values: list[Any], where: str) -> tuple[dict[str, Any], Decoder | None]:
    if not values:
        raise StudyError(f"{where} a list of values must not be empty; got []")
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    if len(plain) == 1:
        return {"type": "constant", "value": 0}, lambda index: values[0]
    kinds = {(type(value), value) for value in plain if isinstance(value, bool | int | float | str)}
    kind = "ordinal" if _is_monotonic(plain) else "categorical"
    if len(kinds) == len(plain):
        originals = dict(zip(((type(value), value) for value in plain), values, strict=True))
        return {"type": kind, "choices": plain}, lambda value: originals[type(value), value]
    return {"type": kind, "choices": list(range(len(values)))}, lambda index: values[index]


def _is_monotonic(values: list[Any]) -> bool:
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return False
    steps = [after - before for before, after in pairwise(values)]
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)


def _distribution(frozen: Any) -> tuple[dict[str, Any], Decoder | None]:
    name, (low, high) = frozen.dist.name, frozen.support()
    if name == "randint":
        low, high = int(low), int(high)
        return ({"type": "int", "low": low, "high": high}, None) if low < high else _listed([low], "")
    if name == "uniform":
        return {"type": "float", "low": float(low), "high": float(high)}, None
    if name in ("loguniform", "reciprocal") and _location(frozen) == 0.0:
        return {"type": "float", "low": float(low), "high": float(high), "log": True}, None
    whole = not hasattr(frozen.dist, "pdf")

    def quantile(probability: float) -> float | int:
        value = float(frozen.ppf(probability))
        return int(value) if whole else value

    return {"type": "float", "low": _TAIL, "high": 1.0 - _TAIL}, quantile


def _location(frozen: Any) -> float:
    return float(frozen.dist._parse_args(*frozen.args, **frozen.kwds)[1])

"""The surrogates there are, by name: how each is made, and what a study does with it. To add one, give it an entry.

Every name is a method of a study. Nothing is imported here that loads numerics: ``--help`` names the methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from utilities.surrogate import Surrogate

GP_SAMPLES = 8
"""Hyperparameter samples of a Gaussian process. With 4 around the incumbent `dngo` misses more after 50 evaluations."""

Companion: TypeAlias = Literal["outside", "around"]
"""Gaussian process that proposes in turn with a surrogate: outside of exhausted basins, or around the incumbent."""


class Columns(NamedTuple):
    """Feature columns that a surrogate is made for.

    Attributes
    ----------
    groups : integer array (p,)
        Which belong together, see `utilities.features`.
    warped : boolean array (p,)
        Which hold numbers in [0, 1].
    curves
        Whether the last is the fidelity of rows of learning curves.
    """

    groups: NDArray[np.int64]
    warped: NDArray[np.bool_]
    curves: bool = False


class SurrogateKind(NamedTuple):
    """A sort of surrogate.

    Attributes
    ----------
    make
        Makes it for columns; where it has several parts, one of them: its place, and how many there are.
    growth
        Growth of the observations after which a refit is due.
    companion
        What proposes in turn with it; None where it proposes alone.
    transformed
        Whether it is fitted to objectives after an output transform, rather than as they are.
    spread
        Whether low values are wanted spread out even where there are several targets.
    few_rows
        Whether it affords few rows of learning curves, and is given a choice of them.
    divisible
        Whether its networks can be fitted side by side, see `utilities.dngo_parts`.
    """

    make: Callable[[Columns, tuple[int, int]], Surrogate]
    growth: float = 0.15
    companion: Companion | None = None
    transformed: bool = True
    spread: bool = False
    few_rows: bool = False
    divisible: bool = False


def _gaussian_process(samples: int) -> Callable[[Columns, tuple[int, int]], Surrogate]:
    def make(columns: Columns, part: tuple[int, int]) -> Surrogate:
        from utilities.gaussian_process import GaussianProcess

        return GaussianProcess(columns.groups, columns.warped, samples=samples)

    return make


def _dngo(columns: Columns, part: tuple[int, int]) -> Surrogate:
    from utilities.dngo import DNGO

    return DNGO(len(columns.groups), curves=columns.curves).part(*part)


def _dngo_paper(columns: Columns, part: tuple[int, int]) -> Surrogate:
    from utilities.dngo import DNGO

    return DNGO(len(columns.groups), members=1, curves=columns.curves)


KINDS: Mapping[str, SurrogateKind] = MappingProxyType(
    {
        "gp": SurrogateKind(_gaussian_process(GP_SAMPLES), growth=0.02, companion="outside", few_rows=True),
        "dngo": SurrogateKind(_dngo, companion="around", spread=True, divisible=True),
        "dngo-paper": SurrogateKind(_dngo_paper, transformed=False),
    }
)

LOCAL = SurrogateKind(_gaussian_process(GP_SAMPLES), few_rows=True)
"""What is around the incumbent: no method, only a companion."""

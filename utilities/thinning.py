"""Which rows of learning curves a Gaussian process is given: its cost is cubic in them.

Along each curve (rows of equal features) the first row in each of `CELLS` equal cells of the fidelity, all at fidelity
1, and the latest. Where that is too many, the latest of each curve first, then coarser cells before finer ones, curves
that are better now before worse ones.

Symbols
-------
N   rows      p   feature columns, fidelity not counted
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utilities.surrogate import Array, Dataset

CELLS = 12
"""Of 50 steps these are 1, 2, 3, 4, 6, 8, 11, 16, 22, 30, 42."""

_COARSENESS = (3, 6, CELLS)


def cells(places: Array) -> NDArray[np.intp]:
    """Cell of each fidelity in [0, 1]; 1 has one of its own."""
    return np.asarray(np.floor(places * CELLS + 1e-9), dtype=np.intp)


class Thinning:
    """Chooses among rows as they come.

    Attributes
    ----------
    kept
        Indices of the rows chosen for good.
    """

    def __init__(self) -> None:
        self.kept: list[int] = []
        self._loose: dict[bytes, int] = {}
        self._reached: dict[bytes, int] = {}
        self._count = 0

    def take(self, x: Array) -> list[int]:
        """Take new rows (k, p + 1) behind those before; indices of those among them that are chosen for good."""
        chosen = []
        for row, cell in zip(x, cells(x[:, -1]).tolist(), strict=True):
            key = row[:-1].tobytes()
            if cell > self._reached.get(key, -1) or cell == CELLS:
                self._reached[key] = cell
                self._loose.pop(key, None)
                chosen.append(self._count)
            else:
                self._loose[key] = self._count
            self._count += 1
        self.kept += chosen
        return chosen

    @property
    def loose(self) -> NDArray[np.intp]:
        """Indices of rows that are the latest of their curves, and not chosen for good."""
        return np.sort(np.fromiter(self._loose.values(), dtype=np.intp, count=len(self._loose)))

    @property
    def rows(self) -> NDArray[np.intp]:
        """Indices of all that are chosen, ascending."""
        return np.sort(np.concatenate([np.array(self.kept, dtype=np.intp), self.loose]))


def thin(rows: Dataset, most: int) -> NDArray[np.intp]:
    """Indices of at most `most` of the rows, ascending: see the module."""
    thinning = Thinning()
    thinning.take(rows.x)
    chosen = thinning.rows
    if len(chosen) <= most:
        return chosen
    x, y = rows.x[chosen], rows.y[chosen]
    keys = [row[:-1].tobytes() for row in x]
    latest = {key: i for i, key in enumerate(keys)}
    quality = np.array([y[latest[key]] for key in keys])
    level = np.full(len(chosen), len(_COARSENESS) + 1)
    for depth in range(len(_COARSENESS), 0, -1):
        coarse = np.floor(x[:, -1] * _COARSENESS[depth - 1] + 1e-9).astype(np.intp)
        first: dict[tuple[bytes, int], int] = {}
        for i, place in enumerate(zip(keys, coarse.tolist(), strict=True)):
            first.setdefault(place, i)
        level[list(first.values())] = depth
    level[list(latest.values())] = 0
    return np.sort(chosen[np.lexsort((quality, level))[:most]])


def nearby(rows: Dataset, chosen: NDArray[np.intp], place: Array, most: int) -> NDArray[np.intp]:
    """Of the `chosen` rows at most `most`, ascending, that tell what a curve with features `place` (p,) comes to.

    Half of them are the curves nearest by their features, that of the place itself first: how such curves go on. The
    other half are the rows nearest to the place at fidelity 1.
    """
    if len(chosen) <= most:
        return chosen
    squares = np.sum((rows.x[chosen, :-1] - place) ** 2, axis=1)
    order = np.argsort(squares, kind="stable")
    curves, rest = order[: most // 2], order[most // 2 :]
    ends = np.argsort((squares + (1.0 - rows.x[chosen, -1]) ** 2)[rest], kind="stable")
    return np.sort(chosen[np.concatenate([curves, rest[ends[: most - len(curves)]]])])


def latest_values(rows: Dataset) -> Array:
    """Latest value (c,) of each curve."""
    latest = {row[:-1].tobytes(): i for i, row in enumerate(rows.x)}
    return rows.y[list(latest.values())]

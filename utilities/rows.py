"""Rows of numbers that grow in place."""

from __future__ import annotations

import numpy as np

from utilities.surrogate import Array


class Rows:
    """Rows that grow in place: appending n rows costs O(n) in all."""

    def __init__(self, width: int) -> None:
        self._buffer: Array = np.empty((16, width))
        self._count = 0

    def append(self, row: Array | float) -> None:
        """Put a row of that width, or a number in all its columns, behind the others."""
        if self._count == len(self._buffer):
            self._buffer = np.vstack([self._buffer, np.empty_like(self._buffer)])
        self._buffer[self._count] = row
        self._count += 1

    @property
    def view(self) -> Array:
        """The rows (n, width)."""
        rows: Array = self._buffer[: self._count]
        return rows

    def __len__(self) -> int:
        return self._count

"""Whether known constraints leave anything of a space: a point that keeps them, or why there is none."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from utilities.constraints import Constraints
from utilities.errors import StudyError
from utilities.scales import Array
from utilities.trial import Config

SEARCHED = 2**17
"""Random points among which one that keeps the constraints must be."""

_SEARCH_BLOCK = 4096


class Constrained(Protocol):
    """What the search needs of a space, see `utilities.space.Space`."""

    @property
    def constraints(self) -> Constraints:
        """Of the space."""

    def __len__(self) -> int: ...

    def enumerate_points(self) -> Array | None:
        """All points (m, d) of a small space that keep the constraints, else None."""

    def snap(self, points: Array) -> Array:
        """Canonical points (m, d)."""

    def spread(self, points: Array) -> Array:
        """Points (m, d) of the space for those of the unit cube."""

    def from_unit(self, points: Array) -> list[Config]:
        """Configurations of points (m, d)."""

    def allows(self, config: Config) -> bool:
        """Whether a configuration keeps the constraints."""


def find_allowed(space: Constrained) -> Array:
    """Find a point (1, d) of `space` that keeps the constraints.

    Raises
    ------
    StudyError
        None does, or none of `SEARCHED` random ones: how many each constraint refuses.
    """
    rng = np.random.default_rng(0)
    everything = space.enumerate_points()
    refused, looked_at = np.zeros(len(space.constraints.texts), dtype=np.int64), 0
    if everything is not None:
        if len(everything):
            return everything[:1]
        raise StudyError(f"no configuration of the space keeps all of {'; '.join(space.constraints.texts)}")
    for _ in range(SEARCHED // _SEARCH_BLOCK):
        points = space.snap(space.spread(rng.random((_SEARCH_BLOCK, len(space)))))
        kept = space.constraints.kept(points)
        for point in points[np.logical_and.reduce(kept)]:
            if space.allows(space.from_unit(point[None])[0]):
                return np.asarray(point[None])
        refused += [int(np.sum(~mask)) for mask in kept]
        looked_at += len(points)
    shares = "; ".join(
        f"{text} refuses {count / looked_at:.4%}" for text, count in zip(space.constraints.texts, refused, strict=True)
    )
    raise StudyError(f"no configuration that keeps the constraints was found among {looked_at:,} at random: {shares}")

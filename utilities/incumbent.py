"""What an optimiser says of its best trial, and of what it foresees."""

from __future__ import annotations

from typing import NamedTuple

from utilities.trial import Config


class Incumbent(NamedTuple):
    """The best trial so far: its objective is in the user's own direction."""

    number: int
    objective: float
    config: Config


class Prediction(NamedTuple):
    """A configuration and what is predicted of its objective: median and standard deviation, user's units."""

    objective: float
    sd: float
    config: Config

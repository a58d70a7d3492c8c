"""Names of the methods, in a file of their own so that ``--help`` need not load any numerics."""

from __future__ import annotations

METHODS = ("auto", "dngo", "dngo-paper", "gp", "random", "sobol", "grid")

MODEL_METHODS = ("auto", "gp", "dngo", "dngo-paper")
"""Methods that learn a surrogate: the only ones that can use a trainer."""

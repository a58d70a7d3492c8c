"""The table ``[fidelity]`` of a study file: values in, checked budgets out; what else of a study it has a say in."""

from __future__ import annotations

from typing import Any

from utilities.budgets import Fidelity, as_fidelity
from utilities.errors import StudyError
from utilities.stopping_rule import Settings
from utilities.stopping_rules import RULES
from utilities.storage.tables import as_table

FIDELITY = "fidelity"
"""Name of the table."""

PLACEHOLDERS = ("budget", "previous_budget")
"""What a command may name in braces besides its parameters, in a study with budgets."""


def parse_fidelity(table: Any, source: str) -> Fidelity:
    """Read the table.

    Parameters
    ----------
    table
        As it stands in the file.
    source
        Name of the file, for messages.

    Raises
    ------
    StudyError
        Whatever is wrong with it: the key, the rule, the value received.
    """
    here = f"{source}: [{FIDELITY}]"
    return as_fidelity(as_table(table, here), here)


def check_rule(fidelity: Fidelity | None, rule: Settings | None, source: str) -> None:
    """See that trials are not halved twice, by budgets and by a rule that does the same within an evaluation.

    Raises
    ------
    StudyError
        They are.
    """
    if fidelity is not None and rule is not None and RULES[rule.rule].halves:
        raise StudyError(
            f"{source}: [early_stopping] rule {rule.rule} halves the trials as [{FIDELITY}] does: leave one of the two "
            "out. With budgets a rule must be one that judges a trial by itself, such as patience"
        )

"""What all parameters have in common: the conditions under which each is active, as a study file has them."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from utilities.trial import Value

Wanted: TypeAlias = dict[str, Value | list[Value]]
"""A value, or a list of values, of each parent; all parents must have one of theirs."""


def same_value(a: object, b: object) -> bool:
    """Whether two choices are the same: ``True`` is not 1 and ``1.0`` is not 1."""
    return type(a) is type(b) and a == b


class Conditional(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A parameter that may be active only under conditions on others.

    Attributes
    ----------
    when
        What others must have; a list of such tables where one of them is enough. Empty: always active.
    """

    when: Wanted | list[Wanted] = {}

    @property
    def alternatives(self) -> list[dict[str, list[Value]]]:
        """Values of each parent, a table an alternative; none where the parameter is always active."""
        tables = self.when if isinstance(self.when, list) else [self.when] if self.when else []
        return [
            {parent: value if isinstance(value, list) else [value] for parent, value in table.items()}
            for table in tables
        ]

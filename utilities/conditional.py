"""What parameters have in common, as a study file has it: conditions under which each is active, and a hint."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from utilities.errors import StudyError, nearest, quoted
from utilities.trial import Value

Wanted: TypeAlias = dict[str, Value | list[Value]]
"""A value, or a list of values, of each parent; all parents must have one of theirs."""

SURENESS = {"weakly": 0.35, "fairly": 0.6, "very": 0.9}
"""What the words for `Tunable.sure` stand for."""


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

    when: Annotated[
        Wanted | list[Wanted],
        Meta(
            description="Active only where others have these values, or keep a comparison such as '>= 3'; of a list of "
            "tables one is enough"
        ),
    ] = {}

    @property
    def alternatives(self) -> list[dict[str, list[Value]]]:
        """Values of each parent, a table an alternative; none where the parameter is always active."""
        tables = self.when if isinstance(self.when, list) else [self.when] if self.when else []
        return [
            {parent: value if isinstance(value, list) else [value] for parent, value in table.items()}
            for table in tables
        ]


class Tunable(Conditional, frozen=True, kw_only=True):
    """A parameter that varies, perhaps with a hint of where it is best.

    Attributes
    ----------
    likely
        The value that is likely to be best.
    sure
        How likely: one of SURENESS, or a probability. Of numbers and what is in order, that the best lies within a
        tenth of the range about `likely`; of other choices, what is added to chance.
    """

    likely: Annotated[Value | None, Meta(description="Hint: the value that is likely to be best")] = None
    sure: Annotated[
        str | float | None,
        Meta(
            description=f"How likely: {', '.join(SURENESS)}, or a probability; fairly by default",
            extra_json_schema={
                "exclusiveMinimum": 0,
                "exclusiveMaximum": 1,
                "pattern": f"^({'|'.join(SURENESS)})$",
            },
        ),
    ] = None

    @property
    def sureness(self) -> float:
        """`sure` as a probability."""
        sure = "fairly" if self.sure is None else self.sure
        return SURENESS[sure] if isinstance(sure, str) else sure

    def accepts(self, value: object) -> bool:
        """Whether `value` may be set."""
        raise NotImplementedError

    def describe(self) -> str:
        """Rule for an error message."""
        raise NotImplementedError

    def check_hint(self, where: str) -> None:
        """Raise StudyError where the hint breaks a rule."""
        if self.likely is not None and not self.accepts(self.likely):
            raise StudyError(f"{where} likely must be {self.describe()}; got {quoted(self.likely)}")
        if self.sure is None:
            return
        if self.likely is None:
            raise StudyError(f"{where} sure needs likely beside it; got sure = {quoted(self.sure)} alone")
        known = self.sure in SURENESS if isinstance(self.sure, str) else 0.0 < self.sure < 1.0
        if not known:
            hint = nearest(str(self.sure), SURENESS)
            rule = f"sure must be one of {', '.join(SURENESS)}, or a probability between 0 and 1"
            raise StudyError(f"{where} {rule}; got {quoted(self.sure)}.{hint}")

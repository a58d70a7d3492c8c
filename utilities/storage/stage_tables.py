"""The tables ``[[stage]]`` of a study file: values in, the plan of a study's stages out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from utilities.errors import SpaceExhaustedError, StudyError, nearest
from utilities.stage_plan import Limits, Stage
from utilities.storage.rules import Rule, check_key, from_least
from utilities.storage.tables import as_table, show

if TYPE_CHECKING:
    from utilities.space import Space

TABLE = "stage"


def _share(value: float, where: str) -> float:
    if not 0.0 < value < 1.0:
        raise StudyError(f"{where} must be above 0 and below 1, a share of the last stage's ranges; got {show(value)}")
    return float(value)


def _unchecked(value: Any, where: str) -> Any:
    """Leave a value to be checked with the space, which alone knows its parameters."""
    return value


RULES: dict[str, Rule] = {
    "budget": from_least(1, "Trials of the stage; the last one may do without where the study ends by other means"),
    "free": Rule(
        list[str],
        _unchecked,
        what="Names of the parameters that vary; by default all that fixed does not name",
        limits={"minItems": 1, "uniqueItems": True},
    ),
    "fixed": Rule(
        dict[str, Any],
        _unchecked,
        "a table of values by parameter",
        "Values of parameters that do not vary in this stage",
    ),
    "shrink": Rule(
        float,
        _share,
        what="Length of each range as a share of what it was in the stage before",
        limits={"exclusiveMinimum": 0, "exclusiveMaximum": 1},
    ),
    "space": Rule(
        dict[str, Any],
        _unchecked,
        "a table of ranges by parameter",
        "Range of a parameter in this stage: low, high or both, or choices",
    ),
}
"""Of all keys of a stage."""


def parse_stages(tables: Any, space: Space, source: str = "") -> list[Stage]:
    """Read the stages of a study.

    Parameters
    ----------
    tables
        As they stand in the file: a list of tables.
    space
        Of the study, with its constraints.
    source
        Name of the file, for messages.

    Raises
    ------
    StudyError
        Whatever is wrong with one: which, the key, the rule, the value received.
    """
    prefix = f"{source}: " if source else ""
    if not isinstance(tables, Sequence) or isinstance(tables, str):
        raise StudyError(f"{prefix}{TABLE} must be a list of tables, [[{TABLE}]] for each; got {show(tables)}")
    plan: list[Stage] = []
    for i, table in enumerate(tables):
        here = f"{prefix}[[{TABLE}]] number {i + 1}"
        values = {key: check_key(RULES, key, value, here) for key, value in as_table(table, here).items()}
        if "budget" not in values and i < len(tables) - 1:
            raise StudyError(f"{here} budget is missing; only the last stage may do without")
        if "shrink" in values and i == 0:
            raise StudyError(f"{here} shrink has no use: before the first stage there is nothing to shrink")
        plan.append(_of_space(values, space, here))
        _check_part(plan[-1], space, here, first=i == 0)
    return plan


def _of_space(values: dict[str, Any], space: Space, here: str) -> Stage:
    """Check what names parameters, and make the stage."""
    from utilities.slices import check_limit

    for key in ("free", "fixed", "space"):
        for name in values.get(key, ()):
            _check_name(name, space, f"{here} {key}")
    free, fixed = values.get("free"), values.get("fixed", {})
    if free is not None and not free:
        raise StudyError(f"{here} free must name at least one parameter; got []")
    names = list(free or ())
    for i, name in enumerate(names):
        if name in names[:i] or name in fixed:
            raise StudyError(f"{here} free must name each parameter once, and none of fixed; got {show(name)} twice")
    for name, value in fixed.items():
        if not space.varied[name].accepts(value):
            raise StudyError(f"{here} fixed {name} must be {space.varied[name].describe()}; got {show(value)}")
    values["fixed"] = {name: space.varied[name].normal(value) for name, value in fixed.items()}
    limits: Limits = values.pop("space", {})
    stage = Stage(**values)
    for name in limits:
        if name in fixed or name in stage.held(space.names):
            raise StudyError(f"{here} space.{name} has no use: {name} does not vary in this stage")
    keys = ("low", "high", "choices")
    checked = {
        name: check_limit(space.varied[name], limit, f"{here} space.{name}", keys) for name, limit in limits.items()
    }
    return Stage(**values, space=checked)


def _check_name(name: str, space: Space, where: str) -> None:
    if name not in space.parameters:
        raise StudyError(f"{where} names an unknown parameter {show(name)}.{nearest(name, space.varied)}")
    if name not in space.varied:
        raise StudyError(f"{where} names {show(name)}, which is a constant")


def _check_part(stage: Stage, space: Space, here: str, *, first: bool) -> None:
    """See that something varies, that constraints can be kept, and what is to hold in a first stage."""
    from utilities.subspace import Subspace

    held = stage.held(space.names)
    fixed: Limits = {name: {"value": value} for name, value in stage.fixed.items()}
    if first:
        likely = {name: space.varied[name].likely for name in held}
        fixed |= {name: {"value": value} for name, value in likely.items() if value is not None}
    try:
        part = Subspace(space, stage.space | fixed)
    except SpaceExhaustedError as error:
        raise StudyError(f"{here}: {error}") from None
    if not any(name not in held for name in part.free):
        raise StudyError(f"{here} must leave a parameter that varies; got {show(stage.to_dict())}")
    unknown = [name for name in held if name not in fixed]
    if first:
        for name in unknown:
            if name in part.free:
                fix = f"a value in fixed, or likely in [space.{name}]"
                raise StudyError(f"{here}: {name} is not free, and has no value to keep yet: give it {fix}")


def read_stages(tables: Any, space: Space, fields: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Read the stages of a study file, and see that they go with its budget.

    Parameters
    ----------
    fields
        What ``[study]`` says.

    Returns
    -------
    dict
        ``stages`` in canonical form, and ``budget``, which is by default what all stages have together.

    Raises
    ------
    StudyError
        As of `parse_stages`; or the budget ends the study before its last stage, or nothing ends that.
    """
    plan = parse_stages(tables, space, source)
    if not plan:
        return {}
    total, open_end = sum(stage.budget or 0 for stage in plan), plan[-1].budget is None
    budget = fields.get("budget")
    here = f"{source}: [study] budget"
    if budget is None and open_end and "time_limit" not in fields:
        rule = f"must be there, or time_limit, where the last [[{TABLE}]] has no budget"
        raise StudyError(f"{here} {rule}")
    if budget is not None and budget < total + open_end:
        rule = f"must be at least what the [[{TABLE}]] tables have together, {total + open_end:,}"
        raise StudyError(f"{here} {rule}; got {budget:,}")
    found: dict[str, Any] = {"stages": [stage.to_dict() for stage in plan]}
    return found if open_end or budget is not None else found | {"budget": total}


def cut_off_stages(plan: Sequence[Mapping[str, Any]], budget: int | None) -> str:
    """Say how many stages a smaller budget of the command line leaves out; the empty string where it leaves none."""
    begins = [sum(stage.get("budget", 0) for stage in plan[:i]) for i in range(len(plan))]
    lost = 0 if budget is None else sum(begin >= budget for begin in begins)
    if not lost:
        return ""
    which = "the last stage" if lost == 1 else f"the last {lost} stages"
    return f"the budget of {budget:,} trials ends the study before {which}"

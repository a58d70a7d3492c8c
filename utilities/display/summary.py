"""The summary that ends a run, on a terminal and in a batch log alike: plain text, no control characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from utilities.display.comparison import comparison_lines, rerun_lines
from utilities.display.failures import reason_lines
from utilities.display.text import clean, counted, duration, listed, number, printable, setting, uncertain
from utilities.trial import Config, TrialState

_LABEL = 15
_SHOWN = 10
_REASONS = 4
_ORDER = (
    TrialState.COMPLETE,
    TrialState.PAUSED,
    TrialState.PRUNED,
    TrialState.FAIL,
    TrialState.RUNNING,
    TrialState.WAITING,
)
_WORDS = {TrialState.FAIL: "failed"}


def final_summary(summary: Mapping[str, Any]) -> str:
    """Write `summary` for a reader: what was found, what it took, where the files are and how to go on.

    Whatever is missing, None or empty is left out.

    Parameters
    ----------
    summary
        ``best``, ``initial_best``: {number, objective, config}; ``predicted_best``: {objective, sd, config};
        ``pareto``: [{number, values, config}] with ``objectives``, their names; ``metric_constraints``, and how many
        trials are ``feasible``; ``borders``: as `utilities.borders.Border`; ``fidelity``: {name, spent, rungs:
        [{budget, trials}]}; ``states``: trials by state; ``failures``: [(reason, count)]; ``wall_seconds``;
        ``busy_fraction`` in [0, 1]; ``lost_ranks``: names of ranks that died; ``retries``: evaluations that were
        repeated; ``rerun``, ``significance``: see `utilities.display.comparison`;
        ``seconds_per_proposal``: {median, p99}; ``method``; ``seed``; ``folder``; ``status``: "finished" or why it
        stopped; ``resume_command``; ``versions``: by package.

    Returns
    -------
    str
        Lines without a line break at the end.
    """
    sections = (
        _status(summary),
        _evaluated(summary),
        _predicted(summary.get("predicted_best")),
        border_lines(summary.get("borders") or ()),
        rerun_lines(summary.get("rerun")),
        comparison_lines(summary.get("significance")),
        _course(summary),
        _resume(summary.get("resume_command")),
    )
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _status(summary: Mapping[str, Any]) -> list[str]:
    status = clean(str(summary.get("status") or ""))
    return [status[0].upper() + status[1:]] if status else []


def _front(summary: Mapping[str, Any]) -> list[str]:
    """The trials that no other dominates: some, evenly chosen, where they are many."""
    front = summary["pareto"]
    if not front:
        return [
            "No trial is feasible" if (summary.get("states") or {}).get(TrialState.COMPLETE) else "No trial succeeded"
        ]
    names = [clean(name) for name in summary.get("objectives") or ()]
    count = min(len(front), _SHOWN)
    shown = [front[i * (len(front) - 1) // max(1, count - 1)] for i in range(count)]
    rows = [names, *([number(value) for value in trial["values"]] for trial in shown)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    places = ["", *(f"  (trial {trial['number']})" for trial in shown)]
    more = [f"  and {len(front) - count:,} more, in summary.json"] if len(front) > count else []
    found = f"Pareto front: {counted(len(front), 'trial')} that no other dominates"
    return [found, *(f"  {line}{place}".rstrip() for line, place in zip(lines, places, strict=True)), *more]


def _evaluated(summary: Mapping[str, Any]) -> list[str]:
    if summary.get("pareto") is not None:
        return _front(summary)
    best, initial = _found(summary.get("best")), _found(summary.get("initial_best"))
    if not best:
        states = summary.get("states") or {}
        if any(rung["trials"] for rung in (summary.get("fidelity") or {}).get("rungs", ())):
            return ["No trial has had the full budget yet"]
        if states.get(TrialState.COMPLETE) and summary.get("metric_constraints"):
            return [_none_keeps(summary)]
        return ["No trial succeeded"] if states and not states.get(TrialState.COMPLETE) else []
    line = f"  objective {_objective(best)}"
    if initial and initial.get("number") == best.get("number"):
        line += ", of the initial design"
    elif initial:
        line += f"; best of the initial design: {_objective(initial)}"
    return ["Best evaluated point", line, *_config(best.get("config") or {})]


def _found(trial: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return trial if trial and trial.get("objective") is not None else None


def _objective(trial: Mapping[str, Any]) -> str:
    where = "" if trial.get("number") is None else f" (trial {trial['number']})"
    return f"{number(trial['objective'])}{where}"


def _predicted(predicted: Mapping[str, Any] | None) -> list[str]:
    predicted = _found(predicted)
    if not predicted:
        return []
    line = f"  objective {uncertain(predicted['objective'], predicted.get('sd'))}"
    return ["Predicted best point", line, *_config(predicted.get("config") or {})]


def border_lines(borders: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines on ranges that end too early, tables of `utilities.borders.Border`; none where there are none."""
    if not borders:
        return []
    return ["At a border of its range: widen that where it is no natural end", *map(_border, borders)]


def _border(border: Mapping[str, Any]) -> str:
    side, also = border["border"], " and in the predicted best" if border["predicted"] else ""
    how = f"{'lower' if side == 'low' else 'raise'} {side} to {number(border['widen_to'])}"
    where = f"near {side} = {number(border['value'])} in {border['trials']} of the {border['of']} best trials"
    return f"  {clean(border['parameter'])}: {where}{also}: {how}"


def _config(config: Config) -> list[str]:
    names = {clean(name): setting(value) for name, value in config.items()}
    width = max(map(len, names), default=0)
    return [f"    {name:<{width}}  {value}" for name, value in names.items()]


def _course(summary: Mapping[str, Any]) -> list[str]:
    busy, wall = summary.get("busy_fraction"), summary.get("wall_seconds")
    return [
        *_fact("Trials", _trials(summary.get("states") or {})),
        *_fact("Budgets", _budgets(summary.get("fidelity") or {})),
        *_fact("Feasible", _feasible(summary)),
        *(f"  {line}" for line in reason_lines(summary.get("failures") or (), _REASONS)),
        *_fact("Lost", printable(listed(summary.get("lost_ranks") or []))),
        *_fact("Retries", str(summary.get("retries") or "")),
        *_fact("Workers busy", "" if busy is None else f"{busy:.1%} of their time"),
        *_fact("Per proposal", _proposals(summary.get("seconds_per_proposal") or {})),
        *_fact("Wall time", "" if wall is None else duration(wall)),
        *_fact("Method", _method(summary)),
        *_fact("Versions", _versions(summary.get("versions") or {})),
        *_fact("Files", printable(str(summary.get("folder") or ""))),
    ]


def _fact(label: str, value: str) -> list[str]:
    return [f"{label:<{_LABEL}}{value}"] if value else []


def _trials(states: Mapping[str, int]) -> str:
    parts = [f"{states[state]:,} {_WORDS.get(state, state.value.lower())}" for state in _ORDER if states.get(state)]
    return listed(parts)


def _none_keeps(summary: Mapping[str, Any]) -> str:
    return f"No trial keeps {listed([printable(text) for text in summary.get('metric_constraints') or ()])}"


def _feasible(summary: Mapping[str, Any]) -> str:
    if not summary.get("metric_constraints"):
        return ""
    kept = listed([printable(text) for text in summary["metric_constraints"]])
    return f"{summary.get('feasible', 0):,} of those that completed: {kept}"


def _budgets(fidelity: Mapping[str, Any]) -> str:
    if not fidelity:
        return ""
    rungs = ", ".join(f"{rung['trials']:,} to {rung['budget']:g}" for rung in fidelity["rungs"] if rung["trials"])
    return clean(f"{fidelity['spent']:g} {fidelity['name']} in all: {rungs}") if rungs else ""


def _proposals(seconds: Mapping[str, float | None]) -> str:
    known = ((name, seconds.get(name)) for name in ("median", "p99"))
    return listed([f"{name} {duration(value)}" for name, value in known if value is not None])


def _versions(versions: Mapping[str, object]) -> str:
    return listed([clean(f"{name} {version}") for name, version in versions.items()])


def _method(summary: Mapping[str, Any]) -> str:
    method, seed = summary.get("method"), summary.get("seed")
    return listed([clean(str(method or "")), "" if seed is None else f"seed {seed}"])


def _resume(command: str | None) -> list[str]:
    # Never wrapped or shortened: it is there to be copied.
    return ["To continue:", f"  {printable(command)}"] if command else []

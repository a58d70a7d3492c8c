"""What is told of a study by somebody who only reads its folder: as lines of a log, as a view, as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from utilities.display.failures import reason_lines
from utilities.display.run_status import RunStatus, ShownTrial
from utilities.display.text import clean, counted, duration, listed, number, setting, shorten
from utilities.trial import TrialState, Value

if TYPE_CHECKING:
    from utilities.display.frame import Lines

_LABEL = 10
_REASONS = 5
_SHOWN_RUNNING = 8
_CONFIG_LENGTH = 120
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PAUSED: "paused",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A trial under evaluation.

    Attributes
    ----------
    number, config
        Of the trial.
    worker
        Its rank and host, ``3@node7``.
    seconds
        Since it began.
    report
        Step and value that it reported last; None where it reported nothing.
    """

    number: int
    config: Mapping[str, Value]
    worker: str
    seconds: float
    report: tuple[int, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus(RunStatus):
    """A study at one moment, seen from outside of its run.

    Attributes
    ----------
    folder
        The run folder.
    standing
        Whether it runs, where and since when, or how its last run ended.
    state
        The first word or two of that.
    waiting
        Trials that were proposed and do not run: a worker holds them, or the next run evaluates them first.
    under_way
        Trials under evaluation, the longest first.
    sessions
        Number of runs.
    ranks
        Processes of the latest run; None before the first.
    latest
        Seconds since the last record; None where there is none.
    damaged
        Lines of the journal that cannot be read, or contradict others.
    """

    folder: str = ""
    standing: str = ""
    state: str = ""
    waiting: int = 0
    under_way: tuple[Running, ...] = ()
    sessions: int = 0
    ranks: int | None = None
    latest: float | None = None
    damaged: int = 0


def plain_lines(status: StudyStatus) -> list[str]:
    """Lines of a log, without styles and of any width."""
    names = () if status.front is None else status.front.names
    return [
        f"{clean(status.study)}: {clean(status.standing)}",
        *_fact("trials", _progress(status)),
        *_fact("best" if status.front is None else "front", _best(status)),
        *_fact("states", _states(status)),
        *_block("failures", reason_lines(status.failures, _REASONS)),
        *_block("running", _running(status)),
        *_block("latest", [_ended(trial, names) for trial in status.recent]),
        *_fact("journal", damage(status)),
        *_fact("folder", clean(status.folder)),
    ]


def study_frame(status: StudyStatus, width: int, height: int, ascii_only: bool = False) -> Lines:
    """View of a study in at most `height` lines of `width` cells: the live view of a run, and how it stands."""
    from rich.text import Text

    from utilities.display.frame import frame

    style = "green" if status.state in ("running", "finished") else "yellow"
    more = [Text.assemble(("State      ", "cyan"), (clean(status.standing), style))]
    if told := damage(status):
        more.append(Text(told, "red"))
    for line in more:
        line.truncate(width, overflow="ellipsis")
    view = frame(status, width, max(height - len(more), 0), ascii_only)
    return [*view[:2], *more, *view[2:]][: max(height, 0)]


def as_table(status: StudyStatus) -> dict[str, Any]:
    """Everything as JSON has it: null for what is unknown and for numbers that are not finite."""
    best, front = status.best, status.front
    return {
        "study": status.study,
        "folder": status.folder,
        "state": status.state,
        "standing": status.standing,
        "method": status.method,
        "direction": status.direction,
        "ended": status.done,
        "budget": status.budget,
        "states": {state.value: count for state, count in status.states.items()},
        "waiting": status.waiting,
        "seconds_left": status.seconds_left,
        "best": None if best is None else _shown(best),
        **(
            {} if front is None else {"objectives": front.names, "pareto": {"trials": front.size, "ideal": front.ideal}}
        ),
        "failures": [{"reason": reason, "count": count} for reason, count in status.failures],
        "running": [
            {
                "number": trial.number,
                "config": dict(trial.config),
                "worker": trial.worker,
                "seconds": trial.seconds,
                "report": None if trial.report is None else [trial.report[0], _finite(trial.report[1])],
            }
            for trial in status.under_way
        ],
        "latest": [{**_shown(trial), "state": trial.state.value} for trial in status.recent],
        "runs": status.sessions,
        "ranks": status.ranks,
        "seconds_since_last_record": status.latest,
        "damaged_lines": status.damaged,
    }


def damage(status: StudyStatus) -> str:
    """Sentence on damaged lines; empty where none is."""
    if not status.damaged:
        return ""
    return f"{counted(status.damaged, 'line')} cannot be read, or contradict others: see `reverie repair`"


def _shown(trial: ShownTrial) -> dict[str, Any]:
    values = {"values": trial.values} if trial.values else {"objective": _finite(trial.objective)}
    kept = {} if trial.feasible else {"feasible": False}
    budget = {} if trial.budget is None else {"budget": trial.budget}
    return {"number": trial.number, **values, **kept, **budget, "config": dict(trial.config)}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _fact(label: str, value: str) -> list[str]:
    return [f"{label:<{_LABEL}}{value}"] if value else []


def _block(label: str, lines: Sequence[str]) -> list[str]:
    return [f"{label if i == 0 else '':<{_LABEL}}{line}" for i, line in enumerate(lines)]


def _progress(status: StudyStatus) -> str:
    of = f"{status.done:,}" if status.budget is None else f"{status.done:,} of {status.budget:,}"
    left = "" if status.seconds_left is None else f"about {duration(status.seconds_left)} left"
    return listed([of, left, f"{status.waiting:,} waiting" if status.waiting else ""])


def _best(status: StudyStatus) -> str:
    best = status.best
    if status.front is not None:
        return str(status.front) if status.front.size else "none yet"
    if best is None or best.objective is None:
        return "none yet: no trial has had the full budget" if status.states.get(TrialState.PAUSED) else "none yet"
    return f"{number(best.objective)}, trial {best.number}: {_config(best.config)}"


def _states(status: StudyStatus) -> str:
    counts = [f"{status.states[state]:,} {word}" for state, word in _STATES.items() if status.states.get(state)]
    return listed([*counts, f"{status.running:,} running" if status.running else ""])


def _running(status: StudyStatus) -> list[str]:
    lines = []
    for trial in status.under_way[:_SHOWN_RUNNING]:
        report = "" if trial.report is None else f", step {trial.report[0]}: {number(trial.report[1])}"
        lines.append(f"{trial.number} on {clean(trial.worker)} for {duration(trial.seconds)}{report}")
    more = len(status.under_way) - _SHOWN_RUNNING
    return [*lines, f"and {more:,} more"] if more > 0 else lines


def _ended(trial: ShownTrial, names: Sequence[str]) -> str:
    """Number, what it came to and with what budget, how it ended where that is not as usual, configuration."""
    values = [f"{clean(name)} {number(value)}" for name, value in zip(names, trial.values, strict=False)]
    if not values and trial.objective is not None:
        values = [number(trial.objective)]
    told = [
        listed(values),
        "" if trial.budget is None else f"budget {trial.budget:g}",
        "" if trial.state is TrialState.COMPLETE else trial.state.value.lower(),
        "" if trial.feasible else "infeasible",
    ]
    return "  ".join([str(trial.number), *filter(None, told), _config(trial.config)])


def _config(config: Mapping[str, Value]) -> str:
    return shorten(listed([f"{clean(name)} {setting(value)}" for name, value in config.items()]), _CONFIG_LENGTH)

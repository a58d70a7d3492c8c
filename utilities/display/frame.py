"""The live view of a run as lines of styled text that fit a terminal of any size.

Every line is at most `width` cells wide and there are at most `height` of them. Whatever does not fit is summarised
from the least important upwards: workers, recent trials, the incumbent's configuration. User's strings never pass
through rich's markup: they are cleaned and appended as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, zip_longest

from rich.text import Text

from utilities.display.failures import reason_lines
from utilities.display.run_status import RunStatus, ShownTrial, WorkerStatus
from utilities.display.text import clean, counted, duration, listed, number, setting, shorten
from utilities.trial import TrialState, Value

_WIDE = 120
_GAP = 4
_LABEL = 11
_SHOWN_WORKERS = 8
_SHOWN_RECENT = 8
_CONFIG_LINES = 4
_DEVICE, _NAME = 12, 12
_MORE_REASONS = (20, 30)
"""Heights from which on there is another line on failures."""

_LEAST_RECENT = 3
"""Lines of recent trials at least, their heading among them."""

Lines = list[Text]


def frame(status: RunStatus, width: int, height: int, ascii_only: bool = False) -> Lines:
    """Lay out `status` in at most `height` lines of at most `width` cells, in ASCII alone on request."""
    head = [_title(status, width, ascii_only), _bar(status, width, ascii_only)]
    facts = _facts(status, width, height)
    room = height - len(head) - len(facts) - 1
    tables = _tables(status, width, room)
    lines = [*head, Text(), *facts, *tables]
    return [_fitted(line, width) for line in lines[: max(height, 0)]]


def _title(status: RunStatus, width: int, ascii_only: bool) -> Text:
    left = Text(clean(status.study), "bold")
    right = Text(listed([clean(status.method), clean(status.phase), _whole(status.elapsed)]), "cyan")
    left.truncate(max(width - right.cell_len - 3, 8), overflow="ellipsis")
    rule = width - left.cell_len - right.cell_len - 2
    return Text.assemble(left, " ", (("-" if ascii_only else "─") * max(rule, 0), "dim"), " ", right)


def _bar(status: RunStatus, width: int, ascii_only: bool) -> Text:
    words = Text("  ".join(part for part in (_progress(status), _remaining(status)) if part))
    fraction = status.fraction
    length = width - words.cell_len - 2
    if fraction is None or length < 8:
        return words
    full, empty = ("=", "-") if ascii_only else ("━", "─")
    filled = round(fraction * length)
    return Text.assemble((full * filled, "green"), (empty * (length - filled), "bright_black"), "  ", words)


def _progress(status: RunStatus) -> str:
    if status.budget is not None:
        budget = counted(status.budget, "trial")
        # As wide at the start as at the end: the bar beside it keeps its length.
        return f"{status.done:>{len(budget.split()[0])},} of {budget}"
    limit = f"{_whole(status.elapsed)} of {duration(status.time_limit)}" if status.time_limit else ""
    return listed([counted(status.done, "trial"), limit])


def _remaining(status: RunStatus) -> str:
    return "" if status.seconds_left is None else f"{_whole(status.seconds_left):>4} left"


def _whole(seconds: float) -> str:
    return duration(float(int(seconds)))


def _facts(status: RunStatus, width: int, height: int) -> Lines:
    facts = _incumbent(status, width)
    facts.append(_fact("Trials", _counts(status)))
    reasons = reason_lines(status.failures, 1 + sum(height >= least for least in _MORE_REASONS))
    facts += [_fact("" if i else "Failures", Text(line, "red")) for i, line in enumerate(reasons)]
    if status.workers:
        facts.append(_fact("Workers", _utilisation(status)))
    if status.surrogate:
        facts.append(_fact("Surrogate", clean(status.surrogate)))
    return facts


def _incumbent(status: RunStatus, width: int) -> Lines:
    if status.front is not None:
        best_values = Text(str(status.front) if status.front.size else "none yet")
        return [_fact("Front", best_values)]
    best = status.best
    if best is None or best.objective is None:
        why = ": no trial has had the full budget" if status.states.get(TrialState.PAUSED) else ""
        return [_fact("Best", f"none yet{why}")]
    extreme = "highest" if status.direction == "maximize" else "lowest"
    value = Text.assemble((number(best.objective), "bold green"), f"  {extreme} so far, trial {best.number}")
    config = [Text(" " * _LABEL).append_text(line) for line in _settings(best.config, width - _LABEL)]
    return [_fact("Best", value), *config]


def _counts(status: RunStatus) -> Text:
    shown = (
        (TrialState.COMPLETE, "complete", ""),
        (TrialState.PAUSED, "paused", "cyan"),
        (TrialState.PRUNED, "pruned", "yellow"),
        (TrialState.FAIL, "failed", "red"),
    )
    words = [Text(f"{status.running:,} running")]
    words += [Text(f"{status.states[s]:,} {name}", style) for s, name, style in shown if status.states.get(s)]
    return Text(", ").join(words)


def _utilisation(status: RunStatus) -> str:
    busy = sum(worker.trial is not None for worker in status.workers)
    hosts = len({worker.host for worker in status.workers})
    return listed(
        [
            f"{busy:,} of {len(status.workers):,} busy",
            f"on {hosts:,} hosts" if hosts > 1 else "",
            "" if status.busy_fraction is None else f"{status.busy_fraction:.0%} of their time so far",
        ]
    )


def _fact(label: str, value: str | Text) -> Text:
    return Text.assemble((label.ljust(_LABEL), "cyan"), value)


def _settings(config: Mapping[str, Value], width: int) -> Lines:
    """Write the parameters one after the other in at most `_CONFIG_LINES` lines, and how many are left out."""
    lines: Lines = []
    left = _items(config)
    while left and len(lines) < _CONFIG_LINES:
        reserve = len(_more(left)) + 2 if len(lines) == _CONFIG_LINES - 1 else 0
        count = max(_fitting(left, width, reserve), 1)
        lines.append(_fitted(Text("  ").join(left[:count]), width))
        left = left[count:]
    if left:
        lines[-1].append(f"  {_more(left)}", "dim")
    return lines


def _start(config: Mapping[str, Value], width: int) -> Text:
    """Write as many parameters as fit in one line, and dots for the others."""
    items = _items(config)
    count = _fitting(items, width, len("  ..."))
    dots = [Text("...", "dim")] if count < len(items) else []
    return Text("  ").join(items[:count] + dots)


def _fitting(items: Lines, width: int, reserve: int) -> int:
    """How many items fit into one line; where some do not, so that `reserve` cells remain."""
    ends = list(accumulate(item.cell_len + 2 for item in items))
    if not ends or ends[-1] - 2 <= width:
        return len(items)
    return sum(end - 2 + reserve <= width for end in ends)


def _more(left: Lines) -> str:
    return f"and {len(left):,} more"


def _items(config: Mapping[str, Value]) -> Lines:
    return [Text.assemble((clean(name), "dim"), " ", setting(value, 4)) for name, value in config.items()]


def _tables(status: RunStatus, width: int, room: int) -> Lines:
    """Recent trials and workers: side by side where that fits, else the trials above the workers."""
    if width >= _WIDE:
        return _beside(status, width, room)
    fits = len(status.workers) + 3 + _LEAST_RECENT <= room
    wanted = (len(status.workers) if fits else min(len(status.workers), _SHOWN_WORKERS)) + 3
    recent = _spaced(_recent(status, width, min(max(room - wanted, _LEAST_RECENT), room - 1, _SHOWN_RECENT + 1)))
    return recent + _spaced(_workers(status.workers, width, room - len(recent) - 1))


def _beside(status: RunStatus, width: int, room: int) -> Lines:
    left = _workers(status.workers, width // 3, room - 1)
    edge = max((line.cell_len + _GAP for line in left), default=0)
    right = _recent(status, width - edge, min(room - 1, _SHOWN_RECENT + 1))
    pairs = zip_longest(left, right, fillvalue=Text())
    return _spaced([_fitted(a, edge, pad=True).append_text(b) for a, b in pairs])


def _spaced(lines: Lines) -> Lines:
    return [Text(), *lines] if lines else []


def _recent(status: RunStatus, width: int, room: int) -> Lines:
    """Table of the latest trials in at most `room` lines, its heading among them."""
    trials = status.recent[: max(room - 1, 0)]
    if not trials:
        return []
    columns = [("Latest", [Text(str(trial.number)) for trial in trials]), *_outcomes(status, trials)]
    widths = [max(len(heading), *(cell.cell_len for cell in cells)) for heading, cells in columns]
    heads = [heading.rjust(widths[0]) if not i else heading.ljust(widths[i]) for i, (heading, _) in enumerate(columns)]
    lines = [Text("  ".join([*heads, "Configuration"]), "cyan")]
    for place, trial in enumerate(trials):
        own = [cells[place] for _, cells in columns]
        padded = [Text(own[0].plain.rjust(widths[0])), *map(_padded, own[1:], widths[1:])]
        start = Text("  ").join(padded).append("  ")
        lines.append(start.append_text(_start(trial.config, width - start.cell_len)))
    return [_fitted(line, width) for line in lines]


def _padded(text: Text, width: int) -> Text:
    return _fitted(text, width, pad=True)


def _outcomes(status: RunStatus, trials: Sequence[ShownTrial]) -> list[tuple[str, Lines]]:
    """Columns of what trials came to, each with its heading: with what budget, and the value of each objective."""
    columns: list[tuple[str, Lines]] = []
    if any(trial.budget is not None for trial in trials):
        columns.append(("Budget", [Text("" if trial.budget is None else f"{trial.budget:g}") for trial in trials]))
    if status.front is None:
        return [*columns, ("Objective", [_ending(trial) for trial in trials])]
    for place, name in enumerate(status.front.names):
        columns.append((shorten(clean(name), _NAME), [_ending(trial, place) for trial in trials]))
    return columns


def _ending(trial: ShownTrial, place: int = 0) -> Text:
    """Value of a trial, of several objectives that at this place, and how it ended where that is not as usual."""
    value = trial.values[place] if trial.values else None if place else trial.objective
    style = {TrialState.FAIL: "red", TrialState.PAUSED: "cyan", TrialState.COMPLETE: ""}.get(trial.state, "yellow")
    word = "" if trial.state is TrialState.COMPLETE else trial.state.value.lower()
    if not trial.feasible:
        style, word = "yellow", "infeasible"
    if trial.state is TrialState.PAUSED and value is not None:
        word = ""  # its budget says it
    parts = ["" if value is None else number(value, 4), "" if place else word]
    return Text(" ".join(part for part in parts if part), style)


def _workers(workers: Sequence[WorkerStatus], width: int, room: int) -> Lines:
    """Table of the workers in at most `room` lines: all of them or, summarised, those longest at their trial."""
    if len(workers) <= room - 1:
        return [_fitted(row, width) for row in _worker_rows(workers, "Worker", width)] if workers else []
    shown = min(_SHOWN_WORKERS, room - 2)
    if shown < 1:
        return []
    longest = sorted(workers, key=lambda worker: (worker.trial is None, -worker.seconds))[:shown]
    rows = _worker_rows(longest, "Longest at work", width)
    rows.append(Text(f"and {len(workers) - shown:,} more", "dim"))
    return [_fitted(row, width) for row in rows]


def _worker_rows(workers: Sequence[WorkerStatus], heading: str, width: int) -> Lines:
    """Lines of a table; where names are too long, hosts lose their domains first: what a worker does stays in sight."""
    trials = ["idle" if worker.trial is None else str(worker.trial) for worker in workers]
    times = ["" if worker.trial is None else _whole(worker.seconds) for worker in workers]
    others = max(map(len, ["Trial", *trials])) + max(map(len, ["Time", *times])) + 4
    names = [_name(worker, width - others) for worker in workers]
    columns = [max(map(len, column)) for column in ([heading, *names], ["Trial", *trials], ["Time", *times])]
    rows = zip(names, trials, times, strict=True)
    lines = [Text(_row((heading, "Trial", "Time"), columns), "cyan")]
    return lines + [Text(_row(row, columns)) for row in rows]


def _name(worker: WorkerStatus, width: int) -> str:
    """Rank, host and GPUs in at most `width` characters; of a UUID as much as tells it from others."""
    devices = ",".join(clean(device)[:_DEVICE] for device in worker.devices)
    own = f" GPU {devices.removeprefix('GPU-')}" if devices else ""
    host = clean(worker.host)
    if len(f"{worker.rank}@{host}{own}") > width:
        host = host.partition(".")[0]
    return shorten(f"{worker.rank}@{host}{own}", max(width, 8))


def _row(cells: tuple[str, str, str], columns: Sequence[int]) -> str:
    name, trial, time = cells
    return f"{name:<{columns[0]}}  {trial:>{columns[1]}}  {time:>{columns[2]}}"


def _fitted(text: Text, width: int, pad: bool = False) -> Text:
    fitted = text.copy()
    fitted.truncate(max(width, 0), overflow="ellipsis", pad=pad)
    return fitted

"""The verb ``reverie status``: how a study goes, read from its folder by whoever may read that."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from heapq import nlargest
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from learning_objective.command_line import Parser
from reverie.verbs.finding import find_run
from reverie.verbs.speaking import act, add_run, duration, parser
from utilities.display.run_status import ShownTrial, WorkerStatus
from utilities.display.study_status import Running, StudyStatus, as_table, plain_lines, study_frame
from utilities.display.terminal import Terminal, watching_terminal
from utilities.display.text import emit
from utilities.errors import StudyError
from utilities.storage.run_state import State, run_state
from utilities.storage.study_rules import parse_duration
from utilities.trial import TrialRecord, TrialState

if TYPE_CHECKING:
    from utilities.goals import Goals

_RECENT = 8
_WATCH_SECONDS = 2.0
_HELP = """\
Tell how a study goes: whether it runs, where and since when, how far it is, its best trial, what failed of what. Reads
the journal beside the run that writes it, on whatever node, and locks and writes nothing. With --watch it tells again
what is new until the run has ended; at a terminal as a live view, else as lines."""


def make_parser(program: str) -> Parser:
    """Parser of this verb."""
    own = parser(program, _HELP, f"{program} runs/digits --watch")
    add_run(own)
    own.add_argument(
        "--watch",
        nargs="?",
        type=duration,
        const=_WATCH_SECONDS,
        metavar="SECONDS",
        help=f"look again so often until the run has ended (default: {_WATCH_SECONDS:g})",
    )
    own.add_argument("--json", action="store_true", help="one JSON object, with --watch one a line")
    return own


def main(arguments: Sequence[str], program: str) -> int:
    """Tell what the command line asks for; return the exit status."""
    return act(make_parser(program), arguments, _tell)


def _tell(given: argparse.Namespace) -> int:
    observer = Observer(find_run(given.run, given.output))
    terminal = None if given.json else watching_terminal()
    try:
        if given.watch is None:
            _tell_once(observer.look(time.time()), terminal, as_json=given.json)
        elif terminal is not None:
            _watch_live(observer, terminal, given.watch)
        else:
            _watch_plainly(observer, given.watch, as_json=given.json)
    finally:
        if terminal is not None:
            terminal.close()
    return 0


def _tell_once(status: StudyStatus, terminal: Terminal | None, *, as_json: bool) -> None:
    if as_json:
        emit(sys.stdout, json.dumps(as_table(status), indent=2, ensure_ascii=False))
    elif terminal is None:
        emit(sys.stdout, "\n".join(plain_lines(status)))
    else:
        _show(status, terminal.size(), terminal.encoding)


def _show(status: StudyStatus, size: os.terminal_size, encoding: str) -> None:
    """Write the view of a status, to stay."""
    from rich.console import Console

    ascii_only = not encoding.lower().startswith("utf")
    console = Console(highlight=False, width=size.columns)
    for line in study_frame(status, size.columns - 1, size.lines - 2, ascii_only):
        console.print(line, no_wrap=True, overflow="ignore", crop=False)


def _watch_live(observer: Observer, terminal: Terminal, seconds: float) -> None:
    """Draw a view until the run has ended or Ctrl-C; what was seen last stays."""
    from utilities.display.live import LiveDisplay

    status = observer.look(time.time())
    display = LiveDisplay(terminal, layout=study_frame)
    with suppress(KeyboardInterrupt):
        while status.state == State.RUNNING:
            display.update(status)
            time.sleep(seconds)
            status = observer.look(time.time())
    size = terminal.size()
    display.close()
    _show(status, size, terminal.encoding)


def _watch_plainly(observer: Observer, seconds: float, *, as_json: bool) -> None:
    """Write what is new until the run has ended or Ctrl-C."""
    told: object = None
    with suppress(KeyboardInterrupt):
        while True:
            status = observer.look(time.time())
            news = status.done, status.running, status.states, status.state, status.best
            if news != told:
                told = news
                lines = [json.dumps(as_table(status), ensure_ascii=False)] if as_json else [*plain_lines(status), ""]
                emit(sys.stdout, "\n".join(lines))
            if status.state != State.RUNNING:
                return
            time.sleep(seconds)


class Observer:
    """Looks at a run folder now and then, and reads only what is new there.

    Parameters
    ----------
    folder
        The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        from utilities.storage.chronicle import Chronicle

        self._chronicle = Chronicle(folder)
        self._forget()

    def _forget(self) -> None:
        from utilities.goals import Goals
        from utilities.incumbents import Incumbents

        chronicle = self._chronicle
        self._goals = chronicle.goals if chronicle.begun else Goals()
        self._best, self._sessions = Incumbents(self._goals), chronicle.sessions
        self._counted = 0
        self._states: Counter[TrialState] = Counter()
        self._reasons: Counter[str] = Counter()
        self._longest = 0.0

    def look(self, now: float) -> StudyStatus:
        """Status at `now`, in seconds since the epoch.

        Raises
        ------
        StudyError, JournalError
            The journal cannot be read, or its beginning is damaged.
        """
        from utilities.display.judged import shown_front

        chronicle = self._chronicle
        chronicle.read()
        if len(chronicle.ended) < self._counted or chronicle.sessions != self._sessions:
            self._forget()
        for record in chronicle.ended[self._counted :]:
            self._count(record)
        self._counted = len(chronicle.ended)
        found = run_state(self._folder, now, patience=self._patience())
        running = list(chronicle.running.values()) if found.state in (State.RUNNING, State.SEEMS_DEAD) else []
        session, header = chronicle.session, chronicle.header
        paused = 0
        if header.fidelity is not None:
            paused = sum(record.paused for record in chronicle.trials.values())
        return StudyStatus(
            study=self._folder.absolute().name,
            method=header.method if session is None else session.method,
            done=len(chronicle.ended) + paused,
            budget=None if session is None else session.budget,
            elapsed=self._elapsed(now, found.state),
            time_limit=self._seconds("time_limit"),
            seconds_left=self._left(now, paused) if found.state is State.RUNNING else None,
            running=len(running),
            states=self._by_state(paused, found.state),
            direction=header.direction,
            best=self._best_trial(),
            front=shown_front(self._goals, self._best),
            workers=tuple(_worker(record, now) for record in running),
            recent=tuple(self._recent(paused)),
            folder=str(self._folder),
            standing=str(found),
            state=found.state,
            waiting=len(chronicle.trials) - len(chronicle.ended) - len(running) - paused,
            under_way=tuple(self._under_way(record, now) for record in running),
            failures=tuple(self._reasons.most_common()),
            sessions=chronicle.sessions,
            ranks=None if session is None else session.ranks,
            latest=None if chronicle.latest is None else max(0.0, now - chronicle.latest),
            damaged=chronicle.damaged,
        )

    def _recent(self, paused: int) -> list[ShownTrial]:
        """The last trials that ended, the latest first; with budgets, the last evaluations of those that are paused."""
        latest = [(record.completed or 0.0, record) for record in self._chronicle.ended[-_RECENT:]]
        if paused:
            waiting = (
                (record.rungs[-1].completed, record) for record in self._chronicle.trials.values() if record.paused
            )
            latest += nlargest(_RECENT, waiting, key=itemgetter(0))
        return [_shown(record, self._goals) for _, record in nlargest(_RECENT, reversed(latest), key=itemgetter(0))]

    def _by_state(self, paused: int, state: State) -> dict[TrialState, int]:
        """Trials by state; those that are paused as the study ends are pruned."""
        if not paused:
            return dict(self._states)
        kind = TrialState.PRUNED if state is State.FINISHED else TrialState.PAUSED
        return self._states + Counter({kind: paused})

    def _count(self, record: TrialRecord) -> None:
        assert record.outcome is not None
        self._states[record.state] += 1
        self._longest = max(self._longest, record.outcome.seconds)
        if record.state is TrialState.FAIL:
            self._reasons[record.outcome.reason] += 1
        values = self._goals.values_of(record.outcome) if record.state is TrialState.COMPLETE else None
        if values is not None:
            kept = self._goals.keeps(record.outcome)
            self._best.note(record.trial.number, record.trial.config, values, feasible=kept)

    def _best_trial(self) -> ShownTrial | None:
        best = self._best.best
        if best is None:
            return None
        return ShownTrial(best.number, best.config, TrialState.COMPLETE, best.objective)

    def _patience(self) -> float:
        """Seconds that a trial may take without a word."""
        return max(self._longest, self._seconds("trial_timeout") or 0.0)

    def _seconds(self, key: str) -> float | None:
        """Duration that the study has under `key`; None where it has none, or an older version wrote the journal."""
        session = self._chronicle.session
        value = session.study["study"].get(key) if session is not None and session.study else None
        try:
            return None if value is None else parse_duration(value, key)
        except StudyError:
            return None

    def _elapsed(self, now: float, state: State) -> float:
        session, latest = self._chronicle.session, self._chronicle.latest
        if session is None:
            return 0.0
        return max(0.0, (now if state is State.RUNNING else latest or now) - session.time)

    def _left(self, now: float, paused: int) -> float | None:
        """Estimate of the seconds until the budget is spent by the pace of this run, within its time limit."""
        chronicle, limit = self._chronicle, self._seconds("time_limit")
        session = chronicle.session
        if session is None:
            return None
        spent = max(0.0, now - session.time)
        left = None if limit is None else max(0.0, limit - spent)
        ended = len(chronicle.ended) - chronicle.ended_before
        if paused:
            trials = chronicle.trials.values()
            ended += sum(record.paused and record.rungs[-1].completed >= session.time for record in trials)
        if session.budget is None or not ended:
            return left
        by_budget = max(0, session.budget - len(chronicle.ended) - paused) * spent / ended
        return by_budget if left is None else min(left, by_budget)

    def _under_way(self, record: TrialRecord, now: float) -> Running:
        reports = self._chronicle.reports.get(record.trial.number)
        step = None if not reports else next(reversed(reports))
        return Running(
            number=record.trial.number,
            config=record.trial.config,
            worker=record.worker,
            seconds=max(0.0, now - (record.started or now)),
            report=None if not reports or step is None else (step, reports[step][0]),
        )


def _shown(record: TrialRecord, goals: Goals) -> ShownTrial:
    from utilities.display.judged import shown_trial

    outcome = record.outcome
    if record.paused:
        outcome = msgspec.structs.replace(record.rungs[-1].outcome, state=TrialState.PAUSED)
    if outcome is None:
        return ShownTrial(record.trial.number, record.trial.config)
    return shown_trial(record.evaluation, outcome, goals)


def _worker(record: TrialRecord, now: float) -> WorkerStatus:
    rank, _, host = record.worker.partition("@")
    seconds = max(0.0, now - (record.started or now))
    return WorkerStatus(int(rank) if rank.isdecimal() else 0, host, record.trial.number, seconds)

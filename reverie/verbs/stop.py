"""The verb ``reverie stop``: another process's run, on this node or another, is asked to end."""

from __future__ import annotations

import argparse
import getpass
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from learning_objective.command_line import Parser
from reverie.verbs.finding import find_run
from reverie.verbs.speaking import act, add_run, duration, parser
from utilities.display.text import clean, emit
from utilities.display.text import duration as span
from utilities.errors import ReverieError
from utilities.storage import lock
from utilities.storage.run_state import run_state
from utilities.storage.stop_request import StopRequest, ask, withdraw

STILL_RUNNING = 1
_LOOK_SECONDS = 0.2
_HELP = """\
Ask a running study to end as on a signal: it starts no more trials, waits up to `grace` for the running ones, and ends
with exit status 75, ready to continue. The request is a file in the run folder, so that any node that sees the folder
can make it. Waits for the end. Exit status: 0 the run is over, or none was running; 1 it still runs after --timeout."""


def make_parser(program: str) -> Parser:
    """Parser of this verb."""
    own = parser(program, _HELP, f"{program} runs/digits")
    add_run(own)
    own.add_argument("--now", action="store_true", help="cut running trials off: they come first in the next run")
    own.add_argument("--no-wait", action="store_true", help="leave the request, and do not wait")
    own.add_argument("--timeout", type=duration, metavar="T", help="wait no longer than this, such as 5m")
    return own


def main(arguments: Sequence[str], program: str) -> int:
    """Ask the run that the command line names to end; return the exit status."""
    return act(make_parser(program), arguments, _stop)


def _stop(given: argparse.Namespace) -> int:
    folder = find_run(given.run, given.output)
    journal = folder / "journal.jsonl"
    run = lock.holder(journal)
    if run is None or run.gone:
        emit(sys.stdout, f"{folder}: nothing to stop: {run_state(folder, time.time())}")
        return 0
    request = StopRequest(run, clean(f"{_user()}@{socket.gethostname()}"), given.now)
    try:
        ask(folder, request)
    except OSError as error:
        raise ReverieError(f"{folder}: cannot leave the request there: {error.strerror or error}") from None
    emit(sys.stdout, f"{folder}: asked {run} to end{' at once' if given.now else ''}")
    return 0 if given.no_wait else _wait(folder, request, given.timeout)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def _wait(folder: Path, request: StopRequest, seconds: float | None) -> int:
    """Wait until the run is over, which withdraws a request that it did not take."""
    began = time.monotonic()
    while lock.holder(folder / "journal.jsonl") == request.run and not request.run.gone:
        waited = time.monotonic() - began
        if seconds is not None and waited >= seconds:
            message = f"{folder}: it still runs after {span(waited)}; the request stands, and --now cuts trials off"
            print(message, file=sys.stderr)
            return STILL_RUNNING
        time.sleep(_LOOK_SECONDS)
    withdraw(folder, request)
    emit(sys.stdout, f"{folder}: {run_state(folder, time.time())}")
    return 0

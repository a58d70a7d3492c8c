"""A command as an objective: its arguments from the configuration, its result from the last line it prints.

Standard library only: the child process imports this file. No shell is involved.

Arguments
---------
``{name}`` in an element stands for the value of parameter `name`: floats with all their digits, booleans as ``true``
and ``false``. ``{instance}`` stands for the instance that the trial is evaluated on, where the study has instances.
``{{`` and ``}}`` stand for single braces. An element that names an inactive parameter is left out; if
the placeholder is the whole element and the element before it is an option (``"--width", "{width}"``), so is that one.
With budgets ``{budget}`` and ``{previous_budget}`` are those of the trial, unless parameters have these names.

Reports
-------
A line ``REPORT <step> <value>`` of the output is an intermediate value, as `TrialHandle.report` takes it. A trial that
is to end early gets SIGTERM: what it prints last then counts, and its exit status does not.

Environment
-----------
REVERIE_TRIAL, REVERIE_SEED, REVERIE_FOLDER (the trial's own folder), REVERIE_CONFIG (JSON), and REVERIE_BUDGET and
REVERIE_PREVIOUS_BUDGET, and REVERIE_INSTANCE, where the trial has them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .results import KilledError, Objective, ResultError, ending, from_outside, read_last_line, tail, within
from .trial_handle import TrialHandle

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_REPORT = re.compile(rb"^REPORT[ \t]+([+-]?\d{1,18})[ \t]+(\S{1,40})[ \t]*$", re.MULTILINE)
_LONGEST_LINE = 1 << 20
_LOOK_AGAIN = 0.1
"""Seconds between looks at whether to stop."""


class TemplateError(ValueError):
    """An argument of a command has a brace that belongs to no placeholder."""


def command_objective(command: Sequence[str], folder: str) -> Objective:
    """Make an objective that runs `command` in `folder`."""

    def objective(config: dict[str, Any], trial: TrialHandle) -> object:
        named = {} if trial.instance is None else {"instance": trial.instance}
        program, *arguments = fill(command, {**_budgets(trial), **config, **named})
        return run([find_program(program, folder) or program, *arguments], folder, config, trial)

    return objective


def _budgets(trial: TrialHandle) -> dict[str, float]:
    """What a command may name besides its parameters."""
    return {} if trial.budget is None else {"budget": trial.budget, "previous_budget": trial.previous_budget}


def find_program(program: str, folder: str) -> str | None:
    """Path of a program: on PATH, or an executable file relative to `folder`. None where there is neither."""
    if os.sep not in program and (found := shutil.which(program)):
        return found
    return shutil.which(os.path.join(os.path.abspath(folder), program))


def placeholders(element: str) -> list[str]:
    """Names of the parameters in one element of a command.

    Raises
    ------
    TemplateError
        A lone brace.
    """
    names = []
    for match in _PLACEHOLDER.finditer(element):
        if match[0] in ("{", "}"):
            raise TemplateError(f"a lone {match[0]!r} in {element!r}: write {match[0] * 2!r} for the character itself")
        if match[0] not in ("{{", "}}"):
            names.append(match[1])
    return names


def fill(command: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """Arguments of a command for one configuration; see the top of this file for the rules."""
    filled: list[str] = []
    for position, element in enumerate(command):
        names = placeholders(element)
        if all(name in config for name in names):
            filled.append(_PLACEHOLDER.sub(lambda match: _replace(match, config), element))
        elif element == f"{{{names[0]}}}" and position > 0 and _is_option(command[position - 1]):
            filled.pop()
    return filled


def _is_option(element: str) -> bool:
    return element.startswith("-") and not placeholders(element)


def _replace(match: re.Match[str], config: Mapping[str, Any]) -> str:
    return match[0][0] if match[1] is None else _text(config[match[1]])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def run(arguments: Sequence[str], folder: str, config: Mapping[str, Any], trial: TrialHandle) -> object:
    """Run a program to its end, copying what it prints to this process's standard output.

    Returns
    -------
    object
        What its last line says.

    Raises
    ------
    ResultError
        It cannot be started, fails, or its last line is neither a number nor a JSON object.
    """
    reader, writer = os.pipe()
    try:
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=_environment(config, trial),
            stdin=subprocess.DEVNULL,
            stdout=writer,
        )
    except OSError as error:
        os.close(reader)
        raise ResultError(f"the command cannot be started: {error}") from None
    finally:
        os.close(writer)
    try:
        last = _follow(process, reader, trial)
    finally:
        os.close(reader)
        process.kill()
        status = process.wait()
    if status and not trial.stop_seen:
        inner = within(status)
        kind = KilledError if from_outside(inner) else ResultError
        more = f": what it ran {ending(inner)}" if inner != status else ""
        raise kind(f"the command {ending(status)}{more}\n{tail(1)}")
    return read_last_line(last)


def _environment(config: Mapping[str, Any], trial: TrialHandle) -> dict[str, str]:
    own = {
        "REVERIE_TRIAL": str(trial.number),
        "REVERIE_SEED": str(trial.seed),
        "REVERIE_FOLDER": str(trial.folder),
        "REVERIE_CONFIG": json.dumps(dict(config)),
    }
    own |= {f"REVERIE_{name.upper()}": str(value) for name, value in _budgets(trial).items()}
    if trial.instance is not None:
        own["REVERIE_INSTANCE"] = str(trial.instance)
    return {**os.environ, **own}


class _Lines:
    """The lines of a stream; a carriage return ends a line too, as progress bars want it."""

    def __init__(self) -> None:
        self._complete = bytearray()
        self._open = bytearray()

    def feed(self, chunk: bytes) -> list[tuple[int, float]]:
        """Take the next piece; steps and values of the reports among the lines that end in it."""
        reports: list[tuple[int, float]] = []
        ended, newline, rest = chunk.replace(b"\r", b"\n").rpartition(b"\n")
        if newline:
            lines = (self._open + ended).rstrip()
            self._complete = lines[lines.rfind(b"\n") + 1 :] or self._complete
            self._open = bytearray(rest)
            reports = list(_reports(lines))
        else:
            self._open += rest
        if len(self._open) > 2 * _LONGEST_LINE:
            del self._open[:-_LONGEST_LINE]
        return reports

    def last(self) -> str:
        """The last line that is not blank."""
        line = self._open[-_LONGEST_LINE:].strip() or self._complete[-_LONGEST_LINE:].strip()
        return line.decode("utf-8", "replace")


def _reports(lines: bytearray) -> Iterator[tuple[int, float]]:
    for match in _REPORT.finditer(lines):
        with contextlib.suppress(ValueError):
            yield int(match[1]), float(match[2])


def _follow(process: subprocess.Popen[bytes], stream: int, trial: TrialHandle) -> str:
    """Copy what the process prints until it ends; ask it to end when the trial is to stop. Returns the last line.

    The stream outlives the process where a process that it left behind holds it: the end is then silence.
    """
    lines = _Lines()
    open_ = True
    while open_ or process.poll() is None:
        if trial.should_stop():
            process.terminate()
        if not open_:
            _wait(process)
        elif select.select([stream], [], [], _LOOK_AGAIN)[0]:
            chunk = os.read(stream, 1 << 16)
            open_ = bool(chunk)
            _write_all(chunk)
            for step, value in lines.feed(chunk):
                trial.report(step, value)
        else:
            open_ = process.poll() is None
    return lines.last()


def _wait(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LOOK_AGAIN)


def _write_all(chunk: bytes) -> None:
    while chunk:
        chunk = chunk[os.write(1, chunk) :]

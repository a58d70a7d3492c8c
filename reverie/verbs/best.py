"""The verb ``reverie best``: the best configurations, as a table of TOML, as JSON or as arguments."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from learning_objective.command_line import Parser
from reverie.verbs.finding import find_run
from reverie.verbs.speaking import OneOf, act, add_run, at_least, parser
from utilities.display.text import emit
from utilities.storage.toml_text import toml_key, toml_value
from utilities.trial import Config, TrialRecord, TrialState, Value

if TYPE_CHECKING:
    from utilities.goals import Goals
    from utilities.storage.chronicle import Chronicle

NONE_SUCCEEDED = 3
_HELP = """\
Print the completed trial with the best objective, ready to paste; of several objectives, a trial that no other beats in
all of them. Under constraints on metrics it keeps these. Reads a running study too, and changes nothing.
With -f args it is the study's command with these values, quoted for a shell, or else an option a parameter. Exit status
3: no trial has succeeded yet."""


def make_parser(program: str) -> Parser:
    """Parser of this verb."""
    own = parser(program, _HELP, f"python train.py $({program} runs/digits -f args)")
    add_run(own)
    own.add_argument(
        "-f", "--format", type=OneOf(_FORMATS), default="toml", metavar="F", help="toml, json or args (default: toml)"
    )
    own.add_argument("--top", type=at_least(1), metavar="K", help="the best K trials, the best first (default: one)")
    return own


def main(arguments: Sequence[str], program: str) -> int:
    """Print what the command line asks for; return the exit status."""
    return act(make_parser(program), arguments, _print_best)


def _print_best(given: argparse.Namespace) -> int:
    from utilities.storage.chronicle import Chronicle

    chronicle = Chronicle(find_run(given.run, given.output))
    chronicle.read()
    found = ranked(chronicle)[: given.top or 1]
    if not found:
        which = "succeeded and kept the constraints on metrics" if chronicle.goals.constraints else "succeeded"
        print(f"error: {chronicle.path.parent}: no trial has {which} yet", file=sys.stderr)
        return NONE_SUCCEEDED
    emit(sys.stdout, _FORMATS[given.format](found, chronicle, given.top is not None))
    return 0


def ranked(chronicle: Chronicle) -> list[TrialRecord]:
    """Completed trials that are feasible, the best first and of equals the earlier.

    Of several objectives, those that no other dominates, by the first objective.
    """
    goals = chronicle.goals
    found = [record for record in chronicle.ended if _is_feasible(record, goals)]
    if goals.several:
        from utilities.incumbents import Incumbents

        incumbents = Incumbents(goals)
        for record in found:
            incumbents.note(record.trial.number, record.trial.config, values_of(record, goals), feasible=True)
        return [chronicle.trials[trial.number] for trial in incumbents.front]
    sign = float(goals.signs[0])
    return sorted(found, key=lambda record: (sign * values_of(record, goals)[0], record.trial.number))


def _is_feasible(record: TrialRecord, goals: Goals) -> bool:
    """Whether a trial completed and keeps the constraints on metrics."""
    outcome = record.outcome
    return outcome is not None and outcome.state is TrialState.COMPLETE and goals.keeps(outcome)


def values_of(record: TrialRecord, goals: Goals) -> tuple[float, ...]:
    """Values of the objectives of a completed trial."""
    assert record.outcome is not None
    values = goals.values_of(record.outcome)
    assert values is not None
    return values


def _told(record: TrialRecord, goals: Goals) -> tuple[str, float | list[float]]:
    """Objective of a trial, or the values of several, and what that is called."""
    values = values_of(record, goals)
    return ("values", list(values)) if goals.several else ("objective", values[0])


def _toml(found: Sequence[TrialRecord], chronicle: Chronicle, several: bool) -> str:
    return "\n\n".join(_toml_table(record, chronicle.goals, several) for record in found)


def _toml_table(record: TrialRecord, goals: Goals, several: bool) -> str:
    head, config = ("[[trial]]\n", "trial.config") if several else ("", "config")
    key, value = _told(record, goals)
    lines = (f"{toml_key(name)} = {toml_value(setting)}" for name, setting in record.trial.config.items())
    return f"{head}number = {record.trial.number}\n{key} = {toml_value(value)}\n\n[{config}]\n" + "\n".join(lines)


def _json(found: Sequence[TrialRecord], chronicle: Chronicle, several: bool) -> str:
    goals = chronicle.goals
    tables: list[dict[str, Any]] = [
        {"number": record.trial.number, **dict([_told(record, goals)]), "config": record.trial.config}
        for record in found
    ]
    return json.dumps(tables if several else tables[0], indent=2, ensure_ascii=False)


def _args(found: Sequence[TrialRecord], chronicle: Chronicle, several: bool) -> str:
    return "\n".join(shlex.join(_words(record.trial.config, chronicle.header.command)) for record in found)


def _words(config: Config, command: list[str] | None) -> list[str]:
    if command is not None:
        from learning_objective.command import fill

        return fill(command, config)
    return [word for name, value in config.items() for word in _option(f"--{name}", value)]


def _option(name: str, value: Value) -> list[str]:
    """Option and value; in one word where the value would be taken for an option."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return [f"{name}={text}"] if text.startswith("-") else [name, text]


_FORMATS = {"toml": _toml, "json": _json, "args": _args}

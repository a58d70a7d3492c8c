"""What must hold of a run folder, whatever was injected: each check gives a sentence for every breach."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.faults.study import BUDGET, OBJECTIVE_FAULTS, RETRIES, Log, value
from utilities.storage.lines import read_lines

Record = Mapping[str, Any]


_BEFORE_US = "Failed to import the site module"


class Breach(NamedTuple):
    """A kind of breach, a column of the campaign's table, and what was found."""

    kind: str
    what: str


def tracebacks(text: str) -> int:
    """Tracebacks in what a run wrote, without those of interpreters that a signal ended before any code of ours ran."""
    return text.count("Traceback (most recent call last)") - text.count(_BEFORE_US)


def journal(folder: Path) -> list[Record]:
    """Whole records of the study's journal; none where there is no journal yet."""
    path = folder / "runs" / "study" / "journal.jsonl"
    if not path.exists():
        return []
    with FileIO(path) as file:
        return [json.loads(line.body) for line in read_lines(file) if line.body is not None]


def outcomes(records: list[Record]) -> dict[int, Record]:
    """First outcome of each trial whose configuration is there too."""
    asked = {record["trial"]["number"] for record in records if record["type"] == "asked"}
    found: dict[int, Record] = {}
    for record in records:
        if record["type"] == "finished" and record["number"] in asked:
            found.setdefault(record["number"], record["outcome"])
    return found


def kept(before: Mapping[Any, Record], after: Mapping[Any, Record]) -> Iterator[Breach]:
    """Every outcome that was in the journal is in it still, and the same."""
    for number, outcome in before.items():
        if number not in after:
            yield Breach("lost", f"the outcome of trial {number}")
        elif after[number] != outcome:
            yield Breach("lost", f"the outcome of trial {number} was {outcome}, is {after[number]}")


def delivered(records: list[Record], log: Log) -> Iterator[Breach]:
    """After an orderly end, every evaluation that ended is an outcome."""
    for number in log.ended.keys() - outcomes(records).keys():
        yield Breach("lost", f"trial {number} ended, says the objective, and has no outcome")


def finished(
    folder: Path, records: list[Record], log: Log, faults: Mapping[int, str], *, numbers_may_lack: bool
) -> Iterator[Breach]:
    """What must hold of a study that is through."""
    count = Counter(record["number"] for record in records if record["type"] == "finished")
    yield from counted(count, may_lack=numbers_may_lack)
    yield from table(folder, count)
    yield from _values(records, log, faults)
    yield from best(folder, records)


def counted(count: Counter[int], *, may_lack: bool) -> Iterator[Breach]:
    """As many outcomes as the budget, one a trial, the numbers consecutive unless they `may_lack`."""
    yield from (Breach("duplicated", f"trial {number} has {n} outcomes") for number, n in count.items() if n > 1)
    if len(count) != BUDGET:
        yield Breach("budget", f"{len(count)} outcomes for a budget of {BUDGET}")
    if not may_lack and sorted(count) != list(range(len(count))):
        yield Breach("budget", f"the numbers are {sorted(count)}")


def table(folder: Path, count: Counter[int]) -> Iterator[Breach]:
    """trials.csv has a row for each trial."""
    text = (folder / "runs" / "study" / "trials.csv").read_text()
    rows = [int(row["number"]) for row in csv.DictReader(text.splitlines())]
    if sorted(rows) != sorted(count):
        yield Breach("budget", f"trials.csv has the trials {sorted(rows)}")


def _values(records: list[Record], log: Log, faults: Mapping[int, str]) -> Iterator[Breach]:
    configs = {record["trial"]["number"]: record["trial"]["config"] for record in records if record["type"] == "asked"}
    for number, outcome in outcomes(records).items():
        if outcome["state"] == "COMPLETE":
            true = value(configs[number])
            if number in faults or outcome["objective"] != true or true not in log.ended.get(number, []):
                yield Breach("invented", f"trial {number} has {outcome['objective']}; its configuration gives {true}")
        else:
            yield from failure(records, number, outcome, faults)


def failure(records: list[Record], number: int, outcome: Record, faults: Mapping[int, str]) -> Iterator[Breach]:
    """A trial failed for the reason that was injected, or because its evaluation was lost too often."""
    reason = OBJECTIVE_FAULTS[faults[number]][1] if number in faults else None
    lost = sum(record["type"] == "lost" and record["number"] == number for record in records)
    if lost < RETRIES and (reason is None or not outcome["message"].startswith(reason)):
        yield Breach("invented", f"trial {number} failed: {outcome['message'].partition(chr(10))[0]}")


def best(folder: Path, records: list[Record]) -> Iterator[Breach]:
    """The best trial of summary.json is the best."""
    values = [outcome["objective"] for outcome in outcomes(records).values() if outcome["state"] == "COMPLETE"]
    told = json.loads((folder / "runs" / "study" / "summary.json").read_text())["best"]
    said = None if told is None else told["objective"]
    if said != min(values, default=None):
        yield Breach("best", f"the best is said to be {said}, and is {min(values, default=None)}")

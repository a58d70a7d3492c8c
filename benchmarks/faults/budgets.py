"""A study with budgets for the campaign: trials save checkpoints, and go on from them once they are promoted."""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.faults import checks
from benchmarks.faults.checks import Breach, Record
from benchmarks.faults.study import BUDGET, write_files

RUNGS, ETA = (1, 2, 4, 9), 2
FIDELITY = {"name": "epochs", "low": RUNGS[0], "high": RUNGS[-1], "eta": ETA}

_OBJECTIVE = """\
def objective(config, trial):
    path = trial.folder / "checkpoint.json"
    found = json.loads(path.read_text()) if path.exists() else 0
    note(f"began {trial.number} {trial.budget} {trial.previous_budget} {found}")
    time.sleep(0.05)
    match FAULTS.get(str(trial.number)):
<CASES>
    for epoch in range(found + 1, trial.budget + 1):
        time.sleep(0.02 + 0.02 * config["y"])
        (trial.folder / "new.json").write_text(json.dumps(epoch))
        os.replace(trial.folder / "new.json", path)
    value = (config["x"] - 0.3) ** 2 + config["y"] + 1.0 / trial.budget
    note(f"ended {trial.number} {trial.budget} {value!r}")
    return value
"""


class Began(NamedTuple):
    """What the objective noted when it began: trial, budgets, and the epochs that it found in the trial's folder."""

    number: int
    budget: int
    previous: int
    found: int


class Log(NamedTuple):
    """The objective's own log: evaluations that began, in order; values of those that ended, by trial and budget."""

    began: list[Began]
    ended: dict[tuple[int, int], list[float]]


def write(folder: Path, method: str, faults: dict[int, str]) -> None:
    """Write the study; its faults strike a trial's first evaluation."""
    write_files(folder, method, faults, _OBJECTIVE, {"fidelity": FIDELITY})


def value(config: Mapping[str, Any], budget: float) -> float:
    """What the objective returns."""
    return float((config["x"] - 0.3) ** 2 + config["y"] + 1.0 / budget)


def read_log(folder: Path) -> Log:
    """The objective's own log; empty where it noted nothing."""
    log = Log([], {})
    path = folder / "evaluations.log"
    for line in path.read_text().splitlines() if path.exists() else []:
        kind, *rest = line.split(" ")
        if kind == "began":
            log.began.append(Began(*map(int, rest)))
        else:
            log.ended.setdefault((int(rest[0]), int(rest[1])), []).append(float(rest[2]))
    return log


def settled(records: list[Record]) -> dict[Any, Record]:
    """First outcome of each trial, and of each of its evaluations at a rung."""
    found: dict[Any, Record] = dict(checks.outcomes(records))
    asked = {record["trial"]["number"] for record in records if record["type"] == "asked"}
    for record in records:
        if record["type"] == "paused" and record["number"] in asked:
            found.setdefault((record["number"], record["budget"]), record["outcome"])
    return found


def delivered(records: list[Record], folder: Path) -> Iterator[Breach]:
    """After an orderly end, every evaluation that ended is an outcome."""
    there = settled(records)
    for number, budget in read_log(folder).ended:
        if (number, budget) not in there and number not in there:
            yield Breach("lost", f"trial {number} ended with {budget}, says the objective, and has no outcome")


def through(records: list[Record]) -> bool:
    """Whether every trial has ended or waits at a rung, and none of these is to go on."""
    trials = Trials()
    for record in records:
        trials.take(record)
    return len(trials.first) >= BUDGET and not trials.running and trials.to_promote() is None


def finished(folder: Path, records: list[Record], faults: Mapping[int, str], *, mended: bool) -> Iterator[Breach]:
    """What must hold of a study that is through."""
    log = read_log(folder)
    yield from _once(records)
    numbers = {record["trial"]["number"] for record in records if record["type"] == "asked"}
    if len(numbers) != BUDGET or (not mended and numbers != set(range(BUDGET))):
        yield Breach("budget", f"trials {sorted(numbers)} for a budget of {BUDGET}")
    yield from checks.table(folder, Counter(numbers))
    yield from _values(records, log, faults)
    yield from checks.best(folder, records)
    yield from _checkpoints(log)
    if not mended:
        yield from _halving(records)
        if not through(records):
            yield Breach("rungs", "a trial is to be promoted, and was not")


def _once(records: list[Record]) -> Iterator[Breach]:
    """Each trial ends once, and comes to each of its rungs once, in their order."""
    ends = Counter(record["number"] for record in records if record["type"] == "finished")
    yield from (Breach("duplicated", f"trial {number} has {n} outcomes") for number, n in ends.items() if n > 1)
    reached: dict[int, list[int]] = defaultdict(list)
    for record in records:
        if record["type"] == "paused":
            reached[record["number"]].append(record["budget"])
    for number, budgets in reached.items():
        if any(later <= earlier for earlier, later in pairwise(budgets)):
            yield Breach("duplicated", f"trial {number} came to the budgets {budgets}")
        if not set(budgets) <= set(RUNGS[:-1]):
            yield Breach("rungs", f"trial {number} came to the budgets {budgets}, of {RUNGS}")


def _values(records: list[Record], log: Log, faults: Mapping[int, str]) -> Iterator[Breach]:
    configs = {record["trial"]["number"]: record["trial"]["config"] for record in records if record["type"] == "asked"}
    for record in records:
        if record["type"] not in ("paused", "finished"):
            continue
        number, outcome = record["number"], record["outcome"]
        if outcome["state"] == "COMPLETE":
            budget = record.get("budget", RUNGS[-1])
            true = value(configs[number], budget)
            if number in faults or outcome["objective"] != true or true not in log.ended.get((number, budget), []):
                yield Breach("invented", f"trial {number} has {outcome['objective']} with {budget}; it gives {true}")
        else:
            yield from checks.failure(records, number, outcome, faults)


def _checkpoints(log: Log) -> Iterator[Breach]:
    """An evaluation finds what the one before left, or what a lost one with the same budget has added to that."""
    begun: set[tuple[int, int]] = set()
    for number, budget, previous, found in log.began:
        if not previous <= found <= budget or (found > previous and (number, budget) not in begun):
            yield Breach("checkpoints", f"trial {number} found {found} epochs at {budget} after {previous}")
        if previous and (number, previous) not in log.ended:
            yield Breach("checkpoints", f"trial {number} went on from {previous}, which never ended")
        begun.add((number, budget))


def _halving(records: list[Record]) -> Iterator[Breach]:
    """Nobody is promoted but the best 1/eta of a rung at the time, and nobody evaluated again at a rung it came to."""
    trials = Trials()
    for record in records:
        if record["type"] == "promoted":
            number, previous = record["number"], record["previous"]
            wanted = trials.to_promote()
            if wanted is None or number != wanted:
                yield Breach("rungs", f"trial {number} was promoted from {previous}; it should have been {wanted}")
            if (previous, record["budget"]) not in set(pairwise(RUNGS)):
                yield Breach("rungs", f"trial {number} was promoted from {previous} to {record['budget']}")
        if record["type"] == "started" and record["number"] in trials.waiting:
            yield Breach("duplicated", f"trial {record['number']} was begun again at a rung that it had come to")
        trials.take(record)


class Trials:
    """Trials by what they do, as the records tell: those that run, those that wait, and all that came to each rung.

    Of equals the earlier trial is the better.
    """

    def __init__(self) -> None:
        self.first: dict[int, int] = {}
        self.running: set[int] = set()
        self.waiting: dict[int, tuple[int, float]] = {}
        self.reached: dict[int, list[tuple[float, int]]] = defaultdict(list)
        self.completed = 0

    def take(self, record: Record) -> None:
        """Take the next record."""
        if record["type"] == "asked":
            self.first[record["trial"]["number"]] = record["trial"]["budget"]
            self.running.add(record["trial"]["number"])
        elif record["type"] == "paused":
            self.running.discard(record["number"])
            self.waiting[record["number"]] = record["budget"], record["outcome"]["objective"]
            insort(self.reached[record["budget"]], (record["outcome"]["objective"], record["number"]))
        elif record["type"] == "promoted":
            self.waiting.pop(record["number"], None)
            self.running.add(record["number"])
        elif record["type"] == "finished":
            self.running.discard(record["number"])
            self.waiting.pop(record["number"], None)
            self.completed += record["outcome"]["state"] == "COMPLETE"

    def to_promote(self, budget: int = BUDGET) -> int | None:
        """Trial that is to go on, by brute force: of the highest rung that has one, the best."""
        for rung in reversed(RUNGS[:-1]):
            reached = self.reached[rung]
            top = reached[: len(reached) // ETA]
            able = [(v, number) for number, (at, v) in self.waiting.items() if at == rung and (v, number) in top]
            if able:
                return min(able)[1]
        if self.completed or self.running or len(self.first) < budget or not self.waiting:
            return None
        return min((-at, v, number) for number, (at, v) in self.waiting.items())[2]

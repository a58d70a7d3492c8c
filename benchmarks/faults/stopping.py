"""A study with early stopping for the campaign: trials report at each epoch, and those that are told to stop do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.faults import checks
from benchmarks.faults.checks import Breach, Record
from benchmarks.faults.study import BUDGET, read_log, write_files
from utilities.early_stopping import EarlyStopping
from utilities.stopping_rule import Settings

EPOCHS, ETA = 9, 2

_OBJECTIVE = f"""\
def objective(config, trial):
    note(f"began {{trial.number}}")
    time.sleep(0.05)
    match FAULTS.get(str(trial.number)):
<CASES>
    for epoch in range(1, {EPOCHS} + 1):
        time.sleep(0.01 + 0.02 * config["y"])
        value = (config["x"] - 0.3) ** 2 + config["y"] + 1.0 / epoch
        trial.report(epoch, value)
        if trial.should_stop():
            break
    note(f"ended {{trial.number}} {{value!r}}")
    return value
"""


def write(folder: Path, method: str, faults: dict[int, str]) -> None:
    """Write the study."""
    write_files(folder, method, faults, _OBJECTIVE, {"early_stopping": {"rule": "asha", "eta": ETA}})


def finished(folder: Path, records: list[Record], faults: Mapping[int, str], *, mended: bool) -> Iterator[Breach]:
    """What must hold of a study that is through."""
    count = Counter(record["number"] for record in records if record["type"] == "finished")
    yield from checks.counted(count, may_lack=mended)
    yield from checks.table(folder, count)
    yield from checks.best(folder, records)
    log, told = read_log(folder), _told(records)
    for number, outcome in checks.outcomes(records).items():
        if outcome["state"] == "FAIL":
            yield from checks.failure(records, number, outcome, faults)
        elif outcome["objective"] not in log.ended.get(number, []):
            yield Breach("invented", f"trial {number} has {outcome['objective']}, which it never returned")
        if outcome["state"] == "PRUNED" and number not in told and not mended:
            yield Breach("rungs", f"trial {number} was ended early, and its reports were no reason for that")
    if len(log.ended) > BUDGET:
        yield Breach("budget", f"{len(log.ended)} trials ended")


def _told(records: list[Record]) -> set[int]:
    """Trials that are to stop, by their first reports at each step in the journal's order."""
    rule = EarlyStopping(Settings(rule="asha", eta=ETA), "minimize", 0)
    seen: set[tuple[int, int]] = set()
    told: set[int] = set()
    for record in records:
        if record["type"] == "reported" and (record["number"], record["step"]) not in seen:
            seen.add((record["number"], record["step"]))
            if rule.report(record["number"], record["step"], record["value"]):
                told.add(record["number"])
    return told

"""The study of a campaign: an objective that keeps a log of its own, and fails where it is told to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

BUDGET, RETRIES = 12, 2
TIMEOUT_SECONDS = 2.0
MEMORY = "300M"
SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}, "y": {"type": "float", "low": 0.0, "high": 1.0}}

OBJECTIVE_FAULTS = {
    "raise": ('raise RuntimeError("injected")', "RuntimeError: injected"),
    "exit": ("os._exit(3)", "the objective's process ended with exit status 3"),
    "segfault": ("os.kill(os.getpid(), signal.SIGSEGV)", "the objective's process was killed by signal SIGSEGV"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "the objective's process was killed by signal SIGKILL"),
    "hang": ("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)", "exceeded trial_timeout of 2 s"),
    "memory": ("held = bytearray(b'x') * (500 << 20); time.sleep(600)", "exceeded trial_memory of 300 MiB"),
    "flood": ("[os.write(1, b'flood ' * 10000) for _ in range(600)]; raise OSError('flooded')", "OSError: flooded"),
    "pipes": ("os.closerange(3, 256); time.sleep(600)", "the objective's process closed its connection"),
    "nan": ("return float('nan')", "objective returned nan"),
    "text": ("return 'high'", "objective returned a str"),
}
"""What an objective can do, and the beginning of the reason for which its trial must fail."""

_START = """\
import json, os, signal, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
FAULTS = json.load(open(os.path.join(HERE, "faults.json")))


def note(line):
    log = os.open(os.path.join(HERE, "evaluations.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(log, line.encode() + b"\\n")
    os.fsync(log)
    os.close(log)


"""

_OBJECTIVE = """\
def objective(config, trial):
    note(f"began {trial.number}")
    time.sleep(0.05 + 0.1 * config["y"])
    match FAULTS.get(str(trial.number)):
<CASES>
    value = (config["x"] - 0.3) ** 2 + config["y"]
    note(f"ended {trial.number} {value!r}")
    return value
"""


class Log(NamedTuple):
    """What the objective itself noted: how often each trial began, and the values with which it ended."""

    began: dict[int, int]
    ended: dict[int, list[float]]


def write_study(folder: Path, method: str, faults: dict[int, str]) -> None:
    """Write study.json, train.py and the faults, by trial number, that this one is to have."""
    write_files(folder, method, faults, _OBJECTIVE, {})


def write_files(folder: Path, method: str, faults: dict[int, str], objective: str, tables: Mapping[str, Any]) -> None:
    """Write the files of a study whose `objective` has ``<CASES>`` where it is to fail, and further `tables`."""
    cases = [f'        case "{name}":\n            {action}' for name, (action, _) in OBJECTIVE_FAULTS.items()]
    (folder / "train.py").write_text(_START + objective.replace("<CASES>", "\n".join(cases)))
    (folder / "faults.json").write_text(json.dumps(faults))
    settings = {
        "objective": "train.py:objective",
        "budget": BUDGET,
        "method": method,
        "trial_timeout": TIMEOUT_SECONDS,
        "trial_memory": MEMORY,
        "retries": RETRIES,
        "grace": 10,
    }
    (folder / "study.json").write_text(json.dumps({"study": settings, "space": SPACE, **tables}))


def value(config: dict[str, Any]) -> float:
    """What the objective returns for a configuration."""
    return float((config["x"] - 0.3) ** 2 + config["y"])


def read_log(folder: Path) -> Log:
    """The objective's own log; empty where it noted nothing."""
    log = Log({}, {})
    path = folder / "evaluations.log"
    for line in path.read_text().splitlines() if path.exists() else []:
        kind, number, *rest = line.split(" ")
        if kind == "began":
            log.began[int(number)] = log.began.get(int(number), 0) + 1
        else:
            log.ended.setdefault(int(number), []).append(float(rest[0]))
    return log

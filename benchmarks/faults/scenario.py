"""One scenario: a study that is run, struck, continued until it is through, and checked after each run."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.faults import checks
from benchmarks.faults.checks import Breach
from benchmarks.faults.injections import INJECTIONS, Injection, Strike
from benchmarks.faults.kinds import KINDS
from benchmarks.faults.study import BUDGET, OBJECTIVE_FAULTS
from benchmarks.launching import ROOT_MAY, Finished, Launcher, Run

RANKS = 4
MOST_RUNS = 8
RESUMABLE = 75
STUCK_SECONDS = 60.0
"""A run of some ten seconds that takes so long more than that hangs."""


class Setting(NamedTuple):
    """A launcher, and whether it keeps the other ranks when one dies."""

    launcher: Launcher
    open_mpi: bool
    tolerant: bool

    def __str__(self) -> str:
        return "Open MPI, ulfm" if self.tolerant else "Open MPI" if self.open_mpi else "MPICH"

    def command(self) -> list[str]:
        """Command that runs or continues the study."""
        own = [str(self.launcher.programs / "python"), "-m", "mpi.mpi_optimizer", "study.json"]
        tolerance = ["--with-ft", "ulfm"] if self.tolerant else []
        return [str(self.launcher.mpiexec), *tolerance, "-np", str(RANKS), *own]


class Scenario(NamedTuple):
    """What is to happen.

    Attributes
    ----------
    seed
        Of the moments and all else that is random.
    setting
        What runs it.
    faults
        Names of INJECTIONS, one a run, in this order; and of OBJECTIVE_FAULTS, each of some trial.
    kind
        Name of the kind of study, of KINDS.
    """

    seed: int
    setting: Setting
    faults: tuple[str, ...]
    kind: str = "plain"


class Report(NamedTuple):
    """What came of a scenario: breaches, how often the study was run, seconds."""

    breaches: list[Breach]
    runs: int
    seconds: float


def settings(launchers: list[Launcher]) -> list[Setting]:
    """Each launcher; Open MPI's with and without tolerance of faults."""
    found = []
    for launcher in launchers:
        told = subprocess.run([launcher.mpiexec, "--version"], capture_output=True, text=True, check=False).stdout
        open_mpi = "Open MPI" in told or "prrte" in told.lower()
        found += [Setting(launcher, open_mpi, tolerant) for tolerant in ((False, True) if open_mpi else (False,))]
    return found


def play(scenario: Scenario, folder: Path) -> Report:
    """Play a scenario in an empty folder."""
    began, stage = time.monotonic(), _Stage(scenario, folder)
    breaches = list(stage.play())
    return Report(breaches, stage.runs, time.monotonic() - began)


class _Stage:
    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self._setting, self._folder = scenario.setting, folder
        self._rng = random.Random(f"{scenario.seed} {scenario.faults}")
        self._injections = [INJECTIONS[name] for name in scenario.faults if name in INJECTIONS]
        own = [name for name in scenario.faults if name in OBJECTIVE_FAULTS]
        self._faults = dict(zip(self._rng.sample(range(BUDGET), len(own)), own, strict=True))
        self._kind = KINDS[scenario.kind]
        self._seen: Mapping[Any, checks.Record] = {}
        self._mended = False
        self.runs = 0
        self._kind.write(folder, self._rng.choice(("random", "sobol", "gp")), self._faults)

    def play(self) -> Iterator[Breach]:
        for injection in self._injections:
            if injection.damage is not None:
                if self.runs == 0:
                    yield from self._run(INJECTIONS["kill the master"])
                yield from self._damage(injection)
            else:
                yield from self._run(injection)
        while True:
            status = yield from self._run(None)
            if status == 0:
                break
            if self.runs >= MOST_RUNS:
                yield Breach("hangs", f"not through after {MOST_RUNS} runs; the last status is {status}")
                return
        records = checks.journal(self._folder)
        yield from self._kind.finished(self._folder, records, self._faults, mended=self._mended)

    def _run(self, injection: Injection | None) -> Iterator[Breach]:
        """Run or continue the study, struck or not; what it returns is the exit status."""
        self.runs += 1
        environment = {**os.environ, **ROOT_MAY, "OMP_NUM_THREADS": "1"}
        status, sessions = -1, self._sessions()
        with Run(self._setting.command(), self._folder, environment) as run:
            if injection is not None:
                self._wait(run)
                yield from self._look()
                assert injection.act is not None
                injection.act(Strike(run, self._folder, self._rng))
            try:
                ended = run.wait(STUCK_SECONDS)
                status = ended.status
                yield from self._judge(ended, injection, sessions)
            except AssertionError as error:
                yield Breach("hangs", str(error))
            if not run.vanishes():
                yield Breach("orphans", f"processes {run.processes()} are left")
        yield from self._look()
        return status

    def _wait(self, run: Run) -> None:
        """Wait for the moment to strike: while the run starts, or somewhere in its course."""
        target = self._rng.randrange(-2, BUDGET - 2)
        start, base = time.monotonic(), len(self._seen)
        pause = self._rng.uniform(0.0, 0.15)
        if target < 0:
            pause = self._rng.uniform(0.0, 2.0)
        while target >= 0 and time.monotonic() < start + STUCK_SECONDS / 2:
            if len(self._kind.settled(checks.journal(self._folder))) >= min(base + target, BUDGET - 1):
                break
            time.sleep(0.01)
        run.pause(pause)

    def _look(self) -> Iterator[Breach]:
        """See that every outcome that was seen is still there."""
        now = self._kind.settled(checks.journal(self._folder))
        yield from checks.kept(self._seen, now)
        self._seen = now

    def _sessions(self) -> int:
        return sum(record["type"] == "session" for record in checks.journal(self._folder))

    def _judge(self, ended: Finished, injection: Injection | None, sessions: int) -> Iterator[Breach]:
        setting, records = self._setting, checks.journal(self._folder)
        through = self._kind.through(records)
        if checks.tracebacks(ended.err) > 0 and "Traceback" not in str(self._faults):
            yield Breach("tracebacks", ended.err[-600:])
        if injection is None:
            if ended.status not in (0, RESUMABLE):
                yield Breach("status", f"{ended.status} of a run that nothing struck: {ended.err[-600:]}")
            return
        survives = injection.survived == "always" or (injection.survived == "tolerant" and setting.tolerant)
        started = self._sessions() > sessions  # struck before, there is nothing that could go on
        if survives and started and ended.status != 0:
            yield Breach("status", f"{ended.status} of a run that must go on: {ended.err[-600:]}")
        if injection.graceful and (ended.status == RESUMABLE or through):
            yield from self._kind.delivered(records, self._folder)

    def _damage(self, injection: Injection) -> Iterator[Breach]:
        assert injection.damage is not None
        to_mend = injection.damage(self._folder, self._rng)
        if to_mend:
            self._mended = True
            command = [str(self._setting.launcher.programs / "python"), "-m", "reverie.cli", "repair", "runs/study"]
            mended = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
            if mended.returncode != 0:
                yield Breach("status", f"reverie repair: {mended.stdout}{mended.stderr}")
        self._seen = self._kind.settled(checks.journal(self._folder))

"""Who keeps eight workers busy, and how each is started."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.launching import Launcher, launchers
from benchmarks.regret.records import ROOT
from learning_objective.hartmann import HARTMANN6
from utilities.errors import nearest

WORKERS = 8
PEERS = Launcher(ROOT / ".venv-bench-mpi" / "bin" / "mpiexec")
FLOOR = "raw"
_RUNNERS = "benchmarks.scaling.runners"
_TRAIN = """\
from benchmarks.scaling.runners import sleeping


def objective(config):
    return sleeping.objective(config)
"""


class Subject(NamedTuple):
    """One that is measured.

    Attributes
    ----------
    title
        What the table calls it.
    package
        Whose version the table tells.
    others
        What runs beside the workers.
    ranks
        Number of MPI ranks; 0 where it starts its processes itself.
    program
        Words after ``python``; the number of evaluations and the seed follow, or the study's file.
    more
        Words after those.
    study
        The study's table where it is one of ours, which run in the environment of the command itself.
    """

    title: str
    package: str
    others: str
    ranks: int
    program: tuple[str, ...]
    more: tuple[str, ...] = ()
    study: dict[str, Any] | None = None

    @property
    def launcher(self) -> Launcher:
        """Launcher of the environment in which it lives."""
        own = [*launchers(), Launcher(Path("mpiexec"))]
        return own[0] if self.study is not None else PEERS

    def command(self, folder: Path, count: int, seed: int) -> list[str]:
        """Command to run in `folder`, where a study is written for ours."""
        words = [str(count), str(seed)]
        if self.study is not None:
            words = [_write_study(folder, {**self.study, "budget": count, "seed": seed})]
        python = str(self.launcher.programs / "python")
        start = [str(self.launcher.mpiexec), "-np", str(self.ranks)] if self.ranks else []
        return [*start, python, *self.program, *words, *self.more]

    def version(self) -> str:
        """Version of the package, where it is installed."""
        asked = f"from importlib.metadata import version; print(version({self.package!r}))"
        command = [str(self.launcher.programs / "python"), "-c", asked]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _write_study(folder: Path, study: dict[str, Any]) -> str:
    (folder / "train.py").write_text(_TRAIN)
    (folder / "study.json").write_text(json.dumps({"study": study, "space": HARTMANN6.space}))
    return "study.json"


def _ours(method: str, *, inside: bool) -> Subject:
    """A study with the objective inside the worker, which takes a benchmark, or in a child process as by default."""
    place = {"objective": "sleeping", "isolation": "none"} if inside else {"objective": "train.py:objective"}
    learns = method != "random"
    return Subject(
        title=f"ours, `{method}`, {'inside the worker' if inside else 'in a child process'}",
        package="reverie",
        others="master, trainer" if learns else "master",
        ranks=WORKERS + 1 + learns,
        program=("-m", f"{_RUNNERS}.reverie_in_worker" if inside else "mpi.mpi_optimizer"),
        study={"method": method, **place},
    )


def _deephyper(kind: str, title: str) -> Subject:
    program = ("-m", f"{_RUNNERS}.deephyper_search", kind)
    return Subject(f"DeepHyper, {title}", "deephyper", "master", WORKERS + 1, program)


SUBJECTS = {
    FLOOR: Subject("raw polling", "mpi4py", "master", WORKERS + 1, ("-m", f"{_RUNNERS}.raw_polling")),
    "futures": Subject(
        "`mpi4py.futures`",
        "mpi4py",
        "master",
        WORKERS + 1,
        ("-m", "mpi4py.futures", "-m", f"{_RUNNERS}.mpi_futures"),
    ),
    "libensemble": Subject(
        "libEnsemble, uniform sampling",
        "libensemble",
        "manager; no MPI",
        0,
        ("-m", f"{_RUNNERS}.libensemble_random"),
        ("--comms", "local", "--nworkers", str(WORKERS)),
    ),
    "deephyper-random": _deephyper("random", "random search"),
    "random": _ours("random", inside=True),
    "random-child": _ours("random", inside=False),
    "deephyper-cbo": _deephyper("cbo", "CBO, qUCBd"),
    "deephyper-sampling": _deephyper("sampling", "CBO, qUCBd, by sampling"),
    "optuna-tpe": Subject("Optuna, TPE, journal", "optuna", "none", WORKERS, ("-m", f"{_RUNNERS}.optuna_tpe")),
    "auto": _ours("auto", inside=True),
    "auto-child": _ours("auto", inside=False),
}
"""Those that learn nothing first, then those that do."""


def missing(names: list[str]) -> str | None:
    """Why these cannot be measured here, in a sentence."""
    unknown = [name for name in names if name not in SUBJECTS]
    if unknown:
        near = nearest(unknown[0], SUBJECTS)
        return f"subjects must be of {', '.join(SUBJECTS)}; got {', '.join(unknown)}.{near}"
    lacking = {str(launcher.mpiexec) for name in names if not (launcher := SUBJECTS[name].launcher).mpiexec.exists()}
    if lacking:
        return f"there is no {', '.join(lacking)}; benchmarks/scaling/README.md says how to make that environment"
    return None

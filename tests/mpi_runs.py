"""Studies that mpiexec really runs, for the tests of whole runs."""

import csv
import json
import os
import textwrap
from pathlib import Path
from typing import Any

from benchmarks.launching import ROOT_MAY, Finished, Launcher, Run, launchers

__all__ = ["Launcher", "Run", "Studio", "launchers", "sabotage"]

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}, "y": {"type": "float", "low": 0.0, "high": 1.0}}
SQUARE = "def objective(config): return (config['x'] - 0.3) ** 2 + config['y']"
ENTRY = ("python", "-m", "mpi.mpi_optimizer")


class Studio:
    """A folder with a study, and what running it there leaves.

    Parameters
    ----------
    launcher
        What runs it.
    folder
        Holds study.json and train.py; created.
    """

    def __init__(self, launcher: Launcher, folder: Path) -> None:
        self.launcher, self.folder = launcher, folder
        folder.mkdir(exist_ok=True)

    def write(self, name: str, source: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))

    def study(self, source: str = SQUARE, space: dict[str, Any] = SPACE, **settings: Any) -> None:
        """Write train.py and study.json."""
        self.write("train.py", source)
        settings = {"method": "random", "budget": 6, **settings}
        if "command" not in settings:
            settings.setdefault("objective", "train.py:objective")
        self.write("study.json", json.dumps({"study": settings, "space": space}))

    def start(
        self, ranks: int, *words: str, study: str = "study.json", entry: tuple[str, ...] = ENTRY, **variables: str
    ) -> Run:
        """Start a run, in the study's folder."""
        program, *rest = entry
        own = [str(self.launcher.programs / program), *rest, study, *words]
        return self.start_command([str(self.launcher.mpiexec), "-np", str(ranks), *own], **variables)

    def start_command(self, command: list[str], **variables: str) -> Run:
        path = f"{self.launcher.programs}{os.pathsep}{os.environ['PATH']}"
        return Run(command, self.folder, {**os.environ, **ROOT_MAY, "OMP_NUM_THREADS": "1", "PATH": path, **variables})

    def run(self, ranks: int, *words: str, **options: Any) -> Finished:
        """Run to the end."""
        with self.start(ranks, *words, **options) as run:
            return run.wait()

    @property
    def left(self) -> Path:
        """Folder that the study's runs leave."""
        (folder,) = (self.folder / "runs").iterdir()
        return folder

    def rows(self) -> list[dict[str, str]]:
        """Those of trials.csv; none while there is no such file."""
        try:
            text = (self.left / "trials.csv").read_text()
        except (FileNotFoundError, ValueError):
            return []
        return list(csv.DictReader(text.splitlines()))

    def journal(self) -> list[dict[str, Any]]:
        """Its whole lines; none while there is no journal."""
        try:
            text = (self.left / "journal.jsonl").read_text()
        except (FileNotFoundError, ValueError):
            return []
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def records(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.journal() if record["type"] == kind]

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.left / "summary.json").read_text())
        return found


_SITECUSTOMIZE = """
import importlib.machinery, sys


class Saboteur:
    def find_spec(self, name, path, target=None):
        if name != {module!r}:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            exec({patch!r}, vars(module))

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Saboteur())
"""


def sabotage(folder: Path, module: str, patch: str) -> dict[str, str]:
    """Environment in which `patch` is executed inside `module` right after its import, on every rank."""
    folder.mkdir()
    source = _SITECUSTOMIZE.format(module=module, patch=textwrap.dedent(patch))
    (folder / "sitecustomize.py").write_text(source)
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}

"""The house keeps its rules: arrows point down, no circles, one file that speaks MPI, no file that is too long."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
ROOMS = ("reverie", "mpi", "sequential", "learning_objective", "utilities")
STOREYS = {"reverie": 3, "mpi": 2, "sequential": 2, "learning_objective": 1, "utilities": 0}
"""Of each room: what stands lower, or beside it, may be imported."""

MOST_LINES = 400


@cache
def sources() -> dict[str, Path]:
    """Every module of the house by its name."""
    paths = (path for room in ROOMS for path in (PROJECT / room).rglob("*.py"))
    return {".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imported(path: Path) -> set[str]:
    """Names that a file imports, wherever in it and whether or not for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Modules of a circle of imports; empty where there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_point_down(room: str) -> None:
    for module, path in sources().items():
        if module.split(".")[0] == room:
            names = imported(path) - {"reverie.house", "reverie.house.enter"}  # a leaf: it says where the house stands
            rooms = {name.split(".")[0] for name in names} & STOREYS.keys()
            assert all(STOREYS[other] <= STOREYS[room] for other in rooms), module


def test_there_are_no_circles() -> None:
    arrows = {module: imported(path) & sources().keys() - {module} for module, path in sources().items()}
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circle(arrows)


def test_one_file_speaks_mpi() -> None:
    speakers = [m for m, path in sources().items() if "mpi4py" in {name.split(".")[0] for name in imported(path)}]
    assert speakers == ["mpi.mpi_post"]


def test_what_knows_nothing_of_processes_does_no_io_and_knows_no_clock() -> None:
    outside = {"asyncio", "datetime", "io", "logging", "os", "shutil", "socket", "subprocess", "tempfile", "threading"}
    for module, path in sources().items():
        _, *below = module.split(".")
        if module.split(".")[0] != "utilities" or below[:1] in (["storage"], ["display"], ["devices"]):
            continue  # the last looks for GPUs
        assert not imported(path) & (outside | {"time"}), module
        names = {node.func.id for node in ast.walk(ast.parse(path.read_text())) if _calls_a_name(node)}  # type: ignore[attr-defined]
        assert not names & {"open", "print", "input"}, module


def _calls_a_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def test_no_file_is_too_long() -> None:
    folders = [*ROOMS, "tests", "benchmarks", "examples"]
    paths = [path for folder in folders for path in (PROJECT / folder).rglob("*.py")]
    assert len(paths) > 100
    assert {str(path): n for path in paths if (n := len(path.read_text().splitlines())) >= MOST_LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    for module, path in sources().items():
        text = ast.parse(path.read_text())
        assert ast.get_docstring(text) or not text.body, module

"""What CONTRIBUTING.md says: files that are there, and worked examples that work, in a copy of the house."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from utilities.stopping_rules import NAMES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "CONTRIBUTING.md"
ROOMS = ("reverie", "mpi", "sequential", "learning_objective", "utilities")
MOST_LINES = 100

_SECTION = re.compile(r"^### \.\.\. (.+)\n((?:(?!^#).*\n)*)", re.MULTILINE)
_BLOCK = re.compile(r"^`([\w/]+\.py)`:\n\n```(python|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Change(NamedTuple):
    """A file that is new, or lines of one that is there: a diff without numbers, its hunks parted by ``@@``."""

    path: str
    kind: str
    text: str


def examples() -> dict[str, list[Change]]:
    """Changes of each worked example, by its heading."""
    return {heading: [Change(*found) for found in _BLOCK.findall(text)] for heading, text in sections().items()}


def sections() -> dict[str, str]:
    text = re.sub(r"^```.*?^```$", lambda block: block[0].replace("\n#", "\n\0"), PAGE.read_text(), flags=re.M | re.S)
    return {heading: body.replace("\0", "#") for heading, body in _SECTION.findall(text)}


def copy_of_house(folder: Path) -> Path:
    """The rooms, the tests' own modules, and what configures the checks."""
    house = folder / "house"
    left_out = shutil.ignore_patterns("__pycache__", "test_*.py", "data")
    for room in ROOMS:
        shutil.copytree(ROOT / room, house / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", house / "tests", ignore=left_out)
    for name in ("pyproject.toml", "tests/test_house.py", "tests/test_benchmarks.py"):
        shutil.copy(ROOT / name, house / name)
    return house


def apply(change: Change, house: Path) -> None:
    path = house / change.path
    if change.kind == "python":
        assert not path.exists(), f"{change.path} is there already"
        path.write_text(change.text)
        return
    text = path.read_text()
    for hunk in re.split(r"^@@$\n", change.text, flags=re.M):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        assert text.count(old) == 1, f"{change.path} must hold once:\n{old}"
        text = text.replace(old, "".join(line[1:] for line in lines if line[0] in " +"))
    path.write_text(text)


def check(house: Path, *command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(house)}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=house, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_three_examples_and_each_is_short() -> None:
    found = examples()
    assert list(found) == ["a surrogate", "an objective that everybody has", "a scheduler"]
    for changes in found.values():
        assert [change.kind for change in changes] == ["python", "diff", "python"]
        assert sum(len(change.text.splitlines()) for change in changes) < MOST_LINES


@pytest.mark.slow
@pytest.mark.parametrize("heading", examples())
def test_each_example_works(tmp_path: Path, heading: str) -> None:
    house = copy_of_house(tmp_path)
    changes = examples()[heading]
    for change in changes:
        apply(change, house)
    paths = [change.path for change in changes]
    if shutil.which("ruff"):
        check(house, "ruff", "check", *paths)
        check(house, "ruff", "format", "--check", *paths)
    tests = [path for path in paths if path.startswith("tests/")]
    check(
        house, "pytest", "-n", "0", "-p", "no:cacheprovider", *tests, "tests/test_house.py", "tests/test_benchmarks.py"
    )


def test_a_change_that_does_not_fit_is_noticed(tmp_path: Path) -> None:
    house = copy_of_house(tmp_path)
    with pytest.raises(AssertionError, match="must hold once"):
        apply(Change("utilities/trial.py", "diff", " no such line\n+another\n"), house)
    with pytest.raises(AssertionError, match="is there already"):
        apply(Change("utilities/trial.py", "python", ""), house)


def test_files_that_are_named_are_there() -> None:
    new = {change.path for changes in examples().values() for change in changes if change.kind == "python"}
    places = {path.name for folder in (*ROOMS, "tests") for path in (ROOT / folder).rglob("*.py")}
    named = re.findall(r"`([\w/]+\.py)`", PAGE.read_text())
    assert len(named) > 40
    for name in {*named} - new:
        assert (ROOT / name).exists() if "/" in name else name in places, name


def test_every_rule_of_early_stopping_is_told() -> None:
    told = re.findall(r'^\| `"(\w+)"` \| (?:whose|likewise)', (ROOT / "docs" / "study-file.md").read_text(), re.M)
    assert sorted(told) == sorted(NAMES)

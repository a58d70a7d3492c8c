"""The documents tell the truth: snippets run, links lead somewhere, examples work."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from utilities.storage.study_file import read_study

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/study.toml"))


def snippets(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), flags=re.DOTALL | re.MULTILINE)


def test_readme_has_two_set_up_lines() -> None:
    text = (ROOT / "README.md").read_text()
    block = re.search(r"<!-- set-up -->.*?^```bash\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert block is not None
    lines = block[1].splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("mpiexec -np 4 python -m mpi.mpi_optimizer")
    assert lines[1].endswith("python -m pytest")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_study_files_in_documents_are_valid(document: Path, tmp_path: Path) -> None:
    for snippet in snippets(document, "toml"):
        assert tomllib.loads(snippet)
        path = tmp_path / "study.toml"
        path.write_text(snippet)
        assert read_study(path).space.names


def test_readme_python_runs(tmp_path: Path) -> None:
    runnable = [code for code in snippets(ROOT / "README.md", "python") if "reverie" in code]
    assert runnable
    for code in runnable:
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120, capture_output=True)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith("https://"):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_examples_run(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reverie", "run", "study.toml", "--output", str(tmp_path), "--budget", "12"]
    subprocess.run(command, cwd=folder, check=True, timeout=120, capture_output=True)
    name = read_study(folder / "study.toml").name
    with open(tmp_path / name / "trials.csv", newline="") as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["COMPLETE"] * 12

"""What no other test runs of the pages: scripts are read by bash, Python is compiled, command lines are parsed.

And the start page is followed word for word.
"""

import argparse
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from mpi_runs import ROOT_MAY, launchers

from reverie.cli import VERBS, module_of

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("examples/*/README.md"))]
LANGUAGES = {"python", "toml", "py", "bash", "sh", ""}
"""The first two are run, or read as studies, in `test_readme`; the last is what a terminal shows."""

DIRECTIVE = re.compile(r"\{[\w-]+\}")
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def fences(*languages: str) -> list[tuple[Path, str, str]]:
    return [
        (page, language, text)
        for page in PAGES
        for language, text in FENCE.findall(page.read_text())
        if language in languages
    ]


def named(found: list[tuple[Path, str, str]]) -> list[object]:
    return [pytest.param(text, id=f"{page.relative_to(ROOT)}-{i}") for i, (page, _, text) in enumerate(found)]


def test_every_snippet_is_of_a_language_that_is_tested() -> None:
    for page in PAGES:
        for language, _ in FENCE.findall(page.read_text()):
            assert language in LANGUAGES or DIRECTIVE.fullmatch(language), (page, language)


@pytest.mark.parametrize("script", named(fences("bash", "sh")))
def test_bash_reads_a_script(script: str) -> None:
    run = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("source", named(fences("py")))
def test_python_compiles(source: str) -> None:
    compile(source, "page", "exec")


# --- command lines ----------------------------------------------------------------------------------------------------

ENDS = re.compile(r"[|;&<>].*")


def command_lines() -> Iterator[tuple[Path, list[str]]]:
    """Words of each ``reverie`` command, from its verb to the end of its arguments."""
    for page, _, text in fences("bash", "sh", ""):
        for line in text.splitlines():
            found = re.match(r"(?:\$ |until |mpiexec -np? \d+ )*reverie (?!init \| )(\w+.*)", line)
            if found:
                yield page, shlex.split(ENDS.sub("", found[1]), comments=True)


def test_every_command_line_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    verbs = set()
    for page, (verb, *arguments) in command_lines():
        assert verb in VERBS, (page, verb)
        verbs.add(verb)
        module = "learning_objective.command_line" if verb == "run" else module_of(verb)
        parser: argparse.ArgumentParser = import_module(module).make_parser(f"reverie {verb}")
        try:
            parser.parse_args(arguments)
        except SystemExit:
            pytest.fail(f"{page}: reverie {verb} {arguments}: {capsys.readouterr().err}")
    assert verbs >= set(VERBS) - {"repair"}


# --- the start page ---------------------------------------------------------------------------------------------------


@pytest.mark.mpi
def test_the_start_page_can_be_followed(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "index.md").read_text()
    (function,) = (source for language, source in FENCE.findall(text) if language == "python")
    assert "sleep(0.5)" in function
    (tmp_path / "train.py").write_text(function.replace("sleep(0.5)", "sleep(0.05)"))
    install, first, second = (commands for language, commands in FENCE.findall(text) if language == "")
    assert install.startswith("pip install")
    (launcher, *_) = launchers()
    variables = {**os.environ, **ROOT_MAY, "OMP_NUM_THREADS": "1"}
    variables["PATH"] = f"{launcher.programs}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-euc", first + second], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert re.search(r"^--lr \S+ --width \d+$", run.stdout, re.MULTILINE)
    left = {path.name for path in (*tmp_path.iterdir(), *(tmp_path / "runs" / "study").iterdir())}
    assert {"study.toml", "study.schema.json", "report.html", "study.optuna.log", "trials.csv"} <= left


def test_two_clicks_lead_from_the_start_page() -> None:
    """To conditional parameters, resuming after a time limit, and several GPUs a node."""
    index = ROOT / "docs" / "index.md"
    targets = re.findall(r"\]\(([^)#]+)#([^)]+)\)", index.read_text())
    for words in ("exists-only-sometimes", "hits-its-time-limit", "several-gpus-a-node"):
        assert any(words in anchor for _, anchor in targets), words

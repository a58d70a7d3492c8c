"""What README and the other pages say: their snippets run, their links lead somewhere, their tables are complete."""

import argparse
import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from learning_objective.command_line import Options, add_settings, parse_arguments
from learning_objective.loading import adapt
from learning_objective.results import attempt
from learning_objective.trial_handle import TrialHandle
from mpi.mpi_session import prepare_study
from reverie.cli import VERBS, module_of
from reverie.drafting.presets import PRESETS
from reverie.verbs.export import KINDS as EXPORTS
from utilities.budgets import Fidelity
from utilities.methods import METHODS
from utilities.parameters import KINDS
from utilities.space import Space
from utilities.storage.study import Study

ROOT = Path(__file__).parent.parent
FOLDERS = ("docs", "examples", "learning_objective")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
README, STUDY_FILE = ROOT / "README.md", ROOT / "docs" / "study-file.md"


def snippets(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def every_snippet(language: str) -> list:
    return [
        pytest.param(
            page, text, id=f"{page.relative_to(ROOT)}-{number}", marks=pytest.mark.slow if "minimize(" in text else ()
        )
        for page in PAGES
        if page != ROOT / "CONTRIBUTING.md"  # its examples change the house: test_contributing.py runs them in a copy
        for number, text in enumerate(snippets(page, language), start=1)
    ]


def rows(page: Path, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, without its head."""
    text = page.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


# --- snippets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "source"), every_snippet("python"))
def test_python_runs(page: Path, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(source, str(page), "exec"), {"__name__": "snippet"})


@pytest.mark.parametrize(("page", "text"), every_snippet("toml"))
def test_toml_is_a_study(page: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("def objective(config, trial): return 0.0")
    if "study" not in tomllib.loads(text):  # keys of [study] alone: in place of the objective of the page's first study
        objective = re.compile(r"^objective = .*\n", re.MULTILINE)
        text = objective.sub(lambda _, keys=text: keys, snippets(page, "toml")[0], count=1)
    Path("study.toml").write_text(text)
    study, spec = prepare_study(Options(study="study.toml"))
    assert (spec.objective is None) != (spec.command is None)
    assert len(study.space) > 0


def test_the_function_on_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    names: dict[str, object] = {}
    (source,) = (text for text in snippets(STUDY_FILE, "python") if "model.txt" in text)
    exec(source, names)
    reports: list[tuple[int, float]] = []
    trial = TrialHandle(3, 1, None, tmp_path / "3", lambda step, value: reports.append((step, value)))
    result = attempt(adapt(names["objective"], "objective"), {"lr": 0.51}, trial)
    assert (result.state, result.objective, result.metrics) == ("COMPLETE", 0.25, {"epochs": 1.0})
    assert reports == [(1, 0.25)]
    assert (tmp_path / "3" / "model.txt").read_text() == "0.25"
    public = {name for name in (*vars(trial), *vars(TrialHandle)) if not name.startswith("_")}
    told = set(
        re.findall(
            r"^\| `([^|]+)` \|", STUDY_FILE.read_text().split("| of `trial` |")[1].split("\n\n")[0], re.MULTILINE
        )
    )
    names_told = {re.sub(r"\(.*", "", name) for row in told for name in row.split("`, `")}
    assert names_told == public - {"folder_used", "stop_seen", "request_stop"}


def test_the_function_on_the_page_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    (source,) = (text for text in snippets(STUDY_FILE, "python") if "checkpoint" in text)
    exec(source, names)
    values = [
        names["objective"]({"lr": 0.5}, TrialHandle(number, 1, budget, tmp_path / str(number), previous_budget=before))
        for number, budget, before in ((0, 3, 0), (0, 9, 3), (1, 9, 0))
    ]
    assert values[1] == values[2] == pytest.approx(0.95**9)


def test_every_key_of_fidelity_is_told_with_its_default() -> None:
    told = {
        key: row[2].strip('`"') for row in rows(STUDY_FILE, "`[fidelity]`") for key in re.findall(r"`(\w+)`", row[0])
    }
    assert told.keys() == set(Fidelity.__struct_fields__)
    plain = Fidelity(low=1, high=9)
    for key in ("name", "eta", "brackets"):
        assert str(getattr(plain, key)) == told[key]


def test_the_two_lines_that_set_up_everything() -> None:
    """`.ci/run` takes them from here; see there."""
    after = README.read_text().split("<!-- set-up -->")[1]
    (first, second) = re.findall(r"^```bash\n(.*?)^```", after, re.MULTILINE | re.DOTALL)[0].splitlines()
    assert first.endswith("&& mpiexec -np 4 python -m mpi.mpi_optimizer")
    assert second.endswith("&& python -m pytest")
    assert first.split(" && ")[:3] == second.split(" && ")[:3]


# --- links ------------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        assert (page.parent / path).exists(), target
        assert not anchor or anchor in anchors(page.parent / path if path else page), target


# --- tables -----------------------------------------------------------------------------------------------------------


def test_every_method_and_flag_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    told = {name for row in rows(README, "Methods") for name in re.findall(r"`([^`]+)`", row[0])}
    assert told == set(METHODS)
    assert parse_arguments(["--help"], "reverie run") == 0
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert flags <= set(re.findall(r"--[a-z-]+", README.read_text()))


def test_every_key_of_a_study_is_told_with_its_default() -> None:
    table = {row[0].strip("`"): row[2].strip('`"') for row in rows(STUDY_FILE, "`[study]`")}
    assert table.keys() == set(Study.__struct_fields__) - {
        "space",
        "enqueue",
        "stages",
        "early_stopping",
        "fidelity",
        "folder",
        "source",
    }
    space = Space.from_dict({"x": {"type": "int", "low": 0, "high": 1}})
    plain = Study(name="plain", space=space, folder=Path(), source="")
    for key in ("direction", "grace", "method", "seed", "isolation"):
        assert str(getattr(plain, key)).removesuffix(".0") == table[key]
    for key in ("time_limit", "trial_timeout"):
        assert (getattr(plain, key), table[key]) == (None, "none")


def test_every_key_of_a_parameter_is_told() -> None:
    told = {key for row in rows(STUDY_FILE, "`[space.NAME]`") for key in re.findall(r"`([^`]+)`", row[0])}
    assert told == {"type", *(key for kind in KINDS.values() for key in kind.__struct_fields__)}


def test_every_verb_is_told_with_its_own_options() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    settings = argparse.ArgumentParser()
    add_settings(settings)
    shared = {option for action in settings._actions for option in action.option_strings}
    assert set(re.findall(r"^## `reverie ([a-z]+)`$", text, re.MULTILINE)) == set(VERBS)
    assert f"reverie {' | '.join(VERBS)}\n" in text
    for verb in set(VERBS) - {"run"}:
        section = text.split(f"\n## `reverie {verb}`\n")[1].split("\n## ")[0]
        parser = import_module(module_of(verb)).make_parser(verb)
        own = {option for action in parser._actions for option in action.option_strings}
        told = set(re.findall(r"--?[a-z-]+", section)) | {"--output", "--evaluate"}
        assert own - shared <= told, verb
    for preset in PRESETS:
        assert f"| `{preset}` | {PRESETS[preset].what.partition(',')[0].partition(';')[0]}" in text
    for kind in EXPORTS:
        assert f"| `{kind}` |" in text

"""Each recipe of the documentation, as a reader would follow it: its files in an empty folder, its commands typed."""

import csv
import json
import os
import re
import subprocess
from collections.abc import Callable
from math import log10
from pathlib import Path

import pytest
from mpi_runs import ROOT_MAY, launchers

PAGE = Path(__file__).parent.parent / "docs" / "recipes.md"
HANGS_SECONDS = 240
GPUS = "0,1,2,3"


def recipes() -> dict[str, str]:
    """Text of each recipe by its heading."""
    return {part.partition("\n")[0]: part for part in PAGE.read_text().split("\n## ")[1:]}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "runs" / "study" / "trials.csv").read_text().splitlines()))


def states(folder: Path) -> set[str]:
    return {row["state"] for row in rows(folder)}


# --- what each says ---------------------------------------------------------------------------------------------------


def only_sometimes(folder: Path, said: str) -> None:
    found = rows(folder)
    assert len(found) == 16
    for row in found:
        assert (row["params_momentum"] != "") == (row["params_optimiser"] == "sgd")
        for i in (2, 3):
            assert (row[f"params_width{i}"] != "") == (int(row["params_layers"]) >= i)
    assert {row["params_optimiser"] for row in found} == {"sgd", "adam"}
    assert re.search(r"^momentum .*optimiser", said, re.MULTILINE)


def ended_early(folder: Path, said: str) -> None:
    assert states(folder) == {"COMPLETE", "PRUNED"}


def from_checkpoints(folder: Path, said: str) -> None:
    found = rows(folder)
    assert {row["user_attrs_budget"] for row in found} == {"1", "3", "9", "27"}
    assert {row["user_attrs_budget"] for row in found if row["state"] == "COMPLETE"} == {"27"}
    for row in found:  # as far as its budget in one go
        error, lr = 10.0, float(row["params_lr"])
        for _ in range(int(row["user_attrs_budget"])):
            error = 0.8 * error + 0.2 * (log10(lr) + 2) ** 2
        assert float(row["value"]) == pytest.approx(error)


def on_two_ranks(folder: Path, said: str) -> None:
    assert states(folder) == {"COMPLETE"}
    assert len(rows(folder)) == 8
    assert len({row["user_attrs_worker"] for row in rows(folder)}) == 1


def a_gpu_each(folder: Path, said: str) -> None:
    logs = [path.read_text() for path in (folder / "runs" / "study" / "trials").rglob("output.log")]
    assert {re.search(r"training on GPU (.*)", log)[1] for log in logs} == {"0", "1"}
    assert "16 workers" in said
    script(folder)


def script(folder: Path) -> None:
    text = (folder / "study.sbatch").read_text()
    assert "#SBATCH" in text
    subprocess.run(["bash", "-n", "study.sbatch"], cwd=folder, check=True)


def compared(folder: Path, said: str) -> None:
    assert {row["user_attrs_instances"] for row in rows(folder)} >= {"4.0"}
    assert len(re.findall(r"the runner-up, trial", said)) == 2
    assert (folder / "runs" / "study" / "rerun-3x5" / "summary.json").exists()


def in_several_runs(folder: Path, said: str) -> None:
    assert len(rows(folder)) == 60
    assert len({row["number"] for row in rows(folder)}) == 60
    begun = (folder / "runs" / "study" / "journal.jsonl").read_text().count('"type":"session"')
    assert begun >= 2
    assert "[config]" in said
    script(folder)


def told_by_the_report(folder: Path, said: str) -> None:
    assert states(folder) <= {"COMPLETE", "FAIL"}
    told = (folder / "runs" / "study" / "report.html").read_text()
    names = re.findall(r"\*([A-Z][a-z ]+)\*", recipes()["Reading the report"])
    assert len(names) == 7
    for name in names:
        assert re.search(rf"<h[23][^>]*>{name}</h[23]>", told), name


def warmer(folder: Path, said: str) -> None:
    new, old = re.search(r"\{'lr': (\S+), 'layers': 1\} after (\S+)", said).groups()
    assert (float(new) - 0.01) ** 2 + 0.1 <= float(old)


def of_a_front(folder: Path, said: str) -> None:
    front = json.loads((folder / "runs" / "study" / "summary.json").read_text())["pareto"]
    assert len(re.findall(r"^number = ", said, re.MULTILINE)) == min(5, len(front)) >= 2
    assert all(trial["config"]["layers"] * trial["config"]["width"] ** 2 <= 1e5 for trial in front)


SEEN: dict[str, Callable[[Path, str], None]] = {
    "A parameter that exists only sometimes": only_sometimes,
    "Bad trials end early": ended_early,
    "Budgets that go on from checkpoints": from_checkpoints,
    "One training on several ranks": on_two_ranks,
    "Several GPUs a node": a_gpu_each,
    "Noisy scores": compared,
    "A job that hits its time limit": in_several_runs,
    "Reading the report": told_by_the_report,
    "Warm start from an Optuna study": warmer,
    "Several objectives": of_a_front,
}


@pytest.mark.mpi
@pytest.mark.parametrize("heading", recipes())
def test_a_recipe_does_what_it_says(heading: str, tmp_path: Path) -> None:
    text = recipes()[heading]
    for block in (*blocks(text, "toml"), *blocks(text, "python")):
        name = re.match(r"# (\S+)\n", block)[1]
        assert not (tmp_path / name).exists()
        (tmp_path / name).write_text(block)
    (launcher, *_) = launchers()
    path = f"{launcher.mpiexec.parent}{os.pathsep}{launcher.programs}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, **ROOT_MAY, "OMP_NUM_THREADS": "1", "PATH": path, "CUDA_VISIBLE_DEVICES": GPUS}
    said = ""
    for commands in blocks(text, "sh"):
        run = subprocess.run(
            ["bash", "-euc", commands],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            timeout=HANGS_SECONDS,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        said += run.stdout
    SEEN[heading](tmp_path, said)


def test_every_recipe_has_commands_and_a_check() -> None:
    assert list(recipes()) == list(SEEN)
    assert all(blocks(text, "sh") for text in recipes().values())

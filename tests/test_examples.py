"""The examples, run as their READMEs say, where they would take minutes on less data."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from fashion_images import small_fashion_mnist
from mpi_runs import Studio, launchers

EXAMPLES = Path(__file__).parent.parent / "examples"
HANGS_SECONDS = 300.0
"""Some load torch in each worker, which takes long where others use the cores."""


@pytest.mark.mpi
@pytest.mark.parametrize("name", sorted(path.parent.name for path in EXAMPLES.glob("*/study.toml")))
def test_an_example_is_tuned(name: str, tmp_path: Path) -> None:
    words = re.findall(r"^mpiexec -np 4 reverie run (.*)$", (EXAMPLES / name / "README.md").read_text(), re.MULTILINE)
    assert words == ["study.toml"]
    shutil.copytree(EXAMPLES / name, tmp_path / name)
    variables = on_less_data(name, tmp_path)
    study = tomllib.loads((EXAMPLES / name / "study.toml").read_text())
    (launcher, *_) = launchers()
    studio = Studio(launcher, tmp_path / name)
    options = ("--budget", "14", "--method", "sobol")
    with studio.start(4, *options, study="study.toml", entry=("reverie", "run"), **variables) as started:
        run = started.wait(HANGS_SECONDS)
    assert (run.status, run.err) == (0, "")
    rows = studio.rows()
    assert len(rows) == 14
    partly = "early_stopping" in study or "user_attrs_budget" in rows[0]
    assert {row["state"] for row in rows} == ({"COMPLETE", "PRUNED"} if partly else {"COMPLETE"})
    assert len({row["value"] for row in rows}) > 7
    conditional = {key for key in rows[0] if key.startswith("params_") and "" in {row[key] for row in rows}}
    assert conditional == {f"params_{key}" for key, parameter in study["space"].items() if "when" in parameter}
    metrics = next(record["outcome"]["metrics"] for record in studio.records("finished"))
    assert all(f"user_attrs_{metric}" in rows[0] for metric in metrics)
    assert len(metrics) == 1
    best = json.loads((studio.left / "summary.json").read_text())["best"]["objective"]
    assert best == min(float(row["value"]) for row in rows if row["state"] == "COMPLETE")


def on_less_data(name: str, folder: Path) -> dict[str, str]:
    """Have a copy of an example in `folder` take seconds; returns the variables that it needs for that."""
    if name == "fashion_mnist":
        return {"FASHION_MNIST": str(small_fashion_mnist(folder / "images", share=0.5))}
    if name == "language_model":
        text = folder / name / "alice.txt"
        text.write_text(text.read_text()[:2500])
    return {}


def test_every_example_is_a_folder_with_a_readme() -> None:
    for folder in filter(Path.is_dir, EXAMPLES.iterdir()):
        assert {"README.md", "study.toml", "train.py"} <= {file.name for file in folder.iterdir()}


def test_the_spaces_are_as_large_as_their_pages_say() -> None:
    for name, count, word in (("fashion_mnist", 12, "twelve"), ("language_model", 11, "eleven")):
        assert len(tomllib.loads((EXAMPLES / name / "study.toml").read_text())["space"]) == count
        assert f"{word} parameters" in (EXAMPLES / name / "README.md").read_text()

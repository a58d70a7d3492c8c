"""The examples, run as their READMEs say."""

import json
import re
import shutil
from pathlib import Path

import pytest
from mpi_runs import Studio, launchers

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.mpi
@pytest.mark.parametrize("name", sorted(path.parent.name for path in EXAMPLES.glob("*/study.toml")))
def test_an_example_is_tuned(name: str, tmp_path: Path) -> None:
    words = re.findall(r"^mpiexec -np 4 reverie run (.*)$", (EXAMPLES / name / "README.md").read_text(), re.MULTILINE)
    assert words == ["study.toml"]
    shutil.copytree(EXAMPLES / name, tmp_path / name)
    (launcher, *_) = launchers()
    studio = Studio(launcher, tmp_path / name)
    run = studio.run(4, "--budget", "14", "--method", "sobol", study="study.toml", entry=("reverie", "run"))
    assert (run.status, run.err) == (0, "")
    rows = studio.rows()
    assert len(rows) == 14
    budgets = "user_attrs_budget" in rows[0]
    assert {row["state"] for row in rows} == ({"COMPLETE", "PRUNED"} if budgets else {"COMPLETE"})
    assert len({row["value"] for row in rows}) > 7
    conditional = [key for key in rows[0] if key.startswith("params_") and "" in {row[key] for row in rows}]
    assert conditional
    metrics = next(record["outcome"]["metrics"] for record in studio.records("finished"))
    assert all(f"user_attrs_{metric}" in rows[0] for metric in metrics)
    assert len(metrics) == 1
    assert json.loads((studio.left / "summary.json").read_text())["best"]["objective"] == min(
        float(row["value"]) for row in rows if row["state"] == "COMPLETE"
    )


def test_every_example_is_a_folder_with_a_readme() -> None:
    for folder in EXAMPLES.iterdir():
        assert {"README.md", "study.toml", "train.py"} <= {file.name for file in folder.iterdir()}

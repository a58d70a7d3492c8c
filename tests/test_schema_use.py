"""Where the schema of study files is found: the verb, `reverie init`, a file's own key, taplo, the list of keys."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reverie.cli import main
from utilities.errors import StudyError
from utilities.storage.study_file import study_of
from utilities.storage.study_schema import study_schema
from utilities.storage.tables import read_tables

ROOT = Path(__file__).parent.parent
SCHEMA = study_schema()
X = {"type": "float", "low": 0.0, "high": 1.0}


def test_the_verb_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA


def test_a_file_may_name_its_schema(tmp_path: Path) -> None:
    tables = {"study": {"objective": "branin"}, "space": {"x": X}}
    (tmp_path / "study.json").write_text(json.dumps({"$schema": "./study.schema.json"} | tables))
    assert read_tables(tmp_path / "study.json") == tables
    (tmp_path / "study.toml").write_text('"$schema" = "./study.schema.json"\n[study]\nobjective = "branin"\n')
    assert read_tables(tmp_path / "study.toml") == {"study": {"objective": "branin"}}
    with pytest.raises(StudyError, match=r"\[\$schema\] is not a table of a study file"):
        study_of({"$schema": 3} | tables, "", ROOT, "x")


def test_init_writes_it_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "python train.py --lr {lr}"]) == 0
    directive = Path("study.toml").read_text().splitlines()[0]
    named = Path(re.fullmatch(r"#:schema \./(\S+)", directive)[1])
    assert json.loads(named.read_text()) == SCHEMA
    named.write_text("{}")
    assert main(["init", "python train.py --lr {lr}", "-o", "other.toml"]) == 0
    assert named.read_text() == "{}"
    assert main(["init", "python train.py --lr {lr}", "-o", "other.toml", "--force"]) == 0
    assert json.loads(named.read_text()) == SCHEMA


@pytest.mark.skipif(shutil.which("taplo") is None, reason="taplo is not installed")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('time_limit = "1h30m"', ""),
        ("budget = 0", "less than the minimum of 1"),
        ('time_limit = "0s"', "does not match"),
        ("bugdet = 3", "bugdet"),
        ('method = "dgno"', "is not one of"),
    ],
)
def test_taplo_reads_it(line: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "python train.py --lr {lr}", "--for", "8h"]) == 0
    text = Path("study.toml").read_text().replace('time_limit = "8h"', line)
    Path("study.toml").write_text(text)
    run = subprocess.run(["taplo", "lint", "study.toml"], capture_output=True, text=True, check=False)
    assert (run.returncode == 0) == (not told)
    assert told in run.stderr


def test_the_list_of_keys_is_made_of_it() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import key_reference; print(key_reference.page(), end='')"],
        env={"PYTHONPATH": f"{ROOT / 'docs' / 'site'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    page = ROOT / "docs" / "reference" / "study-file-keys.md"
    assert page.read_text() == made, f"python docs/site/key_reference.py writes {page} anew"

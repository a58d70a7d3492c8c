"""`reverie resume`: a study goes on from its run folder, as the last run went by it."""

import json
import shutil
import zlib
from pathlib import Path

import pytest
from run_folders import opened, study

from learning_objective.command_line import Options
from learning_objective.studies import open_study
from reverie.cli import main
from utilities.errors import JournalError, StudyError
from utilities.storage.archive import Contents, write_archive
from utilities.storage.journal import Journal
from utilities.storage.records import Header, SessionStart, encode_record
from utilities.storage.stored_study import read_stored
from utilities.storage.study_file import read_study
from utilities.storage.trial_table import TrialTable

TRAIN = "def objective(config, trial):\n    trial.report(1, config['x'])\n    return (config['x'] - 0.3) ** 2\n"
WHOLE = """
[study]
name = "whole"
objective = "train.py:objective"
direction = "maximize"
budget = 4
time_limit = "1h"
grace = 5
trial_timeout = "20m"
method = "random"
seed = 3
constraints = ["width <= 64"]
forbid = [{ on = true, width = "< 16" }]
keep_best = 2
gpus_per_worker = "1/3"
retries = 1
max_consecutive_failures = 9

[space]
x = { type = "float", low = 1e-6, high = 1.0, log = true, likely = 1e-3, sure = "very" }
width = { type = "int", low = 8, high = 128, step = 8 }
on = { type = "bool" }
size = { type = "ordinal", choices = [1, 3, 10], when = { on = true } }
fixed = { type = "constant", value = "cosine" }

[[enqueue]]
width = 32

[early_stopping]
rule = "asha"
min_steps = 2
eta = 4
"""
PLAIN = """
[study]
objective = "train.py:objective"
budget = 4
method = "random"

[space]
x = { type = "float", low = 0.0, high = 1.0 }
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(TRAIN)
    Path("study.toml").write_text(PLAIN)
    return tmp_path


def summary(name: str = "study", output: str = "runs") -> dict[str, object]:
    found: dict[str, object] = json.loads((Path(output) / name / "summary.json").read_text())
    return found


def finished(name: str = "study") -> list[int]:
    lines = (Path("runs") / name / "journal.jsonl").read_text().splitlines()
    return [record["number"] for record in map(json.loads, lines) if record["type"] == "finished"]


def test_the_whole_study_comes_back_from_the_journal(home: Path) -> None:
    Path("whole.toml").write_text(WHOLE)
    own = read_study(Path("whole.toml"))
    with opened(home / "runs", own) as run:
        run.session(2, 1000.0)
        run.sync()
    Path("whole.toml").unlink()
    stored = read_stored(Path("runs/whole"))
    assert stored.study.to_dict() == own.to_dict()
    assert (stored.study.folder, stored.study.source) == (home, str(home / "whole.toml"))
    assert (stored.ended, stored.whole) == (0, True)
    assert stored.last is not None
    assert stored.last.ranks == 2


def test_it_goes_on_without_its_file_and_repeats_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "study.toml"]) == 0
    Path("study.toml").unlink()
    capsys.readouterr()
    assert main(["resume", "--budget", "7"]) == 0
    told = capsys.readouterr().out
    assert "runs/study: continues study, 4 of 4 trials ended, last run 20" in told
    assert f"objective train.py:objective, in {home}" in told
    assert sorted(finished()) == list(range(7))
    assert main(["resume", "runs/study"]) == 0, "by the settings of the last run, its flags among them"
    assert summary()["budget"] == 7
    assert sorted(finished()) == list(range(7))


def test_proposals_are_those_of_an_uninterrupted_run(home: Path) -> None:
    assert main(["run", "study.toml", "--budget", "3"]) == 0
    assert main(["resume", "--budget", "6"]) == 0
    assert main(["run", "study.toml", "--budget", "6", "--output", "whole"]) == 0
    one, other = ((home / root / "study" / "trials.csv").read_text().splitlines() for root in ("runs", "whole"))
    columns = [(line.split(",")[0], line.split(",")[6]) for line in one]
    assert columns == [(line.split(",")[0], line.split(",")[6]) for line in other]


def test_a_study_file_that_has_changed_is_told_and_not_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "study.toml"]) == 0
    Path("study.toml").write_text(PLAIN.replace("budget = 4", "budget = 9\nseed = 5"))
    capsys.readouterr()
    assert main(["resume"]) == 0
    told = capsys.readouterr().out
    assert "study.toml says otherwise in [study] budget, [study] seed; `reverie run` goes by that file" in told
    assert len(finished()) == 4
    Path("study.toml").write_text("[study")
    assert main(["resume"]) == 0
    assert "the study file has a mistake by now, and is not read: " in capsys.readouterr().out


def test_a_folder_that_was_moved(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "study.toml"]) == 0
    shutil.move("runs/study", "kept")
    assert main(["resume", "kept", "--budget", "5"]) == 0
    assert json.loads(Path("kept/summary.json").read_text())["states"] == {"COMPLETE": 5}
    Path("code").mkdir()
    shutil.move("train.py", "code/train.py")
    capsys.readouterr()
    assert main(["resume", "kept", "--budget", "6"]) == 2
    assert 'objective = "train.py:objective": there is no file' in capsys.readouterr().err
    assert main(["resume", "kept", "--budget", "6", "--objective-folder", "code"]) == 0


def test_a_command_and_a_benchmark(home: Path) -> None:
    space = 'x = { type = "float", low = 0.0, high = 1.0 }'
    Path("c.toml").write_text(
        f'[study]\ncommand = ["echo", "{{x}}"]\nbudget = 2\nmethod = "random"\n[space]\n{space}\n'
    )
    assert main(["run", "c.toml"]) == 0
    Path("c.toml").unlink()
    assert main(["resume", "c", "--budget", "3"]) == 0
    assert main(["run", "branin", "--method", "random", "--budget", "3"]) == 0
    assert main(["resume", "branin", "--budget", "5"]) == 0
    assert finished("branin-random-seed0") == list(range(5))


def test_mistakes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume"]) == 2
    assert "no study was named, and runs holds none" in capsys.readouterr().err
    assert main(["run", "study.toml"]) == 0
    capsys.readouterr()
    assert main(["resume", "runs/stduy"]) == 2
    assert 'Did you mean "runs/study"?' in capsys.readouterr().err
    assert main(["resume", "--budget", "0"]) == 2
    assert "--budget must be at least 1; got 0" in capsys.readouterr().err
    path = Path("runs/study/journal.jsonl")
    path.write_bytes(b"\n" + path.read_bytes())
    assert main(["resume"]) == 2
    assert "a journal must begin with its header" in capsys.readouterr().err
    path.write_bytes(b"")
    with pytest.raises((StudyError, JournalError)):
        read_stored(path.parent)


# --- journals of older versions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive", [True, False])
def test_an_older_journal_goes_on_by_the_archive(home: Path, archive: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "study.toml"]) == 0
    folder = Path("runs/study")
    journal, records = Journal.open(folder / "journal.jsonl")
    journal.close()
    older = []
    for record in records:
        line = json.loads(encode_record(record))
        if isinstance(record, Header | SessionStart):
            for key in ("study", "folder", "source", "crc"):
                line.pop(key, None)
            body = json.dumps(line, separators=(",", ":")).encode()
            older.append(b'%b,"crc":"%08x"}\n' % (body[:-1], zlib.crc32(body[:-1])))
        else:
            older.append(encode_record(record))
    (folder / "journal.jsonl").write_bytes(b"".join(older))
    own = study(space={"x": {"type": "float", "low": 0.0, "high": 1.0}}, name="study", budget=4, time_limit=77.0)
    if archive:
        contents = Contents(own.to_dict(), own.space.names, TrialTable(own.space), None, {})
        write_archive(folder / "study.h5", contents)
    else:
        (folder / "study.h5").unlink()
    stored = read_stored(folder)
    assert (stored.whole, stored.study.budget, stored.study.method) == (archive, 4, "random")
    assert stored.study.time_limit == (77.0 if archive else None)
    capsys.readouterr()
    resumed = open_study(Options(study=str(folder), output="runs", resumed=True))
    assert resumed.folder == home, "beside the folder of runs"
    assert ("an older version wrote this journal" in capsys.readouterr().out) == (not archive)
    assert main(["resume", "--budget", "5"]) == 0

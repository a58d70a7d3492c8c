"""Whole runs of studies with instances: crashes between them, commands, and the rerun of the best."""

import json
import os
import signal
from pathlib import Path

import pytest
from mpi_runs import Launcher, Studio, launchers

NOISY = """
import time
import numpy as np
def objective(config, trial):
    (trial.folder / "seen.txt").write_text(str(trial.instance))
    time.sleep(PAUSE)
    noise = 0.05 * np.random.default_rng([trial.seed, int(1e6 * config["x"])]).standard_normal()
    return (config["x"] - 0.3) ** 2 + config["y"] + {"a": 0.0, "b": 1.0, "c": -2.0, "d": 0.5}[trial.instance] + noise
"""
NAMES = ["a", "b", "c", "d"]


@pytest.fixture(params=launchers()[:1], ids=str)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    launcher: Launcher = request.param
    return Studio(launcher, tmp_path / "studio")


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_a_study_with_instances_runs_and_is_rerun(studio: Studio, ranks: int) -> None:
    studio.study(NOISY.replace("PAUSE", "0"), instances=NAMES, budget=12, race_alpha=0)
    run = studio.run(ranks)
    assert run.status == 0, run.err
    assert "the runner-up, trial" in run.out
    told = studio.summary()
    assert told["significance"]["trials"][0]["number"] == told["best"]["number"]
    for row in studio.rows():
        folder = studio.left / "trials" / row["number"]
        seen = {path.parent.name: path.read_text() for path in folder.glob("*/seen.txt")}
        assert len(seen) == float(row["user_attrs_instances"])
        assert all(NAMES[int(part)] == instance for part, instance in seen.items())
    entry = ("reverie", "rerun")
    again = studio.run(ranks, "--top", "3", "--repeats", "2", study=str(studio.left), entry=entry)
    assert again.status == 0, again.err
    folder = studio.left / "rerun-3x2"
    summary = json.loads((folder / "summary.json").read_text())
    assert [trial["number"] for trial in summary["rerun"]["trials"]] == [
        trial["number"] for trial in told["significance"]["trials"][:3]
    ]
    assert all(trial["evaluations"] == 8 for trial in summary["rerun"]["trials"])
    size = (folder / "journal.jsonl").read_text().count('"type":"measured"')
    assert size == 24
    seeds = {
        json.loads(line)["trial"]["seed"]
        for line in (folder / "journal.jsonl").read_text().splitlines()
        if '"asked"' in line
    }
    assert not seeds & {record["trial"]["seed"] for record in studio.records("asked")}
    assert studio.run(1, "--top", "3", "--repeats", "2", study=str(studio.left), entry=entry).status == 0
    assert (folder / "journal.jsonl").read_text().count('"type":"measured"') == size


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 3])
def test_a_run_killed_between_instances_goes_on(studio: Studio, ranks: int) -> None:
    studio.study(NOISY.replace("PAUSE", "0.1"), instances=NAMES, budget=6)
    with studio.start(ranks) as run:
        run.until(lambda: len(studio.records("measured")) >= 6)
        os.kill(run.ranks()[0], signal.SIGKILL)
        run.wait()
        run.vanishes()
    before = [(record["number"], record["part"]) for record in studio.records("measured")]
    assert len(before) >= 6
    assert studio.run(ranks).status == 0
    parts = [(record["number"], record["part"]) for record in studio.records("measured")]
    assert parts[: len(before)] == before
    assert len(set(parts)) == len(parts)
    assert len(studio.records("finished")) == 6


@pytest.mark.slow
def test_a_command_gets_its_instance(studio: Studio) -> None:
    command = ["python", "train.py", "{instance}", "{x}"]
    studio.study("", command=command, instances=["a", "bb", "ccc"], budget=4, race_alpha=0)
    studio.write(
        "train.py",
        """
        import os, sys
        assert os.environ["REVERIE_INSTANCE"] == sys.argv[1]
        print(float(sys.argv[2]) + len(sys.argv[1]))
        """,
    )
    assert studio.run(1).status == 0
    rows = studio.rows()
    assert [float(row["value"]) for row in rows] == pytest.approx([float(row["params_x"]) + 2.0 for row in rows])


@pytest.mark.slow
def test_a_noisy_study_without_instances_is_rerun_from_its_folder_alone(studio: Studio) -> None:
    studio.study(
        "import random\ndef objective(config, trial):\n"
        "    assert trial.instance is None\n"
        "    return (config['x'] - 0.3) ** 2 + 0.01 * random.Random(trial.seed).gauss(0, 1)\n",
        budget=8,
        direction="maximize",
    )
    assert studio.run(1).status == 0
    (studio.folder / "study.json").unlink()
    again = studio.run(1, "--top", "2", "--repeats", "6", study=str(studio.left), entry=("reverie", "rerun"))
    assert again.status == 0, again.err
    summary = json.loads((studio.left / "rerun-2x6" / "summary.json").read_text())
    best = sorted((float(row["value"]), row["number"]) for row in studio.rows())[-2:]
    assert [trial["number"] for trial in summary["rerun"]["trials"]] == [int(number) for _, number in reversed(best)]
    assert [trial["original"] for trial in summary["rerun"]["trials"]] == [value for value, _ in reversed(best)]
    assert {trial["evaluations"] for trial in summary["rerun"]["trials"]} == {6}
    assert summary["significance"]["pairs"] == 6


@pytest.mark.slow
def test_what_cannot_be_rerun_is_refused(studio: Studio) -> None:
    entry = ("reverie", "rerun")
    studio.study("def objective(config): raise ValueError", budget=2)
    run = studio.run(1, study="runs/nowhere", entry=entry)
    assert (run.status, "must be the folder of an earlier study" in run.err) == (2, True)
    assert studio.run(1).status == 3
    run = studio.run(1, study="study.json", entry=entry)
    assert (run.status, "no trial that succeeded" in run.err) == (2, True)
    for words, told in (
        (["--top", "0"], "--top must be at least 1; got 0"),
        (["--repeats", "x"], '--repeats must be an integer; got "x"'),
        (["--repaets", "3"], 'Did you mean "--repeats"?'),
        (["--seed", "-1"], "--seed must be at least 0; got -1"),
    ):
        run = studio.run(1, *words, entry=entry)
        assert (run.status, told in run.err) == (2, True), run.err
